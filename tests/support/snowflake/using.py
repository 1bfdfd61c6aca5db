"""Sessions of the stand-in over the real connector, for tests."""

import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

import snowflake.connector
from snowflake.connector import errors
from tests.support.snowflake.wire import KeyPair, StandIn


class Sessions:
    """Use as ``with Sessions(stand_in) as sessions:``. Everything that it opened is closed in the end."""

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in
        self._open = ExitStack()
        self._keys: dict[str, KeyPair] = {}

    def __enter__(self) -> "Sessions":
        self.admin = self.open("ADMIN", self.stand_in.administrator)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def open(self, user: str, key: KeyPair, **more: Any) -> "Session":
        connection = connect(self.stand_in, user, key, **more)
        self._open.callback(_close, connection)
        return Session(connection)

    def user(self, name: str, *roles: str, **settings: str) -> KeyPair:
        """A new user with a key of its own, its first role as the default one."""
        key = KeyPair.new()
        more = " ".join(f"{word} = {value}" for word, value in settings.items())
        default = f"DEFAULT_ROLE = {roles[0]}" if roles else ""
        self.admin.run(f"CREATE USER {name} RSA_PUBLIC_KEY = '{key.public}' {default} {more}")
        for role in roles:
            self.admin.run(f"GRANT ROLE {role} TO USER {name}")
        return key


class Session:
    """One connection."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def run(self, sql: str, *bound: Any, **more: Any) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            return list(cursor.execute(sql, bound or None, **more).fetchall())

    def refused(self, sql: str, **more: Any) -> int:
        """The number of the refusal; an AssertionError if there is none."""
        try:
            rows = self.run(sql, **more)
        except errors.Error as error:
            return int(error.errno)
        raise AssertionError(f"{sql} was not refused: {rows}")


def connect(stand_in: StandIn, user: str, key: KeyPair, **more: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return snowflake.connector.connect(**stand_in.options(user, key, **more))


def administrators_connection(stand_in: StandIn, folder: Path, warehouse: str) -> str:
    """The name of a connection in a new `connections.toml`, in a folder that SNOWFLAKE_HOME must name."""
    return add_connection(stand_in, folder, "admin", "ADMIN", stand_in.administrator, warehouse=f'"{warehouse}"')


def add_connection(stand_in: StandIn, folder: Path, name: str, user: str, key: KeyPair, **more: str) -> str:
    """One more connection in the `connections.toml` of that folder."""
    file = folder / f"{name}.p8"
    private = serialization.load_der_private_key(key.private, None)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    lines = {
        "account": stand_in.account.name,
        "host": "127.0.0.1",
        "port": stand_in.port,
        "protocol": "http",
        "user": user,
        "authenticator": "SNOWFLAKE_JWT",
        "private_key_file": str(file),
        **more,
    }
    file.write_bytes(private.private_bytes(*form))
    written = folder / "connections.toml"
    with written.open("a") as out:
        out.write(f"[{name}]\n" + "".join(f"{key} = {value!r}\n" for key, value in lines.items()))
    for each in (file, written):
        each.chmod(0o440)  # as in the volume of a Secret
    return name


def _close(connection: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            connection.close()
        except errors.Error:
            return  # the session was over already
