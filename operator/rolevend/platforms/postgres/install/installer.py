"""Install rolevend in one database: compute a plan that a person can read, then run exactly that plan.

The plan lists every statement and every affected account. Its digest is the consent: if the digest changed because of a new table or login,
the installation is refused. The installation is one transaction. The hash key is shared afterwards: databases with the same key and key
domain hash equal values equally.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

from psycopg import sql

from rolevend.errors import Conflict, InvalidInput
from rolevend.platforms.plan_text import digest_of, finding_lines, transaction_lines
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.failures import translating
from rolevend.platforms.postgres.install.findings import Finding, FindingKind, findings_of
from rolevend.platforms.postgres.install.statements import InstallStatement, as_shown, steps_of
from rolevend.platforms.postgres.install.summary import Changes, changes_of, summary_lines
from rolevend.platforms.postgres.install.survey import (
    VERSION,
    PostgresInstallOptions,
    Reach,
    Survey,
    begin_changes,
    other_version,
    pin,
    server_of,
    survey,
)
from rolevend.platforms.postgres.vend.scram import SALT_BYTES, verifier
from rolevend.platforms.protocol import Randomness, Secret
from rolevend.platforms.statement import plain

FEWEST_CHARACTERS: Final = 32
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Passwords:
    """Passwords for the logins; None keeps the current authentication, such as a certificate."""

    vendor: Secret | None = None
    programmer: Secret | None = None
    observer: Secret | None = None


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """The statements and the findings."""

    server: str
    database: str
    options: PostgresInstallOptions
    statements: tuple[InstallStatement, ...]
    findings: tuple[Finding, ...]
    changes: Changes
    """For the summary. The statements hold all of it."""
    digest: str = field(init=False)
    """SHA-256 over all other fields: equal plans for the same database have equal digests."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", digest_of(self._content()))

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """The findings that block the installation."""
        return tuple(finding for finding in self.findings if finding.kind is FindingKind.REFUSED)

    def as_json(self) -> dict[str, Any]:
        return {"digest": self.digest, **self._content()}

    def text(self) -> str:
        """Return the text for a DBA: the findings, every statement with its reason, and the digest."""
        lines = [
            f"-- rolevend {VERSION} in database {plain(self.database)} of server {self.server}",
            *finding_lines(FindingKind, self.findings),
            *transaction_lines(self.statements, "and the passwords of the logins, as SCRAM-SHA-256 verifiers"),
            f"-- digest: {self.digest}",
            "",
        ]
        return "\n".join(lines)

    def summary(self) -> str:
        """Return what changes for others, on one screen of 80 columns."""
        heading = f"rolevend {VERSION} in database {plain(self.database)}, reach: {self.options.reach}"
        return "\n".join([heading, *summary_lines(self.changes, self.findings), f"digest: {self.digest}", ""])

    def _content(self) -> dict[str, Any]:
        return {
            "server": self.server,
            "database": self.database,
            "options": {
                "schemas": sorted(self.options.schemas),
                "functions": sorted(self.options.functions),
                "vendor": self.options.vendor,
                "programmer": self.options.programmer,
                "observer": self.options.observer,
                "reach": self.options.reach,
            },
            "findings": [{"kind": each.kind.value, "subject": each.subject, "text": each.text} for each in self.findings],
            "statements": [{"text": each.text, "why": each.why} for each in self.statements],
        }


def plan(connection: Connection, options: PostgresInstallOptions) -> InstallPlan:
    """Return the plan of `install`, for the superuser of `connection`. Changes nothing.

    Raises `Conflict` if rolevend cannot be installed on this server or database.
    """
    with translating("plan the installation"), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        pin(connection)
        return _planned(connection, options)


