"""What the user may read and what the agent itself may read, combined: each mode exactly, on random policies of both sides and by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolevend.catalog import Family, TableId
from rolevend.model import Attributes, ClusterId
from rolevend.plan import Profile, TableShape, attribute_keys, contains, plan
from rolevend.policy.condition import admit
from rolevend.policy.decision import decide, entitlement, switch
from rolevend.policy.expression import render
from rolevend.policy.index import compile_policies
from rolevend.policy.mask import Clear, Constant, Hash, Mask, Nullify, Partial, Regex, Round, strictest, strictness
from rolevend.policy.predicate import parse
from rolevend.policy.refusal import Denial, Reason
from rolevend.policy.request_context import Combination, GrantTarget, RequestContext
from rolevend.policy.statement import ColumnSelector, Policy, Requirement, TableSelector
from tests.support import oracle
from tests.support.oracle_values import tells_no_more
from tests.support.policies import (
    EVERY_FAMILY,
    MASKS,
    agents,
    catalog,
    column,
    guardrail,
    guardrails,
    masked,
    of_both_sides,
    policy,
    rows,
    table,
    user,
    users,
)

CLUSTER = ClusterId("5d4c9f0e-8d0c-4a44-9d7b-2d8f3a1c6b5e")
CASES = settings(deadline=None)
UNION, USER_CEILING, INTERSECTION = Combination
FAMILIES = {column.name: column.family for column in EVERY_FAMILY.columns}
TRUSTED = Attributes.of([("trust", ["high"])])
EU, SMALL, OPEN = parse("text = 'DE'"), parse("integer < 10"), parse("boolean = true")


def asked(agent: Attributes, combination: Combination) -> RequestContext:
    return RequestContext(agent_attributes=agent, combination=combination)


def decided(given_policies, somebody, agent, combination, some_guardrails=()):
    return decide(somebody, compile_policies(catalog(), given_policies, some_guardrails), asked(agent, combination))


def profile_of(given_policies, somebody, agent, combination, some_guardrails=()) -> Profile | None:
    decision = decided(given_policies, somebody, agent, combination, some_guardrails)
    return None if isinstance(decision, Denial) else plan(decision, CLUSTER)


def shape_of(given_policies, somebody, agent, combination, some_guardrails=()) -> TableShape | None:
    profile = profile_of(given_policies, somebody, agent, combination, some_guardrails)
    return None if profile is None else profile.tables[0]


def own(name: str = "own", **changes: object) -> Policy:
    """A policy that grants every column of every table to trusted agents."""
    fields: dict[str, object] = {"users": (), "agents": (Requirement("trust", frozenset({"high"})),), "grants_to": GrantTarget.AGENTS}
    return policy(name, **(fields | changes))


def crossed(*given_policies: Policy) -> TableShape:
    shape = shape_of(given_policies, user(), TRUSTED, INTERSECTION)
    assert shape is not None
    return shape


def texts(conditions) -> list[str]:
    return ["" if each.predicate is None else render(each.predicate) for each in conditions]


def cells(shape: TableShape, name: str) -> list[tuple[list[str], list[str], Mask]]:
    (column,) = [each for each in shape.columns if each.name == name]
    return [(texts(cell.conditions), texts(cell.also), cell.mask) for cell in column.cells]


@CASES
@given(of_both_sides(), users(), agents(), rows(), guardrails(), st.sampled_from(Combination))
def test_no_cell_leaks_and_no_cell_is_masked_more_than_both_sides_say(
    given_policies, somebody, agent, some_rows, some_guardrails, combination
):
    shown = oracle.shown(shape_of(given_policies, somebody, agent, combination, some_guardrails), somebody, some_rows)

    assert shown == oracle.expected(given_policies, EVERY_FAMILY, somebody, some_rows, some_guardrails, agent, combination)


@CASES
@given(of_both_sides(), users(), agents(), rows(), guardrails())
def test_an_intersection_is_wider_than_neither_side(given_policies, somebody, agent, some_rows, some_guardrails):
    both = oracle.shown(shape_of(given_policies, somebody, agent, INTERSECTION, some_guardrails), somebody, some_rows)
    for side in GrantTarget:
        of_side = [each for each in given_policies if each.grants_to is side]
        alone = oracle.shown(shape_of(of_side, somebody, agent, UNION, some_guardrails), somebody, some_rows)
        runs = [run for each in of_side if (run := oracle.alone(each, EVERY_FAMILY, somebody, some_rows, agent)) is not None]
        for place, (one, sides) in enumerate(zip(both, alone, strict=True)):
            assert one is None or sides is not None
            for name, mask in (one or {}).items():
                assert strictness(mask) >= strictness(sides[name])
                granted = [cells[name] for run in runs if (cells := run[place]) and name in cells]
                assert mask in (Hash(), Nullify()) or any(tells_no_more(mask, each, FAMILIES[name]) for each in granted)


@CASES
@given(of_both_sides(), users(), agents(), guardrails())
def test_a_user_ceiling_is_the_user_alone(given_policies, somebody, agent, some_guardrails):
    users_own = [each for each in given_policies if each.grants_to is GrantTarget.USERS]

    ceiling = profile_of(given_policies, somebody, agent, USER_CEILING, some_guardrails)

    assert ceiling == profile_of(users_own, somebody, agent, UNION, some_guardrails)


@CASES
@given(of_both_sides(), users(), agents(), guardrails())
def test_a_union_is_as_if_all_were_granted_to_the_user(given_policies, somebody, agent, some_guardrails):
    covering = [each for each in given_policies if each.grants_to is GrantTarget.USERS]
    granted = [
        each for each in given_policies if each.grants_to is GrantTarget.AGENTS and set(agent.values("trust")) & each.agents[0].values
    ]
    everybody = Attributes((*somebody, ("present", ("yes",))))
    as_users = [policy(each.id.name, **{**_fields(each), "users": (Requirement("present", frozenset({"yes"})),)}) for each in granted]

    union = profile_of(given_policies, everybody, agent, UNION, some_guardrails)

    assert union == profile_of([*covering, *as_users], everybody, agent, USER_CEILING, some_guardrails)


def _fields(each: Policy) -> dict[str, object]:
    return {name: getattr(each, name) for name in ("schemas", "tables", "columns", "row_filter", "masks")}


@CASES
@given(of_both_sides(), users(), agents(), rows(), guardrails(), st.sampled_from(Combination), st.data())
def test_one_policy_more_of_either_side_never_hides_a_row_or_strengthens_a_mask(
    given_policies, somebody, agent, some_rows, some_guardrails, combination, draw
):
    """Whatever guardrails say, and whatever the other side says."""
    fewer = draw.draw(st.lists(st.sampled_from(given_policies), unique_by=lambda each: each.id))
    before = oracle.shown(shape_of(fewer, somebody, agent, combination, some_guardrails), somebody, some_rows)
    after = oracle.shown(shape_of(given_policies, somebody, agent, combination, some_guardrails), somebody, some_rows)

    for old, new in zip(before, after, strict=True):
        assert old is None or new is not None
        for name, mask in (old or {}).items():
            assert strictness(new[name]) <= strictness(mask)


@CASES
@given(of_both_sides(), users(), agents(), guardrails(), st.sampled_from(Combination), st.randoms(use_true_random=False))
def test_the_order_in_which_policies_arrive_changes_nothing(given_policies, somebody, agent, some_guardrails, combination, random):
    shuffled = random.sample(given_policies, len(given_policies))

    assert profile_of(shuffled, somebody, agent, combination, some_guardrails) == profile_of(
        given_policies, somebody, agent, combination, some_guardrails
    )


@CASES
@given(of_both_sides(), users(), agents(), users(), agents(), st.sampled_from(Combination), st.sampled_from(Combination))
def test_what_is_switched_on_determines_the_profile(given_policies, one, agent, other, other_agent, combination, other_combination):
    compiled = compile_policies(catalog(), given_policies)
    first, second = switch(one, compiled, asked(agent, combination)), switch(other, compiled, asked(other_agent, other_combination))

    if not isinstance(first, Denial) and not isinstance(second, Denial) and first.key == second.key:
        found = [entitlement(each, compiled) for each in (first, second)]
        assert isinstance(found[0], Denial) == isinstance(found[1], Denial)
        assert isinstance(found[0], Denial) or plan(found[0], CLUSTER) == plan(found[1], CLUSTER)


@given(st.sampled_from(MASKS), st.sampled_from(MASKS))
def test_the_stricter_of_two_masks_shows_no_more_than_either(one: Mask, other: Mask):
    mask = strictest([one, other])

    assert strictness(mask) >= max(strictness(one), strictness(other))
    assert mask in (one, other, Nullify()) or {one, other} == {Round("10"), Round("15")}
    assert strictness(mask) == strictness(strictest([other, one]))
    assert strictest([one, one]) == one


def test_of_two_patterns_nothing_is_shown_and_of_two_constants_the_users():
    assert strictest([Regex("[a-z]", "x"), Regex("[0-9]", "9")]) == Nullify()
    assert strictest([Constant("0"), Constant("1")]) == Constant("0")


def test_of_a_pattern_and_the_last_characters_neither_side_gets_around_the_other():
    last, no_first = (masked(Partial(4), "text"),), (masked(Regex("^.", ""), "text"),)

    assert cells(crossed(policy(masks=last), own(masks=no_first)), "text") == [([], [], Nullify())]
    assert cells(crossed(policy(masks=no_first), own(masks=last)), "text") == [([], [], Nullify())]


def test_a_milder_grant_of_one_side_hides_nothing_that_both_sides_showed():
    pattern = (masked(Regex("^.", ""), "text"),)
    before = crossed(policy("b", masks=pattern), own(masks=pattern))
    after = crossed(policy("a", row_filter=EU, masks=(masked(Partial(4), "text"),)), policy("b", masks=pattern), own(masks=pattern))

    assert cells(before, "text") == cells(after, "text") == [([], [], Regex("^.", ""))]


class TestAPolicyThatGrantsToAgents:
    def test_counts_for_agents_that_meet_it_and_whoever_the_user_is(self):
        nobody = Attributes()

        assert profile_of([own()], nobody, TRUSTED, UNION)
        assert profile_of([own()], nobody, Attributes.of([("trust", ["low"])]), UNION) is None
        assert profile_of([own()], user(trust=["high"]), nobody, UNION) is None, "an attribute of the user is none of the agent"

    def test_grants_nothing_to_anybody_where_it_says_nothing_of_agents(self):
        assert profile_of([own(agents=())], user(), TRUSTED, UNION) is None
        assert profile_of([policy(), own(agents=())], user(), TRUSTED, INTERSECTION) is None

    def test_grants_to_no_agent_of_which_nothing_is_known(self):
        assert profile_of([own()], user(), Attributes(), UNION) is None

    def test_covers_no_user(self):
        assert profile_of([own()], user(), TRUSTED, USER_CEILING) is None
        assert profile_of([own()], user(), TRUSTED, INTERSECTION) is None

    def test_grants_only_while_its_conditions_hold(self):
        conditional = own(agents=(), conditions=(admit("review", "request.purpose == 'review'", "spec", of_agent=True),))
        compiled = compile_policies(catalog(), [conditional])
        asking = RequestContext(combination=UNION, purpose="review")

        assert not isinstance(decide(Attributes(), compiled, asking), Denial)
        denial = decide(Attributes(), compiled, RequestContext(combination=UNION, purpose="other"))
        assert isinstance(denial, Denial)
        assert denial.reason is Reason.CONDITION_UNMET
        assert "grants to the agent, but its condition review does not hold" in denial.message

    def test_can_show_the_rows_of_the_user_that_the_agent_acts_for(self):
        mine = own(row_filter=parse("text IN (user_attr('countries'))"))

        assert profile_of([mine], Attributes.of([("countries", ["DE"])]), TRUSTED, UNION)
        denial = decided([mine], Attributes(), TRUSTED, UNION)
        assert isinstance(denial, Denial)
        assert denial.reason is Reason.ATTRIBUTE_MISSING


class TestAnIntersection:
    def test_of_which_the_agent_is_granted_nothing_says_so(self):
        denial = decided([policy()], user(), TRUSTED, INTERSECTION)

        assert isinstance(denial, Denial)
        assert denial.reason is Reason.AGENT_NOT_GRANTED

    def test_of_which_the_agent_lacks_something_says_what(self):
        mine = own(row_filter=parse("text IN (user_attr('countries'))"))

        denial = decided([policy(), mine], user(), TRUSTED, INTERSECTION)

        assert isinstance(denial, Denial)
        assert denial.reason is Reason.ATTRIBUTE_MISSING
        assert "domain/own" in denial.message

    def test_speaks_of_the_user_first_where_both_lack_something(self):
        mine = own(row_filter=parse("text IN (user_attr('countries'))"))

        denial = decided([mine], user(), TRUSTED, INTERSECTION)

        assert isinstance(denial, Denial)
        assert denial.reason is Reason.NO_POLICY

    @pytest.mark.parametrize(
        "changes",
        [
            {"columns": ColumnSelector(names=("integer",))},
            {"tables": TableSelector(names=(TableId("claims", "others"),))},
        ],
    )
    def test_without_a_column_in_common_is_nothing(self, changes):
        tables = catalog(EVERY_FAMILY, table("claims.others", *EVERY_FAMILY.columns))
        users_own = policy(columns=ColumnSelector(names=("text",)), tables=TableSelector(names=(TableId("claims", "people"),)))

        denial = decide(user(), compile_policies(tables, [users_own, own(**changes)]), asked(TRUSTED, INTERSECTION))

        assert isinstance(denial, Denial)
        assert denial.reason is Reason.NOTHING_IN_COMMON

    def test_of_which_guardrails_leave_no_column_names_them(self):
        uuid_only = own(columns=ColumnSelector(names=("uuid",)))
        denied = guardrail("no-uuid", denied_columns=ColumnSelector(names=("uuid",)))

        denial = decided([policy(), uuid_only], user(), TRUSTED, INTERSECTION, [denied])

        assert isinstance(denial, Denial)
        assert denial.reason is Reason.GUARDRAIL

    def test_has_a_row_that_both_sides_show(self):
        shape = crossed(policy(row_filter=EU), own(row_filter=SMALL))

        assert texts(shape.rows) == ["\"text\" = 'DE'"]
        assert [texts(each) for each in shape.restrictions] == [['"integer" < 10']]
        assert cells(shape, "uuid") == [([], [], Clear())], "in these rows both sides hold"

    def test_says_no_filter_that_another_one_implies(self):
        both = own("open", row_filter=OPEN), own("eu", row_filter=EU)

        assert (crossed(policy(row_filter=EU), own()).rows, crossed(policy(row_filter=EU), own()).restrictions) == (
            crossed(policy(), own(row_filter=EU)).rows,
            (),
        )
        assert crossed(policy(row_filter=EU), *both).restrictions == ()
        assert (
            crossed(policy("a", row_filter=EU), policy("b", row_filter=OPEN), own(row_filter=EU)).rows
            == crossed(policy(row_filter=EU), own()).rows
        )

    def test_says_no_filter_of_the_agent_that_a_guardrail_implies(self):
        restricted = guardrail(row_restriction=EU)
        own_two = own("own-eu", row_filter=EU, masks=(masked(Hash(), "text"),)), own("own-open", row_filter=OPEN)

        shape = shape_of([policy(), *own_two], user(), TRUSTED, INTERSECTION, [restricted])

        assert shape
        assert (texts(shape.rows), [texts(each) for each in shape.restrictions]) == ([""], [["\"text\" = 'DE'"]])
        assert cells(shape, "text") == [(['"boolean" = true'], [], Clear()), ([], [], Hash())]

    def test_asks_nothing_that_holds_in_every_row_since_the_other_side_has_no_other_filter(self):
        shape = crossed(policy(row_filter=EU), own("own-all", masks=(masked(Hash(), "text"),)), own("own-eu", row_filter=EU))

        assert cells(shape, "text") == [([], [], Clear())]
        assert (texts(shape.rows), shape.restrictions) == (["\"text\" = 'DE'"], ())

    def test_has_one_cell_for_neighbours_that_a_floor_makes_equal(self):
        floored = guardrail(mask_floors=(masked(Hash(), "text"),))
        users_own = policy("eu", row_filter=EU), policy("rest", masks=(masked(Constant("x"), "text"),))
        small = own("small", row_filter=SMALL), own("open", row_filter=OPEN, masks=(masked(Partial(2), "text"),))
        rest = own("rest", masks=(masked(Constant("y"), "text"),))

        shape = shape_of([*users_own, *small, rest], user(), TRUSTED, INTERSECTION, [floored])

        assert shape
        assert cells(shape, "text") == [
            (["\"text\" = 'DE'"], ['"boolean" = true', '"integer" < 10'], Hash()),
            (["\"text\" = 'DE'"], [], Constant("y")),
            ([], [], Constant("x")),
        ]

    def test_leaves_out_a_cell_that_the_next_one_implies(self):
        hashed = masked(Hash(), "text")
        shape = crossed(
            policy("eu", row_filter=EU, masks=(masked(Partial(2), "text"),)),
            policy("rest", masks=(hashed,)),
            own("small", row_filter=SMALL, masks=(hashed,)),
            own("rest", masks=(masked(Nullify(), "text"),)),
        )

        assert cells(shape, "text") == [(['"integer" < 10'], [], Hash())]

    def test_shows_the_stricter_of_what_each_side_shows_in_this_row(self):
        shape = crossed(
            policy("eu", row_filter=EU),
            policy("open", row_filter=OPEN, masks=(masked(Hash(), "text"),)),
            own("own-all", masks=(masked(Nullify(), "text"),)),
            own("own-small", row_filter=SMALL, masks=(masked(Partial(2), "text"),)),
        )

        assert cells(shape, "text") == [
            (["\"text\" = 'DE'"], ['"integer" < 10'], Partial(2)),
            (['"integer" < 10'], [], Hash()),
        ]
        assert cells(shape, "uuid") == [([], [], Clear())]

    def test_shows_nothing_where_the_agents_side_shows_the_row_without_the_column(self):
        shape = crossed(
            policy(row_filter=EU),
            own("own-all", columns=ColumnSelector(names=("integer",))),
            own("own-small", row_filter=SMALL, columns=ColumnSelector(names=("text",))),
        )

        assert cells(shape, "text") == [(['"integer" < 10'], [], Clear())]
        assert [each.name for each in shape.columns] == ["text", "integer"]

    def test_that_gets_wider_or_narrower_is_told_from_the_profile(self):
        filtered = [policy(row_filter=EU), own(row_filter=SMALL)]
        ceiling, both = (profile_of(filtered, user(), TRUSTED, each) for each in (USER_CEILING, INTERSECTION))
        assert ceiling
        assert both
        assert contains(ceiling, both)
        assert not contains(both, ceiling)

    def test_reads_the_attributes_of_both_clauses(self):
        partial, hashed = (masked(Partial(2), "text"),), (masked(Hash(), "text"),)
        mine = own("mine", row_filter=parse("text IN (user_attr('countries'))"))
        given_policies = [policy("a", row_filter=EU), policy("b", masks=partial), mine, own("rest", masks=hashed)]

        profile = profile_of(given_policies, user(countries=["DE"]), TRUSTED, INTERSECTION)

        assert profile
        assert attribute_keys(profile) == ("countries",)
        assert [cell.also for cell in profile.tables[0].columns[0].cells if cell.also]


def test_what_earlier_cells_decide_is_no_part_of_a_later_one():
    hashed, closed = (masked(Hash(), "text"),), policy("c", row_filter=EU, columns=ColumnSelector(names=("uuid",)))
    shape = shape_of([policy("a", row_filter=OPEN), policy("b", row_filter=SMALL, masks=hashed), closed], user(), TRUSTED, UNION)

    assert shape
    assert cells(shape, "text") == [(['"boolean" = true'], [], Clear()), (['"integer" < 10'], [], Hash())]


def test_but_it_is_where_one_cell_takes_the_place_of_two():
    hashed = (masked(Hash(), "text"),)
    shape = crossed(
        policy("a", row_filter=parse("boolean = false")),
        policy("b", row_filter=EU, masks=hashed),
        own("x", row_filter=OPEN),
        own("y", row_filter=SMALL, masks=hashed),
        own("z", row_filter=parse("integer > 50"), columns=ColumnSelector(names=("uuid",))),
    )

    assert cells(shape, "text") == [
        (['"boolean" = false'], ['"boolean" = true'], Clear()),
        (['"boolean" = true', '"integer" < 10'], [], Hash()),
    ]


def test_what_one_sides_filters_say_already_the_other_side_does_not_ask():
    hashed = (masked(Hash(), "text"),)
    shape = crossed(
        *(policy(name, row_filter=each) for name, each in (("a", EU), ("b", OPEN))),
        *(own(name, row_filter=each, masks=hashed) for name, each in (("x", EU), ("y", OPEN))),
        own("z", row_filter=SMALL, columns=ColumnSelector(names=("uuid",))),
    )

    assert cells(shape, "text") == [([], [], Hash())]


GRID = [
    dict.fromkeys((column.name for column in EVERY_FAMILY.columns), None) | {"text": text, "integer": integer, "boolean": flag}
    for text in ("DE", "FR", None)
    for integer in (1, 70)
    for flag in (True, None)
]


def test_neighbours_of_one_mask_of_which_both_clauses_differ_stay_apart():
    hashed = (masked(Hash(), "text"),)
    given_policies = [
        policy("a", row_filter=EU),
        policy("b", row_filter=SMALL, masks=hashed),
        own("x", row_filter=OPEN, masks=(masked(Partial(2), "text"),)),
        own("y", row_filter=parse("integer > 0"), masks=hashed),
    ]
    shape = shape_of(given_policies, user(), TRUSTED, INTERSECTION)

    assert oracle.shown(shape, user(), GRID) == oracle.expected(given_policies, EVERY_FAMILY, user(), GRID, (), TRUSTED, INTERSECTION)


def test_a_clause_that_the_other_implies_is_not_asked():
    given_policies = [
        policy("a", row_filter=EU),
        policy("b", row_filter=SMALL, masks=(masked(Constant("x"), "text"),)),
        *(own(name, row_filter=each, masks=(masked(Hash(), "text"),)) for name, each in (("x", EU), ("y", OPEN))),
    ]
    shape = shape_of(given_policies, user(), TRUSTED, INTERSECTION)
    assert shape is not None
    (cells,) = [each.cells for each in shape.columns if each.name == "text"]

    assert (cells[0].mask, len(cells[0].conditions), cells[0].also) == (Hash(), 1, ())


LAYERED = {
    "multiples of 4 and 6, and of 3 and 4, are shown in steps of 12; the other pairs show more": (
        "integer",
        [Round("4"), Round("3"), Nullify()],
        [Round("6"), Round("4"), Nullify()],
        [[Round("12"), Round("4"), Nullify()], [Round("6"), Round("12"), Nullify()], [Nullify()] * 3],
    ),
    "a hash goes with either pattern, and the two patterns with nothing": (
        "text2",
        [Hash(), Regex("[A-Z]", "x"), Nullify()],
        [Hash(), Regex("[0-9]", "x"), Nullify()],
        [[Hash(), Hash(), Nullify()], [Hash(), Nullify(), Nullify()], [Nullify()] * 3],
    ),
}


@pytest.mark.parametrize(("name", "of_users", "of_agents", "wanted"), LAYERED.values(), ids=LAYERED)
def test_pairs_that_show_one_mask_show_it_whichever_other_pairs_do(name, of_users, of_agents, wanted):
    of = table("claims.people", column("who"), column("through"), column("integer", Family.INTEGER), column("text2"))
    to_agents = {"users": (), "agents": (Requirement("trust", frozenset({"high"})),), "grants_to": GrantTarget.AGENTS}
    given = [
        policy(f"{key}{place}", row_filter=parse(f"{key} = '{place}'"), masks=(masked(mask, name),), **more)
        for key, masks, more in (("who", of_users, {}), ("through", of_agents, to_agents))
        for place, mask in enumerate(masks)
    ]
    trusted, somebody = Attributes.of([("trust", ["high"])]), Attributes.of([("department", ["claims"])])
    asking = RequestContext(agent_attributes=trusted, combination=Combination.INTERSECTION)
    (shape,) = plan(decide(somebody, compile_policies(catalog(of), given), asking), CLUSTER).tables
    rows = [{"who": str(who), "through": str(through), "integer": 1, "text2": "x"} for who in range(3) for through in range(3)]
    expected = oracle.expected(given, of, somebody, rows, (), trusted, Combination.INTERSECTION)

    assert [each and each[name] for each in expected] == [mask for each in wanted for mask in each]
    assert oracle.shown(shape, somebody, rows) == expected
