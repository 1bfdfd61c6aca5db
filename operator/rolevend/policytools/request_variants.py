"""The variants of requests that a comparison tries: each agent, purpose and lifetime that a statement distinguishes."""

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, product
from typing import Final

from rolevend.decision.snapshot import Snapshot
from rolevend.kinds.text import LABEL_PATTERN, LONGEST_LABEL
from rolevend.model import ObjectName, PlatformName, User
from rolevend.policytools.decisions import LONGEST_SECONDS, SECONDS, SHORTEST_SECONDS, Requester
from rolevend.policytools.distinctions import LIFETIME, PURPOSE, Distinctions

NO_PURPOSE: Final = ""
OTHER_PURPOSE: Final = "(any other)"
"""Stands for every purpose that nothing names. No purpose can have this name."""
MOST_VARIANTS: Final = 10_000
"""On each platform."""
_NOBODY: Final = User("", "")
_STAND_IN: Final = "stand-in"


@dataclass(frozen=True, slots=True, order=True)
class Lifetime:
    """A range of requested lifetimes that no condition distinguishes."""

    shortest: int
    longest: int

    @property
    def seconds(self) -> int:
        """The lifetime that is tried."""
        return SECONDS if SECONDS in self else self.shortest

    def __contains__(self, seconds: int) -> bool:
        return self.shortest <= seconds <= self.longest

    def __str__(self) -> str:
        return f"{self.shortest} s" if self.shortest == self.longest else f"{self.shortest}-{self.longest} s"


def joined(lifetimes: Iterable[Lifetime]) -> Iterator[Lifetime]:
    """Yield the ranges, adjacent ones as one."""
    last: Lifetime | None = None
    for each in sorted(lifetimes):
        if last is not None and last.longest + 1 == each.shortest:
            last = Lifetime(last.shortest, each.longest)
            continue
        if last is not None:
            yield last
        last = each
    if last is not None:
        yield last


def purpose_text(purpose: str) -> str:
    return purpose or "(none)"


@dataclass(frozen=True, slots=True)
class RequestVariant:
    agents: tuple[ObjectName, ...]
    """Agents that nothing distinguishes, sorted."""
    purpose: str
    lifetime: Lifetime

    def requester(self, user: User, platform: PlatformName) -> Requester:
        return Requester(user, self.agents[0], platform, self.purpose, self.lifetime.seconds)


@dataclass(frozen=True, slots=True)
class VariantClass:
    """Variants with equal access for each user. The first is tried."""

    members: tuple[RequestVariant, ...]


def named_purposes(snapshots: Iterable[Snapshot], platforms: Iterable[PlatformName]) -> frozenset[str]:
    """Return the purposes that platforms, offers and conditions name."""
    platforms = list(platforms)
    found: set[str] = set()
    for snapshot in snapshots:
        found.update(*(each.purposes for terms in snapshot.platforms.values() for each in terms.agents))
        found.update(*(terms.purposes for terms in snapshot.offers.values() if terms.purposes is not None))
        found.update(*(Distinctions(snapshot, name).texts(PURPOSE) for name in platforms))
    return frozenset(each for each in found if len(each) <= LONGEST_LABEL and re.search(LABEL_PATTERN, each))


def lifetimes(sides: Iterable[Distinctions]) -> list[Lifetime]:
    """Return the ranges between the numbers of conditions on the lifetime and bounds that changed, and each number alone."""
    numbers = {each for side in sides for each in side.numbers(LIFETIME) | side.bounds}
    edges = sorted({SHORTEST_SECONDS, LONGEST_SECONDS + 1}.union(*({each, each + 1} for each in numbers)))
    known = [each for each in edges if SHORTEST_SECONDS <= each <= LONGEST_SECONDS + 1]
    return [Lifetime(low, high - 1) for low, high in pairwise(known)]


def candidates(
    sides: Sequence[Distinctions], agents: Iterable[ObjectName], stand_ins: Iterable[ObjectName], purposes: Iterable[str]
) -> tuple[list[RequestVariant], int]:
    """Return the variants, and the number of those that are left out. `purposes` are the named ones."""
    alike: dict[Hashable, list[ObjectName]] = {}
    for is_stand_in, names in ((False, agents), (True, stand_ins)):
        for name in names:
            alike.setdefault((is_stand_in, *(side.agent_key(name) for side in sides)), []).append(name)
    groups = [tuple(sorted(names)) for names in alike.values()]
    stated = [NO_PURPOSE, *sorted(purposes), OTHER_PURPOSE]
    ranges = lifetimes(sides)
    total = len(ranges) * len(stated) * len(groups)
    every = product(sorted(ranges, key=lambda each: SECONDS not in each), stated, groups)
    found = [RequestVariant(names, purpose, lifetime) for lifetime, purpose, names in islice(every, MOST_VARIANTS)]
    return found, total - len(found)


def classes(
    sides: Sequence[Distinctions], platform: PlatformName, found: Iterable[RequestVariant], stand_ins: frozenset[ObjectName]
) -> list[VariantClass]:
    """Return the classes. A stand-in counts only where no Agent meets the same statements."""
    alike: dict[Hashable, dict[Hashable, list[RequestVariant]]] = {}
    for each in sorted(found, key=lambda each: each.agents[0] in stand_ins):
        who = each.requester(_NOBODY, platform)
        groups = alike.setdefault(tuple(side.request_key(who) for side in sides), {})
        if who.agent not in stand_ins:
            groups.setdefault(tuple(side.of_agent(who.agent) for side in sides), []).append(each)
        elif not groups or _STAND_IN in groups:
            groups.setdefault(_STAND_IN, []).append(each)
    return [VariantClass(tuple(members)) for groups in alike.values() for members in groups.values()]