def install(
    connection: Connection, options: PostgresInstallOptions, *, accept: str, passwords: Passwords, randomness: Randomness
) -> InstallPlan:
    """Run the plan with the accepted digest, in one transaction, and return it.

    Raises `Conflict`, without any change, if the current plan differs or has refusals.
    """
    verifiers = _verifiers(options, passwords, randomness)
    with translating("install"), connection.transaction():
        begin_changes(connection)
        current = _planned(connection, options)
        if current.digest != accept:
            raise Conflict(
                f"cannot install under digest {accept[:12]}…: the plan is now {current.digest[:12]}…, because the database, "
                "the options or rolevend changed; read the new plan and accept its digest"
            )
        if current.refusals:
            raise Conflict(f"cannot install: {'; '.join(str(finding) for finding in current.refusals)}")
        for statement in current.statements:
            connection.execute(statement.text)
        for password in verifiers:
            connection.execute(password)
    return current


def _planned(connection: Connection, options: PostgresInstallOptions) -> InstallPlan:
    found = survey(connection, options)
    _same_logins(found, options)
    reach = options.reach or Reach(found.installed.reach if found.installed else Reach.SERVER)
    options = replace(options, reach=reach)
    return InstallPlan(
        found.server.identifier,
        found.server.database,
        options,
        as_shown(steps_of(found, options, VERSION)),
        findings_of(found, options),
        changes_of(found, options),
    )


def _same_logins(found: Survey, options: PostgresInstallOptions) -> None:
    there = found.installed
    if there is None:
        return
    if (there.vendor, there.programmer) != (options.vendor, options.programmer):
        raise Conflict(f"rolevend is installed here for the logins {there.vendor} and {there.programmer}: use these")
    if None not in (there.observer, options.observer) and there.observer != options.observer:
        raise Conflict(f"rolevend is installed here with the login {there.observer} for the console: use this")


def _verifiers(options: PostgresInstallOptions, passwords: Passwords, randomness: Randomness) -> list[sql.Composed]:
    pairs = zip(options.logins, (passwords.vendor, passwords.programmer, passwords.observer), strict=False)
    return [
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(verifier(password.reveal(), randomness(SALT_BYTES))))
        for name, password in pairs
        if password is not None
    ]


def salt_of(domain: str, key: Secret) -> bytes:
    """Return the salt of the domain. Another domain has another salt, even with the same key.

    Raises InvalidInput for an invalid name or a guessable key.
    """
    if not _DOMAIN.fullmatch(domain):
        raise InvalidInput("domain", "must be lower-case letters, digits and '-', and begin and end with a letter or digit")
    if len(key.reveal()) < FEWEST_CHARACTERS:
        raise InvalidInput("key", f"must have at least {FEWEST_CHARACTERS} characters, such as those of: openssl rand -hex 32")
    return hmac.digest(key.reveal().encode(), f"rolevend hash domain {domain}".encode(), hashlib.sha256)


def set_hash_key(connection: Connection, domain: str, key: Secret) -> str | None:
    """Set the hash salt of a database to the key of `domain`, by an administrator's `connection`. Returns the former domain. Every hashed
    value changes, also for live roles.

    Raises `Conflict` if rolevend is not installed there, or in another version.
    """
    salt = salt_of(domain, key)
    with translating("set the hash key"), connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        _require_installed(connection)
        connection.execute("SET LOCAL ROLE rv_owner")
        row = connection.execute("DELETE FROM rolevend.salt RETURNING domain").fetchone()
        # Data of COPY is not in the statement log.
        with connection.cursor().copy("COPY rolevend.salt (salt, domain) FROM STDIN") as copying:
            copying.write_row((salt, domain))
        # Cached plans of open sessions contain the former salt. Any change of the function invalidates them.
        connection.execute("ALTER FUNCTION rolevend.hash(text) STABLE")
        return None if row is None else row[0]


def _require_installed(connection: Connection) -> None:
    newest = connection.execute("SELECT max(version) FROM rolevend.version").fetchone() if server_of(connection).is_installed else None
    if newest is None or newest[0] is None:
        raise Conflict(f"version {VERSION} of rolevend's SQL must be installed first: plan and run the installation")
    if unusable := other_version(newest[0]):
        raise Conflict(f"cannot set the hash key: {unusable}")
