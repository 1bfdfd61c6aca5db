"""Who calls, and for whom: the agent by its own token, the user by theirs, or by the agent's word where it is trusted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rolevend.api.problems import Problem, of_token
from rolevend.api.schemas import Question
from rolevend.errors import IdentityProviderUnavailable
from rolevend.identity.proven import ProvenUser
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.token_check import TokenCheck
from rolevend.model import User
from rolevend.requests.proving import proof_of, wanted
from rolevend.requests.who_asks import agent_of, agent_wanted
from rolevend.resources import values
from rolevend.vending.directory import Directory
from rolevend.vending.proof import Presented, Proof
from rolevend.vending.terms import Agent

BEARER: Final = "Authorization"
USER_TOKEN: Final = "userToken"  # noqa: S105 - a member
_SCHEME: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Person:
    """For whom the agent asks."""

    user: User
    proven: ProvenUser | None = None
    """None: the agent's word is all there is."""
    proof: Proof | None = None

    @property
    def token(self) -> Presented | None:
        return None if self.proven is None else Presented()


class Callers:
    def __init__(self, check: TokenCheck) -> None:
        self._check = check

    async def agent(self, authorization: str | None, directory: Directory) -> Agent:
        """The registered agent that bears the token. Raises Problem; ClusterUnavailable where the cluster would have to say."""
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            why = "the agent's own token is missing: send Authorization: Bearer <token>"
            raise Problem(401, "TokenMissing", why, field=BEARER, headers={"WWW-Authenticate": "Bearer"})
        if directory.pending:
            raise Problem(503, "Starting", directory.pending, retry_after=1)
        try:
            return agent_of(await self._check.agent(authorization[len(_SCHEME) :].strip(), agent_wanted(directory)), directory)
        except TokenRefused as error:
            self._unknown_keys(error)
            raise of_token(error, BEARER) from error

    async def person(self, question: Question, agent: Agent, directory: Directory, now: datetime) -> Person:
        """Raises Problem."""
        if question.user_token is None:
            assert question.user is not None  # noqa: S101 - its rules say so
            return Person(values.user(question.user))
        if agent.identity is None:
            raise Problem(403, "NotPermitted", f"Agent {agent.name.name} has no spec.identity that a token could name", field=USER_TOKEN)
        try:
            proven = await self._check.user(question.user_token.get_secret_value(), wanted(agent, directory.cluster_issuer))
            if proven.token.expires_at <= now:  # what the leeway let pass: nothing could be given for it
                raise TokenRefused(Code.EXPIRED, "the token is expired; get a new one")
        except TokenRefused as error:
            self._unknown_keys(error)
            raise of_token(error, USER_TOKEN) from error
        return Person(proven.user, proven, proof_of(proven, directory.basis(agent)))

    @staticmethod
    def _unknown_keys(error: TokenRefused) -> None:
        if error.code is Code.STALE_KEYS:
            raise IdentityProviderUnavailable("the keys of the token's issuer were not read, or too long ago") from error
