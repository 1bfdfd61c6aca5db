"""Compile policies and guardrails for a catalog, independent of users.

An index is immutable and knows no user. A change produces another index, which shares all unchanged parts with the one before: no part can
be stale, and the cost is proportional to the change.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from rolevend.catalog import Catalog, Table
from rolevend.policy.bitmap import bits
from rolevend.policy.guardrail_compiler import (
    CompiledGuardrail,
    Does,
    GuardrailCompiler,
    GuardrailReport,
    compiled_guardrail,
    guardrail_report,
)
from rolevend.policy.policy_compiler import Asks as Asks
from rolevend.policy.policy_compiler import CompiledPolicy as CompiledPolicy
from rolevend.policy.policy_compiler import Grant as Grant
from rolevend.policy.policy_compiler import GrantSet as GrantSet
from rolevend.policy.policy_compiler import PolicyCompiler, compiled_policy, report_of
from rolevend.policy.policy_compiler import PolicyReport as PolicyReport
from rolevend.policy.policy_compiler import TagJoin as TagJoin
from rolevend.policy.postings import Postings
from rolevend.policy.statement import Guardrail, Policy, reach_of
from rolevend.policy.statement_matches import StatementMatches
from rolevend.policy.table_fit import PolicyProblem
from rolevend.policy.unresolved_names import Vocabulary, unknown_names, unknown_tags

Key = TypeVar("Key")
_MOST_CHANGES: Final = 1_000
"""With more changed tables, compile all of them again."""
_STRETCH: Final = 500
"""The number of tables compared at once; nearly all of them are equal."""


class Stated(Protocol[Key]):
    """A compiler of one statement."""

    def outcome(self, postings: Postings, table_at: Callable[[int], Table]) -> StatementMatches[Key]: ...

    def columns(self, sets: Mapping[Key, int], postings: Postings) -> int:
        """Return `StatementMatches.columns` for these `StatementMatches.sets`."""


class CatalogDelta:
    def __init__(self, others: Mapping[int, Table], tables: Sequence[Table], postings: Postings, vocabulary: Vocabulary) -> None:
        """`others` are the changed tables by their index in `tables`; `postings` and `vocabulary` belong to `tables`."""
        changes = [(place, tables[place], other) for place, other in others.items()]
        self._new = others
        self._before = Postings.of((place, old) for place, old, _ in changes)
        self._after = self._before.exchanged(changes)
        self._places = bits(others)
        self._renamed = bits(place for place, old, new in changes if _column_names(old) != _column_names(new))
        self._vocabulary = vocabulary
        self.schemas = frozenset(other.id.schema for other in others.values())
        self.postings = postings.exchanged(changes)
        self.vocabulary = vocabulary.after(self.postings, self._before, self._after, self.schemas)

    def outcome(self, whole: StatementMatches[Key], of: Stated[Key]) -> StatementMatches[Key]:
        """Return the updated outcome, or `whole` itself if the changed tables make no difference."""
        before = whole.part(self._places, lambda sets: of.columns(sets, self._before))
        after = of.outcome(self._after, self._new.__getitem__)
        return whole if before is after or before == after else whole.exchanged(before, after)

    def same_tags(self, reach: frozenset[str] | None) -> bool:
        """True if a statement of this scope can match the same tags as before."""
        return self.vocabulary.within(reach) == self._vocabulary.within(reach)

    def same_names(self, before: StatementMatches[Any], after: StatementMatches[Any]) -> bool:
        """True if a statement can match the same column names as before."""
        return before.selected == after.selected and not self._renamed & after.selected


def _column_names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


class _Unknown(NamedTuple):
    """The unresolved tags and names of a statement."""

    tags: tuple[PolicyProblem, ...]
    names: tuple[PolicyProblem, ...]


@dataclass(frozen=True, slots=True)
class _Policy:
    granting: PolicyCompiler
    outcome: StatementMatches[Asks]
    unknown: _Unknown
    compiled: CompiledPolicy
    report: PolicyReport


@dataclass(frozen=True, slots=True)
class _Guardrail:
    restraining: GuardrailCompiler
    outcome: StatementMatches[Does]
    unknown: _Unknown
    compiled: CompiledGuardrail
    report: GuardrailReport


@dataclass(frozen=True, slots=True)
class Index:
    tables: Sequence[Table]
    """Sorted by id."""
    policies: tuple[CompiledPolicy, ...]
    """Sorted by id, without offers."""
    reports: tuple[PolicyReport, ...]
    """In the order of `policies`."""
    guardrails: tuple[CompiledGuardrail, ...]
    """Sorted by name."""
    guardrail_reports: tuple[GuardrailReport, ...]
    """In the order of `guardrails`."""
    offers: tuple[CompiledPolicy, ...]
    """Sorted by id. They grant nothing here; see `activation.activated`."""
    offer_reports: tuple[PolicyReport, ...]
    """In the order of `offers`."""
    _made_of: "_Made" = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class _Made:
    """The parts that the next index can share."""

    catalog: Catalog
    postings: Postings
    vocabulary: Vocabulary
    policies: Mapping[int, _Policy]
    """By `id()` of the statement, ordered by policy id."""
    guardrails: Mapping[str, _Guardrail]


@dataclass(frozen=True, slots=True)
class _Ground:
    """The catalog that statements are compiled for. With `exchange`, known results are updated."""

    tables: Sequence[Table]
    postings: Postings
    vocabulary: Vocabulary
    exchange: CatalogDelta | None = None

    def policies(self, policies: Iterable[Policy], known: Mapping[int, _Policy]) -> Mapping[int, _Policy]:
        """Return `_Made.policies`; reuse those that are `known`."""
        given = {id(each): each for each in policies}
        if self.exchange is not None:
            others, exchange = self.exchange.schemas, self.exchange
            touched = [place for place, each in known.items() if not each.granting.policy.schemas.isdisjoint(others)]
            known = {**known, **{place: self._mended(known[place], exchange) for place in touched if place in given}}
        if known.keys() == given.keys():
            return known
        return {id(each): known.get(id(each)) or self._policy(each) for each in sorted(given.values(), key=_by_id)}

    def _policy(self, policy: Policy) -> _Policy:
        granting = PolicyCompiler(policy)
        outcome = granting.outcome(self.postings, self.tables.__getitem__)
        return _policy(granting, outcome, self._unknown(policy, outcome))

    def _mended(self, known: _Policy, exchange: CatalogDelta) -> _Policy:
        outcome = exchange.outcome(known.outcome, known.granting)
        unknown = self._still_unknown(known.granting.policy, known, outcome, exchange)
        return known if outcome is known.outcome and unknown is known.unknown else _policy(known.granting, outcome, unknown)

    def guardrail(self, guardrail: Guardrail, known: _Guardrail | None) -> _Guardrail:
        if known is None or known.compiled.statement != guardrail:
            restraining = GuardrailCompiler(guardrail)
            outcome = restraining.outcome(self.postings, self.tables.__getitem__)
            return _guardrail(restraining, outcome, self._unknown(guardrail, outcome))
        if self.exchange is None:
            return known
        outcome = self.exchange.outcome(known.outcome, known.restraining)
        unknown = self._still_unknown(guardrail, known, outcome, self.exchange)
        return known if outcome is known.outcome and unknown is known.unknown else _guardrail(known.restraining, outcome, unknown)

    def _unknown(self, statement: Policy | Guardrail, outcome: StatementMatches[Any]) -> _Unknown:
        return _Unknown(self._unknown_tags(statement), self._unknown_names(statement, outcome))

    def _still_unknown(
        self, statement: Policy | Guardrail, known: _Policy | _Guardrail, outcome: StatementMatches[Any], exchange: CatalogDelta
    ) -> _Unknown:
        """Return the unresolved words that still are, if no suggestion can have changed."""
        same_tags, same_names = exchange.same_tags(reach_of(statement)), exchange.same_names(known.outcome, outcome)
        if same_tags and same_names:
            return known.unknown
        tags = known.unknown.tags if same_tags else self._unknown_tags(statement)
        names = known.unknown.names if same_names else self._unknown_names(statement, outcome)
        return known.unknown if known.unknown == (tags, names) else _Unknown(tags, names)

    def _unknown_tags(self, statement: Policy | Guardrail) -> tuple[PolicyProblem, ...]:
        return tuple(PolicyProblem(None, field, message) for field, message in unknown_tags(statement, self.vocabulary))

    def _unknown_names(self, statement: Policy | Guardrail, outcome: StatementMatches[Any]) -> tuple[PolicyProblem, ...]:
        unknown = unknown_names(statement, outcome.selected, self.postings, self.tables)
        return tuple(PolicyProblem(None, field, message) for field, message in unknown)


def compile_policies(
    catalog: Catalog, policies: Iterable[Policy], guardrails: Iterable[Guardrail] = (), before: Index | None = None
) -> Index:
    """Return the index. Independent of the order of `policies` and `guardrails`, whose names are unique.

    `before`, a similar index, only makes it faster: the result shares the compiled form of identical policy and table objects.
    """
    ground, made = _ground(catalog, before)
    compiled = ground.policies(policies, made.policies if made else {})
    limits = made.guardrails if made else {}
    guarded = {each.name: ground.guardrail(each, limits.get(each.name)) for each in sorted(guardrails, key=_by_name)}
    standing = [each for each in compiled.values() if not each.compiled.statement.on_request]
    offers = [each for each in compiled.values() if each.compiled.statement.on_request]
    return Index(
        ground.tables,
        tuple([each.compiled for each in standing]),
        tuple([each.report for each in standing]),
        tuple([each.compiled for each in guarded.values()]),
        tuple([each.report for each in guarded.values()]),
        tuple([each.compiled for each in offers]),
        tuple([each.report for each in offers]),
        _Made(catalog, ground.postings, ground.vocabulary, compiled, guarded),
    )


def _ground(catalog: Catalog, before: Index | None) -> tuple[_Ground, _Made | None]:
    """Return the ground, and the parts of `before` that can be shared."""
    others = None if before is None else _others(before, catalog)
    if before is None or others is None:
        tables = list(catalog.tables.values())
        postings = Postings.of(enumerate(tables))
        return _Ground(tables, postings, Vocabulary(postings)), None
    made = before._made_of
    # With more scopes than policies (and one for all schemas), some are no longer used.
    vocabulary = made.vocabulary if len(made.vocabulary) <= len(made.policies) + 1 else Vocabulary(made.postings)
    if not others:
        return _Ground(before.tables, made.postings, vocabulary), made
    exchange = CatalogDelta(others, before.tables, made.postings, vocabulary)
    tables = list(before.tables)
    for place, other in others.items():
        tables[place] = other
    return _Ground(tables, exchange.postings, exchange.vocabulary, exchange), made


def _others(before: Index, catalog: Catalog) -> Mapping[int, Table] | None:
    """Return the changed tables by index, or None if too much changed to share anything."""
    made = before._made_of
    changed = catalog.others_than(made.catalog)
    if changed is None:
        return _compared(before.tables, list(catalog.tables.values()))
    return {made.postings.place(name): catalog.tables[name] for name in changed} if len(changed) <= _MOST_CHANGES else None


def _compared(before: Sequence[Table], after: Sequence[Table]) -> Mapping[int, Table] | None:
    if len(before) != len(after):
        return None
    others: dict[int, Table] = {}
    for start in range(0, len(after), _STRETCH):
        if before[start : start + _STRETCH] != after[start : start + _STRETCH]:
            stretch = range(start, min(start + _STRETCH, len(after)))
            others |= {place: after[place] for place in stretch if before[place] is not after[place]}
        if len(others) > _MOST_CHANGES:
            return None
    return others if all(before[place].id == other.id for place, other in others.items()) else None


def _policy(granting: PolicyCompiler, outcome: StatementMatches[Asks], unknown: _Unknown) -> _Policy:
    report = report_of(granting.policy, outcome, (*unknown.tags, *unknown.names))
    return _Policy(granting, outcome, unknown, compiled_policy(granting, outcome), report)


def _guardrail(restraining: GuardrailCompiler, outcome: StatementMatches[Does], unknown: _Unknown) -> _Guardrail:
    report = guardrail_report(restraining.guardrail, outcome, (*unknown.tags, *unknown.names))
    return _Guardrail(restraining, outcome, unknown, compiled_guardrail(restraining, outcome), report)


def _by_id(policy: Policy) -> tuple[str, str]:
    return policy.id.namespace, policy.id.name


def _by_name(guardrail: Guardrail) -> str:
    return guardrail.name
