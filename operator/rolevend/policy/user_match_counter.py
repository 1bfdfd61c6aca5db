"""Count the users that requirements match, with a bitmap per attribute and value in which each user is one bit."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import and_, or_

from rolevend.model import Attributes, User
from rolevend.policy.requirement import Requirement, RequirementOperator, held

_Holders = dict[str, dict[str | None, int]]
"""Attribute -> value -> bitmap of its users; None: users with any value."""


class UserMatchCounter:
    """Counts among the users that `update` was given."""

    def __init__(self) -> None:
        self._people: dict[User, tuple[int, Attributes]] = {}
        """Each with its bit."""
        self._free: list[int] = []
        self._everybody = 0
        self._described = 0
        """A bitmap of the users with any attribute."""
        self._holders: _Holders = {}
        self._having: Counter[str] = Counter()
        self.attributes: frozenset[str] = frozenset()
        """The attributes of all users."""

    def update(self, people: Mapping[User, Attributes], gone: Iterable[User] = ()) -> None:
        """Set the attributes of `people`, and forget the users `gone`. The other users stay as they are."""
        for user in gone:
            bit, attributes = self._people.pop(user)
            self._unmark(bit, attributes)
            self._free.append(bit)
        for user, attributes in people.items():
            bit, before = self._people.get(user) or (0, None)
            if before is attributes or before == attributes:
                continue
            if before is None:
                bit = self._free.pop() if self._free else 1 << len(self._people)
            else:
                self._unmark(bit, before)
            self._people[user] = bit, attributes
            self._mark(bit, attributes)
        self.attributes = frozenset(+self._having)

    def ask(self, requirements: Iterable[Requirement]) -> None:
        """Set the requirements that may be counted."""
        asked: dict[str, set[str | None]] = {}
        for requirement in requirements:
            asked.setdefault(requirement.key, {None}).update(requirement.values)
        new = {key: dict.fromkeys(values, 0) for key, values in asked.items() if values - self._holders.get(key, {}).keys()}
        if new:
            for bit, attributes in self._people.values():
                _add(bit, attributes, new)
        self._holders = {key: new.get(key) or {value: self._holders[key][value] for value in values} for key, values in asked.items()}

    def covered(self, requirements: Iterable[Requirement]) -> int:
        """Return the number of users that meet all of them, for a grant: see `requirement.meets`."""
        return reduce(and_, (self._holding(each, unknown=False) for each in requirements), self._everybody).bit_count()

    def concerned(self, requirements: Iterable[Requirement]) -> int:
        """Return the number of users not known to miss one of them, for a guardrail: see `requirement.may_meet`."""
        return reduce(and_, map(self._maybe_holding, requirements), self._everybody).bit_count()

    def _holding(self, requirement: Requirement, *, unknown: bool) -> int:
        holders = self._holders[requirement.key]
        among = reduce(or_, (holders[value] for value in requirement.values), 0)
        return held(requirement.operator, holders[None], among, self._described, self._everybody, unknown=unknown)

    def _maybe_holding(self, requirement: Requirement) -> int:
        exists = requirement.operator is RequirementOperator.EXISTS
        without = self._everybody ^ (self._described if exists else self._holders[requirement.key][None])
        return self._holding(requirement, unknown=True) | without

    def _mark(self, bit: int, attributes: Attributes) -> None:
        self._everybody |= bit
        self._described |= bit if attributes.items else 0
        self._having.update(key for key, _ in attributes)
        _add(bit, attributes, self._holders)

    def _unmark(self, bit: int, attributes: Attributes) -> None:
        self._everybody &= ~bit
        self._described &= ~bit
        self._having.subtract(key for key, _ in attributes)
        for key, _ in attributes:
            for value in self._holders.get(key, {}):
                self._holders[key][value] &= ~bit


def _add(bit: int, attributes: Attributes, holders: _Holders) -> None:
    for key, given in attributes:
        known = holders.get(key)
        if known is not None:
            known[None] |= bit
            for value in given:
                if value in known:
                    known[value] |= bit
