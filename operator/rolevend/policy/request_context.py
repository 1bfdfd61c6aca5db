"""The agent and the request: the facts that policies may match in addition to the user's attributes, and how grants to the user and
grants to the agent itself combine."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rolevend.model import Attributes, ObjectName, PlatformName, User


class GrantTarget(enum.Enum):
    """The subjects of a policy's grants."""

    USERS = "Users"
    AGENTS = "Agents"
    """The agents themselves, independent of the user."""


class Combination(enum.Enum):
    """Ordered, widest first: each shows at most as much as the one before it."""

    UNION = "Union"
    """The grants of both sides add up."""
    USER_CEILING = "UserCeiling"
    """The agent's own grants count only where the user has the grant too: only the user's grants are effective."""
    INTERSECTION = "Intersection"
    """Show the rows that both sides show, the columns that both sides grant, and of each cell no more than either side shows."""

    def is_wider_than(self, other: "Combination") -> bool:
        return _WIDEST_FIRST.index(self) < _WIDEST_FIRST.index(other)


_WIDEST_FIRST = tuple(Combination)


def widest(combinations: Iterable[Combination]) -> Combination | None:
    """Return the widest, or None if `combinations` is empty."""
    return min(combinations, key=_WIDEST_FIRST.index, default=None)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """None means unknown: a condition that reads an unknown fact grants nothing."""

    user: User | None = None
    agent: ObjectName | None = None
    agent_attributes: Attributes = field(default_factory=Attributes)
    """From the Agent object."""
    platform: PlatformName | None = None
    purpose: str | None = None
    """The agent's statement."""
    expiration_seconds: int | None = None
    combination: Combination = Combination.USER_CEILING
    """How the agent's own grants combine with the user's."""

    def variables(self, attributes: Attributes) -> dict[str, dict[str, Any]]:
        """Return the variables for conditions. `attributes` are the user's."""
        user, agent = self.user, self.agent
        return {
            "user": _known(issuer=user and user.issuer, subject=user and user.subject, attributes=_listed(attributes)),
            "agent": _known(namespace=agent and agent.namespace, name=agent and agent.name, attributes=_listed(self.agent_attributes)),
            "request": _known(platform=self.platform, purpose=self.purpose, expirationSeconds=self.expiration_seconds),
        }


def _known(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _listed(attributes: Attributes) -> dict[str, list[str]]:
    return {key: list(given) for key, given in attributes}
