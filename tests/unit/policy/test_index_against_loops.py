"""A decision from the index is the decision from plain loops over every policy, table and column, also after the index was mended.

The loops are written here, from what the kinds promise, and know neither the index nor the code that selects for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from rolevend.catalog import Catalog, Column, Family, Table, TableId, TagAssignment
from rolevend.errors import InvalidInput
from rolevend.model import Attributes, ObjectName, Tag
from rolevend.policy.binding import bind
from rolevend.policy.bitmap import places
from rolevend.policy.condition import admit
from rolevend.policy.decision import Entitlement, Switches, decide, switch, tables_granted
from rolevend.policy.expression import AttributeMembership, Predicate, atoms
from rolevend.policy.index import Grant, Index, compile_policies
from rolevend.policy.literal import value_fits
from rolevend.policy.mask import Clear, Hash, Mask, Nullify, Partial, carries, rank
from rolevend.policy.predicate import parse
from rolevend.policy.refusal import Denial
from rolevend.policy.request_context import Combination, GrantTarget, RequestContext
from rolevend.policy.requirement import Requirement, RequirementOperator
from rolevend.policy.statement import ColumnSelector, Guardrail, MaskRule, Policy, TableSelector

IN, NOT_IN, EXISTS, ABSENT = RequirementOperator
Facts = Mapping[str, set[str]]
Grants = Mapping[ObjectName, tuple[Predicate | None, Mapping[str, Mask]]]


# The loops.


@dataclass(frozen=True)
class Decided:
    """By table; `restraints` without those of tables that are not there."""

    grants: dict[TableId, Grants]
    agent_grants: dict[TableId, Grants]
    """Of the other side, where both have to show what is shown; else of no table."""
    restraints: dict[TableId, Mapping[str, tuple[frozenset[str], Predicate | None, Mapping[str, frozenset[Mask]]]]]
    denied: dict[TableId, set[str]]


def by_loops(user: Attributes, asking: RequestContext, catalog: Catalog, policies: list[Policy], rails: list[Guardrail]) -> Decided:
    facts = {key: set(values) for key, values in user}
    decided = Decided({}, {}, {}, {})
    for table in catalog.tables.values():
        all_given = {each: shown for each in policies if (shown := granted(each, table, catalog, facts, asking)) is not None}
        of_users, of_agents = ({each.id: given for each, given in all_given.items() if each.grants_to is side} for side in GrantTarget)
        crossed = asking.combination is Combination.INTERSECTION
        given = of_users if asking.combination is not Combination.UNION else of_users | of_agents
        columns = columns_of(given) & columns_of(of_agents) if crossed else columns_of(given)
        if not columns:
            continue
        taken = {each.name: lost for each in rails if (lost := taken_away(each, table, facts)) is not None}
        outright = {name for name, lost in taken.items() if lost == "table"}
        hiding = {name for name, lost in taken.items() if lost != "table" and lost[0]}
        left = columns.difference(*(lost[0] for lost in taken.values() if lost != "table"))
        if outright or not left:
            decided.denied[table.id] = outright or hiding
        else:
            decided.grants[table.id], decided.restraints[table.id] = given, taken
            if crossed:
                decided.agent_grants[table.id] = of_agents
    return decided


def columns_of(given: Grants) -> set[str]:
    return {name for _, masks in given.values() for name in masks}


def is_for(policy: Policy, facts: Facts, asking: RequestContext) -> bool:
    if policy.agent is not None:
        return policy.agent == asking.agent
    through = {key: set(values) for key, values in asking.agent_attributes}
    of_side = policy.users if policy.grants_to is GrantTarget.USERS else policy.agents
    if not (of_side or policy.conditions) or (policy.conditions and asking.purpose != "claims"):
        return False
    return all(known(each, facts) for each in policy.users) and all(known(each, through) for each in policy.agents)


def granted(policy: Policy, table: Table, catalog: Catalog, facts: Facts, asking: RequestContext) -> Any:
    if not is_for(policy, facts, asking):
        return None
    columns = {column.name: column for column in table.columns if about_column(policy.columns, column, unknown=False)}
    if not about_table(policy, table) or not columns or table.obstacle:
        return None
    for rule in policy.masks:  # which columns it means must be known
        if not any(
            about_column(rule.columns, column, unknown=True)
            for other in catalog.tables.values()
            if about_table(policy, other)
            for column in other.columns
        ):
            return None
    try:
        condition = None if policy.row_filter is None else bind(policy.row_filter, table)
    except InvalidInput:
        return None
    for tie in policy.tables.tags:
        if tie.values_of:
            mine, there = facts.get(tie.values_of, set()), values_under(tie.key, table.tags)
            if not mine or bool(mine & there) != (tie.operator is IN):
                return None
    if not answers(condition, facts):
        return None
    return condition, {name: weakest(policy.masks, column) for name, column in columns.items()}


def taken_away(rail: Guardrail, table: Table, facts: Facts) -> Any:
    """`table`, or what it takes; None: nothing."""
    if table.obstacle or not all(perhaps(each, facts) for each in rail.users):
        return None
    if not selected(rail.tables, table, unknown=True):
        return None
    try:
        condition = None if rail.row_restriction is None else bind(rail.row_restriction, table)
    except InvalidInput:
        return "table"
    if rail.denies_tables or not answers(condition, facts):
        return "table"
    denied = frozenset(
        column.name for column in table.columns if rail.denied_columns and about_column(rail.denied_columns, column, unknown=True)
    )
    floors = {column.name: frozenset(masks_for(rail.mask_floors, column)) - {Clear()} for column in table.columns}
    floors = {name: masks for name, masks in floors.items() if masks}
    return (denied, condition, floors) if denied or condition is not None or floors else None


def about_table(policy: Policy, table: Table) -> bool:
    return table.id.schema in policy.schemas and selected(policy.tables, table, unknown=False)


def selected(selector: TableSelector, table: Table, *, unknown: bool) -> bool:
    if not selector.tags and not selector.names:
        return False
    named = any(fnmatchcase(table.id.schema, each.schema) and fnmatchcase(table.id.name, each.name) for each in selector.names)
    return (named or not selector.names) and all(tagged(each, table.tags, unknown=unknown) for each in selector.tags)


def about_column(selector: ColumnSelector, column: Column, *, unknown: bool) -> bool:
    if not selector.tags and not selector.names:
        return False
    named = not selector.names or any(fnmatchcase(column.name, each) for each in selector.names)
    return named and all(tagged(each, column.tags, unknown=unknown) for each in selector.tags)


def tagged(asked: Requirement, tags: Iterable[Tag], *, unknown: bool) -> bool:
    there = values_under(asked.key, tags)
    if asked.values_of:
        return bool(there)
    if asked.operator is IN:
        return any(fnmatchcase(value, pattern) for value in there for pattern in asked.values)
    if asked.operator is NOT_IN:
        return not any(fnmatchcase(value, pattern) for value in there for pattern in asked.values) if there else unknown
    if asked.operator is EXISTS:
        return bool(there)
    return not there and (unknown or bool(list(tags)))


def values_under(key: str, tags: Iterable[Tag]) -> set[str]:
    return {tag.value for tag in tags if fnmatchcase(tag.key, key)}


def known(asked: Requirement, facts: Facts) -> bool:
    there = facts.get(asked.key, set())
    if asked.operator is IN:
        return bool(there & asked.values)
    if asked.operator is NOT_IN:
        return bool(there) and not there & asked.values
    return bool(there) if asked.operator is EXISTS else bool(facts) and not there


def perhaps(asked: Requirement, facts: Facts) -> bool:
    there = facts.get(asked.key, set())
    if not facts or (not there and asked.operator is not EXISTS):
        return True
    return known(asked, facts)


def answers(condition: Predicate | None, facts: Facts) -> bool:
    read = [] if condition is None else [atom for atom in atoms(condition) if isinstance(atom, AttributeMembership)]
    return all(facts.get(each.attribute) and all(value_fits(one, each.column.family) for one in facts[each.attribute]) for each in read)


def weakest(rules: Iterable[MaskRule], column: Column) -> Mask:
    """That which shows least, in truth; of those that show as little the first by name."""
    shown: Mask = Clear()
    for mask in masks_for(rules, column):
        if rank(mask) > rank(shown):
            shown = mask
    return shown


def masks_for(rules: Iterable[MaskRule], column: Column) -> list[Mask]:
    """Of all rules that are for the column, in the order of their names."""
    mine = (rule for rule in sorted(rules, key=lambda each: each.name) if about_column(rule.columns, column, unknown=True))
    return [rule.mask if carries(rule.mask, column.family, column.limits) else Nullify() for rule in mine]


# What is decided, at random.

T = TypeVar("T")


def mostly(usual: T, rarely: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """What grants something must be there before anything can be seen to be taken away."""
    return st.sampled_from([False, False, False, True]).flatmap(lambda rare: rarely if rare else st.just(usual))


TAGS = st.frozensets(st.builds(Tag, st.sampled_from(["pii", "geo.land", "geo.town"]), st.sampled_from(["a", "b", "b.c"])), max_size=3)
COLUMNS = st.builds(
    Column, st.sampled_from(["id", "land", "town", "note"]), st.sampled_from([Family.TEXT, Family.INTEGER]), st.just("x"), TAGS
)
TABLES = st.builds(
    Table,
    st.builds(TableId, st.sampled_from(["claims", "hr"]), st.sampled_from(["one", "two", "three", "four"])),
    st.lists(COLUMNS, min_size=1, max_size=4, unique_by=lambda each: each.name).map(tuple),
    TAGS,
    mostly("", st.just("is a foreign table")),
)
CATALOGS = st.lists(TABLES, min_size=1, max_size=8, unique_by=lambda each: each.id).map(Catalog.of)
VALUES = st.frozensets(st.sampled_from(["a", "b", "b*", "c"]), max_size=2)
ASKED = st.builds(Requirement, st.sampled_from(["pii", "geo.*", "geo.land"]), VALUES, st.sampled_from(RequirementOperator))
TIED = st.builds(Requirement, st.sampled_from(["pii", "geo.*"]), st.just(frozenset()), st.sampled_from([IN, NOT_IN]), st.just("mine"))
NAMED = st.sampled_from(["*", "id", "land", "t*", "*o*"])
FILTERS = ["land = 'a'", "id IN (user_attr('mine'))", "col('geo.land') IN (user_attr('mine'))", "col('pii', 'a') IS NULL", "town = 7"]
PREDICATES = mostly(None, st.sampled_from([parse(each) for each in FILTERS]))
BY_TAGS, BY_NAMES = st.lists(ASKED, min_size=1, max_size=2).map(tuple), st.lists(NAMED, min_size=1, max_size=2).map(tuple)
SOME = st.one_of(
    st.builds(ColumnSelector, BY_TAGS),
    st.builds(ColumnSelector, names=BY_NAMES),
    st.builds(ColumnSelector, BY_TAGS, BY_NAMES),
    st.just(ColumnSelector()),
)
CHOSEN = mostly(ColumnSelector(names=("*",)), SOME)
MASKING = st.lists(
    st.builds(MaskRule, st.sampled_from("abc"), SOME, st.sampled_from([Clear(), Partial(4), Hash(), Nullify()])),
    max_size=2,
    unique_by=lambda each: each.name,
).map(tuple)


def about(*asked: st.SearchStrategy[Requirement]) -> st.SearchStrategy[TableSelector]:
    patterns = st.builds(TableId, st.sampled_from(["*", "claims"]), st.sampled_from(["*", "one", "t*"]))
    some = st.builds(TableSelector, st.lists(st.one_of(*asked), max_size=2).map(tuple), st.lists(patterns, max_size=2).map(tuple))
    return mostly(TableSelector(names=(TableId("*", "*"),)), some)


WHOM = st.lists(
    st.builds(
        Requirement, st.sampled_from(["job", "mine"]), st.frozensets(st.sampled_from(["a", "7"])), st.sampled_from(RequirementOperator)
    ),
    max_size=2,
).map(tuple)
AGENTS = [ObjectName("agents", name) for name in ("assistant", "reporter")]


def of_either_side(each: Policy) -> st.SearchStrategy[Policy]:
    """It, or one like it that grants to agents, or to one agent its own tables."""
    to_agents = replace(each, users=(), agents=each.users, grants_to=GrantTarget.AGENTS)
    own = [replace(to_agents, agents=(), conditions=(), agent=agent) for agent in AGENTS]
    return st.sampled_from([each, each, each, to_agents, to_agents, *own])


POLICIES = st.lists(
    st.builds(
        Policy,
        st.builds(ObjectName, st.just("domain"), st.sampled_from("pqrs")),
        st.frozensets(st.sampled_from(["claims", "hr"]), min_size=1),
        mostly((Requirement("job", frozenset({"a"})),), WHOM),
        about(ASKED, TIED),
        CHOSEN,
        PREDICATES,
        mostly((), MASKING),
        mostly((), WHOM),
        mostly((), st.just((admit("purpose", "request.purpose == 'claims'", "spec"),))),
    ).flatmap(of_either_side),
    min_size=1,
    max_size=5,
    unique_by=lambda each: each.id,
)
GUARDRAILS = st.lists(
    st.builds(
        Guardrail,
        st.sampled_from("xyz"),
        mostly((), WHOM),
        about(ASKED, TIED),
        mostly(False, st.just(True)),
        st.none() | SOME,
        mostly(None, PREDICATES),
        MASKING,
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda each: each.name,
)
USERS = st.builds(
    lambda job, mine: Attributes.of((("job", job), ("mine", mine))),
    mostly(["a"], st.sampled_from([["b"], []])),
    st.lists(st.sampled_from(["a", "b", "7"]), max_size=2),
)
ASSIGNED = st.builds(
    TagAssignment,
    st.sampled_from(["claims", "hr"]),
    st.sampled_from(["one", "t*", "*", "absent"]),
    st.sampled_from([None, "id", "*"]),
    st.frozensets(st.builds(Tag, st.just("pii"), st.sampled_from("ab")), min_size=1),
)
ASKING = st.builds(
    lambda name, attributes, purpose, combination: RequestContext(
        agent=name, agent_attributes=attributes, purpose=purpose, combination=combination
    ),
    st.sampled_from([*AGENTS, None]),
    USERS,
    mostly("claims", st.just("other")),
    st.sampled_from(Combination),
)
THOROUGH = settings(max_examples=settings.default.max_examples * 3 // 2, deadline=None)


def by_index(user: Attributes, asking: RequestContext, index: Index) -> Decided | None:
    """None: denied."""
    decision = decide(user, index, asking)
    return None if isinstance(decision, Denial) else told(decision)


def told(decision: Entitlement) -> Decided:
    return Decided(
        {each.table.id: by_policy(each.grants) for each in decision.tables},
        {each.table.id: by_policy(each.agent_grants) for each in decision.tables if each.agent_grants is not None},
        {
            each.table.id: {
                one.guardrail: (one.denied_columns, one.condition and one.condition.predicate, by_name(one.floors))
                for one in each.restraints
            }
            for each in decision.tables
        },
        {table: set(names) for table, names in decision.denied},
    )


def by_policy(grants: Iterable[Grant]) -> Grants:
    return {each.policy: (each.condition.predicate, dict(each.masks)) for each in grants}


def by_name(floors: Iterable[tuple[str, Mask]]) -> dict[str, frozenset[Mask]]:
    found: dict[str, set[Mask]] = {}
    for name, mask in floors:
        found.setdefault(name, set()).add(mask)
    return {name: frozenset(masks) for name, masks in found.items()}


@THOROUGH
@given(USERS, ASKING, CATALOGS, POLICIES, GUARDRAILS)
def test_a_decision_from_the_index_is_that_from_plain_loops(user, asking, catalog, policies, rails):
    expected = by_loops(user, asking, catalog, policies, rails)

    assert by_index(user, asking, compile_policies(catalog, policies, rails)) == (expected if expected.grants else None)


@THOROUGH
@given(USERS, ASKING, CATALOGS, POLICIES, GUARDRAILS, st.lists(st.tuples(st.integers(0, 7), TABLES), max_size=3), POLICIES, GUARDRAILS)
def test_an_index_that_was_mended_is_the_one_that_is_made_anew(user, asking, catalog, policies, rails, others, new_policies, new_rails):
    index = compile_policies(catalog, policies, rails)
    tables = dict(catalog.tables)
    for place, other in others:
        known = list(tables)[place % len(tables)]
        tables[known] = replace(other, id=known)
        index = compile_policies(Catalog(dict(tables)), policies, rails, index)
        assert index == compile_policies(Catalog(dict(tables)), policies, rails)
    mixed = [*policies[1:], *(each for each in new_policies if each.id not in {one.id for one in policies[1:]})]

    mended, anew = (compile_policies(Catalog(dict(tables)), mixed, new_rails, before) for before in (index, None))

    assert mended == anew
    assert by_index(user, asking, mended) == by_index(user, asking, anew)


@THOROUGH
@given(USERS, ASKING, CATALOGS, POLICIES, GUARDRAILS)
def test_the_tables_that_are_granted_are_known_without_listing_them(user, asking, catalog, policies, rails):
    index = compile_policies(catalog, policies, rails)
    switches, decision = switch(user, index, asking), decide(user, index, asking)

    if isinstance(switches, Switches) and isinstance(decision, Entitlement):
        listed = {each.table.id for each in decision.tables} | {table for table, _ in decision.denied}
        named = {index.tables[place].id for place in places(tables_granted(switches, index))}
        assert named == listed if not switches.crossed else named >= listed  # of some both sides show no column


@THOROUGH
@given(USERS, ASKING, CATALOGS, POLICIES, GUARDRAILS, st.lists(st.lists(ASSIGNED, max_size=4), min_size=1, max_size=3))
def test_an_index_that_is_mended_after_each_change_of_tags_is_the_one_that_is_made_anew(user, asking, catalog, policies, rails, changes):
    said, tagged = (), catalog.tagged(())
    index = compile_policies(tagged, policies, rails)
    for more in changes:
        tagged, said = catalog.retagged(tagged, said, more), more
        index = compile_policies(tagged, policies, rails, index)

        assert index == compile_policies(catalog.tagged(said), policies, rails)
        assert by_index(user, asking, index) == by_index(user, asking, compile_policies(tagged, policies, rails))


def test_what_did_not_change_is_shared():
    tables = [Table(TableId(schema, "t"), (Column("id", Family.INTEGER, "bigint"),)) for schema in "ab"]
    every = TableSelector(names=(TableId("*", "*"),)), ColumnSelector(names=("*",))
    policies = [Policy(ObjectName("domain", name), frozenset({name}), (), *every, None) for name in "ab"]
    index = compile_policies(Catalog.of(tables), policies)
    again = compile_policies(Catalog.of([tables[0], replace(tables[1], tags=frozenset({Tag("k", "v")}))]), policies, (), index)
    other = compile_policies(Catalog.of(tables), [policies[0], replace(policies[1], columns=ColumnSelector(names=("x",)))], (), index)

    assert again.policies[0] is index.policies[0]
    assert other.policies[0] is index.policies[0]
    assert not other.policies[1].grant_sets


@given(CATALOGS, st.lists(ASSIGNED, max_size=4), st.lists(ASSIGNED, max_size=4))
def test_a_catalog_that_was_tagged_again_is_the_one_that_is_tagged_anew(catalog, old, new):
    before = catalog.tagged(old)
    after = catalog.retagged(before, old, new)

    assert after == catalog.tagged(new)
    assert list(after.tables) == list(catalog.tables)
    assert old != new or all(after.tables[name] is before.tables[name] for name in catalog.tables)


def test_which_tables_are_others_is_known_of_the_very_catalog_that_was_tagged_again_alone():
    catalog = Catalog.of([Table(TableId("claims", name), (Column("id", Family.INTEGER, "bigint"),)) for name in ("one", "two")])
    pii = TagAssignment("claims", "one", "id", frozenset({Tag("pii", "a")}))
    before = catalog.tagged(())
    after = catalog.retagged(before, (), [pii])

    assert set(after.others_than(before)) == {TableId("claims", "one")}
    assert after.others_than(catalog.tagged(())) is None
    assert replace(after, tables=dict(before.tables)).others_than(before) is None
    assert before.others_than(after) is None


def test_the_words_of_reaches_that_no_policy_has_any_more_are_forgotten():
    catalog = Catalog.of([Table(TableId(f"s{number}", "t"), (Column("id", Family.INTEGER, "bigint"),)) for number in range(9)])
    every = TableSelector(names=(TableId("*", "*"),)), ColumnSelector(names=("*",))
    index = compile_policies(catalog, [])
    for number in range(9):
        of = Policy(ObjectName("domain", "p"), frozenset({f"s{number}"}), (), *every, None)
        index = compile_policies(catalog, [of], (), index)

    assert len(index._made_of.vocabulary) <= 4
