"""Offers: policies that grant nothing until an approval activates one, narrowed to what was asked for and approved."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from rolevend.catalog import TableId
from rolevend.model import Attributes, ClusterId, ObjectName
from rolevend.plan import plan
from rolevend.policy.activation import activated, alone, find_offer
from rolevend.policy.decision import decide
from rolevend.policy.index import Index, compile_policies
from rolevend.policy.mask import Nullify, Partial
from rolevend.policy.offer import Activation, Narrowing
from rolevend.policy.predicate import parse
from rolevend.policy.refusal import Denial
from rolevend.policy.request_context import Combination, GrantTarget, RequestContext
from rolevend.policy.statement import ColumnSelector, Policy, TableSelector
from tests.support import oracle
from tests.support.policies import (
    EVERY_FAMILY,
    catalog,
    column,
    guardrail,
    guardrails,
    mask_rules,
    masked,
    policies,
    policy,
    rows,
    table,
    user,
    users,
)

CLUSTER = ClusterId("5d4c9f0e-8d0c-4a44-9d7b-2d8f3a1c6b5e")
CASES = settings(deadline=None)
OFFER = ObjectName("domain", "offer")
CLAIMS = user(department=["claims"])
PEOPLE = table("claims.people", column("id"), column("ssn"))
PAYMENTS = table("claims.payments", column("id"), column("amount"))
HIDDEN = policy("standing", masks=(masked(Nullify(), "ssn"),), tables=TableSelector(names=(PEOPLE.id,)))


def offer(**changes: object) -> Policy:
    return policy("offer", on_request=True, **changes)


def index_of(*given_policies: Policy, limits=()) -> Index:
    return compile_policies(catalog(PEOPLE, PAYMENTS), given_policies, limits)


def shown(index: Index, somebody: Attributes = CLAIMS, asking: RequestContext | None = None) -> dict[str, dict[str, str]]:
    """The name of the mask of each column, by table; of the last cell, which the other rows have."""
    decision = decide(somebody, index, asking)
    if isinstance(decision, Denial):
        return {}
    tables = plan(decision, CLUSTER).tables
    return {each.table.name: {one.name: type(one.cells[-1].mask).__name__ for one in each.columns} for each in tables}


def active(index: Index, *narrowings: Narrowing) -> dict[str, dict[str, str]]:
    return shown(activated(index, Activation(OFFER, narrowings)))


class TestWithoutAnApproval:
    @CASES
    @given(policies(most=5), users(), rows(), guardrails(), st.data())
    def test_an_offer_changes_no_decision(self, given_policies, somebody, some_rows, some_guardrails, draw):
        offered = draw.draw(st.lists(st.sampled_from(given_policies), unique_by=lambda each: each.id))
        some = [replace(each, on_request=each in offered) for each in given_policies]
        standing = [each for each in given_policies if each not in offered]
        with_offers = compile_policies(catalog(EVERY_FAMILY), some, some_guardrails)

        assert decide(somebody, with_offers) == decide(somebody, compile_policies(catalog(EVERY_FAMILY), standing, some_guardrails))

    def test_it_is_found_by_its_name(self):
        index = index_of(HIDDEN, offer())

        assert find_offer(index, OFFER) is not None
        assert find_offer(index, HIDDEN.id) is None
        assert [each.policy for each in index.offer_reports] == [OFFER]

    def test_a_change_between_policy_and_offer_is_seen_by_an_index_that_shares_parts(self):
        before = index_of(HIDDEN, offer())
        after = compile_policies(catalog(PEOPLE, PAYMENTS), (HIDDEN, replace(offer(), on_request=False)), before=before)

        assert not after.offers
        assert shown(after) == active(before)


class TestAnActiveOffer:
    @CASES
    @given(policies(most=5), users(), rows(), guardrails(), st.data())
    def test_it_shows_what_a_policy_would_beside_the_others(self, given_policies, somebody, some_rows, some_guardrails, draw):
        """Cell by cell, held against the oracle: rows, columns and masks, narrowed or not."""
        first, *others = given_policies
        extra = tuple(draw.draw(st.lists(mask_rules(EVERY_FAMILY, "xyz", st.just(ColumnSelector(names=("*",)))), max_size=2)))
        only = draw.draw(st.none() | st.lists(st.sampled_from([each.name for each in EVERY_FAMILY.columns]), min_size=1, max_size=4))
        base = replace(first, columns=ColumnSelector(names=("*",)))
        narrowing = Narrowing(columns=None if only is None else frozenset(only), masks=extra)
        index = compile_policies(catalog(EVERY_FAMILY), [replace(base, on_request=True), *others], some_guardrails)
        as_policy = replace(base, masks=(*base.masks, *extra), columns=ColumnSelector(names=tuple(only or ("*",))))
        decision = decide(somebody, activated(index, Activation(base.id, (narrowing,))))
        shape = None if isinstance(decision, Denial) else plan(decision, CLUSTER).tables[0]

        expected = oracle.expected([as_policy, *others], EVERY_FAMILY, somebody, some_rows, some_guardrails)
        granted = oracle.alone(as_policy, EVERY_FAMILY, somebody, some_rows) is not None
        if compile_policies(catalog(EVERY_FAMILY), [base]).policies[0].grant_sets:  # a policy whose masks match nothing grants nothing
            assert oracle.shown(shape, somebody, some_rows) == expected
        else:
            assert shape is None
            assert not granted

    def test_it_adds_to_the_policies_per_cell(self):
        assert shown(index_of(HIDDEN, offer())) == {"people": {"id": "Clear", "ssn": "Nullify"}}
        assert active(index_of(HIDDEN, offer())) == {
            "people": {"id": "Clear", "ssn": "Clear"},
            "payments": {"id": "Clear", "amount": "Clear"},
        }

    def test_tables_that_it_does_not_offer_are_not_granted(self):
        index = index_of(policy("standing"), offer(tables=TableSelector(names=(PEOPLE.id,))))

        assert active(index).keys() == {"people"}

    def test_narrowed_to_tables_it_grants_only_these(self):
        index = index_of(policy("standing"), offer())

        assert active(index, Narrowing(tables=frozenset({PEOPLE.id}))).keys() == {"people"}

    def test_all_narrowings_apply(self):
        index = index_of(offer())
        asked, approved = Narrowing(tables=frozenset({PEOPLE.id, PAYMENTS.id})), Narrowing(tables=frozenset({PAYMENTS.id}))

        assert active(index, asked, approved, Narrowing(columns=frozenset({"amount"}))) == {"payments": {"amount": "Clear"}}

    def test_narrowed_to_a_column_the_others_are_as_policies_grant_them(self):
        index = index_of(policy("standing", columns=ColumnSelector(names=("id",))), offer())

        assert active(index, Narrowing(columns=frozenset({"ssn"}))) == {"people": {"id": "Clear", "ssn": "Clear"}}

    def test_a_mask_of_the_approver_only_adds(self):
        index = index_of(offer(masks=(masked(Nullify(), "ssn"),)))

        assert active(index, Narrowing(masks=(masked(Partial(4), "ssn", "id"),)))["people"] == {"id": "Partial", "ssn": "Nullify"}

    def test_a_mask_that_no_column_has_leaves_nothing(self):
        """The approver misspelled the column that he wants to hide."""
        assert active(index_of(offer()), Narrowing(masks=(masked(Nullify(), "snn"),))) == {}

    def test_what_it_does_not_have_leaves_nothing(self):
        index = index_of(policy("standing"), offer(tables=TableSelector(names=(PEOPLE.id,))))

        assert active(index, Narrowing(tables=frozenset({PAYMENTS.id}))) == {}
        assert active(index, Narrowing(tables=frozenset({TableId("claims", "unknown")}))) == {}
        assert active(index, Narrowing(columns=frozenset({"amount"}))) == {}

    def test_guardrails_win(self):
        closed = guardrail(tables=TableSelector(names=(PEOPLE.id,)), denied_columns=ColumnSelector(names=("ssn",)))

        assert active(index_of(HIDDEN, offer(), limits=(closed,)))["people"] == {"id": "Clear"}

    def test_an_offer_that_is_gone_leaves_nothing(self):
        assert active(index_of(policy("standing"))) == {}

    def test_it_grants_only_to_users_whom_it_covers_and_who_have_its_attributes(self):
        index = index_of(offer(row_filter=parse("ssn = user_attr('ssn')")))

        assert active(index) == {}
        assert shown(activated(index, Activation(OFFER)), user(department=["finance"], ssn=["1"])) == {}
        assert shown(activated(index, Activation(OFFER)), user(department=["claims"], ssn=["1"])).keys() == {"people"}


class TestItsEffectAlone:
    def test_standing_grants_are_no_part_of_it(self):
        index = index_of(policy("standing"), offer(columns=ColumnSelector(names=("ssn",))))

        assert shown(alone(index, Activation(OFFER))) == {"people": {"ssn": "Clear"}}

    def test_of_an_agent_that_reads_the_intersection_both_must_grant(self):
        of_agents = policy("agents", grants_to=GrantTarget.AGENTS, users=(), agents=HIDDEN.users, columns=ColumnSelector(names=("id",)))
        index = index_of(of_agents, offer())
        asking = RequestContext(agent_attributes=CLAIMS, combination=Combination.INTERSECTION)

        assert shown(alone(index, Activation(OFFER), with_agents=True), asking=asking)["people"] == {"id": "Clear"}
        assert shown(alone(index, Activation(OFFER)))["people"] == {"id": "Clear", "ssn": "Clear"}
