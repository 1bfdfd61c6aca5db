"""Authenticate clients at the token endpoint (RFC 6749, 2.3), by their secret in one of two places."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from urllib.parse import unquote_plus

from testbed.oidc.refusal import GrantRefused
from testbed.oidc.registry import Client

INVALID_CLIENT = "invalid_client"
_BASIC = "basic "


def authenticated(authorization: str | None, form: Mapping[str, str], clients: Mapping[str, Client]) -> Client:
    """Return the client. `authorization` is the header.

    Raises GrantRefused, which does not reveal whether such a client exists.
    """
    name, secret = _presented(authorization, form)
    client = clients.get(name)
    if client is None:
        raise GrantRefused(INVALID_CLIENT, "the client is not known, or its secret is wrong")
    if client.secret is None and secret is None:
        return client
    if client.secret is None or secret is None or not hmac.compare_digest(client.secret.encode(), secret.encode()):
        raise GrantRefused(INVALID_CLIENT, "the client is not known, or its secret is wrong")
    return client


def _presented(authorization: str | None, form: Mapping[str, str]) -> tuple[str, str | None]:
    if authorization is None:
        if "client_id" not in form:
            raise GrantRefused(INVALID_CLIENT, "the client does not say who it is")
        return form["client_id"], form.get("client_secret")
    if "client_secret" in form:
        raise GrantRefused("invalid_request", "the client proves itself in two ways; choose one")
    name, secret = _basic(authorization)
    if form.get("client_id", name) != name:
        raise GrantRefused("invalid_request", "the client names itself in two ways")
    return name, secret


def _basic(authorization: str) -> tuple[str, str]:
    """Parse Basic credentials; name and secret are form-encoded before they are joined."""
    if not authorization.lower().startswith(_BASIC):
        raise GrantRefused(INVALID_CLIENT, "the client must prove itself with the scheme Basic")
    try:
        name, colon, secret = base64.b64decode(authorization[len(_BASIC) :], validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise GrantRefused(INVALID_CLIENT, "the client's proof cannot be read") from error
    if not colon:
        raise GrantRefused(INVALID_CLIENT, "the client's proof cannot be read")
    return unquote_plus(name), unquote_plus(secret)
