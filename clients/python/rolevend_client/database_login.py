"""How a role logs in: the parameters for libpq and for Snowflake's connector, and URLs built from them. Needs no driver."""

import contextlib
import importlib.util
import os
import ssl
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from rolevend_client.errors import Misconfigured, Unexpected
from rolevend_client.values import Credential, KeyPairCredential, on_this_machine

if TYPE_CHECKING:
    from snowflake import connector
    from snowflake.connector import aio

    SnowflakeConnection = connector.SnowflakeConnection
    AsyncSnowflakeConnection = aio.Connection


_IS_FULL = ("too many connections", "too many clients", "connection slots", "the database system is")
"""Words of refusals that say nothing about the role. In another language they are taken for its end."""
_SSL_MODES = frozenset({"verify-full", "verify-ca", "require", "disable"})


class Authority:
    """A file of certificates for libpq that no other user can write. `close` deletes it."""

    def __init__(self, certificates: str) -> None:
        self._in_memory: int | None = None
        self._process = os.getpid()
        try:
            descriptor, self.path = tempfile.mkstemp(prefix="rolevend-", suffix=".pem")
        except OSError:
            # A container may have a read-only file system. Only this process can read the file in memory, not its children.
            descriptor = self._in_memory = os.memfd_create("rolevend.pem")
            self.path = f"/proc/self/fd/{descriptor}"
        with open(descriptor, "w", encoding="ascii", closefd=self._in_memory is None) as file:
            file.write(certificates)

    def close(self) -> None:
        """Idempotent. Does nothing in a forked child: the file belongs to the parent."""
        if os.getpid() != self._process:
            return
        if self._in_memory is not None:
            os.close(self._in_memory)
            self._in_memory = None
        elif self.path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            self.path = ""


def parameters(credential: Credential, authority: Authority | None) -> dict[str, str | int]:
    """Return the parameters of a login under the names of libpq, which psycopg uses too.

    Raises `Unexpected` for an `sslmode` that may leave the server unverified, such as `prefer`.
    """
    if credential.sslmode not in _SSL_MODES:
        raise Unexpected(f"cannot log in at {credential.host}: this version does not know the sslmode {credential.sslmode}")
    if credential.sslmode == "verify-ca" and authority is None:
        raise Unexpected(f"cannot log in at {credential.host}: sslmode verify-ca needs the certificates of an authority")
    login: dict[str, str | int] = {
        "host": credential.host,
        "port": credential.port,
        "dbname": credential.dbname,
        "user": credential.username,
        "password": credential.password,
        "sslmode": credential.sslmode,
    }
    if credential.sslmode != "disable":
        login["gssencmode"] = "disable"  # libpq would try Kerberos encryption before TLS, and then not verify the certificate
    if authority is not None:
        login["sslrootcert"] = authority.path
    elif credential.sslmode == "verify-full":
        # By path: the OpenSSL in psycopg's wheel looks for the system's authorities in a folder that does not exist.
        login["sslrootcert"] = ssl.get_default_verify_paths().cafile or "system"
    return login


def url(scheme: str, login: Mapping[str, str | int]) -> str:
    """Return the login as a URL, with each part quoted."""
    host = str(login["host"])
    place = f"[{host}]" if ":" in host else host
    who = f"{quote(str(login['user']), safe='')}:{quote(str(login['password']), safe='')}"
    rest = {name: value for name, value in login.items() if name not in {"host", "port", "dbname", "user", "password"}}
    return f"{scheme}://{who}@{place}:{login['port']}/{quote(str(login['dbname']), safe='')}?{urlencode(rest, quote_via=quote)}"


def snowflake_parameters(credential: KeyPairCredential) -> dict[str, str | int]:
    """Return the parameters of a login under the names of Snowflake's connector.

    They name no database and no schema: the tables of the role are in its user's default namespace.
    """
    if credential.protocol != "https" and not on_this_machine(credential.host):
        raise Unexpected(
            f"cannot log in to Snowflake at {credential.host}: the answer says {credential.protocol}, where others could read rows"
        )
    return {
        "account": credential.account,
        "host": credential.host,
        "port": credential.port,
        "protocol": credential.protocol,
        "user": credential.user,
        "private_key": credential.private_key,
        "authenticator": "SNOWFLAKE_JWT",
        "role": credential.role,
        "secondary_roles": "NONE",
        "warehouse": credential.warehouse,
        "enable_server_session_keep_alive_auto_detection": False,  # closing a connection ends its session
    }


def snowflake_url(credential: KeyPairCredential) -> str:
    """Return the URL for SQLAlchemy. It holds no private key; its dialect has no place for one."""
    who, where = quote(credential.user, safe=""), quote(credential.account, safe="")
    rest = {"role": credential.role, "warehouse": credential.warehouse}
    return f"snowflake://{who}@{where}/?{urlencode(rest, quote_via=quote)}"


def expect_snowflake_sqlalchemy() -> None:
    """Raise `Misconfigured` if SQLAlchemy has no dialect for Snowflake."""
    try:
        found = importlib.util.find_spec("snowflake.sqlalchemy")
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise Misconfigured(
            "cannot make a url for SQLAlchemy: it knows Snowflake by snowflake-sqlalchemy alone, which is not installed; install that, "
            "or use connect_snowflake()"
        )


def snowflake() -> Any:
    """Return the connector. Raises `Misconfigured` if it is not installed."""
    # Otherwise each login asks the metadata services of three clouds where this process runs, and sends the answer to Snowflake.
    os.environ.setdefault("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")
    try:
        import snowflake.connector as driver
    except ImportError:
        raise Misconfigured(
            "cannot connect: snowflake-connector-python is not installed; it comes with the extra snowflake of rolevend-client"
        ) from None
    return driver


def async_snowflake() -> Any:
    """Return the asynchronous connector. Raises `Misconfigured` if it is not installed."""
    snowflake()
    from snowflake.connector import aio

    return aio


def psycopg() -> Any:
    """Return the driver. Raises `Misconfigured` if it is not installed."""
    try:
        import psycopg as driver
    except ImportError:
        raise Misconfigured("cannot connect: psycopg is not installed; it comes with the extra postgres of rolevend-client") from None
    return driver


def is_refused(error: Exception) -> bool:
    """True if the server refused a login, as it does after the end of a role; psycopg has no code for it."""
    return "FATAL" in str(error) and not any(words in str(error) for words in _IS_FULL)


def rows_at_once() -> int:
    """Return how many rows psycopg should take from the server at once: one by one takes longer, but older libpqs have nothing else."""
    return 1_000 if psycopg().capabilities.has_stream_chunked() else 1


def as_texts(driver: Any) -> Any:
    """Return a psycopg context that loads each value as the text that the database sends, also values that Python cannot represent."""
    adapters = driver.adapt.AdaptersMap()
    adapters.register_loader(driver.adapters.types["text"].oid, driver.types.string.TextLoader)
    adapters.register_loader(0, driver.types.string.TextLoader)
    return adapters
