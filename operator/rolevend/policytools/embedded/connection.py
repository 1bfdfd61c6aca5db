"""The address of a database and a login, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rolevend.platforms.postgres.tls import Trust
from rolevend.platforms.protocol import Tls, TlsMode


@dataclass(frozen=True, slots=True)
class Connection:
    """The parts of a connection string. The password is not printed; `dsn` holds it."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str = "postgres"
    options: tuple[tuple[str, str], ...] = ()
    """Further parameters, such as ``sslmode``."""

    @classmethod
    def parse(cls, dsn: str) -> Self:
        """Read a ``postgresql://`` URL or ``name=value`` pairs. Raises `psycopg.ProgrammingError` if it is neither."""
        parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
        user = parts.pop("user", "postgres")
        return cls(
            host=parts.pop("host", "127.0.0.1"),
            port=int(parts.pop("port", "5432")),
            user=user,
            password=parts.pop("password", ""),
            database=parts.pop("dbname", user),
            options=tuple(sorted(parts.items())),
        )

    @property
    def dsn(self) -> str:
        """The DSN for psycopg and libpq programs. Contains the password."""
        return make_conninfo(
            "", host=self.host, port=self.port, user=self.user, password=self.password, dbname=self.database, **dict(self.options)
        )

    @property
    def authority(self) -> str | None:
        """The CA of the server's certificate, PEM; None: no CA is set."""
        file = dict(self.options).get("sslrootcert")
        return None if file is None else Path(file).read_text()

    @property
    def tls(self) -> Tls:
        """The TLS settings for the driver. The default is no TLS, not TLS if available: a bench is deterministic."""
        return Tls(TlsMode(dict(self.options).get("sslmode", "disable")), self.authority)

    def as_user(self, user: str, password: str) -> Self:
        return replace(self, user=user, password=password)

    def to_database(self, database: str) -> Self:
        return replace(self, database=database)


def logged_in(login: Mapping[str, str], **options: Any) -> "psycopg.Connection[tuple[Any, ...]]":
    """Connect as a vended role, with the keys of its Secret, like a pod that mounts it. `options` are further parameters."""
    trust = Trust(Tls(TlsMode(login["sslmode"]), login.get("ca.crt")))
    try:
        return psycopg.connect(login["uri"], autocommit=True, **{**trust.parameters(), **options})
    finally:
        trust.close()
