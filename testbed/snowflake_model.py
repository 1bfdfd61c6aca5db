"""A model of a Snowflake account on 127.0.0.1, as a process: what the tests of this checkout stand on. It is a model, and not Snowflake.

It is in the checkout, and not in the wheel.
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
_START_SECONDS = 30.0
_LOGIN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Place:
    """Where the account is, and its administrator's key."""

    account: str
    host: str
    port: int
    user: str
    private_key: bytes = field(repr=False)
    """DER."""

    @property
    def address(self) -> dict[str, Any]:
        """For `spec.snowflake` of a DataPlatform."""
        return {"account": self.account, "host": self.host, "port": self.port, "protocol": "HTTP"}


class SnowflakeModel:
    """Start with ``with SnowflakeModel(checkout, directory) as model:``, or `start` and `close`. Nothing of it outlives its process."""

    def __init__(self, checkout: Path, directory: Path, warehouse: str) -> None:
        """Files, with its administrator's key among them, go into `directory`, which nobody else can read. `warehouse` is what the
        administrator's connection uses, once it is there."""
        self._checkout = checkout
        self._directory = directory
        self._warehouse = warehouse
        self._ends = ExitStack()

    process: Process
    place: Place
    """Both from `start` on."""

    def start(self) -> Self:
        """Return when it answers; `PartFailed` if it does not come to that."""
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
        """A session with the role ACCOUNTADMIN."""
        return logged_in(self.place.address, self.place.user, self.place.private_key, role="ACCOUNTADMIN")

    def check(self) -> None:
        """`PartFailed`, with the end of its log, if it has ended by itself. Started it must be."""
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
        """As an administrator has it, whose `snow` and `rolevend platform install --connection` read it."""
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
    """By a key pair, over HTTP: for the model alone. `private_key` is DER."""
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
