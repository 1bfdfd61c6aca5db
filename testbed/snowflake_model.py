"""Start a model of a Snowflake account on 127.0.0.1, as a process: the model of the tests, not Snowflake itself.

The model is in the checkout, not in the wheel.
"""

import base64
import importlib.util
import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import snowflake.connector
from cryptography.hazmat.primitives import serialization
from snowflake.connector import SnowflakeConnection

from rolevend.policytools.embedded.errors import Unusable
from rolevend.policytools.embedded.process import Process, Program
from testbed.kubeconfig import write_private

CONNECTION = "administrator"
"""The name in `connections.toml`."""
_START_SECONDS = 180.0
_LOGIN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Place:
    """The account's address, and its administrator's key."""

    account: str
    host: str
    port: int
    user: str
    private_key: bytes = field(repr=False)
    """In DER."""

    @property
    def address(self) -> dict[str, Any]:
        """Return `spec.snowflake` of a DataPlatform."""
        return {"account": self.account, "host": self.host, "port": self.port, "protocol": "HTTP"}


class SnowflakeModel:
    """Start with ``with SnowflakeModel(checkout, directory) as model:``, or `start` and `close`. Its state ends with its process."""

    def __init__(self, checkout: Path, directory: Path, warehouse: str) -> None:
        """Files, including its administrator's key, are written to `directory`, which must be private. `warehouse` is used by the
        administrator's connection once it exists.
        """
        self._checkout = checkout
        self._directory = directory
        self._warehouse = warehouse
        self._ends = ExitStack()

    process: Process
    place: Place
    """Set by `start`."""

    def start(self) -> Self:
        """Return when it answers. Raises `PartFailed` after a timeout."""
        if importlib.util.find_spec("duckdb") is None:
            raise Unusable("the model of Snowflake keeps its rows in DuckDB, which is not installed here: run make setup")
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = self._directory / "place.json"
        command = (sys.executable, "-m", "tests.support.snowflake", str(written))
        environment = {"PYTHONPATH": str(self._checkout)}
        program = Program("the model of Snowflake", command, self._directory / "snowflake.log", environment=environment)
        self.process = program.start()
        self._ends.callback(self.process.kill)
        self.process.wait_until(written.exists, _START_SECONDS)
        said = json.loads(written.read_text())
        self.place = Place(**{**said, "private_key": base64.b64decode(said["private_key"])})
        self._write_connections()
        return self

    @property
    def connections(self) -> Path:
        """A folder with `connections.toml`, for SNOWFLAKE_HOME."""
        return self._directory

    def administrator(self) -> SnowflakeConnection:
        """Return a session with the role ACCOUNTADMIN."""
        return logged_in(self.place.address, self.place.user, self.place.private_key, role="ACCOUNTADMIN")

    def check(self) -> None:
        """Raise `PartFailed`, with the end of its log, if it has ended by itself. It must be started."""
        self.process.check()

    def close(self) -> None:
        self._ends.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _write_connections(self) -> None:
        """Write `connections.toml` for `snow` and `rolevend platform install --connection`."""
        key = self._directory / "administrator.p8"
        write_private(key, _pem(self.place.private_key))
        said = {
            **self.place.address,
            "protocol": "http",
            "user": self.place.user,
            "authenticator": "SNOWFLAKE_JWT",
            "private_key_file": str(key),
            "role": "ACCOUNTADMIN",
            "warehouse": self._warehouse,
        }
        lines = [f"[{CONNECTION}]", *(f"{name} = {json.dumps(value)}" for name, value in said.items()), ""]
        write_private(self._directory / "connections.toml", "\n".join(lines).encode())


def logged_in(address: dict[str, Any], user: str, private_key: bytes, **options: Any) -> SnowflakeConnection:
    """Log in with a key pair over HTTP, for the model only. `private_key` is DER."""
    return snowflake.connector.connect(
        account=address["account"],
        host=address["host"],
        port=int(address["port"]),
        protocol="http",
        user=user,
        private_key=private_key,
        authenticator="SNOWFLAKE_JWT",
        login_timeout=_LOGIN_SECONDS,
        enable_server_session_keep_alive_auto_detection=False,
        **options,
    )


def _pem(private_key: bytes) -> bytes:
    key = serialization.load_der_private_key(private_key, None)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
