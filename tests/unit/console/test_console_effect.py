"""An approver sees on a made-up value what an approval changes."""

from datetime import UTC, datetime

import pytest

from rolevend.audit.evidence import mask_shown
from rolevend.console.effect import EffectLine, lines
from rolevend.kinds.previewed_effect import PreviewedCells, PreviewedColumn, PreviewedEffect, PreviewedTable
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit


def line(today: list[str], granted: list[str]) -> EffectLine:
    shown = {name: tuple(PreviewedCells(shown=each, rows=2) for each in texts) for name, texts in (("today", today), ("granted", granted))}
    table = PreviewedTable(
        schema_name="claims", table="people", rows_today=2, rows_granted=2, columns=(PreviewedColumn(name="ssn", **shown),)
    )
    _, found = lines(PreviewedEffect(counted_at=datetime.now(UTC), tables=(table,)))
    return found


@pytest.mark.parametrize(
    ("mask", "today", "granted"),
    [
        (Partial(2), "***34", "Example 1234"),
        (DateTrunc(Unit.YEAR), "2024-01-01", "2024-05-17"),
        (Round("100"), "1200.00", "1234.56"),
        (Constant("it's (withheld)"), "it's (withheld)", "Example 1234"),
        (Nullify(), "", "Example 1234"),
        (Regex("a+", "b"), "", "Example 1234"),
    ],
)
def test_both_sides_show_the_same_value(mask: Mask, today: str, granted: str):
    found = line([mask_shown(mask)], [mask_shown(Clear())])
    assert (found.example_today, found.example_granted) == (today, granted)


def test_a_hash_is_one_of_no_installation():
    assert len(line([mask_shown(Hash())], ["Clear"]).example_today) == 64


@pytest.mark.parametrize("text", ["Constant('cut", "Constant(__import__('os'))", "Partial(x)", "Round(", "<script>", "", "Partial(2) in 3"])
def test_a_text_that_is_no_mask_has_no_example(text: str):
    assert line([text], ["Clear"]).example_today == ""


def test_a_column_that_is_shown_in_several_ways_has_no_example():
    assert line(["Hash", "Clear"], ["Clear"]).example_today == ""
    assert line([], ["Clear"]).example_today == ""
