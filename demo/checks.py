"""Compute the expected answers from the seeded rows, and compare.

The policies of examples/01-first-role are implemented here a second time: a check that used rolevend for the expected answer would always
pass.
"""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from demo.seed import Claim, Person, Seed
from rolevend.policytools.embedded.errors import BenchError

Row = tuple[object, ...]

_POLL = 0.02
_SHOWN = 3


class CheckFailed(BenchError):
    """The database differs from the story."""

    def __init__(self, what: str, expected: str, seen: str) -> None:
        super().__init__(f"check failed: {what}\n  expected: {expected}\n  seen:     {seen}")


def check(what: str, *, expected: object, seen: object) -> None:
    """Raise `CheckFailed` unless they are equal."""
    if seen != expected:
        raise CheckFailed(what, _text(expected), _text(seen))


def check_rows(what: str, *, expected: Sequence[Row], seen: Sequence[Row]) -> None:
    """Raise `CheckFailed` unless the rows are equal, in order. The failure shows the counts and the first difference."""
    if expected == seen:
        return
    first = next((place for place, (left, right) in enumerate(zip(expected, seen, strict=False)) if left != right), None)
    place = min(len(expected), len(seen)) if first is None else first
    raise CheckFailed(what, _row_text(expected, place), _row_text(seen, place))


def check_soon(what: str, expected: str, holds: Callable[[], bool], seen: Callable[[], str], *, within: float) -> None:
    """Return as soon as `holds()`. Raises `CheckFailed`, with the result of `seen`, after `within` seconds."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise CheckFailed(what, expected, seen())
        time.sleep(_POLL)


@dataclass(frozen=True, slots=True)
class Sight:
    """The seeded rows that one person may see."""

    name: str
    """The name of the VendedRole in vended-roles.yaml."""
    subject: str
    handle: str
    first_name: str
    job: str
    countries: frozenset[str]
    masked: Callable[[Person, bytes], Person]
    """(row of people, salt of hashes) -> the row that they see."""
    note: Callable[[str], str]

    def claims(self, seed: Seed) -> list[Claim]:
        return [claim._replace(note=self.note(claim.note)) for claim in seed.claims if claim.country in self.countries]

    def people(self, seed: Seed, salt: bytes) -> list[Person]:
        return [self.masked(person, salt) for person in seed.people if person.country in self.countries]

    def totals(self, seed: Seed) -> list[Row]:
        """Return the answer to `questions.TOTALS`."""
        groups: defaultdict[tuple[str, str], list[Claim]] = defaultdict(list)
        for claim in self.claims(seed):
            if seed.person(claim.person_id).country in self.countries:
                groups[claim.country, claim.status].append(claim)
        return [
            (*key, len(group), len({claim.person_id for claim in group}), sum((claim.amount for claim in group), Decimal(0)))
            for key, group in sorted(groups.items())
        ]

    def waiting(self, seed: Seed, salt: bytes) -> list[Row]:
        """Return the answer to `questions.WAITING`."""
        mine = (claim for claim in self.claims(seed) if claim.status == "open")
        seen = [claim for claim in mine if seed.person(claim.person_id).country in self.countries]
        first = sorted(seen, key=lambda claim: (-claim.amount, claim.claim_id))[:_SHOWN]
        return [waiting_row(claim, self.masked(seed.person(claim.person_id), salt)) for claim in first]


def waiting_row(claim: Claim, person: Person) -> Row:
    """Return a row of the answer to `questions.WAITING`."""
    return (claim.claim_id, claim.country, claim.amount, person.full_name, person.ssn, person.birth_date, claim.note)


def _for_analyst(person: Person, salt: bytes) -> Person:
    name, ssn, born = person.full_name or "", person.ssn or "", person.birth_date or date.min
    shown = f"***{name[len(name) - min(2, len(name) // 2) :]}"
    return person._replace(full_name=shown, ssn=hashlib.sha256(salt + ssn.encode()).hexdigest(), birth_date=born.replace(month=1, day=1))


def _for_actuary(person: Person, _: bytes) -> Person:
    born = person.birth_date or date.min
    return person._replace(full_name=None, ssn=None, birth_date=born.replace(day=1))


ANNA = Sight(
    name="ask-for-anna",
    subject="anna",
    handle="ANNA",
    first_name="Anna",
    job="analyst for Germany and Austria",
    countries=frozenset({"DE", "AT"}),
    masked=_for_analyst,
    note=lambda note: note,
)
BOB = Sight(
    name="ask-for-bob",
    subject="bob",
    handle="BOB",
    first_name="Bob",
    job="actuary in the United States",
    countries=frozenset({"US"}),
    masked=_for_actuary,
    note=lambda _: "(withheld)",
)


GRANTED_BY = {"AT": "analysts", "CH": "fraud-review", "DE": "both"}
"""The policies that grant people of a country, for a fraud review by Anna's agent."""


def in_clear(seed: Seed, salt: bytes, *columns: str) -> list[Person]:
    """Return every row of people that Anna's role sees if these columns are shown in clear."""
    people = [person for person in seed.people if person.country in ANNA.countries]
    return [ANNA.masked(person, salt)._replace(**{name: getattr(person, name) for name in columns}) for person in people]


def reviewed(seed: Seed, salt: bytes) -> list[Person]:
    """Return every row of people that Anna's agent sees for a fraud review."""
    return [_for_review(person, salt) for person in seed.people if person.country in GRANTED_BY]


def _for_review(person: Person, salt: bytes) -> Person:
    """`fraud-review` shows full names and no births; the guardrail keeps every ssn hashed."""
    by, analyst = GRANTED_BY[person.country], _for_analyst(person, salt)
    return analyst._replace(
        full_name=analyst.full_name if by == "analysts" else person.full_name,
        birth_date=None if by == "fraud-review" else analyst.birth_date,
    )


def _row_text(rows: Sequence[Row], place: int) -> str:
    row = f"row {place + 1} is {_text(rows[place])}" if place < len(rows) else f"there is no row {place + 1}"
    return f"{len(rows):,} rows; {row}"


def _text(value: object) -> str:
    match value:
        case tuple() | list():
            return f"({', '.join(map(_text, value))})"
        case frozenset() | set():
            return ", ".join(sorted(map(str, value)))
        case None:
            return "NULL"
        case _:
            return str(value)
