"""The people and agents whom policies grant a table, or would by asking, by the decision of a vend. Pure.

Users, agents, purposes and lifetimes that no statement distinguishes are decided once.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from rolevend.access_report.answer import ActingNames, PossibleAccess, policies_on
from rolevend.access_report.strangers import Stranger, strangers
from rolevend.access_report.target import AccessQuestion
from rolevend.audit.evidence import TableAccess, tables_of
from rolevend.decision.admission import permitting, terms_for
from rolevend.decision.description import visible_rows
from rolevend.decision.offers import ApprovedBy, available_offers
from rolevend.decision.outcome import Granted, Request
from rolevend.decision.proof import Presented, Proof, UserProof
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import KnownUser
from rolevend.model import ObjectName, PlatformName, User
from rolevend.plan import TableShape
from rolevend.policytools.decisions import Requester
from rolevend.policytools.distinctions import Distinctions
from rolevend.policytools.outcomes import Ranges, outcomes
from rolevend.policytools.request_variants import MOST_VARIANTS, NO_PURPOSE, Lifetime, RequestVariant, classes, lifetimes, named_purposes

MOST_CASES: Final = 20_000
"""On each platform: groups of users that nothing distinguishes, times the variants."""
_PROOF: Final = Proof(UserProof.TOKEN, "", "", "", datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class _Found:
    how: ApprovedBy | None
    policies: tuple[str, ...]
    access: TableAccess
    rows: str


class PossibleReaders:
    """The answer on one platform. Iterate once; afterwards `notes` says what was not tried."""

    def __init__(
        self,
        snapshot: Snapshot,
        platform: PlatformName,
        question: AccessQuestion,
        issuers: Mapping[str, frozenset[str]],
    ) -> None:
        """`issuers` as of `strangers`."""
        target, selection = question.target, question.selection
        index = snapshot.shapes[platform].index
        others, notes = ([], []) if selection.user is not None else strangers(index, target.table, issuers)
        self._strangers = {each.user: each for each in others}
        known = {each.user: KnownUser(each.user, None, each.attributes) for each in others}
        self._index = index
        self._snapshot = replace(snapshot, people={**known, **snapshot.people})
        self._side = Distinctions(self._snapshot, platform)
        self._platform, self._target, self._purpose, self._is_over = platform, target, question.purpose, question.is_over
        self._agents = [each for each in sorted(snapshot.agents) if replace(selection, user=None).of_people(acting_names(snapshot, each))]
        chosen = replace(selection, agent=None)
        self._people = [each for each in sorted(snapshot.people) if chosen.of_people(acting_names(snapshot, user=each))]
        self.notes = [*notes, *self._untried_tokens(issuers, is_named=selection.user is not None)]

    def __iter__(self) -> Iterator[PossibleAccess]:
        variants = list(islice(self._variants(), MOST_VARIANTS + 1))
        if len(variants) > MOST_VARIANTS:
            self.notes.append(
                f"not tried: more than {MOST_VARIANTS} combinations of agent, purpose and lifetime; choose an agent and a purpose"
            )
        left = MOST_CASES
        for group in self._groups():
            if self._is_over():
                self.notes.append("not tried: some users, because that took too long; choose a user, an agent or a purpose")
                return
            admitted = [each for each in variants[:MOST_VARIANTS] if self._is_admitted(group[0], each)]
            alike = classes([self._side], self._platform, admitted, frozenset())
            left -= len(alike)
            if left < 0:
                self.notes.append(f"not tried: some users; at most {MOST_CASES} cases are; choose a user, an agent or a purpose")
                return
            found = {member: self._found(group[0], each.members[0]) for each in alike for member in each.members}
            yield from self._entries(group, found)

    def _untried_tokens(self, issuers: Mapping[str, frozenset[str]], *, is_named: bool) -> Iterator[str]:
        """Yield a note for what the tokens of the chosen people could give them."""
        reads = self._snapshot.shapes[self._platform].reads
        for issuer in sorted({each.issuer for each in self._people}.intersection(issuers)):
            if given := sorted(issuers[issuer] & reads):
                yield f"not tried: other values of {', '.join(given)}, which tokens of {issuer} may give to people with UserAttributes"
        if is_named and issuers and not self._people:
            yield "not tried: a user whom no UserAttributes names; if no user is chosen, those that begin with `anyone` stand for them"

    def _groups(self) -> list[list[User]]:
        """Return the users that get equal access in each request, and whose tokens are accepted alike."""
        alike: dict[Hashable, list[User]] = {}
        for user in (*self._people, *self._strangers):
            stranger = self._strangers.get(user)
            proven = None if stranger is None else stranger.proven
            alike.setdefault((proven, user.issuer in self._snapshot.issuers, self._side.user_key(user)), []).append(user)
        return list(alike.values())

    def _variants(self) -> Iterator[RequestVariant]:
        """Yield the agents that the platform admits, with each purpose and lifetime that something distinguishes."""
        purposes = [NO_PURPOSE, *sorted(named_purposes([self._snapshot], [self._platform]))]
        stated = purposes if self._purpose is None else [self._purpose]
        for name in self._agents:
            longest = self._longest(name)
            for lifetime in lifetimes([self._side]):
                if lifetime.shortest <= longest:
                    within = Lifetime(lifetime.shortest, min(lifetime.longest, longest))
                    yield from (RequestVariant((name,), purpose, within) for purpose in stated)

    def _longest(self, name: ObjectName) -> int:
        """Return the longest lifetime of the agent's roles; 0 if the platform does not admit it."""
        agent, labels = self._snapshot.agents[name], self._snapshot.namespaces.get(name.namespace)
        if labels is None:
            self.notes.append(f"not tried: agents of namespace {name.namespace}, whose labels are not known")
            return 0
        here = permitting(agent, terms_for(self._snapshot.platforms[self._platform], labels, agent))
        return min(agent.longest_seconds, max((each.longest_seconds for each in here), default=0))

    def _is_admitted(self, user: User, variant: RequestVariant) -> bool:
        return self._snapshot.blocked(self._request(user, variant), role_exists=True) is None

    def _request(self, user: User, variant: RequestVariant) -> Request:
        """Return a request for the table, with a token where the agent needs one, or where it gives the user's attributes."""
        who = replace(variant.requester(user, self._platform), resources=(self._target.table,))
        stranger = self._strangers.get(user)
        if stranger is not None and stranger.proven:
            return replace(who, token=Presented(), proof=replace(_PROOF, attributes=stranger.claimed)).request
        return who.request if stranger is not None else proven(self._snapshot, who).request

    def _found(self, user: User, variant: RequestVariant) -> Sequence[_Found]:
        request, found = self._request(user, variant), list[_Found]()
        decision = self._snapshot.decide(request, role_exists=True)
        if isinstance(decision, Granted):
            policies = policies_on(self._index, decision.granted_by.get(self._target.table, ()), self._target)
            found += self._shown(None, policies, decision.tables)
        for offer in available_offers(self._snapshot, request, role_exists=True):
            if offer.purpose == request.purpose:  # others are found with the purpose that they need
                found += self._shown(offer.how, (str(offer.terms.offer),), offer.effect.profile.tables)
        return [each for each in found if self._target.is_shown_by(each.access)]

    def _shown(self, how: ApprovedBy | None, policies: tuple[str, ...], tables: Iterable[TableShape]) -> list[_Found]:
        shapes = [each for each in tables if each.table == self._target.table]
        return [_Found(how, policies, access, visible_rows(shape, None)) for shape, access in zip(shapes, tables_of(shapes), strict=True)]

    def _entries(self, users: Iterable[User], found: Mapping[RequestVariant, Sequence[_Found]]) -> Iterator[PossibleAccess]:
        by_agent: dict[ObjectName, dict[RequestVariant, Sequence[_Found]]] = {}
        for variant, each in found.items():
            by_agent.setdefault(variant.agents[0], {})[variant] = each
        for name, of_agent in by_agent.items():
            for outcome in outcomes(of_agent, Ranges.of(of_agent)):
                for user in users:
                    stranger = self._strangers.get(user)
                    yield PossibleAccess(
                        acting=acting_names(self._snapshot, name, user),
                        is_stranger=stranger is not None,
                        platform=self._platform,
                        proof=_proof(stranger, may_assert=self._snapshot.agents[name].may_assert),
                        when=outcome.when,
                        how=outcome.difference.how,
                        policies=outcome.difference.policies,
                        access=outcome.difference.access,
                        rows=outcome.difference.rows,
                    )


def proven(snapshot: Snapshot, who: Requester) -> Requester:
    """Return the request with a token of the user, if the agent needs one."""
    return who if snapshot.agents[who.agent].may_assert else replace(who, token=Presented(), proof=_PROOF)


def _proof(stranger: Stranger | None, *, may_assert: bool) -> str:
    is_asserted = may_assert if stranger is None else not stranger.proven
    return (UserProof.ASSERTED if is_asserted else UserProof.TOKEN).value


def acting_names(snapshot: Snapshot, agent: ObjectName | None = None, user: User | None = None) -> ActingNames:
    known = None if user is None else snapshot.people.get(user)
    return ActingNames(
        agent="" if agent is None else str(agent),
        agent_handle=None if agent is None else snapshot.agents[agent].handle,
        user_issuer="" if user is None else user.issuer,
        user_subject="" if user is None else user.subject,
        user_handle=None if known is None else known.handle,
    )
