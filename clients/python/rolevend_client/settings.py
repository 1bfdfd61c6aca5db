"""The URL of the API, its certificate authority, and the agent's own token."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol, Self

import httpx

from rolevend_client.errors import Misconfigured
from rolevend_client.values import on_this_machine

TOKEN_FILE = "/var/run/secrets/rolevend.dev/token"  # noqa: S105 - a path
TokenSource = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Settings:
    url: str
    token: TokenSource
    """Called before each try, because tokens rotate."""
    ca_file: Path | None = None
    """The authority of the API's certificate; None: the system's authorities."""
    patience: float = 30.0
    """Seconds for a call with all its tries."""
    in_the_clear: bool = False
    """True to allow tokens and passwords without TLS to another machine, e.g. in a service mesh that encrypts."""

    def __post_init__(self) -> None:
        try:
            parts = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise Misconfigured(f"the url of the API is not valid: {error}") from None
        if parts.scheme not in {"https", "http"} or not parts.host:
            raise Misconfigured("the url of the API must be like https://rolevend.example.org")
        if parts.userinfo or parts.query or parts.fragment:
            raise Misconfigured("the url of the API must hold no user, query or fragment")
        if parts.scheme == "http" and not (self.in_the_clear or on_this_machine(parts.host)):
            raise Misconfigured(
                f"the url of the API at {parts.host} begins with http:, where others could read tokens and passwords; "
                "use https:, or in_the_clear=True where something else encrypts"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        url = environment.get("ROLEVEND_URL", "")
        if not url:
            raise Misconfigured("the environment variable ROLEVEND_URL is not set; it says where the API is")
        ca_file = environment.get("ROLEVEND_CA_FILE")
        return cls(url, token_in(Path(environment.get("ROLEVEND_TOKEN_FILE") or TOKEN_FILE)), Path(ca_file) if ca_file else None)

    @classmethod
    def of(cls, url: str, token: TokenSource | str, ca_file: Path | str | None, patience: float, *, in_the_clear: bool) -> Self:
        source: TokenSource = (lambda: token) if isinstance(token, str) else token
        return cls(url, source, None if ca_file is None else Path(ca_file), patience, in_the_clear)

    def authorization(self) -> dict[str, str]:
        token = self.token().strip()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise Misconfigured("the agent's own token is empty or malformed")
        return {"Authorization": f"Bearer {token}"}

    def trust(self) -> ssl.SSLContext:
        """Return the TLS context that verifies the API's certificate."""
        return trust_of(self.ca_file)


class HasSettings(Protocol):
    @property
    def settings(self) -> Settings: ...


def trust_of(ca_file: Path | None) -> ssl.SSLContext:
    """Return a TLS context. It reads the file of certificates again after a change. None: the system's authorities."""
    try:
        return _trust(ca_file, ca_file.stat().st_mtime_ns if ca_file else 0)
    except OSError as error:  # also SSLError
        raise Misconfigured(f"cannot read the certificates in {ca_file}: {error.strerror or error}") from None


@lru_cache(maxsize=8)
def _trust(ca_file: Path | None, changed: int) -> ssl.SSLContext:  # noqa: ARG001 - a part of the key
    """Cached: creating a context takes longer than a vend."""
    return httpx.create_ssl_context() if ca_file is None else ssl.create_default_context(cafile=str(ca_file))


def token_in(file: Path, what: str = "the agent's own token", variable: str = "ROLEVEND_TOKEN_FILE") -> TokenSource:
    """Return a function that reads `file` on each call. `variable` is the environment variable that names the file."""

    def read() -> str:
        try:
            return file.read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
            raise Misconfigured(f"cannot read {what} in {file}: {why}; mount it there, or name another place in {variable}") from None

    return read
