"""Authenticate the agent by its own token, and the user by a token or by a trusted agent's assertion."""

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydantic import SecretStr

from rolevend.api.problems import Problem, token_problem
from rolevend.api.refusals import RefusalLog
from rolevend.audit.api_events import Bearer, RefusedCall
from rolevend.decision.admission import Agent
from rolevend.decision.outcome import Request
from rolevend.decision.proof import ClientIdentity, Presented, Proof
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import IdentityProviderUnavailable
from rolevend.identity.compact import digest
from rolevend.identity.proven import AgentWanted, OwnSubject, Party, ProvenAgent, ProvenUser, ServiceAccount
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.token_check import TokenCheck
from rolevend.kinds import values
from rolevend.kinds.shared import UserName
from rolevend.model import ObjectName, User
from rolevend.plan import TokenUse
from rolevend.roles.user_authenticator import UserAuthenticator, proof_of, wanted
from rolevend.telemetry.timing import VendStep, timed

BEARER: Final = "Authorization"
USER_TOKEN: Final = "userToken"  # noqa: S105 - a member
_SCHEME: Final = "bearer "


def agent_wanted(snapshot: Snapshot) -> AgentWanted:
    """Return the identities whose own tokens are accepted: those of all agents in the snapshot. Cheap."""
    return AgentWanted(_OwnSubjects(snapshot))


def find_agent(proven: ProvenAgent, snapshot: Snapshot) -> Agent:
    """Return the agent. Raises TokenRefused if no registered agent matches, without a hint which ones exist. Call it only if
    `Snapshot.pending` is empty, because the agent may still be unread."""
    agent = _registered(proven, snapshot)
    if agent is None:
        raise TokenRefused(Code.AGENT_UNKNOWN, "the token belongs to no registered agent")
    return agent


def _registered(proven: ProvenAgent, snapshot: Snapshot) -> Agent | None:
    match proven:
        case ProvenAgent(party=Party(issuer), service_account=ServiceAccount(name)):
            # Another cluster can have a ServiceAccount with this name.
            return snapshot.service_accounts.get(name) if issuer == snapshot.cluster_issuer else None
        case ProvenAgent(client=Party(issuer, client_id)):
            return snapshot.clients.get((issuer, client_id))
        case _:
            return None


@dataclass(frozen=True, slots=True)
class _OwnSubjects(Container[OwnSubject]):
    """Evaluated lazily: a snapshot with a thousand agents is replaced several times a minute."""

    snapshot: Snapshot = field(repr=False)

    def __contains__(self, own: object) -> bool:
        if not isinstance(own, OwnSubject):
            return False
        agent = self.snapshot.clients.get((own.client.issuer, own.client.name))
        return agent is not None and isinstance(agent.identity, ClientIdentity) and agent.identity.subject == own.subject


class UserStatement(Protocol):
    """The members of a request that prove or name its user; exactly one is set."""

    @property
    def user_token(self) -> SecretStr | None: ...

    @property
    def user(self) -> UserName | None: ...


@dataclass(frozen=True, slots=True)
class AuthenticatedUser:
    """The user that the agent acts for."""

    user: User
    proven: ProvenUser | None = None
    """None: the agent asserts the user."""
    proof: Proof | None = None

    @property
    def token(self) -> Presented | None:
        return None if self.proven is None else Presented()


class Authenticator:
    def __init__(self, check: TokenCheck, users: UserAuthenticator, refusals: RefusalLog) -> None:
        """`refusals` records each refused token."""
        self._check = check
        self.users = users
        self._refusals = refusals

    async def agent(self, authorization: str | None, snapshot: Snapshot, request_id: str) -> Agent:
        """Return the registered agent of the token. Raises Problem, and ClusterUnavailable if the cluster must confirm the token."""
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            cause = "the agent's own token is missing: send Authorization: Bearer <token>"
            raise Problem(401, "TokenMissing", cause, field=BEARER, headers={"WWW-Authenticate": "Bearer"})
        if snapshot.pending:
            raise Problem(503, "Starting", snapshot.pending, retry_after=1)
        token = authorization[len(_SCHEME) :].strip()
        try:
            with timed(VendStep.CHECK_AGENT):
                return find_agent(await self._check.agent(token, agent_wanted(snapshot)), snapshot)
        except TokenRefused as error:
            raise await self._refused(
                error, BEARER, RefusedCall(Bearer.AGENT, error.code, str(error), digest(token), None, request_id)
            ) from error

    async def authenticate_user(self, question: UserStatement, agent: Agent, snapshot: Snapshot, request_id: str) -> AuthenticatedUser:
        """Return the user. Raises Problem."""
        if question.user_token is None:
            assert question.user is not None  # noqa: S101 - its rules say so
            return AuthenticatedUser(values.user(question.user))
        if agent.identity is None:
            raise Problem(403, "NotPermitted", f"Agent {agent.name.name} has no spec.identity that a token could name", field=USER_TOKEN)
        token = question.user_token.get_secret_value()
        try:
            with timed(VendStep.CHECK_USER):
                proven = await self._check.user(token, wanted(agent, snapshot.cluster_issuer))
            self.users.require_unexpired(proven)
        except TokenRefused as error:
            raise await self.refused_user(error, digest(token), agent.name, request_id) from error
        return AuthenticatedUser(proven.user, proven, proof_of(proven, snapshot.basis(agent)))

    async def refused_user(self, error: TokenRefused, token_digest: str, agent: ObjectName, request_id: str | None) -> Exception:
        """Record a refused token of a user, and return the error to raise."""
        return await self._refused(error, USER_TOKEN, RefusedCall(Bearer.USER, error.code, str(error), token_digest, agent, request_id))

    async def _refused(self, error: TokenRefused, where: str, refusal: RefusedCall) -> Exception:
        """Record the refusal, unless the issuer's keys are missing here."""
        if error.code is Code.STALE_KEYS:
            return IdentityProviderUnavailable("the keys of the token's issuer were not read, or too long ago")
        await self._refusals.refused(refusal)
        return token_problem(error, where)


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """The `TokenRedeemer` of one call, for the user's token in it, if any."""

    authenticator: Authenticator
    user: AuthenticatedUser
    with_role: bool = False
    """True if the platform redeems it, in the transaction that creates the role."""

    @property
    def use(self) -> TokenUse | None:
        """Return the token's use, if the platform redeems it with the role, or None."""
        proven = self.user.proven
        return None if proven is None or not self.with_role else self.authenticator.users.use(proven)

    async def redeem(self, request: Request, *, final: bool) -> None:
        """Redeem the token, unless the platform does that with the role. Raises Problem if it was redeemed for another object."""
        proven, users = self.user.proven, self.authenticator.users
        if proven is None or (self.with_role and final):
            return
        try:
            with timed(VendStep.TAKE_TOKEN):
                await (users.redeem if final else users.require_unredeemed)(proven, request)
        except TokenRefused as error:
            raise await self.refused(error, request) from error

    async def refused(self, error: TokenRefused, request: Request) -> Exception:
        """Record that the token was refused, and return the error to raise."""
        digest = self.user.proven.token.digest if self.user.proven else ""
        return await self.authenticator.refused_user(error, digest, request.agent, request.request_id)
