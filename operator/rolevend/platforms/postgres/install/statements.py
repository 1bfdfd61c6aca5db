"""Compute the statements of an installation, in order. Pure: a survey to statements.

A statement for an existing object is omitted or safe to run again.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import LiteralString

from psycopg import sql

from rolevend.platforms.plan_text import visible
from rolevend.platforms.postgres.install.survey import PostgresInstallOptions, Reach, Right, Survey, TakenRight
from rolevend.platforms.postgres.sql_files import installation

_MADE_TRIGGER = re.compile(r"CREATE EVENT TRIGGER (\w+) ON (\w+)")
_MADE_ROLE = re.compile(r'CREATE ROLE ("(?:[^"]|"")+"|\w+)')


@dataclass(frozen=True, slots=True)
class InstallStatement:
    text: str
    why: str


def as_shown(statements: Iterable[InstallStatement]) -> tuple[InstallStatement, ...]:
    """Return the statements in the form in which they are shown and run."""
    return tuple(replace(each, text=visible(each.text)) for each in statements)


def steps_of(survey: Survey, options: PostgresInstallOptions, version: int) -> tuple[InstallStatement, ...]:
    """Return all statements except those with passwords, which must not be shown."""
    return (
        *_files(survey, options),
        *_hardening(survey, options),
        *_programmer(survey, options),
        *_observer(survey, options),
        *_consent(survey),
        *_marks(survey, options, version),
    )


def _files(survey: Survey, options: PostgresInstallOptions) -> Iterator[InstallStatement]:
    there = {sql.Identifier(name).as_string() for name in survey.roles} | set(survey.roles)
    for why, text in installation(survey.mode, dict(zip(("vendor", "programmer", "observer"), options.logins, strict=False))):
        role = _MADE_ROLE.match(text)
        if role is not None and role[1] in there:
            continue
        if text.startswith("CREATE SCHEMA rolevend ") and survey.server.has_schema:
            continue
        trigger = _MADE_TRIGGER.match(text)
        if trigger is not None and (trigger[1] in survey.server.event_triggers or not _knows(survey, trigger[2])):
            continue
        yield InstallStatement(text, why)


def _knows(survey: Survey, event: str) -> bool:
    return event != "login" or survey.server.version_number >= 170000


def taken_from_public(survey: Survey, options: PostgresInstallOptions) -> list[Right]:
    """Return the privileges that the installation revokes from PUBLIC, in order."""
    return sorted((right for right in survey.public if right.may_be_taken and _is_in_reach(right, options)), key=_order)


def given_back_to_public(survey: Survey, options: PostgresInstallOptions) -> list[TakenRight]:
    """Return the privileges that an earlier installation with another reach revoked, and this one does not."""
    return sorted((right for right in survey.taken if right.is_given and not _is_in_reach(right, options)), key=_order)


def _is_in_reach(right: Right | TakenRight, options: PostgresInstallOptions) -> bool:
    return options.reach is not Reach.DATABASE or (right.kind, right.privilege) != ("DATABASE", "CONNECT")


def on_objects(rights: Sequence[Right | TakenRight]) -> Iterator[str]:
    """Yield `privilege ON kind objects`, as GRANT and REVOKE name them: functions together, everything else one by one."""
    for (kind, privilege), same in groupby(rights, key=lambda right: (right.kind, right.privilege)):
        for objects in [[right.object] for right in same] if kind != "FUNCTION" else [[right.object for right in same]]:
            yield f"{privilege} ON {kind} {', '.join(objects)}"


def _hardening(survey: Survey, options: PostgresInstallOptions) -> Iterator[InstallStatement]:
    """Record each right, grant it to rv_public, revoke it from PUBLIC, then make every existing account a member of rv_public."""
    taken, given = taken_from_public(survey, options), given_back_to_public(survey, options)
    if survey.unrecorded and survey.taken:
        yield _record(survey.taken, "An older version recorded nothing of what it took from PUBLIC: it is what rv_public has instead.")
    if taken:
        yield _record(taken, "An uninstallation gives this back to PUBLIC.")
    for on in on_objects(taken):
        yield InstallStatement(f"GRANT {on} TO rv_public", "Existing accounts keep this.")
        yield InstallStatement(f"REVOKE {on} FROM PUBLIC", "A vended role does not have this.")
    for on in on_objects(given):
        yield InstallStatement(f"GRANT {on} TO PUBLIC", "The installation reaches this database only.")
    if any(not _is_in_reach(right, options) for right in survey.taken):
        yield InstallStatement("DELETE FROM rolevend.taken WHERE kind = 'DATABASE' AND privilege = 'CONNECT'", "PUBLIC has it.")
    if taken and survey.everybody:
        members = quoted(survey.everybody)
        yield InstallStatement(f"GRANT rv_public TO {members} WITH INHERIT TRUE, SET FALSE", "Everybody who was here before rolevend.")


def _record(rights: Sequence[Right | TakenRight], why: str) -> InstallStatement:
    rows = sql.SQL(",\n").join(
        sql.SQL("    ({}, {}, {})").format(*map(sql.Literal, (right.kind, right.object, right.privilege))) for right in rights
    )
    text = sql.SQL("INSERT INTO rolevend.taken (kind, object, privilege) VALUES\n{}\nON CONFLICT DO NOTHING").format(rows)
    return InstallStatement(text.as_string(), why)


def _order(right: Right | TakenRight) -> tuple[str, str, str]:
    return (right.kind, right.privilege, right.object)


def _programmer(survey: Survey, options: PostgresInstallOptions) -> Iterator[InstallStatement]:
    programmer = sql.Identifier(options.programmer).as_string()
    for name in options.logins:
        if name in survey.roles and not survey.roles[name].can_login:
            who = "console" if name == options.observer else "operator"
            yield InstallStatement(f"ALTER ROLE {sql.Identifier(name).as_string()} LOGIN", f"The {who} logs in as it.")
    for schema in survey.schemas:
        if schema.is_mine:
            text = f"GRANT USAGE ON SCHEMA {sql.Identifier(schema.name).as_string()} TO {programmer}"
            yield InstallStatement(text, "It makes views of tables in it.")
    if survey.server.may_lend_signals:
        yield InstallStatement(
            "GRANT pg_signal_backend TO rv_owner WITH INHERIT TRUE, SET FALSE",
            "It ends sessions also of a vended role that somebody dropped by hand.",
        )
    if survey.server.may_lend_files:
        yield InstallStatement("GRANT SET ON PARAMETER temp_file_limit TO rv_owner", "It bounds the temporary files of vended roles.")
    if survey.server.may_lend_connections:
        yield InstallStatement(
            f"GRANT pg_use_reserved_connections TO {sql.Identifier(options.vendor).as_string()}, {programmer} WITH INHERIT TRUE, SET FALSE",
            "The operator ends roles also while agents have every connection that is not reserved (reserved_connections).",
        )
    for owner in survey.owners:
        text = f"GRANT {sql.Identifier(owner).as_string()} TO {programmer} WITH INHERIT TRUE, SET FALSE"
        yield InstallStatement(text, "Only an owner may switch row security on, make policies, and let others call a function.")
    database = sql.Identifier(survey.server.database).as_string()
    vendor = sql.Identifier(options.vendor).as_string()
    yield InstallStatement(f"GRANT CONNECT ON DATABASE {database} TO rv_connect, {vendor}, {programmer}", "Nobody else needs it of us.")
    yield InstallStatement(f"GRANT CREATE ON DATABASE {database} TO {programmer}", "A profile is a schema.")


def _observer(survey: Survey, options: PostgresInstallOptions) -> Iterator[InstallStatement]:
    database = quoted([survey.server.database])
    if options.observer is not None:
        yield InstallStatement(f"GRANT CONNECT ON DATABASE {database} TO {quoted([options.observer])}", "The console logs in as it.")
        return
    former = None if survey.installed is None else survey.installed.observer
    if former is not None and former in survey.roles:
        why, name = "The DataPlatform names no observer any more.", quoted([former])
        yield InstallStatement(f"REVOKE CONNECT ON DATABASE {database} FROM {name}", why)
        yield InstallStatement(f"REVOKE USAGE ON SCHEMA rolevend FROM {name}", why)
        yield InstallStatement(f"REVOKE EXECUTE ON FUNCTION rolevend.running FROM {name}", why)
        yield InstallStatement(f"DROP ROLE {name}", why)


def _consent(survey: Survey) -> Iterator[InstallStatement]:
    """Accept the exposed functions that the plan lists; all others are drift."""
    yield InstallStatement(
        "DELETE FROM rolevend.consented", "The installation consents to what this plan lists as open to vended roles, and to no more."
    )
    for kind, text in _CONSENT.items():
        objects = [sql.Literal(each.object) for each in survey.exposed if each.kind == kind]
        if objects:
            yield InstallStatement(
                sql.SQL(text).format(sql.SQL(", ").join(objects)).as_string(), f"It is no drift that everybody may call this {kind}."
            )


_CONSENT: dict[str, LiteralString] = {
    "function": "INSERT INTO rolevend.consented (routine) SELECT unnest(ARRAY[{}]::regprocedure[])",
    "extension": (
        "INSERT INTO rolevend.consented (routine)\n"
        "SELECT d.objid FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid\n"
        " WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'\n"
        "   AND quote_ident(e.extname) IN ({})\n"
        "ON CONFLICT DO NOTHING"
    ),
}


def _marks(survey: Survey, options: PostgresInstallOptions, version: int) -> Iterator[InstallStatement]:
    comment = f"rolevend vends from the database {survey.server.database}"
    yield InstallStatement(
        sql.SQL("COMMENT ON ROLE rv_owner IS {}").format(sql.Literal(comment)).as_string(),
        "Vended roles belong to the whole server: another database of it is refused.",
    )
    schemas = sql.SQL(", ").join(sql.Literal(schema) for schema in sorted(options.schemas))
    before = [sql.Literal(name) for name in (options.vendor, options.programmer) if name in survey.roles]
    text = sql.SQL(
        "INSERT INTO rolevend.version (version, vendor, programmer, schemas, reach, logins_before, observer)\n"
        "VALUES ({}, {}, {}, ARRAY[{}], {}, ARRAY[{}]::name[], {})\n"
        "ON CONFLICT (one) DO UPDATE\n"
        "   SET version = excluded.version, schemas = excluded.schemas, reach = excluded.reach, observer = excluded.observer,\n"
        "       installed_at = clock_timestamp()"
    ).format(
        *map(sql.Literal, (version, options.vendor, options.programmer)),
        schemas,
        sql.Literal(str(options.reach or Reach.SERVER)),
        sql.SQL(", ").join(before),
        sql.Literal(options.observer),
    )
    yield InstallStatement(text.as_string(), "Whether an operator and this database fit.")


def quoted(names: Sequence[str]) -> str:
    """Return the names as identifiers of SQL, separated by commas."""
    return ", ".join(sql.Identifier(name).as_string() for name in names)
