"""An open role and its logins. A role is not renewed; it is released when its `with` block ends."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from rolevend_client import database_login
from rolevend_client.errors import Misconfigured, RoleEnded, Unexpected
from rolevend_client.values import Credential, Explanation, KeyPairCredential, LeftOut, Platform, VendedRole

_ABOUT_NOW = timedelta(seconds=5)
"""The difference of two clocks that is not an earlier end."""
Login = TypeVar("Login", bound=Credential | KeyPairCredential)


class OpenRole:
    """The base of Role and AsyncRole.

    A role is on one platform or on several. The argument `platform` of a method is optional if the role has one platform of that kind.
    """

    def __init__(self, vended: VendedRole) -> None:
        self.vended = vended
        self.platforms = tuple(each for each in vended.platforms if each.credential is not None)
        """The platforms with a login."""
        if not self.platforms:
            raise Unexpected(f"cannot use the role {vended.id}: the answer holds no credential")
        self._logins = {each.name: each.credential for each in vended.platforms if each.credential is not None}
        self._authorities: dict[str, database_login.Authority] = {}
        self.ended: tuple[str, datetime] | None = None
        """The reason and the time of the end, as in `RoleEnded`, if this process knows of it."""

    @property
    def id(self) -> str:
        return self.vended.id

    @property
    def name(self) -> str:
        """The name of the role, the same on each platform."""
        login = self._logins[self.platform.name]
        return login.role if isinstance(login, KeyPairCredential) else login.username

    @property
    def platform(self) -> Platform:
        """The first platform."""
        return self.platforms[0]

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The requested platforms without a role; only with `allow_partial`."""
        return self.vended.left_out

    @property
    def expires_at(self) -> datetime | None:
        """The time at which the role expires, even if it is connected then."""
        return self.vended.expires_at

    @property
    def remaining(self) -> timedelta | None:
        """The time until the role expires, by this machine's clock; zero after that; None: unknown."""
        return None if self.expires_at is None else max(self.expires_at - datetime.now(UTC), timedelta())

    @property
    def is_past(self) -> bool:
        """True if the role expires within seconds or has expired, by this machine's clock."""
        return self.remaining is not None and self.remaining < _ABOUT_NOW

    @property
    def explanation(self) -> Explanation:
        """The tables that the role reads, and the policies that grant them."""
        return self.vended.explanation or Explanation()

    def connection_parameters(self, platform: str | None = None) -> dict[str, str | int]:
        """Return the arguments for `psycopg.connect(**…)`, under libpq's names. The file of certificates is deleted with the role."""
        place, credential = self._login(Credential, platform)
        certificates = credential.ca_certificates
        if certificates is not None and place not in self._authorities:
            self._authorities[place] = database_login.Authority(certificates)
        return database_login.parameters(credential, self._authorities.get(place))

    def snowflake_parameters(self, platform: str | None = None) -> dict[str, str | int]:
        """Return the arguments for `snowflake.connector.connect(**…)`."""
        return database_login.snowflake_parameters(self._login(KeyPairCredential, platform)[1])

    def schema(self, platform: str | None = None) -> str:
        """Return the schema of the role's tables on PostgreSQL, for clients that need its name. Without it, they are found, too."""
        schema = self._login(Credential, platform)[1].schema
        if schema is None:
            raise Unexpected(f"cannot name the schema of the role {self.id}: the API is of an earlier version")
        return schema

    @property
    def uri(self) -> str:
        """The login to the only PostgreSQL as a URI for libpq, with the password."""
        return database_login.url("postgresql", self.connection_parameters())

    @property
    def portable_uri(self) -> str:
        """The same for clients that are not built on libpq, such as asyncpg: without `gssencmode`, which they do not know."""
        login = self.connection_parameters()
        return database_login.url("postgresql", {name: value for name, value in login.items() if name != "gssencmode"})

    def sqlalchemy_url(self, driver: str = "psycopg", *, platform: str | None = None) -> str:
        """Return the URL for `sqlalchemy.create_engine`. Dispose of the engine before the block ends, or use `poolclass=NullPool`.

        Snowflake needs the package snowflake-sqlalchemy and `connect_args=role.sqlalchemy_arguments(…)`.
        """
        credential = self._any_login(platform)
        if isinstance(credential, KeyPairCredential):
            database_login.expect_snowflake_sqlalchemy()
            return database_login.snowflake_url(credential)
        return database_login.url(f"postgresql+{driver}", self.connection_parameters(platform))

    def sqlalchemy_arguments(self, platform: str | None = None) -> dict[str, str | int]:
        """Return the `connect_args` for `sqlalchemy.create_engine`. Empty for PostgreSQL."""
        credential = self._any_login(platform)
        return database_login.snowflake_parameters(credential) if isinstance(credential, KeyPairCredential) else {}

    def _any_login(self, platform: str | None) -> Credential | KeyPairCredential:
        """Return the login to this platform, or to the only one."""
        kinds = {type(login) for name, login in self._logins.items() if platform in (None, name)}
        return self._login(KeyPairCredential if kinds == {KeyPairCredential} else Credential, platform)[1]

    def _login(self, kind: type[Login], platform: str | None) -> tuple[str, Login]:
        """Return the name and the login of this platform, or of the only one of that kind. Raises `Misconfigured` if there is none."""
        fitting = {name: login for name, login in self._logins.items() if isinstance(login, kind)}
        chosen = fitting if platform is None else {name: login for name, login in fitting.items() if name == platform}
        if len(chosen) != 1:
            raise Misconfigured(_no_login(platform, self.platforms, list(fitting), self.left_out))
        return next(iter(chosen.items()))

    def known_end(self) -> RoleEnded | None:
        """Return the end of the role as an error to raise, if this process knows of it."""
        return None if self.ended is None else RoleEnded(*self.ended)

    def note_end(self, reason: str = "") -> None:
        """Remember the end. Without a reason: that the role expired, or was ended before."""
        if self.ended is None and not reason and self.is_past and self.expires_at is not None:
            self.ended = "Expired", self.expires_at
        elif self.ended is None:
            self.ended = reason or "Revoked", datetime.now(UTC)

    def _forget(self) -> None:
        while self._authorities:
            self._authorities.popitem()[1].close()

    def __repr__(self) -> str:
        until = f" until {self.expires_at.isoformat()}" if self.expires_at else ""
        return f"<{type(self).__name__} {self.name} on {', '.join(each.name for each in self.platforms)}{until}>"


def _no_login(wanted: str | None, platforms: Sequence[Platform], fitting: Sequence[str], left_out: Sequence[LeftOut]) -> str:
    """Return the error message: the cause, and what to do."""
    there = ", ".join(f"{each.name} ({each.type})" for each in platforms)
    absent = next((each for each in left_out if each.platform == wanted), None)
    if absent is not None:
        return f"cannot log in on {wanted}: the role was left out there ({absent.reason}): {absent.message}"
    if wanted is not None:
        return f"cannot log in on {wanted} in this way: the role is on {there}"
    if fitting:
        return f"cannot tell which platform is meant: name one of {', '.join(fitting)}"
    return f"cannot log in in this way: the role is on {there}; connect() is for PostgreSQL, and connect_snowflake() for Snowflake"
