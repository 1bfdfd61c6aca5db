"""The statements whose change no tried case could show: nobody among the users, or no tried request, meets them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice, product
from typing import Final

from rolevend.access_requests.terms import AutomaticRule
from rolevend.decision.admission import Agent
from rolevend.model import Attributes, User
from rolevend.policy.bitmap import bits, union
from rolevend.policy.condition import Answers
from rolevend.policy.decision import covers
from rolevend.policy.guardrail_compiler import CompiledGuardrail, concerns
from rolevend.policy.index import CompiledPolicy, GrantSet
from rolevend.policy.refusal import bar, lack
from rolevend.policy.request_context import GrantTarget, RequestContext
from rolevend.policy.requirement import facts_of, meets
from rolevend.policytools.carriers import TOKENS
from rolevend.policytools.decisions import Requester
from rolevend.policytools.distinctions import Distinctions

_MOST_ATTEMPTS: Final = 10_000
"""For one statement. Beyond, it counts as untried."""


_Asking = tuple[Agent, RequestContext]


class TriedRequests:
    """The tried requests on one platform in one folder."""

    def __init__(self, side: Distinctions, users: Iterable[User], asked: Iterable[Requester]) -> None:
        """`users` and `asked` represent all others."""
        self.side = side
        people = (side.snapshot.people.get(user) for user in users if user not in side.snapshot.suspended_users)
        self._people = [each.attributes if each else Attributes() for each in people]
        agents, terms = side.snapshot.agents, side.snapshot.platforms.get(side.platform)
        acting = () if terms is None or terms.suspended else (who for who in asked if who.agent in agents)
        self._requests = [(agents[who.agent], side.snapshot.asking(who.request)) for who in acting if not agents[who.agent].suspended]

    def unmet(self, policy: CompiledPolicy) -> str | None:
        """Return the reason why no tried request meets the policy, or None."""
        people, requests = self._people, self._requests
        if policy.grants_to is GrantTarget.USERS:
            people = [each for each in people if covers(policy, facts_of(each))]
            if not people:
                apart = ", and suspended ones do not count" if self.side.snapshot.suspended_users else ""
                return f"no UserAttributes object meets its spec.users{apart}; {TOKENS}"
        else:
            requests = [
                (agent, each)
                for agent, each in requests
                if policy.agent in (None, each.agent) and covers(policy, facts_of(each.agent_attributes))
            ]
        if not self._is_met(people, requests, lambda each, asking: self._barred(policy, each, asking)):
            unmet = "no tried agent, purpose and lifetime meet its spec.agents and its conditions"
            return f"{unmet}; suspended agents, and those that may not act for its users, do not count"
        off = [each for each in policy.grant_sets if not any(_is_on(policy, each, person) for person in people)]
        if off:
            tables = union(each.tables for each in off).bit_count()
            return f"for {tables} of its tables no user has the attributes that its row filter and its tables ask for"
        return None

    def unmet_rule(self, policy: CompiledPolicy, rule: AutomaticRule) -> str | None:
        people = [each for each in self._people if covers(policy, facts_of(each))]

        def barred(user: Attributes, asking: RequestContext) -> bool:
            answers = Answers(user, asking)
            return any(answers.unmet(condition) for condition in rule.conditions)

        return None if self._is_met(people, self._requests, barred) else f"no tried request meets its rule {rule.name}"

    def concerned(self, guardrail: CompiledGuardrail) -> bool:
        return any(concerns(guardrail, facts_of(each)) for each in self._people)

    def _is_met(
        self, people: Sequence[Attributes], requests: Sequence[_Asking], barred: Callable[[Attributes, RequestContext], bool]
    ) -> bool:
        pairs = islice(product(people, requests), _MOST_ATTEMPTS)
        return any(_acts_for(agent, person) and not barred(person, asking) for person, (agent, asking) in pairs)

    def _barred(self, policy: CompiledPolicy, user: Attributes, asking: RequestContext) -> bool:
        return bar(policy, facts_of(asking.agent_attributes), Answers(user, asking)) is not None


def _is_on(policy: CompiledPolicy, grants: GrantSet, user: Attributes) -> bool:
    facts = facts_of(user)
    return lack(policy.id, grants, facts) is None and all(tie.values.isdisjoint(facts[tie.attribute]) != tie.among for tie in grants.ties)


def _acts_for(agent: Agent, user: Attributes) -> bool:
    facts = facts_of(user)
    return all(meets(requirement, facts) for requirement in agent.users)


class _Side:
    """The statements of one folder that differ from those of the other."""

    def __init__(self, tried: TriedRequests, other: Distinctions) -> None:
        self._tried = tried
        self._own = tried.side
        self._other = other

    def untried(self, touched: int) -> Iterator[str]:
        """Yield a sentence for each policy that differs, or that grants one of the `touched` tables, and for each guardrail that
        differs, if no tried request meets it."""
        others = {each.id: each for each in self._other.policies}
        for policy in self._own.policies:
            tables = union(each.tables for each in policy.grant_sets)
            other = others.get(policy.id)
            differs = other is None or (policy.statement, policy.grant_sets) != (other.statement, other.grant_sets)
            name = f"the tables of Agent {policy.agent}" if policy.agent else f"AccessPolicy {policy.id}"
            if differs or tables & touched:
                reason = self._tried.unmet(policy)
                if reason is not None:
                    yield f"{name}: {reason}"
            yield from (f"{name}: {reason}" for reason in self._rules(policy))
        for guardrail in self.differing_guardrails:
            if not self._tried.concerned(guardrail):
                yield f"Guardrail {guardrail.name}: it concerns none of the users; {TOKENS}"

    def _rules(self, policy: CompiledPolicy) -> Iterator[str]:
        terms, others = self._own.terms.get(policy.id), self._other.terms.get(policy.id)
        for rule in terms.automatic if terms else ():
            if others is None or rule not in others.automatic:
                reason = self._tried.unmet_rule(policy, rule)
                if reason is not None:
                    yield reason

    @cached_property
    def differing_guardrails(self) -> list[CompiledGuardrail]:
        others = {each.name: each for each in self._other.guardrails}
        return [each for each in self._own.guardrails if not _is_same(each, others.get(each.name))]

    @property
    def touched(self) -> int:
        """The tables that a differing guardrail restricts, or that differ themselves, as a bitmap."""
        guarded = union(sets.tables for each in self.differing_guardrails for sets in each.restraint_sets)
        own, other = self._own.index, self._other.index
        if own is None or other is None or len(own.tables) != len(other.tables):
            return guarded
        return guarded | bits(place for place, pair in enumerate(zip(own.tables, other.tables, strict=True)) if pair[0] != pair[1])


def _is_same(one: CompiledGuardrail, other: CompiledGuardrail | None) -> bool:
    return other is not None and (one.statement, one.restraint_sets) == (other.statement, other.restraint_sets)


def untried(before: TriedRequests, after: TriedRequests) -> list[str]:
    """Return a sentence for each statement of either folder whose change, if it has one, no tried request shows."""
    sides = _Side(before, after.side), _Side(after, before.side)
    touched = sides[0].touched | sides[1].touched
    return list(dict.fromkeys(sentence for side in sides for sentence in side.untried(touched)))
