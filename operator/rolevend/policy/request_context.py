"""The agent and the request: the facts that policies may match in addition to the user's attributes."""

from dataclasses import dataclass, field
from typing import Any

from rolevend.model import Attributes, ObjectName, PlatformName, User
from rolevend.policy.combination import Combination


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
