"""The profiles of one platform: what users may read by policies, with an active offer, and by an offer alone. Pure."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from rolevend.catalog import Function, FunctionId, TableId, Tool
from rolevend.decision.description import ProfileCatalog
from rolevend.decision.tools import stricter_in_policy, stricter_in_profile
from rolevend.model import Attributes, ClusterId, ObjectName
from rolevend.plan import Profile, TableNames, attribute_keys, plan
from rolevend.policy.activation import activated, alone
from rolevend.policy.decision import Entitlement, entitlement, switch
from rolevend.policy.index import CompiledPolicy, Index
from rolevend.policy.offer import Activation
from rolevend.policy.refusal import Denial
from rolevend.policy.request_context import Combination, RequestContext

_MAX_SHAPES: Final = 1_000
_MAX_ACTIVATIONS: Final = 64
_MAX_OFFERED: Final = 512


@dataclass(frozen=True, slots=True)
class ResolvedProfile:
    profile: Profile
    granted_by: Mapping[TableId, tuple[ObjectName, ...]]
    """The policies that grant each table."""
    behind: Mapping[TableId, tuple[str, ...]]
    """For each table that a tool reads directly: the restrictions that are stricter for the tool than the grant."""
    catalog: ProfileCatalog
    """The tables, for descriptions."""


@dataclass(frozen=True, slots=True)
class OfferEffect:
    """The data that an offer shows a user now, without other grants."""

    offer: ObjectName
    profile: Profile
    """The tables, columns, rows and masks."""
    attributes: Attributes
    """Of the user: those that the profile reads."""


class ProfileCache:
    """Cache of the profiles of one platform's index, shared by all users with the same entitlement. It needs no invalidation, because a
    changed index has a new `ProfileCache`. Planning a thousand tables takes longer than vending them."""

    def __init__(
        self,
        index: Index,
        cluster: ClusterId,
        functions: tuple[Function, ...] = (),
        tools: tuple[Tool, ...] = (),
        table_names: TableNames = TableNames.SHORT,
    ) -> None:
        """`functions` and `tools` are those that agents may request."""
        self.index = index
        self.functions = functions
        self.tools = tools
        self._cluster = cluster
        self._table_names = table_names
        self._known: dict[Hashable, ResolvedProfile | Denial] = {}
        self._activated: dict[Activation, ProfileCache] = {}
        self._alone: dict[tuple[Activation, bool], ProfileCache] = {}

    @cached_property
    def reads(self) -> frozenset[str]:
        """The user attributes that some policy, offer or guardrail reads."""
        policies, guardrails = (each.reads for each in self._policies), (each.reads for each in self.index.guardrails)
        return frozenset[str]().union(*policies, *guardrails)

    @cached_property
    def agent_reads(self) -> frozenset[str]:
        """The agent attributes that some policy or offer reads."""
        return frozenset[str]().union(*(each.agent_reads for each in self._policies))

    @property
    def _policies(self) -> tuple[CompiledPolicy, ...]:
        return (*self.index.policies, *self.index.offers)

    def activated(self, activation: Activation) -> "ProfileCache":
        """Return the cache of the profiles with an active offer."""
        found = self._activated.get(activation)
        if found is None:
            if len(self._activated) >= _MAX_ACTIVATIONS:
                self._activated.clear()
            found = self._activated[activation] = self._like(activated(self.index, activation), self.functions, self.tools)
        return found

    def effect(self, attributes: Attributes, activation: Activation, asking: RequestContext) -> OfferEffect | Denial:
        """Return what the offer shows a user with these attributes, or why it shows nothing."""
        resolved = self._offered(activation, with_agents=asking.combination is Combination.INTERSECTION).of(attributes, asking)
        if isinstance(resolved, Denial):
            return resolved
        profile = resolved.profile
        return OfferEffect(activation.offer, profile, attributes.only(attribute_keys(profile)))

    def _offered(self, activation: Activation, *, with_agents: bool) -> "ProfileCache":
        """Return the cache of the profiles of the offer alone."""
        found = self._alone.get((activation, with_agents))
        if found is None:
            if len(self._alone) >= _MAX_OFFERED:
                self._alone.clear()
            found = self._like(alone(self.index, activation, with_agents=with_agents))
            self._alone[activation, with_agents] = found
        return found

    def of(
        self,
        attributes: Attributes,
        asking: RequestContext | None = None,
        functions: tuple[FunctionId, ...] = (),
        tools: tuple[Tool, ...] = (),
    ) -> ResolvedProfile | Denial:
        """Return the profile. `functions` and `tools` are the agent's; a tool is included only if the user is granted the tables that it
        reads."""
        switches = switch(attributes, self.index, asking)
        if isinstance(switches, Denial):
            return switches
        key = (switches.key, functions, tools)
        shape = self._known.get(key)
        if shape is None:
            entitled = entitlement(switches, self.index)
            shape = entitled if isinstance(entitled, Denial) else self._shape(entitled, functions, tools)
            if len(self._known) >= _MAX_SHAPES:
                self._known.clear()
            self._known[key] = shape
        return shape

    def behind_tools(self, policy: CompiledPolicy) -> tuple[str, ...]:
        """Return the restrictions of tools that are stricter than the grants of `policy` alone, one sentence each."""
        return tuple(stricter_in_policy(policy, self.index.tables, self.tools))

    def _like(self, index: Index, functions: tuple[Function, ...] = (), tools: tuple[Tool, ...] = ()) -> "ProfileCache":
        """Return the cache of another index of the same platform."""
        return ProfileCache(index, self._cluster, functions, tools, self._table_names)

    def _shape(self, entitled: Entitlement, functions: tuple[FunctionId, ...], tools: tuple[Tool, ...]) -> ResolvedProfile:
        profile = plan(entitled, self._cluster, functions, tools, self._table_names)
        catalog = ProfileCatalog.of((each.table for each in entitled.tables), profile.tables)
        return ResolvedProfile(profile, _granted_by(entitled), stricter_in_profile(profile, catalog.tables), catalog)


def _granted_by(entitled: Entitlement) -> dict[TableId, tuple[ObjectName, ...]]:
    return {
        each.table.id: tuple(dict.fromkeys(grant.policy for grant in (*each.grants, *(each.agent_grants or ()))))
        for each in entitled.tables
    }
