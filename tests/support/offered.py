"""Random requests for an offer and votes on them, over the tables, people, policies and guardrails of `worlds`; and the role that the
product vends with the approval, from the first judgement to the decision."""

from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import strategies as st

from rolevend.access_requests.circumstances import Circumstances
from rolevend.access_requests.judgement import judge
from rolevend.access_requests.request import Recorded, RequestedAccess
from rolevend.access_requests.states import RequestState
from rolevend.access_requests.use import IntendedUse, MayUse, may_use
from rolevend.access_requests.votes import CheckedVote
from rolevend.catalog import Catalog, TableId
from rolevend.decision.approval import ActiveApproval
from rolevend.decision.outcome import Granted, Request
from rolevend.decision.profile_cache import OfferEffect, ProfileCache
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import KnownUser
from rolevend.model import ClusterId, ObjectName, Uid, User, UserHandle
from rolevend.policy.index import compile_policies
from rolevend.policy.mask import Nullify, Partial, Round
from rolevend.policy.offer import Narrowing
from rolevend.policy.request_context import Combination, GrantTarget
from rolevend.policy.statement import ColumnSelector, MaskRule, Policy
from tests.support.asking import NOW, REQUEST, TERMS, vote
from tests.support.oracle_conditions import Asked
from tests.support.oracle_offers import SEEN, Wanted, World
from tests.support.registered import AGENT as REGISTERED
from tests.support.registered import CLUSTER, a_snapshot, terms
from tests.support.registered import TERMS as ADMISSION
from tests.support.worlds import AGENT, SCHEMA, TABLES, Case, cases

ISSUER = "https://idp.example.org"
DECIDED_AFTER, CLAIM_SECONDS = 5, 60
USER_ACCOUNT = "ada@example.org"
"""The account of the user, who never approves."""
_ELSEWHERE = TableId(SCHEMA, "not_there")
_MASKS = (
    MaskRule("hide", ColumnSelector(names=("t*",)), Nullify()),
    MaskRule("cut", ColumnSelector(names=("text",)), Partial(2)),
    MaskRule("round", ColumnSelector(names=("numeric", "integer")), Round("10")),
    MaskRule("misspelled", ColumnSelector(names=("txet",)), Nullify()),
)


@dataclass(frozen=True)
class OfferCase:
    """A case in which one policy is an offer, a request for it, and votes."""

    case: Case
    offer: Policy
    request: RequestedAccess
    votes: tuple[CheckedVote, ...]
    required: int
    must_hold: bool
    longest_seconds: int
    later: int
    """Seconds from the approval to the vend."""

    @property
    def world(self) -> World:
        case = self.case
        return World(self.offer, case.policies, case.guardrails, case.user, case.agent, case.combination, case.asked, case.tables)

    @property
    def wanted(self) -> Wanted:
        asked = self.request
        narrowing = Narrowing(asked.tables, asked.columns)
        return Wanted(asked.name, asked.uid, narrowing, self.required, self.must_hold, frozenset({USER_ACCOUNT}))

    def vended(self, cluster: ClusterId = CLUSTER) -> Granted | None:
        """The role of a VendedRole with the approval; None where there is none."""
        snapshot, asked = self._snapshot(cluster), self.request
        offered = replace(TERMS, offer=self.offer.id, required=self.required, approver_must_hold=self.must_hold)
        offered = replace(offered, longest_seconds=self.longest_seconds, claim_seconds=CLAIM_SECONDS)
        wanted = Request(asked.name, asked.uid, asked.agent, asked.user, asked.platform, NOW, asked.expiration_seconds, asked.purpose)
        effect = snapshot.effect(wanted, asked.activation)
        digest = snapshot.digest(wanted.user, effect) if isinstance(effect, OfferEffect) else None
        first = Circumstances(NOW, offered, digest, attributes=self.case.user, excluded=frozenset({USER_ACCOUNT}))
        pending = judge(asked, Recorded(), first).recorded(Recorded(), NOW)
        voted = replace(first, now=NOW + timedelta(seconds=DECIDED_AFTER), votes=tuple(_having_seen(each, digest) for each in self.votes))
        life = judge(asked, pending, voted).recorded(pending, voted.now)
        if life.state is not RequestState.APPROVED or life.approval is None or life.offered is None:
            return None
        at = voted.now + timedelta(seconds=self.later)
        use = IntendedUse(Uid("5d4c9f0e-8d0c-4a44-9d7b-2d8f3a1c6b5e"), asked.agent, asked.user, asked.platform, at, asked.purpose)
        may = may_use(asked, life, offered, use)
        if not isinstance(may, MayUse):
            return None
        granted = life.approval.activation(asked)
        approval = ActiveApproval(asked.name, asked.uid, asked.activation, granted, life.offered.digest, may.ends_by)
        decision = snapshot.decide(replace(wanted, uid=use.role_uid, created_at=at, approval=approval))
        return decision if isinstance(decision, Granted) else None

    def _snapshot(self, cluster: ClusterId) -> Snapshot:
        case, request = self.case, self.request
        agent = replace(REGISTERED, name=request.agent, combination=case.combination)
        admission = replace(ADMISSION, attributes=case.agent, purposes=frozenset({"audit", "claims"}), widest=Combination.UNION)
        index = compile_policies(Catalog.of(case.tables), case.policies, case.guardrails)
        return a_snapshot(
            agents={agent.name: agent},
            platforms={request.platform: terms(admission)},
            people={request.user: KnownUser(request.user, UserHandle("ADA"), case.user)},
            shapes={request.platform: ProfileCache(index, cluster)},
        )


