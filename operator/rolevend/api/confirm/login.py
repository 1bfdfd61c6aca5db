"""Log people in for the page on which they confirm a request. No state here: a browser keeps it, sealed, so any replica can go on."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from rolevend.access_requests.request import LoginFacts
from rolevend.access_requests.terms import NeededProof
from rolevend.api.problems import Problem
from rolevend.decision.person_login import PersonLogin
from rolevend.errors import InvalidInput
from rolevend.identity.login_attempts import LoginAttempts, ResumedLogin
from rolevend.identity.login_client import LoginClient, OwnClient
from rolevend.identity.proven import LoginWanted, Party, ProvenLogin
from rolevend.identity.provider import Provider
from rolevend.identity.sealed import Seal
from rolevend.identity.token_check import TokenCheck
from rolevend.kube.client import KubeClient
from rolevend.kube.secrets import read_secret, text_of
from rolevend.model import User

LIFE: Final = timedelta(minutes=10)
"""Of a session after a login."""
_SESSION_BYTES: Final = 32
_SECRET_FIELD: Final = "spec.login.clientSecretRef"  # noqa: S105 - a field
NOT_NOW: Final = "the login was not begun in this browser, or too long ago; open the link again"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who logged in, in one browser."""

    user: User
    session: str
    provider: str
    token_digest: str
    login: LoginFacts


@dataclass(frozen=True, slots=True)
class BegunLogin:
    url: str
    """The page of the issuer."""
    cookie: str


class PersonLogins:
    def __init__(self, client: LoginClient, check: TokenCheck, cluster: KubeClient, namespace: str, attempts: LoginAttempts) -> None:
        """`namespace` is the operator's own."""
        self._client = client
        self._check = check
        self._cluster = cluster
        self._namespace = namespace
        self._attempts = attempts

    async def begin(self, issuer: str, login: PersonLogin, path: str, needed: NeededProof | None, *, again: bool) -> BegunLogin:
        """Return the issuer's page, and the cookie for the way back to `path`. The issuer is asked for a login that is what is `needed`;
        `again`: even if the person is logged in there, perhaps as somebody else. Raises Problem, and errors of the issuer."""
        attempt, cookie = self._attempts.begin(path, issuer)
        provider, client = await self._known(issuer, login)
        url = await self._client.authorization_url(provider, client, attempt, _wishes(needed, again=again))
        return BegunLogin(url, cookie)

    def resume(self, cookie: str | None, state: str | None) -> ResumedLogin:
        """Return the login that was begun with the state, in this browser. Raises Problem."""
        begun = self._attempts.resume(cookie, state)
        if begun is None:
            raise Problem(400, "LoginExpired", NOT_NOW)
        return begun

    async def finish(self, begun: ResumedLogin, login: PersonLogin, query: Mapping[str, str]) -> ProvenLogin:
        """Return the person who logged in. `query` is of the way back. Raises Problem, TokenRefused, and errors of the issuer."""
        issuer = begun.issuer
        if query.get("iss", issuer) != issuer:  # RFC 9207
            raise Problem(400, "LoginExpired", "another issuer than that of the login sent you back; open the link again")
        code = query.get("code")
        if code is None:
            raise Problem(403, "LoginRefused", "the identity provider did not log you in; open the link again")
        provider, client = await self._known(issuer, login)
        token = await self._client.id_token(provider, client, code, begun.attempt.verifier)
        return await self._check.login(token, LoginWanted(Party(issuer, client.client_id), begun.attempt.nonce))

    async def _known(self, issuer: str, login: PersonLogin) -> tuple[Provider, OwnClient]:
        provider = self._check.provider(issuer)
        if provider is None:
            raise Problem(503, "IdentityProviderUnavailable", "your identity provider is not known here now; try again later")
        return provider, OwnClient(login.client_id, login.redirect_uri, await self._secret(login))

    async def _secret(self, login: PersonLogin) -> str | None:
        if login.secret is None:
            return None
        name, key = login.secret
        found = text_of(await read_secret(self._cluster, self._namespace, name, _SECRET_FIELD), key)
        if found is None:
            raise InvalidInput(_SECRET_FIELD, f"there is no usable key {key} in Secret {self._namespace}/{name}")
        return found.strip()


class Seals:
    """The seals of a session, and of the form on the page."""

    LIFE_SECONDS: Final = int(LIFE.total_seconds())

    def __init__(self, key: bytes, now: Callable[[], datetime]) -> None:
        """`key` is the key of opaque handles, which all replicas have."""
        self.form = Seal(key, "form", LIFE, now)
        self._session = Seal(key, "session", LIFE, now)

    def session(self, found: ProvenLogin) -> str:
        """Return the cookie of a new session of this person."""
        facts, at = found.token, found.token.authenticated_at
        return self._session.close(
            issuer=found.user.issuer,
            subject=found.user.subject,
            session=secrets.token_urlsafe(_SESSION_BYTES),
            provider=facts.provider,
            digest=facts.digest,
            **({} if at is None else {"at": at.isoformat()}),
            **({} if facts.acr is None else {"acr": facts.acr}),
        )

    def visitor(self, cookie: str | None) -> Visitor | None:
        """Return the person of the session, or None."""
        found = self._session.open(cookie)
        if found is None:
            return None
        at = datetime.fromisoformat(found["at"]).astimezone(UTC) if "at" in found else None
        user = User(found["issuer"], found["subject"])
        return Visitor(user, found["session"], found["provider"], found["digest"], LoginFacts(at, found.get("acr")))


def _wishes(needed: NeededProof | None, *, again: bool) -> dict[str, str]:
    """Return the parameters of a login (OpenID Connect Core 1.0, 3.1.2.1). The issuer need not follow them; the ID token tells."""
    wishes = {"prompt": "login"} if again else {}
    if needed is not None and needed.acr:
        wishes["acr_values"] = " ".join(needed.acr)
    if needed is not None and needed.longest_age_seconds is not None:
        wishes["max_age"] = str(needed.longest_age_seconds)
    return wishes
