"""Where a database is and who one is there, as values."""

from dataclasses import dataclass, field, replace
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo


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

    def as_user(self, user: str, password: str) -> Self:
        return replace(self, user=user, password=password)

    def to_database(self, database: str) -> Self:
        return replace(self, database=database)
