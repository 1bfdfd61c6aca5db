"""Describe the effect of an installation on current users of the database, and privileges that it cannot revoke from vended roles, in
sentences. Pure: a survey to findings."""

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rolevend.platforms.postgres.install.statements import on_objects, quoted, taken_from_public
from rolevend.platforms.postgres.install.survey import GovernedTable, PostgresInstallOptions, Reach, Right, Survey
from rolevend.platforms.protocol import InstallMode

LIVE_ROLES = 2000
"""The number of concurrent live roles that an installation without a superuser supports. `bench/managed.py` measures it: a vend takes about
ten times as long as the first one.
"""
MANAGED = (
    "there is no superuser, so rv_owner becomes an admin member of every role it makes, and each further one costs more: "
    f"meant for up to {LIVE_ROLES} live roles at a time",
    "there is no login trigger, which takes a superuser: without a password (a certificate, a token of the service) "
    "an expired role can log in, and read nothing; and idleReleaseSeconds does not see sessions that are over within seconds",
)
UNENDABLE = (
    "rv_owner is no member of pg_signal_backend: sessions of a vended role that somebody drops by hand go on, and read nothing; "
    "to fix it, run as a role that may: GRANT pg_signal_backend TO rv_owner WITH INHERIT TRUE, SET FALSE"
)
UNBOUNDED_FILES = (
    "rv_owner may not set temp_file_limit: temporary files of vended roles have no bound but the server's own; "
    "to fix it, run as a role that may: GRANT SET ON PARAMETER temp_file_limit TO rv_owner"
)
UNRESERVED = (
    "reserved_connections is 0: vended roles can take every connection, and then the operator can end none of them; "
    "set reserved_connections to 10 or more, and restart the server"
)
_MEANS = {
    ("DATABASE", "CONNECT"): "every vended role can log in there, as PUBLIC can, and what it leaves there keeps it from being dropped; "
    "the owner of a database can run: REVOKE CONNECT ON DATABASE … FROM PUBLIC",
    ("LANGUAGE", "USAGE"): "every vended role can run DO blocks, as PUBLIC can",
    ("FUNCTION", "EXECUTE"): "every vended role can call it, as PUBLIC can: large objects, advisory locks, messages, exported snapshots",
}
LEFT_OPEN = (
    "PUBLIC keeps it, because the installation reaches this database only: a vended role can log in to other databases and do what PUBLIC "
    "can there, and what it leaves there keeps it from being dropped; it reads nothing of this database there. The attestation says so. To "
    "prevent it, reject +rv_connect in pg_hba.conf for all other databases, or plan and install with --reach server"
)
ADMISSION = "GRANT rv_public TO {} WITH INHERIT TRUE, SET FALSE"
"""Gives a role that is made later what PUBLIC lost."""
FENCED = 12
"""The first version of the installation whose views read behind the fence."""


def not_reserved_for(logins: Sequence[str]) -> str:
    """Return the limitation that the operator's logins get no reserved connections."""
    return (
        f"{' and '.join(logins)} may not use reserved connections: while vended roles have all others, the operator can end none of them; "
        f"to fix it, run as a role that may: GRANT pg_use_reserved_connections TO {', '.join(logins)} WITH INHERIT TRUE, SET FALSE"
    )


def left_to_public(rights: Iterable[Right]) -> Iterator[tuple[str, str]]:
    """Yield (object, what a vended role can do with it), one sentence for each kind of privilege of PUBLIC."""
    by_kind: dict[tuple[str, str], list[str]] = {}
    for right in rights:
        by_kind.setdefault((right.kind, right.privilege), []).append(right.object)
    for (kind, privilege), objects in sorted(by_kind.items()):
        yield f"{privilege} on {kind.lower()} {some(objects)}", _MEANS.get((kind, privilege), "every vended role has it, as PUBLIC does")


def locked_out(logins: Sequence[str]) -> str:
    """Return the limitation that logins cannot connect, because they were made after the installation."""
    return (
        f"these logins cannot connect to this database, because PUBLIC lost CONNECT and they are no members of rv_public: {some(logins)}; "
        f"for each that should, run: {ADMISSION.format('<login>')}"
    )


