"""The rows of canary tables, and the profiles over them. The same on every platform, apart from the case of names."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rolevend.catalog import Column, Table
from rolevend.model import ProfileName
from rolevend.plan import Cell, ColumnShape, Profile, TableShape
from rolevend.platforms.protocol import Randomness
from rolevend.policy.expression import AttributeMembership, ColumnReference, Comparison, Condition, Literal, Operator
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit

REGIONS: Final = ("eu", "eu", "us", "us", "apac", None)
"""Of persons 0 to 5, each followed by the token."""
CODES: Final = ("12345678", "1234567", "1", "", "é☃é☃é☃é☃", None)
AMOUNTS: Final = ("1299.99", "-1299.99", "0", "99", "100000000000000000000", None)
PHONES: Final = ("+49 30 1234", "unlisted", "0", "", "٣☃", None)
WITHHELD: Final = "withheld"
MASKS: Final[Mapping[str, Mask]] = {
    "email": Hash(),
    "ssn": Nullify(),
    "code": Partial(4),
    "born": DateTrunc(Unit.YEAR),
    "note": Constant(WITHHELD),
    "amount": Round("100"),
    "phone": Regex("[0-9]", "#"),
}
_EVERY_ROW: Final = Condition((), None)


@dataclass(frozen=True, slots=True)
class Profiles:
    shared: Profile
    """Rows of the user's regions, of two tables, and every mask."""
    mixed: Profile
    """Two grants: one shows person 0 with the e-mail address, the other one person 2 with the number. The code takes both sides, and one
    of them shows it of person 2 alone."""
    other: Profile
    """Every row and cell."""
    brief: Profile
    """Every row of one small table, for roles whose end is checked."""
    dated: Profile
    """Rows of the user's days and, where a platform tells them apart from days, of the user's times."""

    def __iter__(self) -> Iterator[Profile]:
        return iter((self.shared, self.mixed, self.other, self.brief, self.dated))


def rows_of_people(token: str) -> Iterator[tuple[str | None, ...]]:
    """Yield the rows of the table of people: id, region, email, ssn, code, born, note, amount, phone.

    The token is random: a value that an agent is shown is recognized by it.
    """
    for number, (region, code, amount, phone) in enumerate(zip(REGIONS, CODES, AMOUNTS, PHONES, strict=True)):
        identity = (str(number), region and f"{region}-{token}", f"p{number}@{token}.example", f"ssn-{token}-{number}")
        yield *identity, code, f"198{number}-05-17", token, amount, phone


def profiles_of(people: Table, regional: Iterable[Table], timed: Table, dated: Table, randomness: Randomness) -> Profiles:
    """Return the profiles over these tables. `regional` are further tables whose rows have a region."""
    first, second = _equal(people, "id", "0"), _equal(people, "id", "2")
    mixed = {
        "email": (Cell((first,), Clear()),),
        "ssn": (Cell((second,), Clear()), Cell((), Constant(WITHHELD))),
        "code": (Cell((first, second), Clear(), (second,)),),
    }
    masked = {name: (Cell((), mask),) for name, mask in MASKS.items()}
    days = [_member(dated, column, attribute) for column, attribute in (("day", "days"), ("at", "times")) if _has(dated, column)]
    random = randomness(12).hex()  # not the token: every role can read names

    def profile(number: int, *shapes: TableShape) -> Profile:
        return Profile(ProfileName(f"rv_p_canary{random}{number}"), shapes)

    return Profiles(
        profile(
            1,
            _shape(people, [_member(people, "region", "regions")], masked),
            *(_shape(table, [_member(table, "region", "regions")]) for table in regional),
        ),
        profile(2, _shape(people, [first, second], mixed)),
        profile(3, _shape(people, [_EVERY_ROW])),
        profile(4, _shape(timed, [_EVERY_ROW])),
        profile(5, _shape(dated, days)),
    )


def _shape(table: Table, rows: Sequence[Condition], cells: Mapping[str, tuple[Cell, ...]] | None = None) -> TableShape:
    clear = (Cell((), Clear()),)
    columns = tuple(
        ColumnShape(column.name, column.family, column.native_type, (cells or {}).get(column.name.lower(), clear))
        for column in table.columns
    )
    return TableShape(table.id, table.id.name, tuple(rows), columns)


def _member(table: Table, column: str, attribute: str) -> Condition:
    return Condition((attribute,), AttributeMembership(_reference(table, column), attribute))


def _equal(table: Table, column: str, text: str) -> Condition:
    return Condition((), Comparison(_reference(table, column), Operator.EQUAL, Literal(text, quoted=False)))


def _reference(table: Table, name: str) -> ColumnReference:
    (column,) = _named(table, name)
    return ColumnReference(column.name, column.family, column.native_type)


def _has(table: Table, name: str) -> bool:
    return bool(_named(table, name))


def _named(table: Table, name: str) -> list[Column]:
    return [column for column in table.columns if column.name.lower() == name]
