"""The facts of requests and users that the statements of one platform distinguish. Requests and users with equal keys get equal access."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Final

from rolevend.access_requests.terms import OfferTerms
from rolevend.decision.snapshot import Snapshot
from rolevend.model import Attributes, ObjectName, PlatformName, User
from rolevend.policy.condition import Answers, MatchCondition
from rolevend.policy.guardrail_compiler import CompiledGuardrail
from rolevend.policy.index import CompiledPolicy, Index
from rolevend.policy.refusal import met
from rolevend.policy.request_context import Combination, GrantTarget, RequestContext
from rolevend.policy.requirement import Requirement, facts_of, meets
from rolevend.policy.table_fit import Demand
from rolevend.policytools.decisions import Requester
from rolevend.policytools.withheld import Withheld

PURPOSE: Final = "request.purpose"
LIFETIME: Final = "request.expirationSeconds"
AGENT_NAME: Final = "agent.name"
AGENT_NAMESPACE: Final = "agent.namespace"


class Distinctions:
    """The statements of one folder on one platform, and keys by what they read. Without a catalog there are no statements."""

    def __init__(self, snapshot: Snapshot, platform: PlatformName, refused: Withheld = MappingProxyType({})) -> None:
        """`refused` are requests that the terms of the folder refuse, by agent; a snapshot that is `opened` does not know them."""
        self.snapshot = snapshot
        self.platform = platform
        self._refused = refused
        self._answers: dict[tuple[str, tuple[Hashable, ...]], bool] = {}

    @property
    def index(self) -> Index | None:
        shapes = self.snapshot.shapes.get(self.platform)
        return None if shapes is None or self.platform not in self.snapshot.platforms else shapes.index

    @cached_property
    def policies(self) -> tuple[CompiledPolicy, ...]:
        """Policies, offers, and the agents' own tables."""
        return () if self.index is None else (*self.index.policies, *self.index.offers)

    @cached_property
    def guardrails(self) -> tuple[CompiledGuardrail, ...]:
        return () if self.index is None else self.index.guardrails

    @cached_property
    def terms(self) -> Mapping[ObjectName, OfferTerms]:
        """The terms of the offers on this platform."""
        ids = () if self.index is None else (each.id for each in self.index.offers)
        return {name: self.snapshot.offers[name] for name in ids if name in self.snapshot.offers}

    @cached_property
    def conditions(self) -> tuple[MatchCondition, ...]:
        """Each distinct condition of policies, offers and their rules."""
        of_policies = [condition for policy in self.policies for condition in policy.conditions]
        of_rules = [condition for terms in self.terms.values() for rule in terms.automatic for condition in rule.conditions]
        return tuple({condition.text: condition for condition in (*of_policies, *of_rules)}.values())

    @cached_property
    def members(self) -> frozenset[str]:
        return frozenset[str]().union(*(condition.members for condition in self.conditions))

    @cached_property
    def agent_reads(self) -> frozenset[str]:
        """The agent attributes that a statement reads."""
        of_rules = (condition.agent_reads for condition in self.conditions)
        return frozenset[str]().union(*(policy.agent_reads for policy in self.policies), *of_rules)

    @cached_property
    def grants_to_agents(self) -> bool:
        return any(policy.grants_to is GrantTarget.AGENTS for policy in self.policies)

    def texts(self, member: str) -> frozenset[str]:
        """Return the texts in all conditions that read the member."""
        return frozenset[str]().union(*(condition.texts for condition in self.conditions if member in condition.members))

    def numbers(self, member: str) -> frozenset[int]:
        """Return the numbers in all conditions that read the member."""
        return frozenset[int]().union(*(condition.numbers for condition in self.conditions if member in condition.members))

    def refuses(self, who: Requester) -> bool:
        """True if the terms of the folder refuse the request."""
        return who.agent in self._refused and who in self._refused[who.agent]

    @property
    def bounds(self) -> frozenset[int]:
        """The longest lifetimes that terms which changed permit."""
        return frozenset(bound for each in self._refused.values() for bound in (each.above, each.most))

    def agent_key(self, name: ObjectName) -> Hashable:
        """Return a key: agents with equal keys get equal access for each user, purpose and lifetime."""
        agent = self.snapshot.agents.get(name)
        if agent is None or self.index is None:
            return agent is None
        asking = self._asking(Requester(User("", ""), name, self.platform))
        named = (name.name if AGENT_NAME in self.members else None, name.namespace if AGENT_NAMESPACE in self.members else None)
        return asking.agent_attributes.only(self.agent_reads), named, asking.combination, self.of_agent(name), self._refused.get(name)

    def of_agent(self, name: ObjectName) -> Hashable:
        """Return a key of all that only this Agent says: its users, that it is suspended, and its own tables."""
        agent = self.snapshot.agents.get(name)
        return agent and (agent.users, agent.suspended, name if any(policy.agent == name for policy in self.policies) else None)

    def request_key(self, who: Requester) -> Hashable:
        """Return a key: requests with equal keys and equal `of_agent` get equal access for each user."""
        if who.agent not in self.snapshot.agents or self.index is None:
            return None
        asking = self._asking(who)
        facts = facts_of(asking.agent_attributes)
        return (
            self.refuses(who),
            asking.combination if self.grants_to_agents else asking.combination is Combination.INTERSECTION,
            tuple(all(meets(requirement, facts) for requirement in each) for each in self._agent_requirements),
            tuple(who.purpose in each for each in self._asked_purposes),
            tuple(self._answer(condition, asking) for condition in self.conditions),
        )

    def user_key(self, user: User) -> Hashable:
        """Return a key: users with equal keys get equal access in each request."""
        attributes = self.attributes(user)
        facts = facts_of(attributes)
        required = tuple((key in facts, values & facts.get(key, frozenset())) for key, values in self._required_values)
        fitting = tuple(met(demand, facts) for demand in self._demands)
        named = user if self._names_users else None
        return user in self.snapshot.suspended_users, bool(facts), required, fitting, attributes.only(self._values_read), named

    def attributes(self, user: User) -> Attributes:
        known = self.snapshot.people.get(user)
        return known.attributes if known else Attributes()

    @cached_property
    def _agent_requirements(self) -> Sequence[tuple[Requirement, ...]]:
        return list(dict.fromkeys(policy.agents for policy in self.policies if policy.agents))

    @cached_property
    def _asked_purposes(self) -> Sequence[frozenset[str]]:
        return list(dict.fromkeys(terms.purposes for terms in self.terms.values() if terms.purposes is not None))

    @cached_property
    def _required_values(self) -> Sequence[tuple[str, frozenset[str]]]:
        """The values that requirements on users name, by attribute."""
        values: dict[str, frozenset[str]] = {}
        subjects: Iterable[tuple[Requirement, ...]] = [
            *(policy.users for policy in self.policies),
            *(guardrail.users for guardrail in self.guardrails),
            *(agent.users for agent in self.snapshot.agents.values()),
        ]
        for requirement in (requirement for each in subjects for requirement in each):
            values[requirement.key] = values.get(requirement.key, frozenset()) | requirement.values
        return sorted(values.items())

    @cached_property
    def _demands(self) -> Sequence[Demand]:
        of_policies = (demand for policy in self.policies for grants in policy.grant_sets for demand in grants.demands)
        of_guardrails = (demand for guardrail in self.guardrails for each in guardrail.restraint_sets for demand in each.demands)
        return list(dict.fromkeys([*of_policies, *of_guardrails]))

    @cached_property
    def _values_read(self) -> frozenset[str]:
        """The attributes of users whose values count one by one."""
        ties = {tie.attribute for policy in self.policies for grants in policy.grant_sets for tie in grants.ties}
        return frozenset(ties).union(*(condition.reads for condition in self.conditions))

    @cached_property
    def _names_users(self) -> bool:
        return any(member.startswith("user.") for member in self.members)

    def _asking(self, who: Requester) -> RequestContext:
        return self.snapshot.asking(who.request)

    def _answer(self, condition: MatchCondition, asking: RequestContext) -> Hashable:
        """Return if the condition holds. If it reads the user, too: the facts that it reads."""
        facts = (
            *(_fact(asking, member, condition) for member in sorted(condition.members)),
            *(asking.agent_attributes.values(key) for key in sorted(condition.agent_reads)),
        )
        if condition.reads or any(member.startswith("user.") for member in condition.members):
            return facts
        key = (condition.text, facts)
        if key not in self._answers:
            self._answers[key] = not Answers(Attributes(), asking).unmet(condition)
        return self._answers[key]


def _fact(asking: RequestContext, member: str, condition: MatchCondition) -> Hashable:
    """Return a fact; of the lifetime, its place among the numbers of the condition."""
    match member:
        case "request.purpose":
            return asking.purpose
        case "request.expirationSeconds":
            seconds = asking.expiration_seconds or 0
            return tuple((each > seconds, each == seconds) for each in sorted(condition.numbers))
        case "agent.name":
            return asking.agent and asking.agent.name
        case "agent.namespace":
            return asking.agent and asking.agent.namespace
        case _:  # the platform, and the user
            return None
