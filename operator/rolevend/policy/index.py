"""The object side of decisions: what each policy would give, and each guardrail would take, of the tables of a catalog, whoever asks.

An index knows no user, and never changes: another catalog, policy or guardrail is another index, which shares with the one before
all that stayed the same. So nothing in it can be stale, and a change costs what changed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, TypeVar

from rolevend.catalog import Catalog, Table
from rolevend.policy.fitting import Problem
from rolevend.policy.granting import Asks as Asks
from rolevend.policy.granting import CompiledPolicy as CompiledPolicy
from rolevend.policy.granting import Grant as Grant
from rolevend.policy.granting import Granting, compiled_policy, report_of
from rolevend.policy.granting import GrantSet as GrantSet
from rolevend.policy.granting import PolicyReport as PolicyReport
from rolevend.policy.granting import Tie as Tie
from rolevend.policy.guarding import CompiledGuardrail, Does, GuardrailReport, Restraining, compiled_guardrail, guardrail_report
from rolevend.policy.outcome import Outcome
from rolevend.policy.postings import Postings
from rolevend.policy.statement import Guardrail, Policy
from rolevend.policy.unknown import Vocabulary, unknown_names, unknown_tags

Key = TypeVar("Key")

_MOST_CHANGES: Final = 1_000
"""Where more tables are others, all is compiled anew."""
_STRETCH: Final = 500
"""So many tables are compared at once: by far most of them are the same."""


@dataclass(frozen=True, slots=True)
class _Policy:
    granting: Granting
    outcome: Outcome[Asks]
    compiled: CompiledPolicy
    report: PolicyReport


@dataclass(frozen=True, slots=True)
class _Guardrail:
    restraining: Restraining
    outcome: Outcome[Does]
    compiled: CompiledGuardrail
    report: GuardrailReport


@dataclass(frozen=True, slots=True)
class Index:
    tables: tuple[Table, ...]
    """Sorted by their ids."""
    policies: tuple[CompiledPolicy, ...]
    """Sorted by their ids."""
    reports: tuple[PolicyReport, ...]
    """In the order of `policies`."""
    guardrails: tuple[CompiledGuardrail, ...]
    """Sorted by their names."""
    guardrail_reports: tuple[GuardrailReport, ...]
    """In the order of `guardrails`."""
    _made_of: "_Made" = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class _Made:
    """What the next index can share."""

    postings: Postings
    vocabulary: Vocabulary
    policies: tuple[_Policy, ...]
    guardrails: tuple[_Guardrail, ...]


class _Exchange:
    """The tables that are others than they were, at their old places."""

    def __init__(self, places: Sequence[int], before: Sequence[Table], after: Sequence[Table], vocabulary: Vocabulary) -> None:
        """`vocabulary` is that of `before`."""
        self.vocabulary = vocabulary
        self._old, self._new = ({place: tables[place] for place in places} for tables in (before, after))
        self._before, self._after = Postings.of(self._old.items()), Postings.of(self._new.items())
        self.schemas = frozenset(table.id.schema for table in self._new.values())
        self.same_columns = all(_column_names(self._old[place]) == _column_names(self._new[place]) for place in places)

    def postings(self, whole: Postings) -> Postings:
        return whole.exchanged((place, self._old[place], self._new[place]) for place in self._new)

    def outcome(self, whole: Outcome[Key], of: Callable[[Postings, Callable[[int], Table]], Outcome[Key]]) -> Outcome[Key]:
        """`whole` itself where these tables make no difference."""
        before, after = of(self._before, self._old.__getitem__), of(self._after, self._new.__getitem__)
        return whole if before is after or before == after else whole.exchanged(before, after)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What statements are compiled for; with `exchange` what is known of them is mended."""

    tables: tuple[Table, ...]
    postings: Postings
    vocabulary: Vocabulary
    exchange: _Exchange | None = None

    def policy(self, policy: Policy, known: _Policy | None) -> _Policy:
        if known is None:
            granting = Granting(policy)
            outcome = granting.outcome(self.postings, self.tables.__getitem__)
            return _policy(granting, outcome, self._unknown(policy, outcome))
        if self.exchange is None or policy.schemas.isdisjoint(self.exchange.schemas):
            return known
        outcome = self.exchange.outcome(known.outcome, known.granting.outcome)
        if outcome is known.outcome and self._same_words(self.exchange, policy.schemas, known.report.unknown):
            return known
        return _policy(known.granting, outcome, self._unknown(policy, outcome))

    def _same_words(self, exchange: _Exchange, reach: frozenset[str] | None, unknown: tuple[Problem, ...]) -> bool:
        """Whether all that a statement of this reach could name is as it was; what is `unknown` may have been meant for any column."""
        if unknown and not exchange.same_columns:
            return False
        return self.vocabulary.within(reach) == exchange.vocabulary.within(reach)

    def _unknown(self, said: Policy | Guardrail, outcome: Outcome[Any]) -> tuple[Problem, ...]:
        told = chain(unknown_tags(said, self.vocabulary), unknown_names(said, outcome.found, self.postings, self.tables))
        return tuple(Problem(None, field, message) for field, message in told)

    def guardrail(self, guardrail: Guardrail, known: _Guardrail | None) -> _Guardrail:
        if known is None or known.compiled.statement != guardrail:
            restraining = Restraining(guardrail)
            outcome = restraining.outcome(self.postings, self.tables.__getitem__)
            return _guardrail(restraining, outcome, self._unknown(guardrail, outcome))
        if self.exchange is None:
            return known
        outcome = self.exchange.outcome(known.outcome, known.restraining.outcome)
        if outcome is known.outcome and self._same_words(self.exchange, None, known.report.unknown):
            return known
        return _guardrail(known.restraining, outcome, self._unknown(guardrail, outcome))


