"""Where a database is and who one is there, as values."""

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
        """Read a ``postgresql://`` URL or ``name=value`` pairs; `psycopg.ProgrammingError` if it is neither."""
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
        """For psycopg and every libpq program; holds the password."""
        return make_conninfo(
            "", host=self.host, port=self.port, user=self.user, password=self.password, dbname=self.database, **dict(self.options)
        )

    @property
    def authority(self) -> str | None:
        """Who signs the server's certificate, PEM; None where nobody is asked for."""
        file = dict(self.options).get("sslrootcert")
        return None if file is None else Path(file).read_text()

    @property
    def tls(self) -> Tls:
        """The same for the driver. Where nothing is said of TLS there shall be none: a bench does nothing by chance."""
        return Tls(TlsMode(dict(self.options).get("sslmode", "disable")), self.authority)

    def as_user(self, user: str, password: str) -> Self:
        return replace(self, user=user, password=password)

    def to_database(self, database: str) -> Self:
        return replace(self, database=database)


def logged_in(login: Mapping[str, str], **options: Any) -> "psycopg.Connection[tuple[Any, ...]]":
    """As the vended role of a credential, by the keys of its Secret, as a pod would that mounts it. `options` are further ones."""
    trust = Trust(Tls(TlsMode(login["sslmode"]), login.get("ca.crt")))
    try:
        return psycopg.connect(login["uri"], autocommit=True, **{**trust.parameters(), **options})
    finally:
        trust.close()
