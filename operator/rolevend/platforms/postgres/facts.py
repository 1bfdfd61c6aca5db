"""Read the facts of a server."""

from collections.abc import Iterator

from psycopg.rows import kwargs_row, scalar_row

from rolevend.errors import PlatformUnavailable, PoolerInBetween, ReadOnlyServer
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.failures import NOT_INSTALLED
from rolevend.platforms.postgres.install.findings import (
    LEFT_OPEN,
    MANAGED,
    UNBOUNDED_FILES,
    UNENDABLE,
    UNRESERVED,
    left_to_public,
    locked_out,
    not_reserved_for,
    some,
)
from rolevend.platforms.postgres.install.survey import PUBLIC, VERSION, Installed, Reach, Right
from rolevend.platforms.postgres.sql_files import query
from rolevend.platforms.protocol import InstallMode, ServerFacts, TlsMode

_UNPROTECTED = {
    TlsMode.VERIFY_CA: "any server with a certificate of the authority is believed to be this one: the host's name is not checked",
    TlsMode.REQUIRE: "any server is believed to be this one: its certificate is not checked",
    TlsMode.DISABLE: "rows travel in the clear, and any server is believed to be this one: connections are not encrypted",
}
_SCHEDULE = "SELECT cron.schedule('rolevend', '2 seconds', 'CALL rolevend.sweep()')"


def facts_of(connection: Connection, tls: TlsMode) -> ServerFacts:
    """Return the facts.

    Raises `PlatformUnavailable` if nothing can be vended: the installation is missing or older than this driver needs, or the answer comes
    from a standby or a proxy.
    """
    _reject_others(connection)
    row = connection.execute(query("facts"), {}).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    version, identifier, installed, by_superuser, may_trigger, has_trigger, ends_all, swept, *others = row
    prepared, strays, blind, watched, files, domain, sessions, reserved, unreserved = others
    if installed is None or installed < VERSION:
        raise PlatformUnavailable(f"cannot vend here: {NOT_INSTALLED}")
    mode = InstallMode.SUPERUSER if by_superuser else InstallMode.MANAGED
    late = _late(connection)
    limitations = [
        *((mode is InstallMode.MANAGED, text) for text in MANAGED),
        (not by_superuser and not ends_all, UNENDABLE),
        (
            by_superuser and not may_trigger,
            "PostgreSQL 16 has no login trigger: an expired role can log in without a password, and read nothing; "
            "and idleReleaseSeconds does not see sessions that are over within seconds",
        ),
        (by_superuser and may_trigger and not has_trigger, "the login trigger rv_login is missing or disabled: install again"),
        (
            not swept,
            "no scheduler calls rolevend.sweep(): while the operator is down a statement that runs at its role's expiry may finish; "
            f"with pg_cron run: {_SCHEDULE}",
        ),
        (not watched, "track_activities is off: statements and sessions of vended roles are not held to their limits"),
        (not files, UNBOUNDED_FILES),
        (reserved == 0, UNRESERVED),
        (bool(unreserved), not_reserved_for(unreserved)),
        (prepared > 0, "max_prepared_transactions is not 0: a vended role can leave a prepared transaction behind, with its locks"),
        *((True, text) for text in _public(connection, mode)),
        (bool(late), locked_out(late)),
        (bool(blind), f"may read a governed table and see no row of it, being granted it later; admit them: {some(blind)}"),
        (tls in _UNPROTECTED, _UNPROTECTED.get(tls, "")),
        (bool(strays), f"roles that look vended and have no lease: {some(strays)}; drop them by hand"),
    ]
    return ServerFacts(version, identifier, tuple(text for holds, text in limitations if holds), mode, domain, sessions=sessions)


def programmer_of(connection: Connection) -> str:
    """Return the login that builds profiles, as recorded by the installation."""
    row = connection.execute(query("installed", folder="survey"), {}).fetchone()
    if row is None:
        raise PlatformUnavailable(f"cannot vend here: {NOT_INSTALLED}")
    return str(row[2])


def _public(connection: Connection, mode: InstallMode) -> Iterator[str]:
    """Yield the privileges that PUBLIC has again, or still has in managed mode or by the reach of the installation."""
    with connection.cursor(row_factory=kwargs_row(Right)) as cursor:
        rights = cursor.execute(query("public", folder="survey"), {"grantee": PUBLIC}).fetchall()
    with connection.cursor(row_factory=kwargs_row(Installed)) as cursor:
        installed = cursor.execute(query("installed", folder="survey"), {}).fetchall()
    if any(each.reach == Reach.DATABASE for each in installed):
        kept = [right.object for right in rights if right.kind == "DATABASE" and right.privilege == "CONNECT"]
        rights = [right for right in rights if right.kind != "DATABASE" or right.privilege != "CONNECT"]
        if kept:
            yield f"CONNECT on database {some(kept)}: {LEFT_OPEN}"
    again = "; plan and run the installation again" if mode is InstallMode.SUPERUSER else ""
    for subject, text in left_to_public(rights):
        yield f"{subject}: {text}{again}"


def _late(connection: Connection) -> list[str]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query("late"), {}).fetchall()


def _reject_others(connection: Connection) -> None:
    """Refuse a server that is a proxy or a standby."""
    row = connection.execute("SELECT pg_backend_pid(), pg_is_in_recovery()").fetchone()
    assert row is not None  # noqa: S101 - no table, one row
    process, is_standby = row
    if process != connection.info.backend_pid:
        raise PoolerInBetween("cannot vend here: a connection pooler answers, and not the server itself")
    if is_standby:
        raise ReadOnlyServer("cannot vend here: a standby answers, which is read-only")