def _having_seen(checked: CheckedVote, digest: str | None) -> CheckedVote:
    return replace(checked, vote=replace(checked.vote, digest=digest)) if checked.vote.digest == SEEN else checked


def _mostly(usual: object, *rare: object) -> st.SearchStrategy[object]:
    return st.sampled_from([*[usual] * 30, *rare])


def _only_tables() -> st.SearchStrategy[frozenset[TableId] | None]:
    some = st.frozensets(st.sampled_from([*(each.id for each in TABLES), _ELSEWHERE]), min_size=2)
    return st.one_of(st.none(), st.none(), some)


def _only_columns() -> st.SearchStrategy[frozenset[str] | None]:
    names = sorted({column.name for each in TABLES for column in each.columns} | {"not_there"})
    return st.one_of(st.none(), st.none(), st.frozensets(st.sampled_from(names), min_size=2, max_size=8))


def _votes(offer: ObjectName) -> st.SearchStrategy[tuple[CheckedVote, ...]]:
    """Up to four, mostly a yes that counts; a second of the same person, of other requests and offers, and a no are among them."""

    def one(number: int) -> st.SearchStrategy[CheckedVote]:
        return st.builds(
            vote,
            st.sampled_from([*("alice", "bob", "bob", "carol") * 4, USER_ACCOUNT]),
            approves=st.sampled_from([True] * 30 + [False]),
            at=st.just(number),
            may=_mostly(True, False, None),
            holds=_mostly(True, False, None),
            digest=_mostly(SEEN, f"sha256:{'0' * 64}", None),
            offer=_mostly(offer, ObjectName(offer.namespace, "another"), ObjectName("elsewhere", offer.name)),
            request_uid=_mostly(REQUEST.uid, Uid("another")),
            request=_mostly(REQUEST.name, ObjectName("strangers", REQUEST.name.name)),
            name=st.just(f"vote-{number}"),
            expiration_seconds=st.none() | st.integers(5, 900),
            tables=_only_tables(),
            masks=st.lists(st.sampled_from([*_MASKS[:-1] * 6, _MASKS[-1]]), max_size=2, unique_by=lambda each: each.name).map(tuple),
        ).map(lambda made: replace(made, vote=replace(made.vote, name=replace(made.vote.name, namespace=offer.namespace))))

    return st.sampled_from([0, 1, 1, 2, 2, 3, 4]).flatmap(lambda count: st.tuples(*map(one, range(count))))


def offer_cases() -> st.SearchStrategy[OfferCase]:
    return cases().flatmap(_with_an_offer)


def _with_an_offer(case: Case) -> st.SearchStrategy[OfferCase]:
    to_users = [each for each in case.policies if each.grants_to is GrantTarget.USERS and each.agent is None]
    broad = [each for each in to_users if not each.masks or each.tables.names == (TableId("*", "*"),)]
    others = st.sets(st.sampled_from([each.id for each in to_users]), max_size=1)
    return st.tuples(st.sampled_from([*to_users, *broad * 2]), others).flatmap(lambda chosen: _asked(case, *chosen))


def _asked(case: Case, chosen: Policy, others: set[ObjectName]) -> st.SearchStrategy[OfferCase]:
    """`others` are offers, too, which nobody asked for."""
    offer = replace(chosen, on_request=True)
    policies = [replace(each, on_request=each.id == chosen.id or each.id in others) for each in case.policies]
    asked = case.asked
    agent, seconds = asked.agent or AGENT, asked.seconds or 900
    of_a_request = Asked(asked.user, asked.subject or "ada", agent, asked.agent_attributes, asked.purpose, seconds)
    whole = replace(case, policies=policies, asked=of_a_request, resources=None)
    request = replace(
        REQUEST,
        agent=agent,
        user=User(ISSUER, str(of_a_request.subject)),
        offer=offer.id,
        purpose=of_a_request.purpose,
        expiration_seconds=seconds,
    )
    return st.builds(
        OfferCase,
        st.just(whole),
        st.just(offer),
        st.builds(lambda tables, columns: replace(request, tables=tables, columns=columns), _only_tables(), _only_columns()),
        _votes(offer.id),
        st.sampled_from([1, 1, 1, 2]),
        st.booleans(),
        st.integers(5, 1800),
        st.sampled_from([*[1] * 30, CLAIM_SECONDS - 1, CLAIM_SECONDS, CLAIM_SECONDS + 1]),
    )
