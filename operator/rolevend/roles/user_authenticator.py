"""Authenticate the user of a request by a token: read it once, check it, and redeem it for this request alone."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, assert_never

from rolevend.decision.admission import Agent
from rolevend.decision.outcome import Decision, Pending, Request
from rolevend.decision.proof import (
    Actor,
    Claimed,
    ClientIdentity,
    Proof,
    ProofContext,
    ServiceAccountIdentity,
    Unproven,
    UserProof,
    UserToken,
)
from rolevend.decision.snapshot import TOKEN_UNREAD, Snapshot
from rolevend.errors import ClusterUnavailable, IdentityProviderUnavailable, RolevendError
from rolevend.identity import compact
from rolevend.identity.proven import Party, ProvenUser, UserWanted
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.service_account import Authenticated, NotTaken, Review, username
from rolevend.identity.token_check import TokenCheck
from rolevend.kube.client import TOKEN_REVIEWS, KubeClient
from rolevend.kube.token_replay import record_expiry, token_digest
from rolevend.kube.user_tokens import user_token
from rolevend.model import ObjectName
from rolevend.plan import TokenUse
from rolevend.roles.decision import RoleDecision
from rolevend.roles.protocols import UsedTokens
from rolevend.roles.store import RoleRecord

FIELD: Final = "spec.userTokenSecretRef"
_LONGEST_SOURCE: Final = 1024
"""Maximum length of an expression in the status."""
_UNANSWERED: Final = "asking the cluster about a ServiceAccount's token: it gives no answer"
_RIGHT: Final = "does its API server answer, and may we create tokenreviews.authentication.k8s.io?"


class UserAuthenticator:
    def __init__(self, cluster: KubeClient, check: TokenCheck, taken: UsedTokens, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._check = check
        self._taken = taken
        self._now = now

    async def authenticate(
        self, requests: tuple[Request, ...], record: RoleRecord, snapshot: Snapshot, *, role_exists: bool
    ) -> tuple[Request, ...]:
        """Return the requests of one object with the proof of their user, if the decision waits only for that."""
        first = requests[0]
        agent = snapshot.agents.get(first.agent)
        if not isinstance(first.token, UserToken) or agent is None:
            return requests
        blocking = RoleDecision.for_platforms(requests, lambda each: snapshot.decide(each, role_exists=role_exists)).blocking_decision
        if blocking is None or not _waits_for_token(blocking[1]):
            return requests
        record.set_proof(await self.prove(first, first.token, agent, snapshot))
        return tuple(map(record.with_proof, requests))

    async def prove(self, request: Request, place: UserToken, agent: Agent, snapshot: Snapshot, *, redeem: bool = True) -> Proof | Unproven:
        """Read and check the token of a request whose agent has an identity, and redeem it for this request. Without `redeem` the token
        must be unredeemed, and stays so.

        Raises InvalidInput if there is no token, IdentityProviderUnavailable if its issuer's keys are not known now, and the errors of
        the API server. The caller then repeats the check.
        """
        text = (await user_token(self._cluster, request.name.namespace, place.secret, place.key, FIELD)).reveal()
        digest = compact.digest(text)
        try:
            proven = await self._check.user(text, wanted(agent, snapshot.cluster_issuer))
            self._require_person(proven, request)
            await (self.redeem if redeem else self.require_unredeemed)(proven, request)
        except TokenRefused as error:
            not_yet = request.user.issuer in snapshot.issuers and not self._check.follows(request.user.issuer)
            if error.code is Code.STALE_KEYS or (error.code is Code.UNKNOWN_ISSUER and not_yet):
                raise IdentityProviderUnavailable(f"{FIELD}: the keys of {request.user.issuer} were not read, or too long ago") from error
            return Unproven(error.code.value, f"{FIELD}: {error}", digest, snapshot.basis(agent))
        return proof_of(proven, snapshot.basis(agent))

    def _require_person(self, proven: ProvenUser, request: Request) -> None:
        if proven.user != request.user:
            raise TokenRefused(Code.ANOTHER_PERSON, "the token is of another user than spec.user")
        self.require_unexpired(proven)

    def require_unexpired(self, proven: ProvenUser) -> None:
        """Raises TokenRefused for an expired token within the leeway: a role for it would expire at once."""
        if proven.token.expires_at <= self._now():
            raise TokenRefused(Code.EXPIRED, "the token is expired; get a new one")

    async def redeem(self, proven: ProvenUser, request: Request) -> None:
        """Redeem the token for this request alone. Idempotent. Raises TokenRefused if it was redeemed for another."""
        if not await self._taken.take(proven.user.issuer, _token_id(proven), request.uid, proven.token.expires_at):
            raise replayed()

    def use(self, proven: ProvenUser) -> TokenUse:
        """Return the record of the token's use, for a platform that redeems it with the role."""
        return TokenUse(token_digest(proven.user.issuer, _token_id(proven)), record_expiry(proven.token.expires_at))

    async def require_unredeemed(self, proven: ProvenUser, request: Request) -> None:
        """Raises TokenRefused if `redeem` would raise it now. Redeems nothing."""
        if not await self._taken.is_left_to(proven.user.issuer, _token_id(proven), request.uid):
            raise replayed()


