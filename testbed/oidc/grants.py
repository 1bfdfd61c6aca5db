"""Grant tokens (RFC 6749, 7636, 8693, 8707, 9068), without HTTP.

People are not authenticated: `login_hint` is believed, and every login is as strong as `acr_values` asks for first.
"""

import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from testbed.oidc.names import ACCESS_TOKEN_TYPE, AUTHORIZATION_CODE, CLIENT_CREDENTIALS, ID_JAG_TYPE, ID_TOKEN_TYPE, TOKEN_EXCHANGE
from testbed.oidc.refusal import GrantRefused
from testbed.oidc.registry import Client, Person, Registry
from testbed.oidc.signing import Signer

_ACCESS_TOKEN = "at+jwt"
_ID_TOKEN = "JWT"
_ID_JAG = "oauth-id-jag+jwt"
_ID_JAG_SECONDS = 300
_KINDS = {ACCESS_TOKEN_TYPE: _ACCESS_TOKEN, ID_TOKEN_TYPE: _ID_TOKEN, ID_JAG_TYPE: _ID_JAG}
_CODE_SECONDS = 60.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_OPEN_ID = "openid"

Form = Mapping[str, str]
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Authorization:
    """The authorization of a code."""

    client: str
    redirect_uri: str
    challenge: str
    person: Person
    audience: str
    scope: str
    nonce: str | None
    login: Mapping[str, Any]
    """Claims about the login, for the person's tokens."""
    until: float


