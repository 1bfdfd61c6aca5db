"""What a policy's selectors match, prepared for many tables: names are compiled once, and an answer is kept per distinct column."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rolevend.catalog import Column, Family, Table, matches
from rolevend.model import Tag
from rolevend.policy.mask import Clear, Mask, Nullify, carries, strictness
from rolevend.policy.requirement import tag_test
from rolevend.policy.statement import ColumnSelector, MaskRule, TableSelector


@dataclass(frozen=True, slots=True)
class SelectedColumn:
    mask: Mask
    dropped: tuple[Mask, ...] = ()
    """Masks that the column's type cannot carry: the reason why `mask` is Nullify."""


def table_test(tables: TableSelector, schemas: frozenset[str] | None, *, unknown: bool) -> Callable[[Table], bool]:
    """Whether a statement is about a table: in one of `schemas` (None: of any), and selected by tags and names as far as given. Nothing
    given: no table. `unknown`: as for tags."""
    tags, names = tables.tags, tables.names
    tagged = tag_test(tags, unknown=unknown)

    def selects(table: Table) -> bool:
        return (
            bool(tags or names)
            and (schemas is None or table.id.schema in schemas)
            and tagged(table.tags)
            and (not names or any(matches(each.schema, table.id.schema) and matches(each.name, table.id.name) for each in names))
        )

    return selects


def column_choice(columns: ColumnSelector, masks: Iterable[MaskRule], applied: set[str]) -> Callable[[Column], SelectedColumn | None]:
    """What a statement shows of a column: None where it does not select it, else the mask that shows least of those that match.
    `applied` collects the names of the rules that are for any column that was asked for, granted or not."""
    selected = column_test(columns, unknown=False)
    # By name, so that of two masks that show as little as each other the rule that sorts first holds.
    rules = [(column_test(rule.columns, unknown=True), rule) for rule in sorted(masks, key=lambda rule: rule.name)]
    answers: dict[tuple[str, frozenset[Tag], Family], SelectedColumn | None] = {}

    def choose(column: Column) -> SelectedColumn | None:
        key = (column.name, column.tags, column.family)
        if key not in answers:
            here = [rule for applies, rule in rules if applies(column)]
            applied.update(rule.name for rule in here)
            answers[key] = _choice(here, column.family) if selected(column) else None
        return answers[key]

    return choose


def _choice(rules: Iterable[MaskRule], family: Family) -> SelectedColumn:
    given = [rule.mask for rule in rules]
    carried = [mask if carries(mask, family) else Nullify() for mask in given]
    return SelectedColumn(max(carried, key=strictness, default=Clear()), tuple(mask for mask in given if not carries(mask, family)))


def column_test(selector: ColumnSelector, *, unknown: bool) -> Callable[[Column], bool]:
    """`unknown`: as for tags. A mask that rests on what a tag does not say is put on where no tag says anything."""
    tagged = tag_test(selector.tags, unknown=unknown)

    def selects(column: Column) -> bool:
        return (
            bool(selector.tags or selector.names)
            and tagged(column.tags)
            and (not selector.names or any(matches(pattern, column.name) for pattern in selector.names))
        )

    return selects