def _waits_for_token(decision: Decision) -> bool:
    return isinstance(decision, Pending) and decision.reason == TOKEN_UNREAD


def _token_id(proven: ProvenUser) -> str:
    token = proven.token
    return f"jti {token.token_id}" if token.token_id is not None else f"sha256 {token.digest}"


def replayed() -> TokenRefused:
    return TokenRefused(Code.REPLAYED, "the token was used for another VendedRole; get a new one for each")


def wanted(agent: Agent, cluster_issuer: str) -> UserWanted:
    """Return the parties that a user's token must name, from the registered agent."""
    match agent.identity:
        case ServiceAccountIdentity(name):
            return UserWanted(Party(cluster_issuer, username(ObjectName(agent.name.namespace, name))))
        case ClientIdentity(issuer, client_ids, subject):
            return UserWanted(Party(issuer, subject), frozenset(Party(issuer, client_id) for client_id in client_ids))
        case None:
            raise TokenRefused(Code.ISSUED_TO_ANOTHER, "the Agent has no identity that a token could name")
    assert_never(agent.identity)


def proof_of(proven: ProvenUser, basis: ProofContext) -> Proof:
    token = proven.token
    return Proof(
        kind=UserProof(proven.proof.value),
        provider=token.provider,
        token_type=token.type.value,
        digest=token.digest,
        expires_at=token.expires_at,
        handle=proven.handle,
        attributes=tuple(Claimed(each.key, each.values, each.source[:_LONGEST_SOURCE]) for each in proven.mapped.attributes),
        unreadable=frozenset(proven.mapped.unreadable),
        actors=tuple(Actor(each.issuer, each.name) for each in proven.actors),
        basis=basis,
        authenticated_at=token.authenticated_at,
        acr=token.acr,
        issued_at=token.issued_at,
    )


class TokenReviewer:
    """Implements `identity.review.Reviewer`."""

    def __init__(self, cluster: KubeClient) -> None:
        self._cluster = cluster

    async def review(self, token: str, audiences: frozenset[str]) -> Review:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token, "audiences": sorted(audiences)}}
        try:
            answer = await self._cluster.create(TOKEN_REVIEWS, body)
        except RolevendError as error:
            # The message may repeat the request, and so the token: report only the class of the error.
            raise ClusterUnavailable(f"{_UNANSWERED} ({type(error).__name__}); {_RIGHT}") from None
        return _read(answer.get("status"))


def _read(status: Any) -> Review:
    """Parse the answer. Raises ClusterUnavailable if it is malformed."""
    if not isinstance(status, dict):
        raise ClusterUnavailable(f"{_UNANSWERED}, but something else")
    if status.get("authenticated") is not True:
        return NotTaken()
    user, audiences = status.get("user"), status.get("audiences", [])
    if not isinstance(user, dict) or not isinstance(audiences, list):
        raise ClusterUnavailable(f"{_UNANSWERED}, but something else")
    # A token without audiences is for the API server itself.
    return Authenticated(str(user.get("username", "")), str(user.get("uid", "")), frozenset(map(str, audiences)))
