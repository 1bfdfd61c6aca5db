"""Builders and hypothesis strategies of tables, rows, users and policies. Values come from small pools, so that they meet."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from uuid import UUID

from hypothesis import strategies as st

from rolevend.catalog import Catalog, Column, Family, Table, TableId
from rolevend.errors import InvalidInput
from rolevend.model import Attributes, ObjectName, Tag
from rolevend.policy.binding import bind
from rolevend.policy.expression import (
    And,
    AttributeMembership,
    ColumnReference,
    Comparison,
    Literal,
    Membership,
    Not,
    NullTest,
    Operator,
    Or,
    Predicate,
    Range,
    TaggedColumn,
    TagReference,
)
from rolevend.policy.literal import Clock, Moment
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit
from rolevend.policy.request_context import GrantTarget
from rolevend.policy.statement import ColumnSelector, Guardrail, MaskRule, Policy, Requirement, TableSelector
from rolevend.policy.tautology import constant_value
from tests.support.oracle_values import carried

NATIVE = {
    Family.TEXT: "text",
    Family.INTEGER: "bigint",
    Family.NUMERIC: "numeric",
    Family.FLOAT: "double precision",
    Family.BOOLEAN: "boolean",
    Family.DATE: "date",
    Family.TIMESTAMP: "timestamp without time zone",
    Family.TIMESTAMP_TZ: "timestamp with time zone",
    Family.UUID: "uuid",
    Family.OTHER: "jsonb",
}
VALUES: dict[Family, dict[str, object]] = {
    Family.TEXT: {text: text for text in ("DE", "AT", "it's", "", "naïve ☃")},
    Family.INTEGER: {"-1": -1, "0": 0, "7": 7, "25": 25, "9223372036854775807": 2**63 - 1},
    Family.NUMERIC: {"0": Decimal(0), "12.5": Decimal("12.5"), "-0.01": Decimal("-0.01")},
    Family.FLOAT: {"0": 0.0, "0.5": 0.5, "-2.25": -2.25},
    Family.BOOLEAN: {"true": True, "false": False},
    Family.DATE: {text: date.fromisoformat(text) for text in ("1970-01-01", "2024-02-29", "2024-11-30")},
    Family.TIMESTAMP: {text: datetime.fromisoformat(text) for text in ("2024-02-29T23:59:59", "1999-12-31T00:00:00")},
    Family.TIMESTAMP_TZ: {
        text: datetime.fromisoformat(text).astimezone(UTC) for text in ("2024-01-01T00:30:00+02:00", "2024-06-15T12:00:00+00:00")
    },
    Family.UUID: {text: UUID(text) for text in ("6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c", "00000000-0000-0000-0000-000000000001")},
    Family.OTHER: {},
}
"""For each family: the text of a literal -> the value that it means."""


def column(name: str, family: Family = Family.TEXT, *tags: Tag) -> Column:
    return Column(name, family, NATIVE[family], frozenset(tags))


def table(name: str, *columns: Column, tags: tuple[Tag, ...] = (), obstacle: str = "") -> Table:
    """`name` is `schema.table`."""
    schema, _, bare = name.partition(".")
    return Table(TableId(schema, bare), columns, frozenset(tags), obstacle)


def policy(name: str = "analysts", **changes: object) -> Policy:
    """A policy of namespace `domain` that grants every column of every table of schema `claims` to the department `claims`."""
    fields: dict[str, object] = {
        "id": ObjectName("domain", name),
        "schemas": frozenset({"claims"}),
        "users": (Requirement("department", frozenset({"claims"})),),
        "tables": TableSelector(names=(TableId("*", "*"),)),
        "columns": ColumnSelector(names=("*",)),
        "row_filter": None,
    }
    return Policy(**(fields | changes))


def guardrail(name: str = "limits", **changes: object) -> Guardrail:
    """About every table, for everybody; it takes nothing away before something is added."""
    fields: dict[str, object] = {"name": name, "users": (), "tables": TableSelector(names=(TableId("*", "*"),))}
    return Guardrail(**(fields | changes))


def masked(mask: Mask, *columns: str, name: str = "rule") -> MaskRule:
    return MaskRule(name, ColumnSelector(names=columns), mask)


def user(**attributes: list[str]) -> Attributes:
    """Somebody of the department `claims`, unless `department` says otherwise."""
    return Attributes.of(({"department": ["claims"]} | attributes).items())


EVERY_FAMILY = table("claims.people", *(column(family.name.lower(), family) for family in Family))
"""One column for each family, named as the family in lower case."""

_LONG_AGO = (Moment(Clock.TODAY, -9000), Moment(Clock.TODAY))
MOMENTS = {
    Family.DATE: _LONG_AGO,
    Family.TIMESTAMP: (*_LONG_AGO, Moment(Clock.NOW, -9000)),
    Family.TIMESTAMP_TZ: (Moment(Clock.NOW, -9000),),
}
"""Far from every value, so that a day's end during a test changes nothing."""
_ATTRIBUTES = {"countries": Family.TEXT, "levels": Family.INTEGER, "born": Family.DATE, "flags": Family.BOOLEAN}


