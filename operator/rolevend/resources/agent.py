"""The kind Agent: a registered piece of software, for whom it may act, and for how long."""

from typing import Annotated, Literal

from pydantic import Field

from rolevend.resources.part import Atomic, Part, immutable
from rolevend.resources.shared import Assertion, CombinationName, Resource, Status, UserSelector
from rolevend.resources.text import AgentHandleText, IdleSeconds, Seconds
from rolevend.resources.tools import AgentTools


class OnBehalfOf(Part):
    """How the agent shows for whom it acts."""

    assertion: Assertion
    """What it shows. `Trusted`: it names the user, and is believed. A DataPlatform must permit this, too; status and audit mark such roles
    as asserted."""
    users: UserSelector | None = None
    """The only users it may act for. Without it: every user."""


class AgentLimits(Part):
    """The agent's own bounds, within those of the DataPlatform."""

    max_expiration_seconds: Seconds = 3600
    """The longest life of a role that is vended to this agent."""
    idle_release_seconds: IdleSeconds | None = None
    """A role whose sessions did nothing for so long, or that has none, counts as given back, and is ended. Choose more than the agent
    thinks between two questions. Without it: as the DataPlatform says."""


class AgentSpec(Part):
    """Who the agent is and what it may ask for. Each part holds only as far as the DataPlatform permits it."""

    handle: Annotated[
        AgentHandleText,
        Field(json_schema_extra=immutable("spec.handle", "old role names must stay true; register another Agent instead")),
    ]
    """Names the agent in every role name: 1 to 10 characters of A-Z and 0-9, unique in the cluster, immutable."""
    on_behalf_of: OnBehalfOf
    combination: CombinationName | None = None
    """How what the agent itself is granted (AccessPolicies with `grantsTo: Agents`) counts beside what the user is granted. `Union`: both
    together. `UserCeiling`: only where the user is granted it, too, so that the user's grants are all there is. `Intersection`: a row that
    both are granted, of each cell no more than both are shown, and no column that one of them is not granted. Each is narrower
    than the one before, and no wider one is granted anything than the `widestCombination` of the DataPlatform. Without it: that one."""
    limits: AgentLimits = AgentLimits()
    tools: Annotated[tuple[AgentTools, ...], Field(max_length=16), Atomic()] = ()
    """What it needs whoever it acts for. Several items for one platform add up."""


class AgentStatus(Status):
    """What the operator saw. Not written by people."""


class Agent(Resource):
    """Software that queries data on behalf of people. Whoever has the verb `vend` on it may create a VendedRole for it."""

    kind: Literal["Agent"] = "Agent"
    spec: AgentSpec
    status: AgentStatus = AgentStatus()