def compile_policies(
    catalog: Catalog, policies: Iterable[Policy], guardrails: Iterable[Guardrail] = (), before: Index | None = None
) -> Index:
    """Deterministic, whatever the order of `policies` and `guardrails`; their names are unique. `before`, an index of much the same,
    makes it faster, and makes no other difference: what comes of the same policies and tables, the very same objects, is shared."""
    tables = tuple(catalog.tables.values())
    ground, made = _ground(tables, before)
    policies_made = {id(each.compiled.statement): each for each in made.policies} if made else {}
    guardrails_made = {each.compiled.name: each for each in made.guardrails} if made else {}
    compiled = tuple(ground.policy(each, policies_made.get(id(each))) for each in sorted(policies, key=_by_id))
    guarded = tuple(ground.guardrail(each, guardrails_made.get(each.name)) for each in sorted(guardrails, key=_by_name))
    return Index(
        tables,
        tuple([each.compiled for each in compiled]),
        tuple([each.report for each in compiled]),
        tuple([each.compiled for each in guarded]),
        tuple([each.report for each in guarded]),
        _Made(ground.postings, ground.vocabulary, compiled, guarded),
    )


def _ground(tables: tuple[Table, ...], before: Index | None) -> tuple[_Ground, _Made | None]:
    """And what can be shared."""
    changed = None if before is None else _changed(before.tables, tables)
    if before is None or changed is None:
        postings = Postings.of(enumerate(tables))
        return _Ground(tables, postings, Vocabulary(postings)), None
    made = before._made_of
    if not changed:
        return _Ground(tables, made.postings, made.vocabulary), made
    exchange = _Exchange(changed, before.tables, tables, made.vocabulary)
    postings = exchange.postings(made.postings)
    return _Ground(tables, postings, made.vocabulary.after(postings, exchange.schemas), exchange), made


def _changed(before: Sequence[Table], after: Sequence[Table]) -> list[int] | None:
    """The places of tables that are others than they were. None: so many, or so much, that nothing is worth sharing."""
    if len(before) != len(after):
        return None
    changed: list[int] = []
    for start in range(0, len(after), _STRETCH):
        if before[start : start + _STRETCH] != after[start : start + _STRETCH]:
            changed += (place for place in range(start, min(start + _STRETCH, len(after))) if before[place] is not after[place])
        if len(changed) > _MOST_CHANGES:
            return None
    return changed if all(before[place].id == after[place].id for place in changed) else None


def _policy(granting: Granting, outcome: Outcome[Asks], unknown: tuple[Problem, ...]) -> _Policy:
    return _Policy(granting, outcome, compiled_policy(granting, outcome), report_of(granting.policy, outcome, unknown))


def _guardrail(restraining: Restraining, outcome: Outcome[Does], unknown: tuple[Problem, ...]) -> _Guardrail:
    report = guardrail_report(restraining.guardrail, outcome, unknown)
    return _Guardrail(restraining, outcome, compiled_guardrail(restraining, outcome), report)


def _column_names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def _by_id(policy: Policy) -> tuple[str, str]:
    return policy.id.namespace, policy.id.name


def _by_name(guardrail: Guardrail) -> str:
    return guardrail.name
