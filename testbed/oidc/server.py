"""Serve a provider with TLS: ``python -m testbed.oidc.server FOLDER ADDRESS``, as its starter does.

FOLDER has the registry, and the server's certificate and key. A handler parses, calls `grants`, and answers.
"""

import hmac
import sys
import time
from collections.abc import Awaitable, Callable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from testbed.oidc.authentication import INVALID_CLIENT, authenticated
from testbed.oidc.grants import Grants
from testbed.oidc.names import (
    AUTHORIZATION_CODE,
    CERTIFICATE_FILE,
    CLIENT_CREDENTIALS,
    DISCOVERY_PATH,
    KEY_FILE,
    REGISTRY_FILE,
    ROTATION_PATH,
    TOKEN_EXCHANGE,
)
from testbed.oidc.refusal import GrantRefused
from testbed.oidc.registry import Registry, read
from testbed.oidc.signing import ALGORITHM, Signer

_BODY_BYTES = 64 * 1024
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def provider(registry: Registry, signer: Signer, clock: Callable[[], float] = time.time) -> FastAPI:
    """Return the application."""
    app = FastAPI(openapi_url=None)
    grants = Grants(registry, signer, clock)
    app.add_exception_handler(GrantRefused, _refused)

    async def discovery() -> dict[str, Any]:
        return _discovery(registry)

    async def keys() -> dict[str, Any]:
        return signer.published

    async def authorize(request: Request) -> Response:
        query = _form(request.url.query)
        if "login_hint" not in query and "text/html" in request.headers.get("Accept", ""):
            return HTMLResponse(_login_page(query), headers=_NO_STORE)
        return RedirectResponse(grants.authorize(query), status_code=302, headers=_NO_STORE)

    async def token(request: Request) -> Response:
        form = _form(await _body(request))
        client = authenticated(request.headers.get("Authorization"), form, registry.clients)
        return JSONResponse(grants.token(form, client), headers=_NO_STORE)

    async def rotation(request: Request, *, keep_old: bool) -> Response:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {registry.control_secret}".encode()):
            return Response(status_code=401)
        signer.rotate(keep_old=keep_old)
        return Response(status_code=204)

    routes: list[tuple[str, str, Callable[..., Awaitable[Any]]]] = [
        ("GET", DISCOVERY_PATH, discovery),
        ("GET", "/.well-known/oauth-authorization-server", discovery),
        ("GET", "/keys", keys),
        ("GET", "/authorize", authorize),
        ("POST", "/token", token),
        ("POST", ROTATION_PATH, rotation),
    ]
    for method, path, handler in routes:
        app.add_api_route(path, handler, methods=[method], response_model=None)
    return app


def _discovery(registry: Registry) -> dict[str, Any]:
    """Return OpenID Connect Discovery 1.0 and RFC 8414 in one document."""
    return {
        "issuer": registry.issuer,
        "authorization_endpoint": f"{registry.issuer}/authorize",
        "token_endpoint": f"{registry.issuer}/token",
        "jwks_uri": f"{registry.issuer}/keys",
        "response_types_supported": ["code"],
        "grant_types_supported": [AUTHORIZATION_CODE, CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "scopes_supported": ["openid"],
    }


def _login_page(query: dict[str, str]) -> str:
    """Return the page on which a person in a browser says who they are. It is believed."""
    hidden = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in query.items())
    return (
        '<!doctype html><html lang="en"><title>Log in</title><form action="/authorize"><label>Name '
        f'<input name="login_hint" required autofocus></label>{hidden} <button>Log in</button></form></html>'
    )


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, GrantRefused):
        raise error
    unproven = error.code == INVALID_CLIENT
    headers = {**_NO_STORE, **({"WWW-Authenticate": 'Basic realm="token"'} if unproven else {})}
    body = {"error": error.code, "error_description": error.description}
    return JSONResponse(body, status_code=401 if unproven else 400, headers=headers)


async def _body(request: Request) -> str:
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise GrantRefused("invalid_request", "the body must be application/x-www-form-urlencoded")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_BYTES:
            raise GrantRefused("invalid_request", f"the body has more than {_BODY_BYTES} bytes")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise GrantRefused("invalid_request", "the body is no text") from error


def _form(text: str) -> dict[str, str]:
    """Parse a form. A repeated parameter is an error (RFC 6749, 3.2), and an empty one is absent."""
    pairs = parse_qsl(text)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise GrantRefused("invalid_request", "a parameter stands there twice")
    return form


def main(folder: Path, address: str) -> None:
    registry = read((folder / REGISTRY_FILE).read_bytes())
    uvicorn.run(
        provider(registry, Signer()),
        host=address,
        port=urlsplit(registry.issuer).port or 443,
        ssl_certfile=folder / CERTIFICATE_FILE,
        ssl_keyfile=folder / KEY_FILE,
        lifespan="off",
        log_level="warning",  # access logs would contain authorization codes
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
