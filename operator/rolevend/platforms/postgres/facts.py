"""What a server says of itself."""

from rolevend.errors import PlatformUnavailable
from rolevend.platforms.base import ServerFacts
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.failures import NOT_INSTALLED
from rolevend.platforms.postgres.files import query
from rolevend.platforms.postgres.install import VERSION

_SCHEDULE = "SELECT cron.schedule('rolevend', '2 seconds', 'CALL rolevend.sweep()')"


def facts_of(connection: Connection) -> ServerFacts:
    """`PlatformUnavailable` where the installation is missing, or older than what this driver calls."""
    row = connection.execute(query("facts"), {}).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    version, identifier, installed, may_trigger, has_trigger, swept, prepared, open_databases, strays, blind = row
    if installed is None or installed < VERSION:
        raise PlatformUnavailable(f"cannot vend here: {NOT_INSTALLED}")
    limitations = [
        (not may_trigger, "PostgreSQL 16 has no login trigger: an expired role can log in without a password, and read nothing"),
        (may_trigger and not has_trigger, "the login trigger rv_login is missing or disabled: install again"),
        (
            not swept,
            "no scheduler calls rolevend.sweep(): while the operator is down a statement that runs at its role's expiry may finish; "
            f"with pg_cron run: {_SCHEDULE}",
        ),
        (prepared > 0, "max_prepared_transactions is not 0: a vended role can leave a prepared transaction behind, with its locks"),
        (
            bool(open_databases),
            f"open to PUBLIC, and so to vended roles: {_some(open_databases)}; plan and run the installation again",
        ),
        (bool(blind), f"may read a governed table and see no row of it, being granted it later; admit them: {_some(blind)}"),
        (bool(strays), f"roles that look vended and have no lease: {_some(strays)}; drop them by hand"),
    ]
    return ServerFacts(version, identifier, tuple(text for holds, text in limitations if holds))


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
