"""The clients and people of a provider as values, and their file format for the server."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from rolevend.policytools.embedded.ports import HOST

CALLBACK = f"http://{HOST}/callback"
"""The redirect URI of scripts, which read the code from the redirect: no server listens there."""


@dataclass(frozen=True, slots=True)
class Person:
    subject: str
    """The login name, and `sub` of the person's tokens."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """Additional claims of the person's tokens."""


@dataclass(frozen=True, slots=True)
class Client:
    name: str
    """Its `client_id`, and `sub` of its own tokens."""
    secret: str | None = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """None for a public client, which gets only tokens of people, with PKCE."""
    redirect_uris: tuple[str, ...] = (CALLBACK,)
    """On a loopback address any port matches (RFC 8252)."""
    resources: tuple[str, ...] = ()
    """Audiences of the client itself: it may exchange tokens for these."""
    authorization_server: str | None = None
    """The issuer that this client is for its `resources`: assertions (ID-JAG) are for it, and it may exchange them."""


@dataclass(frozen=True, slots=True)
class Registry:
    issuer: str
    audiences: tuple[str, ...]
    """Allowed audiences, in addition to the resources of clients. The first is the default."""
    clients: Mapping[str, Client]
    people: Mapping[str, Person]
    token_seconds: int
    control_secret: str = field(repr=False)
    """Authorizes the rotation of keys."""

    @property
    def targets(self) -> frozenset[str]:
        return frozenset(self.audiences).union(*(client.resources for client in self.clients.values()))


_FILE = TypeAdapter(Registry)


def written(registry: Registry) -> bytes:
    """Serialize the registry, with all secrets."""
    return _FILE.dump_json(registry)


def read(content: bytes) -> Registry:
    """Parse the text of `written`."""
    return _FILE.validate_json(content)