class Grants:
    """Grants tokens. Not thread-safe."""

    def __init__(self, registry: Registry, signer: Signer, clock: Callable[[], float]) -> None:
        """`clock` returns the seconds since 1970."""
        self._registry = registry
        self._signer = signer
        self._clock = clock
        self._authorizations: dict[str, _Authorization] = {}

    def authorize(self, query: Form) -> str:
        """Return the redirect with a code or an error. Raises GrantRefused if the redirect URI is not known."""
        client = self._registry.clients.get(_required(query, "client_id"))
        if client is None:
            raise GrantRefused("invalid_request", "the client_id is not registered")
        redirect_uri = _required(query, "redirect_uri")
        if not any(_same_redirect(redirect_uri, registered) for registered in client.redirect_uris):
            raise GrantRefused("invalid_request", "the redirect_uri is not registered for this client")
        try:
            answer = {"code": self._code(query, client, redirect_uri)}
        except GrantRefused as refused:
            answer = {"error": refused.code, "error_description": refused.description}
        if "state" in query:
            answer["state"] = query["state"]
        separator = "&" if urlsplit(redirect_uri).query else "?"
        return redirect_uri + separator + urlencode({**answer, "iss": self._registry.issuer})

    def token(self, form: Form, client: Client) -> Answer:
        """Return the token endpoint's answer to an authenticated client."""
        grant = _required(form, "grant_type")
        if grant not in (AUTHORIZATION_CODE, CLIENT_CREDENTIALS, TOKEN_EXCHANGE):
            raise GrantRefused("unsupported_grant_type", f"known are {AUTHORIZATION_CODE}, {CLIENT_CREDENTIALS} and {TOKEN_EXCHANGE}")
        if grant == AUTHORIZATION_CODE:
            return self._redeemed(form, client)
        if client.secret is None:
            raise GrantRefused("unauthorized_client", "a client without a secret gets tokens by authorization_code alone")
        return self._own(form, client) if grant == CLIENT_CREDENTIALS else self._exchanged(form, client)

    def _code(self, query: Form, client: Client, redirect_uri: str) -> str:
        if _required(query, "response_type") != "code":
            raise GrantRefused("unsupported_response_type", "known is code")
        if _required(query, "code_challenge_method") != "S256":
            raise GrantRefused("invalid_request", "the code_challenge_method must be S256")
        person = self._registry.people.get(query.get("login_hint", ""))
        if person is None:
            raise GrantRefused("login_required", "the login_hint names nobody who is registered")
        code = secrets.token_urlsafe(32)
        self._authorizations[code] = _Authorization(
            client=client.name,
            redirect_uri=redirect_uri,
            challenge=_required(query, "code_challenge"),
            person=person,
            audience=self._audience(query),
            scope=query.get("scope", ""),
            nonce=query.get("nonce"),
            login=self._login(query),
            until=self._clock() + _CODE_SECONDS,
        )
        return code

    def _login(self, query: Form) -> dict[str, Any]:
        """Return the claims that are stated only if the client asks for them (OpenID Connect Core 1.0, 2 and 3.1.2.1)."""
        acr = {"acr": query["acr_values"].split()[0]} if "acr_values" in query else {}
        return {**acr, **({"auth_time": int(self._clock())} if "max_age" in query else {})}

    def _redeemed(self, form: Form, client: Client) -> Answer:
        """Redeem a code, which is valid for one attempt, also a failed one."""
        given = self._authorizations.pop(_required(form, "code"), None)
        if given is None or given.client != client.name or given.until < self._clock():
            raise GrantRefused("invalid_grant", "the code is not known, another client's, used or too old")
        if form.get("redirect_uri") != given.redirect_uri:
            raise GrantRefused("invalid_grant", "the redirect_uri is another one than the code was asked for")
        if not hmac.compare_digest(_challenge(_required(form, "code_verifier")).encode(), given.challenge.encode()):
            raise GrantRefused("invalid_grant", "the code_verifier does not fit the code_challenge")
        if form.get("resource", given.audience) != given.audience:
            raise GrantRefused("invalid_target", "the code was asked for another resource")
        claims = {**given.person.claims, "sub": given.person.subject, **given.login}
        answer = self._access_token(client, given.audience, claims)
        if _OPEN_ID in given.scope.split():
            nonce = {} if given.nonce is None else {"nonce": given.nonce}
            answer["id_token"] = self._signer.sign(_ID_TOKEN, {**claims, **self._times(), "aud": client.name, **nonce})
        return {**answer, **({"scope": given.scope} if given.scope else {})}

    def _own(self, form: Form, client: Client) -> Answer:
        return self._access_token(client, self._audience(form), {"sub": client.name})

    def _exchanged(self, form: Form, client: Client) -> Answer:
        """Exchange a person's token for the client for one that names the client as actor."""
        if form.get("requested_token_type") == ID_JAG_TYPE:
            return self._assertion(form, client)
        if form.get("requested_token_type", ACCESS_TOKEN_TYPE) != ACCESS_TOKEN_TYPE:
            raise GrantRefused("invalid_request", "the requested_token_type must be an access token")
        subject = self._presented(form, "subject_token")
        person = self._registry.people.get(str(subject["sub"]))
        if person is None:
            raise GrantRefused("invalid_request", "the subject_token is no person's")
        is_assertion = form["subject_token_type"] == ID_JAG_TYPE  # which its client cannot exchange
        audiences = (client.authorization_server,) if is_assertion else (client.name, *client.resources)
        if (is_assertion or client.name != subject.get("client_id")) and subject["aud"] not in audiences:
            raise GrantRefused("invalid_request", "the subject_token is neither for this client nor was it issued to it")
        self._require_actor(form, client)
        before = {"act": subject["act"]} if "act" in subject else {}
        act = {"iss": self._registry.issuer, "sub": client.name, **before}
        claims = {**person.claims, "sub": person.subject, "act": act}
        answer = self._access_token(client, self._audience(form), claims, not_after=int(subject["exp"]))
        return {**answer, "issued_token_type": ACCESS_TOKEN_TYPE}

    def _assertion(self, form: Form, client: Client) -> Answer:
        """Exchange an ID token of the client for an ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant)."""
        if _required(form, "subject_token_type") != ID_TOKEN_TYPE:
            raise GrantRefused("invalid_request", "an ID-JAG is issued for an ID token alone")
        subject = self._presented(form, "subject_token")
        if subject["aud"] != client.name:
            raise GrantRefused("invalid_request", "the subject_token was not issued to this client")
        audience, resource = _required(form, "audience"), _required(form, "resource")
        if not any(each.authorization_server == audience and resource in each.resources for each in self._registry.clients.values()):
            raise GrantRefused("invalid_target", "no such authorization server is registered for the resource")
        times = self._times(min(int(subject["exp"]), int(self._clock()) + _ID_JAG_SECONDS))
        named = {"sub": subject["sub"], "aud": audience, "resource": resource, "client_id": client.name, "jti": str(uuid.uuid4())}
        token = self._signer.sign(_ID_JAG, {**times, **named})
        return {"access_token": token, "issued_token_type": ID_JAG_TYPE, "token_type": "N_A", "expires_in": times["exp"] - times["iat"]}

    def _require_actor(self, form: Form, client: Client) -> None:
        """Require the client as actor; it is the default, and is authenticated."""
        if "actor_token" not in form:
            return
        actor = self._presented(form, "actor_token")
        if (actor["sub"], actor.get("client_id")) != (client.name, client.name):
            raise GrantRefused("invalid_request", "the actor_token is not the client's own")

    def _presented(self, form: Form, name: str) -> dict[str, Any]:
        """Return the claims of a valid token of this provider."""
        kind = _KINDS.get(_required(form, f"{name}_type"))
        if kind is None:
            raise GrantRefused("invalid_request", f"the {name}_type must be one of {', '.join(_KINDS)}")
        try:
            claims = self._signer.signed(kind, _required(form, name))
        except ValueError as error:
            raise GrantRefused("invalid_request", f"the {name} is no such token of this provider") from error
        if claims["exp"] <= self._clock():
            raise GrantRefused("invalid_request", f"the {name} is expired")
        return claims

    def _audience(self, form: Form) -> str:
        """Return the audience: RFC 8707 and RFC 8693 have different parameters for it."""
        named = {form[name] for name in ("resource", "audience") if name in form} or {self._registry.audiences[0]}
        if len(named) > 1 or not named <= self._registry.targets:
            raise GrantRefused("invalid_target", "the resource is not one that tokens are given for")
        return named.pop()

    def _access_token(self, client: Client, audience: str, claims: Mapping[str, Any], not_after: int | None = None) -> Answer:
        times = self._times(not_after)
        named = {"aud": audience, "client_id": client.name, "jti": str(uuid.uuid4())}
        token = self._signer.sign(_ACCESS_TOKEN, {**claims, **times, **named})
        return {"access_token": token, "token_type": "Bearer", "expires_in": times["exp"] - times["iat"]}

    def _times(self, not_after: int | None = None) -> dict[str, Any]:
        now = int(self._clock())
        end = now + self._registry.token_seconds
        return {"iss": self._registry.issuer, "iat": now, "exp": end if not_after is None else min(end, not_after)}


def _required(form: Form, name: str) -> str:
    if not form.get(name):
        raise GrantRefused("invalid_request", f"{name} is missing")
    return form[name]


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _same_redirect(given: str, registered: str) -> bool:
    """True if both are equal, except for the port of a loopback address, which a program knows only when it listens."""
    try:
        parts, known = urlsplit(given), urlsplit(registered)
        loopback = known.hostname in _LOOPBACK and parts.hostname == known.hostname and parts.port is not None
    except ValueError:
        return False
    if not loopback or parts.username is not None:
        return given == registered
    return parts._replace(netloc="") == known._replace(netloc="")
