"""What a policy's selectors match, prepared for many tables: names are compiled once, and an answer is kept per distinct column."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rolevend.catalog import Column, Family, TypeLimits, matcher
from rolevend.policy.mask import Mask, Nullify, carries, strictest
from rolevend.policy.requirement import tag_test
from rolevend.policy.statement import ColumnSelector, MaskRule


@dataclass(frozen=True, slots=True)
class SelectedColumn:
    mask: Mask
    given: tuple[Mask, ...] = ()
    """Of the rules that match, each mask as the column's type can carry it: `mask` shows no more than any of them."""
    dropped: tuple[Mask, ...] = ()
    """Masks that the column's type cannot carry: the reason why `mask` is Nullify."""


def column_choice(columns: ColumnSelector, masks: Iterable[MaskRule]) -> Callable[[Column], SelectedColumn | None]:
    """What a statement shows of a column: None where it does not select it, else no more than any mask of those that match."""
    selected = column_test(columns, unknown=False)
    # By name, so that of two constants that of the rule that sorts first holds.
    rules = [(column_test(rule.columns, unknown=True), rule) for rule in sorted(masks, key=lambda rule: rule.name)]
    answers: dict[tuple[tuple[Mask, ...], Family, TypeLimits | None], SelectedColumn] = {}

    def choose(column: Column) -> SelectedColumn | None:
        if not selected(column):
            return None
        given = tuple([rule.mask for applies, rule in rules if applies(column)])
        key = given, column.family, column.limits
        if key not in answers:
            answers[key] = _choice(*key)
        return answers[key]

    return choose


def _choice(given: Sequence[Mask], family: Family, limits: TypeLimits | None) -> SelectedColumn:
    carried = tuple(mask if carries(mask, family, limits) else Nullify() for mask in given)
    return SelectedColumn(strictest(carried), carried, tuple(mask for mask in given if not carries(mask, family, limits)))


def column_test(selector: ColumnSelector, *, unknown: bool) -> Callable[[Column], bool]:
    """`unknown`: as for tags. A mask that rests on what a tag does not say is put on where no tag says anything."""
    if not selector.tags and not selector.names:
        return lambda _: False
    tagged, named = tag_test(selector.tags, unknown=unknown), matcher(selector.names or ("*",))
    return lambda column: tagged(column.tags) and named(column.name)
