"""Who is registered at a provider. Values, and their form in the file that a starter hands to the server."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from rolevend.policytools.embedded.ports import HOST

CALLBACK = f"http://{HOST}/callback"
"""Where codes of authorization go that a script takes from the redirect itself: nobody listens there."""


@dataclass(frozen=True, slots=True)
class Person:
    subject: str
    """What they log in as, and `sub` of their tokens."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """What tokens of theirs say of them beside that."""


@dataclass(frozen=True, slots=True)
class Client:
    name: str
    """Its `client_id`, and `sub` of tokens of its own."""
    secret: str | None = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """None for a client that can keep none: it gets nothing but tokens of people, with PKCE."""
    redirect_uris: tuple[str, ...] = (CALLBACK,)
    """On a loopback address any port fits (RFC 8252)."""
    resources: tuple[str, ...] = ()
    """Audiences that the client itself is: it may exchange tokens that are for them."""


@dataclass(frozen=True, slots=True)
class Registry:
    issuer: str
    audiences: tuple[str, ...]
    """Whom tokens may be for, beside the resources of clients. The first is who they are for where nobody is named."""
    clients: Mapping[str, Client]
    people: Mapping[str, Person]
    token_seconds: int
    control_secret: str = field(repr=False)
    """Who has it may change the keys."""

    @property
    def targets(self) -> frozenset[str]:
        return frozenset(self.audiences).union(*(client.resources for client in self.clients.values()))


_FILE = TypeAdapter(Registry)


def written(registry: Registry) -> bytes:
    """Holds all secrets."""
    return _FILE.dump_json(registry)


def read(content: bytes) -> Registry:
    """What was `written`."""
    return _FILE.validate_json(content)