def some(names: Sequence[str]) -> str:
    """Return the first few names and the number of others."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


class FindingKind(enum.StrEnum):
    REFUSED = "refused"
    """Blocks the installation."""
    OPEN = "open to vended roles"
    """Stays unchanged; every vended role can use it past all policies."""
    ENDS = "ends with this installation"
    """Live roles that use objects of an earlier version."""
    STAYS = "cannot be prevented here"
    """Needs a superuser, which this server does not provide."""
    KEEPS = "keeps its rights"
    """An account that becomes a member of rv_public, which gets the privileges revoked from PUBLIC."""
    LATER = "lacked by roles that are made later"
    """A right that PUBLIC loses, and how to give it to a role that does not exist yet."""
    INDEXES = "indexes"
    """How conditions of agents can use indexes, and what that reveals."""
    READERS = "row security"
    """A table on which the first profile enables row security, and the accounts that still read all its rows."""
    UNGOVERNED = "not governed"
    """No policy can grant it."""


@dataclass(frozen=True, slots=True)
class Finding:
    kind: FindingKind
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


def findings_of(survey: Survey, options: PostgresInstallOptions) -> tuple[Finding, ...]:
    """Return all findings, the most severe first."""
    order = list(FindingKind)
    found = [
        *_logins(survey, options),
        *_schemas(survey, options),
        *_tables(survey),
        _indexes(),
        *_ending(survey),
        *_staying(survey, options),
        *_exposed(survey),
        *_keeping(survey, options),
        *_reaching(survey, options),
        *_server(survey),
    ]
    return tuple(sorted(found, key=lambda finding: (order.index(finding.kind), finding.subject, finding.text)))


def _logins(survey: Survey, options: PostgresInstallOptions) -> Iterator[Finding]:
    for name in options.logins:
        role = survey.roles.get(name)
        if role is not None and (role.is_superuser or role.is_strong):
            yield Finding(
                FindingKind.REFUSED,
                name,
                "this login exists and is stronger than it may be; choose another name, or take from it what it has",
            )
    vendor = survey.roles.get(options.vendor)
    if vendor is not None and vendor.member_of:
        yield Finding(
            FindingKind.REFUSED, options.vendor, f"the vendor may be a member of nothing, and is one of {', '.join(vendor.member_of)}"
        )
    known = None if survey.installed is None else survey.installed.observer
    if options.observer is not None and options.observer != known and options.observer in survey.roles:
        text = "this role exists, and no installation made it: it may have rights that the console must not have; drop or rename it"
        yield Finding(FindingKind.REFUSED, options.observer, text)
    for name in ("rv_connect", "rv_template", *filter(None, [options.observer])):
        if name in survey.roles and survey.roles[name].member_of:
            text = f"may be a member of nothing, and is one of {', '.join(survey.roles[name].member_of)}"
            yield Finding(FindingKind.REFUSED, name, text)
    for held in survey.holders:
        held_role, holder = quoted([held.role]), quoted([held.holder])
        text = (
            f"{holder} is a member of this role or administers it, and could act as rolevend; run as who granted it: "
            f"REVOKE {held_role} FROM {holder}; or drop the role: the installation creates it"
        )
        yield Finding(FindingKind.REFUSED, held.role, text)
    for role in survey.roles.values():
        if not role.is_mine:
            text = f"this role exists, and {survey.server.administrator} may not administer it; drop it, or connect as one who may"
            yield Finding(FindingKind.REFUSED, role.name, text)
    owner = survey.roles.get("rv_owner")
    if owner is None:
        return
    if survey.mode is InstallMode.SUPERUSER and (not owner.is_superuser or owner.can_login):
        text = (
            "this role exists, but it is not the superuser without login that it should be; if rolevend was installed here without one, "
            "connect as the same administrator, or run first: ALTER ROLE rv_owner SUPERUSER"
        )
        yield Finding(FindingKind.REFUSED, "rv_owner", text)
    if survey.mode is InstallMode.MANAGED and (not owner.makes_roles or owner.can_login):
        yield Finding(
            FindingKind.REFUSED, "rv_owner", "this role exists, but it is not the one with CREATEROLE and without login that it should be"
        )


def _schemas(survey: Survey, options: PostgresInstallOptions) -> Iterator[Finding]:
    for missing in sorted(set(options.schemas) - {schema.name for schema in survey.schemas}):
        yield Finding(FindingKind.REFUSED, missing, "there is no such schema")
    for schema in survey.schemas:
        if not schema.is_mine and not schema.is_given and schema.owner not in survey.owners:
            text = (
                f"belongs to {schema.owner}, for whom {survey.server.administrator} does not act, so its use cannot be granted; "
                f"run: GRANT {schema.owner} TO {survey.server.administrator} WITH INHERIT TRUE"
            )
            yield Finding(FindingKind.REFUSED, schema.name, text)


def _tables(survey: Survey) -> Iterator[Finding]:
    kinds = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}
    for table in survey.tables:
        if table.kind in kinds:
            yield Finding(FindingKind.UNGOVERNED, table.shown, f"is {kinds[table.kind]}: PostgreSQL has no row security for it")
        elif table.owner_is_superuser:
            text = (
                f"is owned by the superuser {table.owner}, for whom the programmer must not act; "
                f"run: ALTER TABLE {table.shown} OWNER TO <a role that is no superuser>"
            )
            yield Finding(FindingKind.REFUSED, table.shown, text)
        elif table.administrator_above is not None:
            text = (
                f"its owner {table.owner} is, or acts for, {table.administrator_above}, for whom the programmer must not act; "
                f"run: ALTER TABLE {table.shown} OWNER TO <a role that does not>"
            )
            yield Finding(FindingKind.REFUSED, table.shown, text)
        elif not table.owner_is_mine and table.owner in survey.owners:
            text = (
                f"is owned by {table.owner}, which {survey.server.administrator} may not grant to the programmer; "
                f"run as a role that may: GRANT {table.owner} TO {survey.server.administrator} WITH ADMIN TRUE"
            )
            yield Finding(FindingKind.REFUSED, table.shown, text)
        elif not table.has_row_security:
            yield Finding(FindingKind.READERS, table.shown, _readers(table))


def _indexes() -> Finding:
    text = (
        "a condition of an agent uses an index only on columns that spec.lookupColumns of a TagBinding names, and a query on other columns "
        "reads all visible rows; in return, the values that lookup columns have in hidden rows can be found out"
    )
    return Finding(FindingKind.INDEXES, "governed tables", text)


def _readers(table: GovernedTable) -> str:
    names = [*("everybody who is there now (rv_public)" if name == "PUBLIC" else name for name in table.readers)]
    kept = ", ".join([f"its owner {table.owner}", *names, "members of pg_read_all_data and pg_write_all_data"])
    return (
        f"row security is switched on when a policy first grants it; all its rows stay with {kept}; "
        "a role that is granted it later sees none until it is added to the policy rv_readers"
    )


def _ending(survey: Survey) -> Iterator[Finding]:
    if survey.installed is not None and survey.installed.version < FENCED:
        text = (
            "every one that lives now is closed, because an earlier version built its views, which leak hidden rows; "
            "profiles are built again when they are next needed, and agents ask for a new role"
        )
        yield Finding(FindingKind.ENDS, "vended roles", text)


def _staying(survey: Survey, options: PostgresInstallOptions) -> Iterator[Finding]:
    if survey.mode is InstallMode.SUPERUSER:
        return
    for text in MANAGED:
        yield Finding(FindingKind.STAYS, "server", text)
    without = [name for name in (options.vendor, options.programmer) if name not in survey.roles or not survey.roles[name].gets_reserved]
    if without and not survey.server.may_lend_connections:
        yield Finding(FindingKind.STAYS, "connections", not_reserved_for(without))
    if not survey.server.may_lend_signals:
        yield Finding(FindingKind.STAYS, "sessions", UNENDABLE)
    if not survey.server.may_lend_files:
        yield Finding(FindingKind.STAYS, "temporary files", UNBOUNDED_FILES)
    for subject, text in left_to_public(right for right in survey.public if not right.may_be_taken):
        yield Finding(FindingKind.STAYS, subject, text)
    if not survey.server.shows_access:
        text = "is not shown here, so nobody can say whether vended roles are asked for a password; it must be so (scram-sha-256)"
        yield Finding(FindingKind.STAYS, "pg_hba.conf", text)


def _exposed(survey: Survey) -> Iterator[Finding]:
    for each in survey.exposed:
        if each.kind == "relation":
            yield Finding(
                FindingKind.OPEN, each.object, f"PUBLIC has {each.what} on it; to close it run: REVOKE ALL ON {each.object} FROM PUBLIC"
            )
        elif each.kind == "function":
            text = f"everybody may call it, and it {each.what}; to close it run: REVOKE EXECUTE ON ROUTINE {each.object} FROM PUBLIC"
            yield Finding(FindingKind.OPEN, each.object, text)
        elif each.kind == "setting":
            text = f"PUBLIC may {each.what} it; to close it run: REVOKE {each.what} ON PARAMETER {each.object} FROM PUBLIC"
            yield Finding(FindingKind.OPEN, f"setting {each.object}", text)
        elif each.kind == "default":
            text = (
                f"give PUBLIC {each.what} on each new one; to close it run: ALTER DEFAULT PRIVILEGES … REVOKE {each.what} ON … FROM PUBLIC"
            )
            yield Finding(FindingKind.OPEN, each.object, text)
        else:
            text = (
                f"everybody may call {each.what}; to close it run: ALTER EXTENSION {each.object} SET SCHEMA <one that PUBLIC may not use>, "
                "or revoke EXECUTE on them from PUBLIC"
            )
            yield Finding(FindingKind.OPEN, f"extension {each.object}", text)


def _keeping(survey: Survey, options: PostgresInstallOptions) -> Iterator[Finding]:
    for login, rights in survey.logins:
        yield Finding(FindingKind.KEEPS, login, f"has through PUBLIC alone, and keeps as a member of rv_public: {', '.join(rights)}")
    for right in taken_from_public(survey, options):
        if right.kind == "DATABASE" and right.privilege == "CONNECT":
            yield Finding(FindingKind.KEEPS, f"database {right.object}", "is open to PUBLIC, and then to rv_public only")
    if lost := [on for on in on_objects(taken_from_public(survey, options)) if not on.startswith("EXECUTE")]:
        text = f"lacks {', '.join(lost)}, and functions of the plan; to give it all of this, run: {ADMISSION.format('<role>')}"
        yield Finding(FindingKind.LATER, "a role that is made later", text)


def _reaching(survey: Survey, options: PostgresInstallOptions) -> Iterator[Finding]:
    if options.reach is Reach.DATABASE:
        others = [right.object for right in survey.public if right.kind == "DATABASE" and right.object != survey.server.database]
        yield Finding(FindingKind.OPEN, f"databases {some(others)}" if others else "other databases", LEFT_OPEN)


def _server(survey: Survey) -> Iterator[Finding]:
    server = survey.server
    if survey.mode is InstallMode.SUPERUSER and server.version_number < 170000:
        text = (
            f"PostgreSQL {server.version} has no login trigger: without a password (trust, peer, a certificate) "
            "an expired role can log in, and read nothing"
        )
        yield Finding(FindingKind.OPEN, "server", text)
    if server.prepared_transactions > 0:
        text = (
            f"max_prepared_transactions is {server.prepared_transactions}: a vended role can leave a prepared transaction "
            "behind, which keeps its locks; set it to 0"
        )
        yield Finding(FindingKind.OPEN, "server", text)
    if server.reserved_connections == 0:
        yield Finding(FindingKind.OPEN, "server", UNRESERVED)
    for line in survey.trusting_lines:
        yield Finding(
            FindingKind.OPEN, f"pg_hba.conf line {line}", "lets in without a password, so anybody can be any vended role; use scram-sha-256"
        )
