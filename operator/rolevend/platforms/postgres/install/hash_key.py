"""The key domain of the mask Hash: databases with the same key and domain hash equal values equally."""

import hashlib
import hmac
import re
from typing import Final

from rolevend.errors import Conflict, InvalidInput
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.failures import translating
from rolevend.platforms.postgres.install.installer import VERSION
from rolevend.platforms.protocol import Secret

FEWEST_CHARACTERS: Final = 32
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def salt_of(domain: str, key: Secret) -> bytes:
    """Return the salt of the domain. Another domain has another salt, even with the same key.

    Raises InvalidInput for an invalid name or a guessable key.
    """
    if not _DOMAIN.fullmatch(domain):
        raise InvalidInput("domain", "must be lower-case letters, digits and '-', and begin and end with a letter or digit")
    if len(key.reveal()) < FEWEST_CHARACTERS:
        raise InvalidInput("key", f"must have at least {FEWEST_CHARACTERS} characters, such as those of: openssl rand -hex 32")
    return hmac.digest(key.reveal().encode(), f"rolevend hash domain {domain}".encode(), hashlib.sha256)


def share(connection: Connection, domain: str, key: Secret) -> str | None:
    """Set the hash salt of a database to the key of `domain`, by an administrator's `connection`. Returns the former domain. Every hashed
    value changes, also for live roles.

    Raises `Conflict` if rolevend is not installed there or is older.
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
    there = connection.execute("SELECT to_regclass('rolevend.version') IS NOT NULL").fetchone()
    newest = connection.execute("SELECT max(version) FROM rolevend.version").fetchone() if there and there[0] else None
    if newest is None or newest[0] is None or newest[0] < VERSION:
        raise Conflict(f"version {VERSION} of rolevend's schema must be installed first: plan and run the installation")
