"""The differences of all cases of a comparison: which users, agents, purposes and lifetimes have each of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from rolevend.policytools.request_variants import Lifetime, RequestVariant, joined, purpose_text

T = TypeVar("T")
ANY: Final = "any"


@dataclass(frozen=True, slots=True)
class When:
    """The purposes and lifetimes for which a difference holds; None: for all that were tried."""

    purposes: tuple[str, ...] | None = None
    lifetimes: tuple[Lifetime, ...] | None = None

    @property
    def json(self) -> dict[str, Any]:
        """Null for no purpose, and in place of a list for all that were tried."""
        lifetimes = None if self.lifetimes is None else [{"from": each.shortest, "to": each.longest} for each in self.lifetimes]
        return {"purposes": None if self.purposes is None else [each or None for each in self.purposes], "expirationSeconds": lifetimes}


ALWAYS: Final = When()


@dataclass(frozen=True, slots=True)
class WhenColumn:
    """A column of a table of differences."""

    name: str
    text: Callable[[When], str]


def when_columns(whens: Iterable[When]) -> list[WhenColumn]:
    """Return the columns that tell these apart: none if each difference holds for all that was tried."""
    listed = list(whens)
    columns = [
        (WhenColumn("Purpose", _purposes_text), any(each.purposes is not None for each in listed)),
        (WhenColumn("Lifetime", _lifetimes_text), any(each.lifetimes is not None for each in listed)),
    ]
    return [column for column, is_shown in columns if is_shown]


def _purposes_text(when: When) -> str:
    return ANY if when.purposes is None else ", ".join(map(purpose_text, when.purposes))


def _lifetimes_text(when: When) -> str:
    return ANY if when.lifetimes is None else ", ".join(map(str, when.lifetimes))


@dataclass(frozen=True, slots=True)
class DifferenceWhen(Generic[T]):
    """A difference, and when it holds."""

    difference: T
    when: When


@dataclass(frozen=True, slots=True)
class Ranges:
    """All purposes and lifetimes that were tried."""

    purposes: frozenset[str]
    lifetimes: frozenset[Lifetime]

    @classmethod
    def of(cls, variants: Iterable[RequestVariant]) -> "Ranges":
        found = list(variants)
        return cls(frozenset(each.purpose for each in found), frozenset(each.lifetime for each in found))


def outcomes(found: Mapping[RequestVariant, Sequence[T]], tried: Ranges) -> Iterator[DifferenceWhen[T]]:
    """Yield the differences of one user through one agent, from those of each variant, which differ in purpose and lifetime alone."""
    where: dict[T, list[RequestVariant]] = {}
    for variant, differences in found.items():
        for each in differences:
            where.setdefault(each, []).append(variant)
    for difference, variants in where.items():
        for when in _whens(variants, tried):
            yield DifferenceWhen(difference, when)


def _whens(variants: Iterable[RequestVariant], tried: Ranges) -> Iterator[When]:
    by_purpose: dict[str, set[Lifetime]] = {}
    for each in variants:
        by_purpose.setdefault(each.purpose, set()).add(each.lifetime)
    alike: dict[frozenset[Lifetime], list[str]] = {}
    for purpose, ranges in by_purpose.items():
        alike.setdefault(frozenset(ranges), []).append(purpose)
    for held, stated in alike.items():
        yield When(
            None if tried.purposes == set(stated) else tuple(sorted(stated)),
            None if tried.lifetimes == held else tuple(joined(held)),
        )
