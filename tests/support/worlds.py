"""Random catalogs, people, policies and guardrails, over a few tables with rows that stay the same: written once, they may be many."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from hypothesis import strategies as st

from rolevend.catalog import Column, Family, Table, TableId
from rolevend.decision.tools import own_tables
from rolevend.errors import InvalidInput
from rolevend.model import Attributes, ObjectName, Tag, User
from rolevend.policy.condition import MatchCondition, admit
from rolevend.policy.expression import Predicate
from rolevend.policy.mask import Clear
from rolevend.policy.predicate import parse
from rolevend.policy.request_context import Combination, GrantTarget, RequestContext
from rolevend.policy.requirement import RequirementOperator
from rolevend.policy.statement import ColumnSelector, Guardrail, MaskRule, Policy, Requirement, TableSelector
from tests.support.oracle_conditions import OF_ANYBODY, OF_USERS, Asked, both, chosen, either, negated
from tests.support.oracle_rows import Row, written
from tests.support.oracle_values import carried
from tests.support.policies import MASKS, VALUES, agents, column, filters, guardrail, of_either_side, policy, table, users

SCHEMA, OWN_SCHEMA = "world", "own"
_FAMILIES: dict[str, dict[str, Family]] = {
    "people": {family.name.lower(): family for family in Family},
    "claims": {"text": Family.TEXT, "text2": Family.TEXT}
    | {family.name.lower(): family for family in (Family.INTEGER, Family.NUMERIC, Family.DATE, Family.TIMESTAMP_TZ)},
    "notes": {family.name.lower(): family for family in (Family.TEXT, Family.BOOLEAN, Family.UUID, Family.OTHER)},
}
_OWN: dict[str, dict[str, Family]] = {"drafts": {family.name.lower(): family for family in (Family.TEXT, Family.INTEGER)}}
TABLES = tuple(
    table(f"{schema}.{name}", column("id", Family.INTEGER), *(column(each, family) for each, family in columns.items()))
    for schema, of_schema in ((SCHEMA, _FAMILIES), (OWN_SCHEMA, _OWN))
    for name, columns in of_schema.items()
)
"""Without tags. Columns of one name have one family everywhere. Policies reach those of SCHEMA alone."""
AGENT, ANOTHER = (ObjectName("agents", name) for name in ("assistant", "reporter"))

_TABLE_TAGS = (Tag("domain", "money"), Tag("domain", "people"), Tag("residency", "DE"), Tag("residency", "AT"))
_COLUMN_TAGS = {Family.INTEGER: Tag("pii.direct", "id"), Family.DATE: Tag("pii.indirect", "birth"), Family.TEXT: Tag("geo", "iso")}
"""By family, so that a row filter that finds its column by a tag compares it with what it can be compared with."""
_OPERATORS = tuple(RequirementOperator)
_TRUSTED = Requirement("trust", frozenset({"high", "low"}))


@dataclass(frozen=True)
class Case:
    """One question: what does this agent see of these tables, for this person?"""

    tables: tuple[Table, ...]
    user: Attributes
    agent: Attributes
    combination: Combination
    policies: list[Policy]
    guardrails: list[Guardrail]
    asked: Asked
    """With `user` and `agent`."""
    resources: frozenset[TableId] | None
    """Of what is granted only these tables, where it is not None."""

    @property
    def asking(self) -> RequestContext:
        asked = self.asked
        return RequestContext(
            User("https://idp.example.org", asked.subject) if asked.subject else None,
            asked.agent,
            self.agent,
            purpose=asked.purpose,
            expiration_seconds=asked.seconds,
            combination=self.combination,
        )


def rows(of: Table, count: int, seed: int) -> list[Row]:
    """Each with a number of its own in the column `id`."""
    chance = random.Random(seed)
    pools = {each.name: [*VALUES[each.family].values(), None] for each in of.columns if each.name != "id"}
    return [{"id": number} | {name: chance.choice(pool) for name, pool in pools.items()} for number in range(count)]


def cases() -> st.SearchStrategy[Case]:
    """Over TABLES with tags."""
    return st.tuples(st.tuples(*map(_tagged, TABLES)), users(), agents()).flatmap(
        lambda given: st.builds(
            Case,
            *map(st.just, given),
            st.sampled_from(Combination),
            st.builds(lambda policies, own: [*policies, *own], _policies(given[0]), _own_tables()),
            _guardrails(given[0]),
            st.builds(
                Asked,
                st.just(given[1]),
                st.sampled_from(["ada", "bob", None]),
                st.sampled_from([AGENT, AGENT, ANOTHER, None]),
                st.just(given[2]),
                st.sampled_from(["claims", "claims", "audit", None]),
                st.sampled_from([300, 900, None]),
            ),
            st.none() | st.none() | st.frozensets(st.sampled_from([each.id for each in TABLES])),
        )
    )


@cache
def _own_tables() -> st.SearchStrategy[list[Policy]]:
    """Of both agents, or of one, or of none."""
    return st.lists(st.sampled_from([AGENT, ANOTHER]), unique=True).map(
        lambda agents: [own_tables(each, frozenset({OWN_SCHEMA})) for each in agents]
    )


@cache
def _conditions(*, of_agent: bool) -> st.SearchStrategy[tuple[MatchCondition, ...]]:
    """Mostly none: what grants something must be there before anything can be seen to be taken away."""
    tests = st.sampled_from(sorted(OF_ANYBODY if of_agent else {**OF_ANYBODY, **OF_USERS}))
    texts = st.recursive(
        tests,
        lambda parts: st.one_of(
            parts.map(negated), st.builds(both, parts, parts), st.builds(either, parts, parts), st.builds(chosen, parts, parts, parts)
        ),
        max_leaves=4,
    ).filter(lambda text: sum(text.count(loop) for loop in (".all(", ".exists(")) <= 1)
    some = st.lists(texts.map(lambda text: admit("when", text, "spec", of_agent=of_agent)), min_size=1, max_size=2).map(tuple)
    return st.one_of(st.just(()), st.just(()), some)


def _conditional(each: Policy) -> st.SearchStrategy[Policy]:
    return _conditions(of_agent=each.grants_to is GrantTarget.AGENTS).map(lambda conditions: replace(each, conditions=conditions))


def _tagged(bare: Table) -> st.SearchStrategy[Table]:
    wanted = st.lists(st.booleans(), min_size=len(bare.columns), max_size=len(bare.columns))
    return st.builds(
        lambda own, given: replace(bare, tags=own, columns=tuple(map(_with_its_tag, bare.columns, given))),
        st.frozensets(st.sampled_from(_TABLE_TAGS), max_size=3),
        wanted,
    )


def _with_its_tag(bare: Column, wanted: bool) -> Column:
    return replace(bare, tags=frozenset({_COLUMN_TAGS[bare.family]})) if wanted and bare.family in _COLUMN_TAGS else bare


def _admitted(predicate: Predicate) -> bool:
    """What is true in every row, or in none, is refused where it is written."""
    try:
        return parse(written(predicate)) is not None
    except InvalidInput:
        return False


def _filters(tables: Sequence[Table]) -> st.SearchStrategy[Predicate]:
    return st.sampled_from(tables).flatmap(lambda of: filters(of, *tables)).filter(_admitted)


@cache
def _requirements(tags: Sequence[Tag], *keys: str) -> st.SearchStrategy[Requirement]:
    def built(tag: Tag, key: str, operator: RequirementOperator, pattern: bool) -> Requirement:
        asks = operator in (RequirementOperator.IN, RequirementOperator.NOT_IN)
        return Requirement(key or tag.key, frozenset({tag.value[:1] + "*" if pattern else tag.value} if asks else ()), operator)

    return st.builds(built, st.sampled_from(tags), st.sampled_from(["", *keys]), st.sampled_from(_OPERATORS), st.booleans())


def _table_selectors(tables: Sequence[Table]) -> st.SearchStrategy[TableSelector]:
    everything = st.just(TableSelector(names=(TableId("*", "*"),)))
    named = st.sampled_from(tables).map(lambda each: TableSelector(names=(TableId(SCHEMA, each.id.name[:3] + "*"),)))
    by_tag = _requirements(_TABLE_TAGS).map(lambda each: TableSelector(tags=(each,)))
    both = _requirements(_TABLE_TAGS).map(lambda each: TableSelector(tags=(each,), names=(TableId("*", "*e*"),)))
    own = st.sampled_from([RequirementOperator.IN, RequirementOperator.NOT_IN]).map(
        lambda each: TableSelector(tags=(Requirement("residency", operator=each, values_of="countries"),))
    )
    return st.one_of(everything, everything, named, by_tag, both, own)


def _columns_by_name(tables: Sequence[Table]) -> st.SearchStrategy[ColumnSelector]:
    names = sorted({inner.name for each in tables for inner in each.columns})
    return st.lists(st.sampled_from([*names, "t*"]), min_size=1, max_size=6).map(lambda each: ColumnSelector(names=tuple(each)))


def _column_selectors(tables: Sequence[Table]) -> st.SearchStrategy[ColumnSelector]:
    named = _columns_by_name(tables)
    by_tag = _requirements(tuple(_COLUMN_TAGS.values()), "pii.*").map(lambda each: ColumnSelector(tags=(each,)))
    return st.one_of(named, named, named, by_tag)


def _rules(columns: st.SearchStrategy[ColumnSelector], fewest: int, most: int) -> st.SearchStrategy[tuple[MaskRule, ...]]:
    one = st.builds(MaskRule, st.sampled_from("abc"), columns, st.sampled_from(MASKS))
    return st.lists(one, min_size=fewest, max_size=most, unique_by=lambda each: each.name).map(tuple)


def _fitting_rules(tables: Sequence[Table]) -> st.SearchStrategy[tuple[MaskRule, ...]]:
    """Each for one column, which can show it."""
    shown = [
        (inner.name, mask) for each in tables for inner in each.columns for mask in MASKS if carried(mask, inner.family) == mask != Clear()
    ]
    one = st.builds(
        lambda name, choice: MaskRule(name, ColumnSelector(names=(choice[0],)), choice[1]),
        st.sampled_from("abcdef"),
        st.sampled_from(shown),
    )
    return st.lists(one, min_size=2, max_size=6, unique_by=lambda each: each.name).map(tuple)


def _policies(tables: Sequence[Table]) -> st.SearchStrategy[list[Policy]]:
    """One for people and one for agents that are about everything, and some that are about anything, with few distinct filters: so that
    they meet."""
    everything = st.just(ColumnSelector(names=("*",)))

    def built(filters: list[Predicate]) -> st.SearchStrategy[list[Policy]]:
        broad = partial(
            st.builds,
            policy,
            row_filter=st.sampled_from([None, *filters]),
            masks=_fitting_rules(tables),
            schemas=st.just(frozenset({SCHEMA})),
        )
        to_agents = {"users": st.just(()), "agents": st.just((_TRUSTED,)), "grants_to": st.just(GrantTarget.AGENTS)}
        one = st.builds(
            policy,
            name=st.sampled_from([f"p{number}" for number in range(9)]),
            users=st.sampled_from([*(["claims"] * 3), "finance"]).map(lambda each: (Requirement("department", frozenset({each})),)),
            tables=_table_selectors(tables),
            columns=st.one_of(everything, everything, _column_selectors(tables)),
            row_filter=st.sampled_from([None, *filters, *filters]),
            masks=_rules(_column_selectors(tables), 0, 3),
            schemas=st.just(frozenset({SCHEMA})),
        )
        several = st.lists(one.flatmap(of_either_side).flatmap(_conditional), max_size=5, unique_by=lambda each: each.id)
        both = st.tuples(broad(name=st.sampled_from(["broad", "z"])), broad(name=st.sampled_from(["own", "zz"]), **to_agents))
        return st.builds(lambda first, others: [*first, *others], both, several)

    return st.lists(_filters(tables), min_size=2, max_size=4).flatmap(built)


def _guardrails(tables: Sequence[Table]) -> st.SearchStrategy[list[Guardrail]]:
    """Few deny a whole table; some concern people by an attribute that not everybody has."""
    whom = st.builds(Requirement, st.just("countries"), st.just(frozenset({"DE"})), st.sampled_from(_OPERATORS)).map(
        lambda each: (
            (each,) if each.operator in (RequirementOperator.IN, RequirementOperator.NOT_IN) else (replace(each, values=frozenset()),)
        )
    )
    one = st.builds(
        guardrail,
        name=st.sampled_from([f"g{number}" for number in range(9)]),
        users=st.just(()) | whom,
        tables=_table_selectors(tables),
        denies_tables=st.sampled_from([False] * 19 + [True]),
        denied_columns=st.none() | st.none() | _column_selectors(tables),
        row_restriction=st.none() | st.none() | st.none() | _filters(tables),
        mask_floors=_rules(_column_selectors(tables), 0, 2),
    )
    return st.lists(one, max_size=3, unique_by=lambda each: each.name)
