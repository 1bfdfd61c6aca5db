"""The complete check of a token: signature and claims, with one refresh of unknown keys, and the cluster's review of a ServiceAccount's
token."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Protocol, TypeVar, overload

from rolevend.errors import IdentityProviderUnavailable
from rolevend.identity import compact
from rolevend.identity.key_store import KeyStore
from rolevend.identity.proven import AgentWanted, LoginWanted, Proven, ProvenAgent, ProvenLogin, ProvenUser, UserWanted, Wanting
from rolevend.identity.provider import Provider
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.registered import issuer
from rolevend.identity.security_event import SecurityEvents, verify_events
from rolevend.identity.service_account import Review, require_agreement
from rolevend.identity.signature_cache import SignatureCache
from rolevend.identity.verification import verify, verify_login
from rolevend.shared_answers import SharedAnswers

LONGEST_SECONDS: Final = 5.0
"""Maximum seconds for which a deleted pod is still accepted."""
_MOST: Final = 4096
_Result = TypeVar("_Result")
_WORTH_A_LOOK: Final = (Code.UNKNOWN_KEY, Code.STALE_KEYS)
"""The issuer may have rotated its keys, or may answer again."""


class Reviewer(Protocol):
    async def review(self, token: str, audiences: frozenset[str]) -> Review:
        """Run a TokenReview for these audiences. Raises ClusterUnavailable. Never logs the token."""


class Reviews:
    """Caches at most as many answers as there can be agents, and removes the oldest first."""

    def __init__(self, reviewer: Reviewer, moment: Callable[[], float], *, seconds: float = 2.0, most: int = _MOST) -> None:
        """`moment` is a monotonic clock, in seconds. An answer is valid for `seconds` after its request."""
        self._reviewer = reviewer
        self._answers: SharedAnswers[str, Review] = SharedAnswers(min(seconds, LONGEST_SECONDS), most, moment)

    async def of(self, digest: str, token: str, audiences: frozenset[str]) -> Review:
        """Return the review of a token whose signature was verified. `digest` identifies it. Concurrent callers share one request."""
        return await self._answers.get(digest, lambda: self._reviewer.review(token, audiences))


class TokenCheck:
    """The results of `agent` and `user` are proven."""

    def __init__(self, keys: KeyStore, clock: Callable[[], datetime], reviews: Reviews | None = None) -> None:
        """Without `reviews` no ServiceAccount is accepted, because a pod that is gone would pass."""
        self._keys = keys
        self._reviews = reviews
        self._clock = clock
        self._providers: Mapping[str, Provider] = {}
        self._signatures = SignatureCache(_MOST)
        """Of agents' own tokens, which many calls carry. A user's token is for one role."""

    def follow(self, providers: Mapping[str, Provider]) -> None:
        """Accept only tokens of these issuers."""
        self._providers = dict(providers)
        self._keys.follow(providers)

    def follows(self, issuer: str) -> bool:
        return issuer in self._providers

    async def agent(self, text: str, wanting: AgentWanted) -> ProvenAgent:
        """Return the proven agent. Raises TokenRefused; ClusterUnavailable if the cluster must review the token and does not answer."""
        agent = await self._verified(text, wanting)
        if agent.service_account is not None:
            if self._reviews is None:
                raise TokenRefused(Code.NOT_AUTHENTICATED, "this process cannot ask the cluster to review the token")
            provider = self._providers[agent.party.issuer]
            review = await self._reviews.of(agent.token.digest, text, provider.audiences)
            require_agreement(review, agent.service_account, provider)
        return agent

    async def user(self, text: str, wanting: UserWanted) -> ProvenUser:
        """Return the proven user. Raises TokenRefused."""
        return await self._verified(text, wanting)

    def provider(self, issuer: str) -> Provider | None:
        """Return the provider whose tokens are accepted now, or None."""
        return self._providers.get(issuer)

    async def login(self, text: str, wanting: LoginWanted) -> ProvenLogin:
        """Return the person of an ID token. Raises TokenRefused."""
        return await self._with_keys(
            text,
            lambda: verify_login(text, self._providers, self._keys.known, self._clock(), wanting),
            compact.MAXIMUM_LOGIN_LENGTH,
        )

    async def events(self, text: str) -> SecurityEvents:
        """Return the events of a security event token. Raises TokenRefused; IdentityProviderUnavailable if its issuer's keys were not read
        since its arrival, and may be newer: its sender repeats no token that is refused."""
        since = self._clock()
        try:
            return await self._with_keys(text, lambda: verify_events(text, self._providers, self._keys.known, self._clock()))
        except TokenRefused as error:
            if error.code in _WORTH_A_LOOK and not self._keys.is_current(issuer(compact.read(text).claims), since):
                raise IdentityProviderUnavailable(str(error)) from error
            raise

    @overload
    async def _verified(self, text: str, wanting: AgentWanted) -> ProvenAgent: ...
    @overload
    async def _verified(self, text: str, wanting: UserWanted) -> ProvenUser: ...
    async def _verified(self, text: str, wanting: Wanting) -> Proven:
        signatures = self._signatures if isinstance(wanting, AgentWanted) else None
        return await self._with_keys(text, lambda: verify(text, self._providers, self._keys.known, self._clock(), wanting, signatures))

    async def _with_keys(self, text: str, attempt: Callable[[], _Result], longest: int = compact.MAXIMUM_LENGTH) -> _Result:
        """Return the result of the attempt, which is repeated once if the keys were read again meanwhile."""
        try:
            return attempt()
        except TokenRefused as error:
            if error.code not in _WORTH_A_LOOK or not await self._keys.look_again(issuer(compact.read(text, longest).claims)):
                raise
        return attempt()
