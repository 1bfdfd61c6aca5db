"""Find lookup columns that reveal more than their owner may intend. Pure.

Conditions on a lookup column may use an index, so an agent can infer its values in hidden rows. That is harmless for a surrogate key or a
date, but it reveals the values that a mask or a filter on the column hides.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rolevend.catalog import Column, Table, TableId
from rolevend.policy.expression import Condition, atoms
from rolevend.policy.index import Index
from rolevend.policy.mask import Clear

_WAY_OUT = "choose a surrogate key or a date instead"


@dataclass(frozen=True, slots=True)
class LookupDoubt:
    table: TableId
    column: str
    message: str
    """A sentence that begins with the column."""


def lookup_doubts(index: Index) -> Iterator[LookupDoubt]:
    """Yield one for each lookup column and statement, ordered by table and column."""
    for place, table in enumerate(index.tables):
        for column in table.columns:
            if column.lookup:
                for message in _doubts(index, place, table, column):
                    yield LookupDoubt(table.id, column.name, f"{table.id}.{column.name} {message}")


def _doubts(index: Index, place: int, table: Table, column: Column) -> Iterator[str]:
    for policy in (*index.policies, *index.offers):
        if any(each.tables >> place & 1 for each in policy.grant_sets):
            grant = policy.grant(table)
            mask = dict(grant.masks).get(column.name, Clear())
            if mask != Clear():
                yield _masked(f"AccessPolicy {policy.id}", type(mask).__name__)
            if _reads(grant.condition, column.name):
                yield _filtered(f"AccessPolicy {policy.id}")
    for guardrail in index.guardrails:
        if any(each.tables >> place & 1 for each in guardrail.restraint_sets):
            restraint = guardrail.restraint(table)
            if restraint.denies_lookup:
                yield f"is no lookup column: Guardrail {guardrail.name} forbids it"
            yield from (
                _masked(f"Guardrail {guardrail.name}", type(mask).__name__) for name, mask in restraint.floors if name == column.name
            )
            if restraint.condition is not None and _reads(restraint.condition, column.name):
                yield _filtered(f"Guardrail {guardrail.name}")


def _masked(by: str, mask: str) -> str:
    return f"is masked by {by} with {mask}: what the mask shows of hidden rows can be found out; {_WAY_OUT}"


def _filtered(by: str) -> str:
    return f"is in the row filter of {by}: how many hidden rows have which value can be found out; {_WAY_OUT}"


def _reads(condition: Condition, column: str) -> bool:
    return condition.predicate is not None and any(atom.column.name == column for atom in atoms(condition.predicate))
