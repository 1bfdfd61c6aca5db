"""The complete check of a token: signature and claims, with one refresh of unknown keys, and the cluster's review of a ServiceAccount's
token."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, overload

from rolevend.identity import compact
from rolevend.identity.key_store import KeyStore
from rolevend.identity.proven import AgentWanted, Proven, ProvenAgent, ProvenUser, UserWanted, Wanting
from rolevend.identity.provider import Provider
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.registered import issuer
from rolevend.identity.review import Reviews
from rolevend.identity.service_account import require_agreement
from rolevend.identity.verification import verify

_WORTH_A_LOOK: Final = (Code.UNKNOWN_KEY, Code.STALE_KEYS)
"""The issuer may have rotated its keys, or may answer again."""


class TokenCheck:
    """The results of `agent` and `user` are proven."""

    def __init__(self, keys: KeyStore, clock: Callable[[], datetime], reviews: Reviews | None = None) -> None:
        """Without `reviews` no ServiceAccount is accepted, because a pod that is gone would pass."""
        self._keys = keys
        self._reviews = reviews
        self._clock = clock
        self._providers: Mapping[str, Provider] = {}

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

    @overload
    async def _verified(self, text: str, wanting: AgentWanted) -> ProvenAgent: ...
    @overload
    async def _verified(self, text: str, wanting: UserWanted) -> ProvenUser: ...
    async def _verified(self, text: str, wanting: Wanting) -> Proven:
        try:
            return verify(text, self._providers, self._keys.known, self._clock(), wanting)
        except TokenRefused as error:
            if error.code not in _WORTH_A_LOOK or not await self._keys.look_again(issuer(compact.read(text).claims)):
                raise
        return verify(text, self._providers, self._keys.known, self._clock(), wanting)