def rows(of: Table = EVERY_FAMILY, most: int = 12) -> st.SearchStrategy[list[dict[str, object]]]:
    fields = {each.name: st.sampled_from([*VALUES[each.family].values(), None]) for each in of.columns}
    return st.lists(st.fixed_dictionaries(fields), min_size=1, max_size=most)


def users() -> st.SearchStrategy[Attributes]:
    """Some attributes missing, some with a value that no column of their family could hold."""
    values = {key: _attribute_values(family) for key, family in _ATTRIBUTES.items()}
    departments = st.sampled_from([["claims", "finance"], ["claims", "finance"], ["claims"], []])
    return st.fixed_dictionaries({"department": departments, **values}).map(lambda facts: Attributes.of(facts.items()))


def _attribute_values(family: Family) -> st.SearchStrategy[list[str]]:
    known = [text for text in VALUES[family] if text]
    some = st.lists(st.sampled_from(known), min_size=1, max_size=2)
    return st.one_of(some, some, some, st.sampled_from([[], [*known, "unfit"]]))


def predicates(of: Table = EVERY_FAMILY) -> st.SearchStrategy[Predicate]:
    """Unbound, in the form that `parse` gives them."""
    compared = [each for each in of.columns if each.family is not Family.OTHER]
    tests = st.one_of(
        st.builds(NullTest, st.sampled_from(of.columns).flatmap(_references), st.booleans()),
        st.sampled_from(compared).flatmap(_test),
        st.sampled_from([(each, key) for each in compared for key, family in _ATTRIBUTES.items() if family is each.family]).flatmap(
            lambda pair: st.builds(AttributeMembership, _references(pair[0]), st.just(pair[1]))
        ),
    )
    return st.recursive(tests, _combined, max_leaves=6)


@cache
def _references(each: Column) -> st.SearchStrategy[ColumnReference]:
    """By its name, or by a tag where it has one."""
    tagged = [TaggedColumn("", tag=TagReference(tag.key, value)) for tag in sorted(each.tags) for value in (None, tag.value)]
    return st.sampled_from([ColumnReference(each.name), *tagged])


def filters(of: Table = EVERY_FAMILY, *others: Table) -> st.SearchStrategy[Predicate]:
    """Predicates that are not refused: none that is the same in every row of `of`, or of one of the others that it can be asked of."""
    return predicates(of).filter(lambda each: all(tells_apart(each, table) for table in (of, *others)))


def tells_apart(predicate: Predicate, of: Table) -> bool:
    try:
        return constant_value(bind(predicate, of)) is None
    except InvalidInput:
        return True  # it is refused for another reason


def _combined(parts: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
    several = st.lists(parts, min_size=2, max_size=3)
    return st.one_of(
        several.map(lambda each: And(_flat(each, And))),
        several.map(lambda each: Or(_flat(each, Or))),
        parts.map(lambda part: NullTest(part.column, not part.is_null) if isinstance(part, NullTest) else Not(part)),
    )


def _flat(parts: list[Predicate], kind: type[And] | type[Or]) -> tuple[Predicate, ...]:
    return tuple(inner for part in parts for inner in (part.parts if isinstance(part, kind) else (part,)))


@cache
def _test(each: Column) -> st.SearchStrategy[Predicate]:
    bare = each.family in (Family.INTEGER, Family.NUMERIC, Family.FLOAT, Family.BOOLEAN)
    literals = st.sampled_from(list(VALUES[each.family])).map(lambda text: Literal(text, quoted=not bare))
    references = _references(each)
    tests = [
        st.builds(Comparison, references, st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL]), literals),
        st.builds(Membership, references, st.lists(literals, min_size=1, max_size=3).map(tuple)),
    ]
    if each.family not in (Family.BOOLEAN, Family.UUID, Family.TEXT):  # the order of texts is each platform's own
        compared = literals | st.sampled_from(MOMENTS[each.family]) if each.family in MOMENTS else literals
        tests.append(st.builds(Comparison, references, st.sampled_from(Operator), compared))
        tests.append(st.builds(Range, references, compared, compared))
    return st.one_of(tests)


MASKS: tuple[Mask, ...] = (
    Clear(),
    Partial(2),
    Partial(4),
    Round("10"),
    Round("15"),
    Round("0.1"),
    Regex("[A-Z]", "x"),
    Regex("^(.).*", r"\\1…"),
    DateTrunc(Unit.YEAR),
    DateTrunc(Unit.QUARTER),
    DateTrunc(Unit.MONTH),
    Hash(),
    Constant("0"),
    Constant("none"),
    Nullify(),
)


