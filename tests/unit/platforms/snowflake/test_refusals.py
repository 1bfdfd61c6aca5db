"""What is not rendered for Snowflake, and what is rendered as NULL: each says in one sentence what it is and what to do."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from rolevend.catalog import Column, Family, Table, TableId
from rolevend.errors import Conflict, InvalidInput
from rolevend.model import ProfileName
from rolevend.plan import Cell, ColumnShape, Condition, TableShape
from rolevend.platforms.snowflake.build.masks import MaskPosition
from rolevend.platforms.snowflake.build.policies import fragment, masking_policies, row_policy, secure_view
from rolevend.platforms.snowflake.build.predicate import Reading, any_of, predicate_text
from rolevend.platforms.snowflake.build.views import View
from rolevend.platforms.snowflake.sql import Sql, identifier
from rolevend.platforms.snowflake.types import family
from rolevend.policy.expression import (
    And,
    AttributeMembership,
    ColumnReference,
    Comparison,
    Literal,
    Membership,
    Operator,
    Or,
)
from rolevend.policy.literal import Clock, Moment
from rolevend.policy.mask import Clear, Constant, Hash, Mask, Nullify, Partial, Round, beyond, carries

READING = Reading(identifier, lambda need: Sql("NULL"))
EVERY_ROW = Condition((), None)
LONG = "x" * 61
P, Q = (ProfileName(f"rv_p_{digit * 32}") for digit in "12")
TABLE = Table(TableId("S", "T"), tuple(Column(name, Family.TEXT, "VARCHAR(40)") for name in "ABC"))


def column(name: str, native: str, *masks: Mask) -> ColumnShape:
    return ColumnShape(name, family(native), native, tuple(Cell((), mask) for mask in masks))


def view(*columns: ColumnShape) -> View:
    return secure_view(P, TableShape(TABLE.id, "T", (EVERY_ROW,), columns), database="PROD")


VARIANT = ColumnReference("C", Family.OTHER, "VARIANT")
INCOMPARABLE = "column C cannot be compared: Snowflake type VARIANT"


@pytest.mark.parametrize(
    ("render", "said"),
    [
        (lambda: any_of((), READING), "a filter without a condition would mean nothing"),
        (lambda: predicate_text(And(()), READING), "AND and OR need at least one part"),
        (lambda: predicate_text(Or(()), READING), "AND and OR need at least one part"),
        (lambda: predicate_text(Comparison(VARIANT, Operator.EQUAL, Literal("x", quoted=True)), READING), INCOMPARABLE),
        (lambda: predicate_text(Comparison(VARIANT, Operator.LESS, Moment(Clock.NOW)), READING), INCOMPARABLE),
        (lambda: predicate_text(Membership(VARIANT, (Literal("x", quoted=True),)), READING), INCOMPARABLE),
        (lambda: predicate_text(AttributeMembership(VARIANT, "x"), READING), INCOMPARABLE),
        (
            lambda: view(column(LONG, "FLOAT", Clear()), column("y", "FLOAT", Clear()), column(LONG.upper(), "FLOAT", Clear())),
            f"two columns of S.T are {LONG.upper()[:60]} but for their case: rename one, or grant one alone",
        ),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_a_sentence(render: Callable[[], object], said: str):
    with pytest.raises(InvalidInput) as refused:
        render()
    assert (refused.value.field, refused.value.message) == ("", said)


@pytest.mark.parametrize(
    ("native", "mask", "typed", "why"),
    [
        ("FLOAT", Round("0.000000000000001"), False, None),
        ("FLOAT", Round("0.0000000000000001"), False, "a step of 0.0000000000000001 has more than 15 decimal places"),
        ("NUMBER(38,2)", Round("0.25"), False, None),
        ("NUMBER(38,2)", Round("0.125"), False, "a step of 0.125 has more than 2 decimal places"),
        ("NUMBER(37,2)", Round("0.125"), False, None),
        ("NUMBER(37,2)", Round("0.125"), True, "a step of 0.125 has more than 2 decimal places"),
        ("NUMBER(38,2)", Round("0.005"), True, None),
        ("NUMBER(5,0)", Constant("99999"), False, None),
        ("NUMBER(5,0)", Constant("100000"), False, "100000 is more than 99999"),
    ],
)
def test_a_type_shows_what_it_can_just_hold_and_of_more_is_said_why_not(native: str, mask: Mask, typed: bool, why: str | None):
    place = MaskPosition(Sql("C"), family(native), native, typed=typed)

    assert beyond(mask, place.family, place.limits) == why
    assert carries(mask, place.family, place.limits) is (why is None)


def of(column: str) -> Condition:
    return Condition((), Comparison(ColumnReference(column, Family.TEXT, "VARCHAR(40)"), Operator.EQUAL, Literal("x", quoted=True)))


def shape(*rows: Condition, **masks: tuple[Cell, ...]) -> TableShape:
    columns = tuple(column(each.name, each.native_type, Clear()) for each in TABLE.columns)
    return TableShape(TABLE.id, "T", rows or (EVERY_ROW,), tuple(replace(each, cells=masks.get(each.name, each.cells)) for each in columns))


MASKED, BY_ROW = (Cell((), Hash()),), (Cell((of("B"),), Clear()), Cell((), Partial(2)))


@pytest.mark.parametrize(
    ("one", "other", "name", "who"),
    [
        (shape(of("A")), shape(A=MASKED), "A", (P, Q)),
        (shape(B=MASKED), shape(C=BY_ROW), "B", (P,)),
        (shape(of("B")), shape(C=BY_ROW), "B", (P,)),
    ],
    ids=["filtered by and masked", "masked and a condition of a mask", "filtered by and a condition of a mask"],
)
def test_profiles_whose_policies_cannot_be_in_force_together_are_named_with_the_column(
    one: TableShape, other: TableShape, name: str, who: tuple[ProfileName, ...]
):
    parts = {Q: fragment(Q, other, TABLE.columns), P: fragment(P, one, TABLE.columns)}
    for render in (row_policy, masking_policies):
        for alone in (P, Q):
            render(TABLE.id, TABLE.columns, {alone: parts[alone]})
        with pytest.raises(Conflict) as refused:
            render(TABLE.id, TABLE.columns, parts)
        assert str(refused.value) == (
            f"column {name} of S.T is filtered by and masked for tools at once ({', '.join(who)}), which Snowflake has no policies for:"
            " give those agents no tool that reads the table by its own name"
        )


@pytest.mark.parametrize("odd", [False, True])
def test_a_table_without_a_column_for_its_row_policy_is_refused(odd: bool):
    """Each is masked, is a condition of a mask, or is of a type that no policy can be written for."""
    columns = (*TABLE.columns, *([Column("V", Family.OTHER, "VECTOR(FLOAT, 3)")] if odd else []))
    parts = {P: fragment(P, shape(C=BY_ROW), TABLE.columns), Q: fragment(Q, shape(A=(Cell((), Nullify()),)), TABLE.columns)}
    with pytest.raises(Conflict) as refused:
        row_policy(TABLE.id, columns, parts)
    assert str(refused.value) == (
        "every column of S.T is masked or of a type that no policy can be written for: leave one in clear, or remove the tool"
    )
