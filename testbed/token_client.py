"""Get tokens from an OpenID Connect provider as agents and people do, over its HTTP endpoints.

People log in without a browser, if the provider believes a `login_hint`.
"""

import base64
import hashlib
import http.client
import json
import secrets
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from rolevend.policytools.embedded.errors import PartFailed
from testbed.oidc.names import (
    ACCESS_TOKEN_TYPE,
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    DISCOVERY_PATH,
    ID_JAG_TYPE,
    ID_TOKEN_TYPE,
    TOKEN_EXCHANGE,
)
from testbed.oidc.refusal import GrantRefused
from testbed.oidc.registry import Client

_TIMEOUT = 60.0

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class UserTokens:
    """The tokens of one login of one person at one client."""

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Names are in lower case."""
    body: bytes = field(repr=False)

    @property
    def json(self) -> Json:
        """Return the parsed JSON. Raises `PartFailed` if it is not JSON."""
        try:
            members: Json = json.loads(self.body)
        except ValueError as error:
            raise PartFailed(f"the identity provider answered with status {self.status} and no JSON") from error
        return members


class TokenClient:
    """Requests tokens without caching. Raises `GrantRefused` for a refusal of the provider."""

    def __init__(
        self,
        issuer: str,
        authorities: str | None,
        clients: Iterable[Client],
        *,
        audience_parameter: str = "resource",
        address: str | None = None,
    ) -> None:
        """`authorities` is PEM of trusted authorities; None for those of this machine. `audience_parameter` is `resource` (RFC 8707), or
        `audience` for providers without it. `address` is the provider's address if this machine cannot resolve the host of its URLs; its
        certificate must name it.
        """
        self.issuer = issuer
        self._tls = ssl.create_default_context(cadata=authorities)
        self._audience_parameter = audience_parameter
        self._address = address
        self._clients = {client.name: client for client in clients}

    def agent_token(self, client: str, *, audience: str | None = None) -> str:
        """Return the client's own access token (RFC 9068)."""
        form = {"grant_type": CLIENT_CREDENTIALS, **self._for(audience)}
        return str(self.token(form, self._clients[client])["access_token"])

    def tokens_of(self, person: str, *, client: str, audience: str | None = None, acr: str | None = None) -> UserTokens:
        """Log the person in at the client, with code and PKCE, and return the tokens. `acr`: they state it, and the time of the login."""
        registered = self._clients[client]
        verifier = secrets.token_urlsafe(48)
        redirect_uri = registered.redirect_uris[0]
        wanted = {"client_id": client, "redirect_uri": redirect_uri, "login_hint": person, "scope": "openid", **self._for(audience)}
        login = {} if acr is None else {"acr_values": acr, "max_age": "0"}
        code = self.code({**wanted, **login, "code_challenge": challenge(verifier)})
        form = {"grant_type": AUTHORIZATION_CODE, "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        given = self.token(form, registered)
        return UserTokens(str(given["access_token"]), str(given["id_token"]))

    def exchange(self, subject_token: str, *, client: str, audience: str | None = None, is_id_token: bool = False) -> str:
        """Return an access token that names the client as the actor for the person of `subject_token` (RFC 8693)."""
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token": subject_token,
            "subject_token_type": ID_TOKEN_TYPE if is_id_token else ACCESS_TOKEN_TYPE,
            "actor_token": self.agent_token(client),
            "actor_token_type": ACCESS_TOKEN_TYPE,
            **self._for(audience),
        }
        return str(self.token(form, self._clients[client])["access_token"])

    def assertion(self, id_token: str, *, client: str, audience: str, resource: str) -> str:
        """Return an ID-JAG: an assertion of the person of `id_token` for the authorization server `audience` of `resource`."""
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "requested_token_type": ID_JAG_TYPE,
            "subject_token": id_token,
            "subject_token_type": ID_TOKEN_TYPE,
            "audience": audience,
            "resource": resource,
        }
        return str(self.token(form, self._clients[client])["access_token"])

    def code(self, query: Mapping[str, str]) -> str:
        """Return the code of the provider's redirect."""
        state = secrets.token_urlsafe(16)
        whole = {"response_type": "code", "code_challenge_method": "S256", "state": state, **query}
        answer = self.call("GET", f"{self.configuration['authorization_endpoint']}?{urlencode(whole)}")
        if answer.status not in (302, 303):
            raise _refusal(answer)
        back = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
        if "error" in back:
            raise GrantRefused(back["error"], back.get("error_description", ""))
        if back.get("state") != state:
            raise PartFailed("the identity provider sent back another state than it was given")
        return back["code"]

    def token(self, form: Mapping[str, str], client: Client) -> Json:
        """Return the token endpoint's answer to this client."""
        headers, named = {"Content-Type": "application/x-www-form-urlencoded"}, {"client_id": client.name}
        if client.secret is not None:
            proof = f"{quote_plus(client.name)}:{quote_plus(client.secret)}"
            headers["Authorization"], named = f"Basic {base64.b64encode(proof.encode()).decode()}", {}
        answer = self.call("POST", self.configuration["token_endpoint"], urlencode({**form, **named}), headers)
        if answer.status != http.HTTPStatus.OK:
            raise _refusal(answer)
        return answer.json

    def _for(self, audience: str | None) -> dict[str, str]:
        return {} if audience is None else {self._audience_parameter: audience}

    @cached_property
    def configuration(self) -> Json:
        """Return the provider's discovery document."""
        return self.call("GET", self.issuer.removesuffix("/") + DISCOVERY_PATH).json

    def call(self, method: str, url: str, body: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send any request on a new connection; redirects are not followed."""
        parts = urlsplit(url)
        host, port = self._address or parts.hostname or "", parts.port
        connection = (
            http.client.HTTPSConnection(host, port, timeout=_TIMEOUT, context=self._tls)
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
        )
        try:
            connection.request(method, parts._replace(scheme="", netloc="").geturl(), body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        finally:
            connection.close()


def challenge(verifier: str) -> str:
    """Return the challenge of a `code_verifier` (RFC 7636, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _refusal(answer: Answer) -> GrantRefused:
    said = answer.json
    return GrantRefused(str(said.get("error")), str(said.get("error_description")))