def agents() -> st.SearchStrategy[Attributes]:
    """What is known of an agent: some are granted what others are not."""
    trust = st.sampled_from([["high", "low"], ["high"], ["low"], []])
    return trust.map(lambda values: Attributes.of([("trust", values)] if values else []))


def of_both_sides(of: Table = EVERY_FAMILY, most: int = 6) -> st.SearchStrategy[list[Policy]]:
    """As `policies`: some grant to agents, and some of the others only through certain ones."""
    return policies(of, most).flatmap(lambda given: st.tuples(*map(of_either_side, given)).map(list))


def of_either_side(each: Policy) -> st.SearchStrategy[Policy]:
    of_agents = [
        replace(each, users=(), agents=(Requirement("trust", frozenset(trust)),), grants_to=GrantTarget.AGENTS)
        for trust in ({"high"}, {"low"}, {"high", "low"})
    ]
    return st.sampled_from([each, each, replace(each, agents=(Requirement("trust", frozenset({"high"})),)), *of_agents])


def policies(of: Table = EVERY_FAMILY, most: int = 4) -> st.SearchStrategy[list[Policy]]:
    """Two to `most` policies with names of their own that overlap on `of`: few distinct filters, masks and column lists."""
    names = [each.name for each in of.columns]
    some_columns = st.just(("*",)) | st.lists(st.sampled_from(names), min_size=1, max_size=6).map(tuple)
    rules = st.lists(mask_rules(of, "abc", some_columns.map(lambda each: ColumnSelector(names=each))), max_size=3)

    def built(filters: list[Predicate | None]) -> st.SearchStrategy[list[Policy]]:
        one = st.builds(
            policy,
            name=st.sampled_from([f"p{number}" for number in range(9)]),
            users=st.sampled_from(["claims", "finance"]).map(lambda each: (Requirement("department", frozenset({each})),)),
            columns=some_columns.map(lambda each: ColumnSelector(names=each)),
            row_filter=st.sampled_from(filters),
            masks=rules.map(tuple),
            schemas=st.just(frozenset({of.id.schema})),
        )
        return st.lists(one, min_size=2, max_size=most, unique_by=lambda each: each.id)

    some_filters = st.lists(filters(of), min_size=2, max_size=4)
    return st.one_of(some_filters, some_filters, some_filters.map(lambda each: [None, *each])).flatmap(built)


def mask_rules(of: Table, names: str, columns: st.SearchStrategy[ColumnSelector]) -> st.SearchStrategy[MaskRule]:
    """Any mask for any columns, or one that a column can show; of texts, whose masks are of the most kinds, more than of others."""
    fitting = [(each.name, mask) for each in of.columns for mask in MASKS if carried(mask, each.family) == mask != Clear()]
    of_texts = [each for each in fitting if isinstance(each[1], Partial | Regex | Hash)]
    of_one = st.sampled_from([*fitting, *of_texts * 5])
    return st.one_of(
        st.builds(MaskRule, st.sampled_from(names), columns, st.sampled_from(MASKS)),
        st.builds(lambda name, each: MaskRule(name, ColumnSelector(names=(each[0],)), each[1]), st.sampled_from(names), of_one),
    )


def guardrails(of: Table = EVERY_FAMILY, most: int = 3) -> st.SearchStrategy[list[Guardrail]]:
    """None to `most`, of which few deny the whole table; some concern people by an attribute that not everybody has."""
    some_columns = st.lists(st.sampled_from([each.name for each in of.columns]), min_size=1, max_size=3).map(
        lambda each: ColumnSelector(names=tuple(each))
    )
    floors = st.lists(mask_rules(of, "ab", some_columns), max_size=2)
    whom = st.sampled_from([(), (), *(((Requirement("countries", frozenset({each})),)) for each in ("DE", "AT"))])
    one = st.builds(
        guardrail,
        name=st.sampled_from([f"g{number}" for number in range(9)]),
        users=whom,
        tables=st.sampled_from([*[TableSelector(names=(TableId("*", "*"),))] * 4, TableSelector(names=(TableId("hr", "*"),))]),
        denies_tables=st.sampled_from([False] * 9 + [True]),
        denied_columns=st.one_of(st.none(), some_columns),
        row_restriction=st.one_of(st.none(), filters(of)),
        mask_floors=floors.map(tuple),
    )
    return st.lists(one, max_size=most, unique_by=lambda each: each.name)


def catalog(*tables: Table) -> Catalog:
    return Catalog.of(tables or (EVERY_FAMILY,))
