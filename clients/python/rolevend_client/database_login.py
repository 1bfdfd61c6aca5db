"""How a role logs in: the parameters of libpq and of Snowflake's connector, and urls made of them, without a driver."""

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


class Authority:
    """Certificates in a file that nobody else can write, where libpq finds them; gone with `close`."""

    def __init__(self, certificates: str) -> None:
        self._in_memory: int | None = None
        self._process = os.getpid()
        try:
            descriptor, self.path = tempfile.mkstemp(prefix="rolevend-", suffix=".pem")
        except OSError:
            # The whole disk of a container may be read-only. This one is for the process alone, and not for those that it starts.
            descriptor = self._in_memory = os.memfd_create("rolevend.pem")
            self.path = f"/proc/self/fd/{descriptor}"
        with open(descriptor, "w", encoding="ascii", closefd=self._in_memory is None) as file:
            file.write(certificates)

    def close(self) -> None:
        """No error if it is gone; it stays where a forked child calls, who has it from its parent."""
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
    """As libpq, and so psycopg, names them."""
    login: dict[str, str | int] = {
        "host": credential.host,
        "port": credential.port,
        "dbname": credential.dbname,
        "user": credential.username,
        "password": credential.password,
        "sslmode": credential.sslmode,
    }
    if credential.sslmode != "disable":
        login["gssencmode"] = "disable"  # an encryption by Kerberos would come before TLS, and pass over the certificate
    if authority is not None:
        login["sslrootcert"] = authority.path
    elif credential.sslmode == "verify-full":
        # By its path: the OpenSSL in psycopg's wheel looks for the system's authorities where no system has them.
        login["sslrootcert"] = ssl.get_default_verify_paths().cafile or "system"
    return login


def url(scheme: str, login: Mapping[str, str | int]) -> str:
    """Everything quoted: a password may hold what a url uses."""
    host = str(login["host"])
    place = f"[{host}]" if ":" in host else host
    who = f"{quote(str(login['user']), safe='')}:{quote(str(login['password']), safe='')}"
    rest = {name: value for name, value in login.items() if name not in {"host", "port", "dbname", "user", "password"}}
    return f"{scheme}://{who}@{place}:{login['port']}/{quote(str(login['dbname']), safe='')}?{urlencode(rest, quote_via=quote)}"


def snowflake_parameters(credential: KeyPairCredential) -> dict[str, str | int]:
    """As Snowflake's connector names them. No database and no schema: what the role reads is in its user's default namespace."""
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
        "enable_server_session_keep_alive_auto_detection": False,  # a connection that is closed leaves no session
    }


def snowflake_url(credential: KeyPairCredential) -> str:
    """Without the key, which a url of that dialect cannot hold."""
    who, where = quote(credential.user, safe=""), quote(credential.account, safe="")
    rest = {"role": credential.role, "warehouse": credential.warehouse}
    return f"snowflake://{who}@{where}/?{urlencode(rest, quote_via=quote)}"


def expect_snowflake_sqlalchemy() -> None:
    """`Misconfigured` where SQLAlchemy would not know the dialect."""
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
    """The connector; `Misconfigured` where it is not installed."""
    # Otherwise it asks the metadata services of three clouds, with each login, where it runs, and tells Snowflake.
    os.environ.setdefault("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")
    try:
        import snowflake.connector as driver
    except ImportError:
        raise Misconfigured(
            "cannot connect: snowflake-connector-python is not installed; it comes with the extra snowflake of rolevend-client"
        ) from None
    return driver


def async_snowflake() -> Any:
    """Return the asynchronous connector. Raises `Misconfigured` where it is not installed."""
    snowflake()
    from snowflake.connector import aio

    return aio


def psycopg() -> Any:
    """The driver; `Misconfigured` where it is not installed."""
    try:
        import psycopg as driver
    except ImportError:
        raise Misconfigured("cannot connect: psycopg is not installed; it comes with the extra postgres of rolevend-client") from None
    return driver


def as_texts(driver: Any) -> Any:
    """A context of psycopg in which every value is the text that the database writes: also one that Python has no value for."""
    adapters = driver.adapt.AdaptersMap()
    adapters.register_loader(driver.adapters.types["text"].oid, driver.types.string.TextLoader)
    adapters.register_loader(0, driver.types.string.TextLoader)
    return adapters
