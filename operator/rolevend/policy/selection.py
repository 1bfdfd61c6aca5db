"""Match a policy's selectors against columns: names are compiled once, and results are cached per distinct column."""

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
    """The masks of the matching rules, as the column's type can hold them. `mask` shows no more than any of them."""
    dropped: tuple[Mask, ...] = ()
    """Masks that the column's type cannot hold: the reason why `mask` is Nullify."""


def column_choice(columns: ColumnSelector, masks: Iterable[MaskRule]) -> Callable[[Column], SelectedColumn | None]:
    """Return a function that returns None if the statement does not select a column, else the strictest of the matching masks."""
    selected = column_test(columns, unknown=False)
    # By name: of two constants the rule that sorts first wins.
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
    """Return a test of columns. `unknown`: see `requirement.tag_test`; True for masks, so that they apply without tags."""
    if not selector.tags and not selector.names:
        return lambda _: False
    tagged, named = tag_test(selector.tags, unknown=unknown), matcher(selector.names or ("*",))
    return lambda column: tagged(column.tags) and named(column.name)
