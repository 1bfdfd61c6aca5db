"""The whole check of a token: against the keys at hand, with one more look at them where one is unknown, and with the cluster's own word
where it is a ServiceAccount's."""

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
"""The issuer may have changed its keys, or answer again."""


class TokenCheck:
    """What `agent` and `user` return is proven."""

    def __init__(self, keys: KeyStore, clock: Callable[[], datetime], reviews: Reviews | None = None) -> None:
        """Without `reviews` no ServiceAccount is proven: a pod that is gone would pass."""
        self._keys = keys
        self._reviews = reviews
        self._clock = clock
        self._providers: Mapping[str, Provider] = {}

    def follow(self, providers: Mapping[str, Provider]) -> None:
        """From now on tokens of these issuers are taken, and of no other."""
        self._providers = dict(providers)
        self._keys.follow(providers)

    def follows(self, issuer: str) -> bool:
        return issuer in self._providers

    async def agent(self, text: str, wanting: AgentWanted) -> ProvenAgent:
        """Raises TokenRefused; ClusterUnavailable where it is a ServiceAccount's and the cluster does not answer."""
        agent = await self._verified(text, wanting)
        if agent.service_account is not None:
            if self._reviews is None:
                raise TokenRefused(Code.NOT_AUTHENTICATED, "nobody here asks the cluster whether the ServiceAccount is still there")
            provider = self._providers[agent.party.issuer]
            review = await self._reviews.of(agent.token.digest, text, provider.audiences)
            require_agreement(review, agent.service_account, provider)
        return agent

    async def user(self, text: str, wanting: UserWanted) -> ProvenUser:
        """Raises TokenRefused."""
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
