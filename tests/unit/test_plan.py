"""From entitlement to profile: shapes are reduced, named by their content, and compared."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolevend.catalog import Family, Table, TableId
from rolevend.model import Attributes, ClusterId, ObjectName
from rolevend.plan import Cell, Profile, TableNames, TableShape, ViewComment, attribute_keys, contains, plan, view_names
from rolevend.policy.decision import Entitlement, decide
from rolevend.policy.expression import Condition
from rolevend.policy.index import compile_policies
from rolevend.policy.mask import Clear, Constant, Hash, Nullify, Partial
from rolevend.policy.predicate import parse
from rolevend.policy.request_context import Combination, GrantTarget, RequestContext
from rolevend.policy.statement import ColumnSelector, Policy, Requirement
from tests.support.policies import catalog, column, masked, policies, policy, table, user, users

CLUSTER = ClusterId("5d4c9f0e-8d0c-4a44-9d7b-2d8f3a1c6b5e")
PEOPLE = table("claims.people", column("id", Family.INTEGER), column("ssn"), column("country"))
EVERY_ROW = Condition((), None)
ID_ONE, ID_TWO = parse("id = 1"), parse("id = 2")


def profile(*policies: Policy, tables: tuple[Table, ...] = (PEOPLE,), cluster: ClusterId = CLUSTER) -> Profile:
    somebody = user(countries=["DE"], level=["1"])
    decision = decide(somebody, compile_policies(catalog(*tables), policies))
    assert isinstance(decision, Entitlement)
    return plan(decision, cluster)


def shape(*policies: Policy) -> TableShape:
    return profile(*policies).tables[0]


def cells(of: TableShape, name: str) -> tuple[Cell, ...]:
    return next(each.cells for each in of.columns if each.name == name)


def test_one_grant_makes_no_case():
    only = shape(policy(row_filter=ID_ONE, masks=(masked(Hash(), "ssn"),)))

    assert len(only.rows) == 1
    assert cells(only, "ssn") == (Cell((), Hash()),)
    assert cells(only, "id") == (Cell((), Clear()),)


def test_equal_filters_make_no_case_and_the_weakest_mask_holds():
    both = shape(policy("a", row_filter=ID_ONE, masks=(masked(Hash(), "ssn"),)), policy("b", row_filter=ID_ONE))

    assert len(both.rows) == 1
    assert cells(both, "ssn") == (Cell((), Clear()),)


def test_filters_are_equal_when_they_mean_the_same_list():
    assert len(shape(policy("a", row_filter=parse("id IN (1, 2)")), policy("b", row_filter=parse("id IN ('2', 01)"))).rows) == 1


def test_equal_masks_make_no_case():
    both = shape(policy("a", row_filter=ID_ONE), policy("b", row_filter=ID_TWO))

    assert len(both.rows) == 2
    assert cells(both, "ssn") == (Cell((), Clear()),)


def test_different_masks_make_a_case_weakest_first_and_the_last_needs_no_condition():
    both = shape(policy("a", row_filter=ID_ONE, masks=(masked(Hash(), "ssn"),)), policy("b", row_filter=ID_TWO))
    one, two = both.rows

    assert [condition.predicate.literal.text for condition in (one, two)] == ["1", "2"]
    assert cells(both, "ssn") == (Cell((two,), Clear()), Cell((), Hash()))


def test_an_unconditional_grant_shows_every_row_and_ends_the_case():
    both = shape(policy("a", masks=(masked(Hash(), "ssn"),)), policy("b", row_filter=ID_TWO))

    assert both.rows == (EVERY_ROW,)
    assert [cell.mask for cell in cells(both, "ssn")] == [Clear(), Hash()]
    assert cells(both, "ssn")[-1].conditions == ()
    assert cells(shape(policy("a"), policy("b", row_filter=ID_TWO, masks=(masked(Hash(), "ssn"),))), "ssn") == (Cell((), Clear()),)


def test_a_column_that_only_some_grants_include_is_null_elsewhere_and_one_that_none_includes_is_absent():
    both = shape(
        policy("a", row_filter=ID_ONE, columns=ColumnSelector(names=("id",))),
        policy("b", row_filter=ID_TWO, columns=ColumnSelector(names=("id", "ssn"))),
    )

    assert [each.name for each in both.columns] == ["id", "ssn"]
    assert cells(both, "ssn") == (Cell((both.rows[1],), Clear()),)
    assert cells(both, "id") == (Cell((), Clear()),)


def test_a_column_that_is_nothing_but_hidden_is_null_without_a_case():
    both = shape(
        policy("a", row_filter=ID_ONE, masks=(masked(Nullify(), "ssn"),)), policy("b", row_filter=ID_TWO, masks=(masked(Nullify(), "ssn"),))
    )

    assert cells(both, "ssn") == (Cell((), Nullify()),)


@pytest.mark.parametrize(
    ("masks", "shown"),
    [
        ((Constant("x"), Constant("y"), Constant("x")), (Constant("x"), Constant("y"), Constant("x"))),
        ((Partial(2), Partial(4), Partial(2)), (Partial(4), Partial(2))),
    ],
)
def test_masks_that_say_nothing_of_each_other_stand_in_the_order_of_their_policies_and_others_in_their_own(masks, shown):
    three = shape(
        *(
            policy(name, row_filter=parse(f"id = {ord(name)}"), masks=(masked(mask, "ssn"),))
            for name, mask in zip("abc", masks, strict=True)
        )
    )

    assert tuple(cell.mask for cell in cells(three, "ssn")) == shown


def test_a_filter_that_both_sides_have_is_asked_once():
    own = policy("own", users=(), agents=(Requirement("trust", frozenset({"high"})),), grants_to=GrantTarget.AGENTS, row_filter=ID_ONE)
    index = compile_policies(catalog(PEOPLE), [policy(row_filter=ID_ONE), own])
    agent = RequestContext(agent_attributes=Attributes.of([("trust", ["high"])]), combination=Combination.INTERSECTION)
    decision = decide(user(), index, agent)
    assert isinstance(decision, Entitlement)
    (both,) = plan(decision, CLUSTER).tables

    assert (len(both.rows), both.restrictions) == (1, ())


def test_a_profile_says_which_attributes_it_reads():
    several = profile(
        policy("a", row_filter=parse("country = user_attr('countries')")),
        policy("b", row_filter=parse("NOT id = user_attr('level')"), masks=(masked(Hash(), "ssn"),)),
    )

    assert attribute_keys(several) == ("countries", "level")
    assert attribute_keys(profile(policy("a", row_filter=ID_ONE))) == ()


def test_a_profiles_name_is_the_same_in_every_release():
    """A change here means that every profile is built anew at the next upgrade: only with a new version of the form."""
    assert profile(policy(row_filter=parse("country IN (user_attr('countries'))"), masks=(masked(Hash(), "ssn"),))).name == (
        "rv_p_a315c39aa6adf7a01e9b62fc0979fd04"
    )


def test_the_name_depends_on_the_shape_and_the_cluster_and_not_on_who_wrote_it():
    base = policy("a", row_filter=ID_ONE)
    renamed = policy("z", id=ObjectName("elsewhere", "z"), row_filter=ID_ONE)
    native = replace(PEOPLE, columns=(replace(PEOPLE.columns[0], native_type="integer"), *PEOPLE.columns[1:]))

    assert profile(base) == profile(renamed)
    assert profile(policy("a", row_filter=ID_ONE), policy("b", row_filter=ID_TWO)) == profile(
        policy("b", row_filter=ID_ONE), policy("a", row_filter=ID_TWO)
    )
    names = {
        profile(base).name,
        profile(base, cluster=ClusterId("another")).name,
        profile(base, tables=(native,)).name,
        profile(policy("a", row_filter=ID_TWO)).name,
        profile(policy("a", row_filter=ID_ONE, masks=(masked(Hash(), "ssn"),))).name,
        profile(policy("a", row_filter=parse("id = user_attr('level')"))).name,
    }
    assert len(names) == 6
    assert all(len(name) == len("rv_p_") + 32 for name in names)


def test_the_type_of_a_column_that_only_the_filter_reads_is_part_of_the_name():
    hidden = policy(row_filter=parse("id = 1"), columns=ColumnSelector(names=("ssn",)))
    native = replace(PEOPLE, columns=(replace(PEOPLE.columns[0], native_type="integer"), *PEOPLE.columns[1:]))

    assert profile(hidden).name != profile(hidden, tables=(native,)).name


@given(policies(), users(), policies(), users())
@settings(deadline=None)
def test_two_profiles_have_one_name_only_if_they_are_equal(some, somebody, others, somebody_else):
    profiles = [
        plan(decision, CLUSTER)
        for decision in (decide(somebody, compile_policies(catalog(), some)), decide(somebody_else, compile_policies(catalog(), others)))
        if isinstance(decision, Entitlement)
    ]

    assert len({each.name for each in profiles}) == len({each.tables for each in profiles})


PAYMENTS = table("claims.payments", column("id", Family.INTEGER))


def test_a_wider_profile_contains_a_narrower_one_whose_tables_are_unchanged():
    narrow = profile(policy(row_filter=ID_ONE))
    wide = profile(policy(row_filter=ID_ONE), tables=(PEOPLE, PAYMENTS))
    changed = profile(policy(row_filter=ID_ONE, masks=(masked(Hash(), "ssn"),)), tables=(PEOPLE, PAYMENTS))

    assert contains(wide, narrow)
    assert contains(narrow, narrow)
    assert not contains(narrow, wide)
    assert not contains(changed, narrow)
    assert not contains(profile(policy()), narrow), "wider rows are another shape: widening waits for the next vend"


def test_tables_keep_their_names_and_tables_of_one_name_get_their_schemas():
    assert view_names([TableId("a", "x"), TableId("b", "y")]) == {TableId("a", "x"): "x", TableId("b", "y"): "y"}
    assert view_names([TableId("a", "x"), TableId("b", "x"), TableId("b", "y")]) == {
        TableId("a", "x"): "a__x",
        TableId("b", "x"): "b__x",
        TableId("b", "y"): "y",
    }


def test_names_that_still_clash_or_are_too_long_end_in_a_hash():
    clashing = view_names([TableId("a", "x"), TableId("b", "x"), TableId("c", "a__x")])
    long = view_names([TableId("s", "é" * 40), TableId("s" * 40, "t" * 40), TableId("s", "t" * 40)])

    assert len(set(clashing.values())) == 3
    assert clashing[TableId("a", "x")].startswith("a__x_")
    assert long[TableId("s", "é" * 40)].startswith("é" * 27 + "_")
    assert all(len(name.encode()) <= 63 for name in long.values())


def test_a_qualified_name_has_the_schema_and_where_that_is_ambiguous_a_hash():
    names = view_names(
        [TableId("a", "x"), TableId("b", "_y__z"), TableId("a_", "x"), TableId("a__b", "x"), TableId("s" * 40, "t" * 40)],
        TableNames.QUALIFIED,
    )
    assert names[TableId("a", "x")] == "a__x"
    assert names[TableId("b", "_y__z")] == "b___y__z"
    assert re.fullmatch("a_x_[0-9a-f]{8}", names[TableId("a_", "x")])
    assert re.fullmatch("a_b_x_[0-9a-f]{8}", names[TableId("a__b", "x")])
    assert re.fullmatch("s{40}_t{13}_[0-9a-f]{8}", names[TableId("s" * 40, "t" * 40)])


def test_a_table_named_like_a_hashed_name_does_not_take_it():
    victim = view_names([TableId("a", "x"), TableId("b", "x"), TableId("c", "a__x")])[TableId("a", "x")]
    names = view_names([TableId("a", "x"), TableId("b", "x"), TableId("c", "a__x"), TableId("d", victim)])

    assert len(set(names.values())) == 4
    assert victim not in names.values(), "it would mean another table than before"


schemas = st.sampled_from(["a", "b", "a_", "a__b", "s" * 60])
bare_names = st.sampled_from(["x", "_x", "b__x", "a__x", "x" * 63, "y"])


@given(st.lists(st.builds(TableId, schemas, bare_names)), st.sampled_from(TableNames), st.randoms(use_true_random=False))
def test_names_are_unique_short_and_independent_of_order(ids, style, random):
    names = view_names(ids, style)

    assert set(names) == set(ids)
    assert len(set(names.values())) == len(names)
    assert all(0 < len(name.encode()) <= 63 for name in names.values())
    assert view_names(random.sample(ids, len(ids)), style) == names


@given(st.lists(st.builds(TableId, schemas, bare_names), min_size=1), st.lists(st.builds(TableId, schemas, bare_names)), st.data())
def test_a_qualified_name_stays_when_more_tables_can_be_read(ids, more, data):
    before = view_names(ids, TableNames.QUALIFIED)
    taken = sorted(before.values())
    squatters = [TableId(schema, data.draw(st.sampled_from(taken)).removeprefix(f"{schema}__")) for schema in ("a", "b", "a_", "z")]
    after = view_names([*ids, *more, *squatters], TableNames.QUALIFIED)
    assert {table: after[table] for table in before} == before


@given(st.lists(st.builds(TableId, schemas, bare_names), min_size=1), st.lists(st.builds(TableId, schemas, bare_names)), st.data())
def test_a_name_never_means_another_table_when_more_tables_can_be_read(ids, more, data):
    before = view_names(ids)
    squatters = [TableId("z", data.draw(st.sampled_from(sorted(before.values())))) for _ in range(2)]
    after = view_names([*ids, *more, *squatters])

    meant = {name: table for table, name in before.items()}
    assert all(meant[name] == table for table, name in after.items() if name in meant)


@given(st.lists(st.builds(TableId, schemas, bare_names), min_size=1), st.lists(st.builds(TableId, schemas, bare_names)), st.data())
def test_a_name_never_means_another_table_while_its_own_can_be_read(ids, more, data):
    before = view_names(ids)
    kept = data.draw(st.lists(st.sampled_from(ids)))
    squatters = [TableId("z", data.draw(st.sampled_from(sorted(before.values())))) for _ in range(2)]
    after = view_names([*kept, *more, *squatters])

    meant = {name: table for table, name in before.items() if table in after}
    assert all(meant[name] == table for table, name in after.items() if name in meant)


def test_a_name_that_an_owner_made_queries_use_cannot_be_taken_by_another_table_of_the_owner():
    """An owner first lets a table of the same name be granted, so that queries name the other one with its schema, or with a hash."""
    victim, same = TableId("claims", "people"), TableId("crm", "people")
    for helpers in ([same], [same, TableId("crm", "claims__people")]):
        used = view_names([victim, *helpers])[victim]
        assert used != "people"
        after = view_names([victim, TableId("crm", used)])
        assert used not in after.values(), "a stored query fails, and does not read the owner's table"
        assert after[victim] == "people"


def test_users_of_another_department_get_another_shape():
    finance = policy("payers", users=(Requirement("department", frozenset({"finance"})),), columns=ColumnSelector(names=("id",)))
    decision = decide(user(department=["finance"]), compile_policies(catalog(PEOPLE), [policy(), finance]))

    assert isinstance(decision, Entitlement)
    assert [each.name for each in plan(decision, CLUSTER).tables[0].columns] == ["id"]


def test_a_profile_has_the_comments_of_what_it_shows_and_its_name_does_not_depend_on_them():
    def commented(word: str) -> Table:
        columns = tuple(replace(each, comment=f"{word} {each.name}") for each in PEOPLE.columns)
        return replace(PEOPLE, columns=columns, comment=word)

    of_some = policy(columns=ColumnSelector(names=("id", "country")), masks=(masked(Hash(), "country"),))
    first, other = (profile(of_some, tables=(commented(word),)) for word in ("first", "other"))

    assert first.comments == (
        ViewComment("people", None, "first"),
        ViewComment("people", "id", "first id"),
        ViewComment("people", "country", "first country"),
    )
    assert first.name == other.name == profile(of_some).name
    assert contains(first, other), "no role ends with a comment"
    assert first.comments != other.comments
