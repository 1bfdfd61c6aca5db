"""The settings of the server from the environment. `rolevend_client.settings` reads the variables of the client."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rolevend_client.errors import Misconfigured
from rolevend_client.mcp.connections import ConnectionLimits
from rolevend_client.run import Bounds
from rolevend_client.settings import Settings, TokenSource, token_in


@dataclass(frozen=True, slots=True)
class Wanted:
    """The arguments of each vend, and the limits of an answer to the model."""

    platforms: tuple[str, ...]
    allow_partial: bool
    """True to accept a role on some of the platforms only."""
    purpose: str | None
    bounds: Bounds

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        bounds = Bounds(
            rows=_number(environment, "ROLEVEND_MCP_MOST_ROWS", 100, 10_000),
            characters=_number(environment, "ROLEVEND_MCP_MOST_CHARACTERS", 10_000, 1_000_000),
            seconds=_number(environment, "ROLEVEND_MCP_MOST_SECONDS", 30, 3600),
        )
        said = _said(environment, "ROLEVEND_MCP_PLATFORM", "the platform to query, or several with commas between them")
        platforms = tuple(each.strip() for each in said.split(","))
        if not all(platforms) or len(set(platforms)) != len(platforms):
            raise Misconfigured("ROLEVEND_MCP_PLATFORM must be the name of a DataPlatform, or several, like warehouse,crm")
        partial = environment.get("ROLEVEND_MCP_ALLOW_PARTIAL") or "false"
        if partial not in ("true", "false"):
            raise Misconfigured("ROLEVEND_MCP_ALLOW_PARTIAL must be true or false")
        return cls(platforms, partial == "true", environment.get("ROLEVEND_MCP_PURPOSE") or None, bounds)


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """The identity provider of the users' tokens, and this server's client there."""

    url: str
    client_id: str
    client_secret: TokenSource = field(repr=False)
    """Called for each exchange, because secrets rotate."""
    audience: str
    """The audience of exchanged tokens: rolevend."""
    ca_file: Path | None
    gives_own_token: bool
    """True if the provider issues the server's own token, too; else it is in a file."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        ca_file = environment.get("ROLEVEND_MCP_ISSUER_CA_FILE")
        return cls(
            url=_url(environment, "ROLEVEND_MCP_ISSUER", "the identity provider whose tokens people bring"),
            client_id=_said(environment, "ROLEVEND_MCP_CLIENT_ID", "the client that this server is at the identity provider"),
            client_secret=_read(environment, "ROLEVEND_MCP_CLIENT_SECRET_FILE", "the secret of that client"),
            audience=_said(environment, "ROLEVEND_MCP_AUDIENCE", "the audience that the IdentityProvider of rolevend asks of tokens"),
            ca_file=Path(ca_file) if ca_file else None,
            gives_own_token=not environment.get("ROLEVEND_TOKEN_FILE"),
        )


@dataclass(frozen=True, slots=True)
class HttpSettings:
    url: str
    """The public URL of the server, which is the audience of its users' tokens."""
    host: str
    port: int
    issuer: IssuerSettings
    idle_seconds: int
    """A role that is not used for this time is released."""
    limits: ConnectionLimits
    certificate: Path | None
    key: Path | None
    assertion_clients: Path | None = None
    """The file of the clients that bring assertions (ID-JAG). None: no client may."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        host, colon, port = (environment.get("ROLEVEND_MCP_LISTEN") or "127.0.0.1:8080").rpartition(":")
        if not colon or not port.isdecimal():
            raise Misconfigured("ROLEVEND_MCP_LISTEN must be like 127.0.0.1:8080")
        clients = environment.get("ROLEVEND_MCP_ASSERTION_CLIENTS_FILE")
        certificate, key = environment.get("ROLEVEND_MCP_CERTIFICATE_FILE"), environment.get("ROLEVEND_MCP_KEY_FILE")
        if bool(certificate) != bool(key):
            raise Misconfigured("ROLEVEND_MCP_CERTIFICATE_FILE and ROLEVEND_MCP_KEY_FILE go together")
        return cls(
            url=_url(environment, "ROLEVEND_MCP_URL", "where clients find this server"),
            host=host.strip("[]"),
            port=int(port),
            issuer=IssuerSettings.from_environment(environment),
            idle_seconds=_number(environment, "ROLEVEND_MCP_IDLE_SECONDS", 300, 86_400),
            limits=ConnectionLimits(
                header_bytes=_number(environment, "ROLEVEND_MCP_MAX_HEADER_BYTES", 32_768, 1_048_576),
                read_seconds=_number(environment, "ROLEVEND_MCP_READ_SECONDS", 10, 600),
                connections=_number(environment, "ROLEVEND_MCP_MAX_CONNECTIONS_WITHOUT_TOKEN", 256, 65_536),
            ),
            certificate=Path(certificate) if certificate else None,
            key=Path(key) if key else None,
            assertion_clients=Path(clients) if clients else None,
        )


@dataclass(frozen=True, slots=True)
class StdioSettings:
    user_token: TokenSource = field(repr=False)
    issuer: IssuerSettings | None
    """None: the token in the file is for rolevend and names this agent."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        exchanges = bool(environment.get("ROLEVEND_MCP_ISSUER"))
        return cls(
            user_token=_read(environment, "ROLEVEND_MCP_USER_TOKEN_FILE", "the person's token"),
            issuer=IssuerSettings.from_environment(environment) if exchanges else None,
        )


def _said(environment: Mapping[str, str], name: str, what: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise Misconfigured(f"the environment variable {name} is not set; it says {what}")
    return value


def _number(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    said = environment.get(name) or str(default)
    if not said.isdecimal() or not 1 <= int(said) <= most:
        raise Misconfigured(f"{name} must be a whole number from 1 to {most}")
    return int(said)


def _url(environment: Mapping[str, str], name: str, what: str) -> str:
    """Return the URL. The rules for the API's URL apply, because tokens are sent there."""
    url = _said(environment, name, what)
    try:
        Settings(url, token=str)
    except Misconfigured:
        raise Misconfigured(f"{name} must begin with https:, but on this machine, and hold no user, query or fragment") from None
    return url


def _read(environment: Mapping[str, str], name: str, what: str) -> TokenSource:
    return token_in(Path(_said(environment, name, f"which file holds {what}")), what, name)
