"""Every case on one platform, before and after a change: each user, agent, purpose and lifetime that something distinguishes."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from rolevend.audit.access_diff import Change
from rolevend.decision.snapshot import Snapshot
from rolevend.model import ObjectName, PlatformName, User
from rolevend.policytools.decisions import ANY_AGENT, Requester, agents_of, given_shapes
from rolevend.policytools.distinctions import Distinctions
from rolevend.policytools.offer_diff import OfferDifference, offer_differences
from rolevend.policytools.outcomes import ALWAYS, DifferenceWhen, Ranges, When, outcomes
from rolevend.policytools.request_variants import (
    MOST_VARIANTS,
    Lifetime,
    RequestVariant,
    VariantClass,
    candidates,
    classes,
    joined,
    purpose_text,
)
from rolevend.policytools.shape_comparer import ShapeComparer
from rolevend.policytools.stand_ins import MOST_ENTRIES, MOST_STAND_INS, added, stand_ins
from rolevend.policytools.untried import TriedRequests, untried
from rolevend.policytools.withheld import withheld

MOST_CASES: Final = 20_000
"""On each platform: users times variants, alike ones counted once."""
_NOBODY: Final = User("", "")
T = TypeVar("T")
Sides = tuple[Distinctions, Distinctions]


@dataclass(frozen=True, slots=True)
class Difference:
    who: Requester
    change: Change
    when: When = ALWAYS


@dataclass(frozen=True, slots=True)
class CaseSelection:
    """The purposes and lifetimes to try."""

    named: frozenset[str]
    """Every purpose that something names."""
    purpose: str | None = None
    """The only purpose; None: all."""
    seconds: int | None = None
    """The only lifetime; None: all."""

    def includes(self, variant: RequestVariant) -> bool:
        is_asked = self.purpose in (None, variant.purpose)
        return is_asked and (self.seconds is None or self.seconds in variant.lifetime)


@dataclass(frozen=True, slots=True)
class Extent:
    """The cases that were tried on one platform."""

    platform: PlatformName
    users: int
    agents: tuple[ObjectName, ...]
    purposes: tuple[str, ...]
    lifetimes: tuple[Lifetime, ...]
    cases: int
    """Alike ones counted once."""


@dataclass(frozen=True, slots=True)
class PlatformCompared:
    differences: tuple[Difference, ...]
    by_asking: tuple[OfferDifference, ...]
    untried: tuple[str, ...]
    """One sentence for each part that no case shows."""
    extent: Extent


def compare_platform(
    sides: tuple[Snapshot, Snapshot], built: tuple[Snapshot, Snapshot], platform: PlatformName, asked: CaseSelection
) -> PlatformCompared:
    """Compare two snapshots, which are `opened` with all purposes of `asked`. `built` are the same before that, with the terms for
    agents."""
    entries = [entry for each in built if platform in each.platforms for entry in each.platforms[platform].agents]
    refused = withheld(built[0], built[1], platform), withheld(built[1], built[0], platform)
    agents = agents_of(*sides)
    found, more = stand_ins([Distinctions(each, platform) for each in sides], entries)
    others = [each for each in found if each.name not in agents]
    before, after = (Distinctions(added(each, others), platform, gone) for each, gone in zip(sides, refused, strict=True))
    every, left_out = candidates((before, after), agents, [each.name for each in others], asked.named)
    alike = classes((before, after), platform, every, frozenset(each.name for each in others))
    cases = _Cases((before, after), platform, _selected(alike, asked))
    notes = [*_unasked(alike, asked), *_beyond(left_out, more_agents=more), *cases.left_out, *cases.untried()]
    return PlatformCompared(tuple(cases.differences()), tuple(cases.by_asking()), tuple(notes), cases.extent)


def _selected(alike: Iterable[VariantClass], asked: CaseSelection) -> list[VariantClass]:
    kept = (VariantClass(tuple(filter(asked.includes, each.members))) for each in alike)
    return [each for each in kept if each.members]


def _unasked(alike: Iterable[VariantClass], asked: CaseSelection) -> Iterator[str]:
    """Yield notes on purposes and lifetimes that something distinguishes and that were not asked for."""
    dropped = [member for each in alike if not any(map(asked.includes, each.members)) for member in each.members]
    purposes = dict.fromkeys(each.purpose for each in dropped if asked.purpose not in (None, each.purpose))
    if purposes:
        yield f"not tried: the purposes {', '.join(map(purpose_text, purposes))}; leave out --purpose to try all"
    lifetimes = {each.lifetime for each in dropped if asked.seconds is not None and asked.seconds not in each.lifetime}
    if lifetimes:
        yield f"not tried: lifetimes of {', '.join(map(str, joined(lifetimes)))}; leave out --expiration-seconds to try all"


def _beyond(left_out: int, *, more_agents: bool) -> Iterator[str]:
    if more_agents:
        yield (
            f"not tried: some agents that are in no file; at most {MOST_STAND_INS} are, each selected by at most {MOST_ENTRIES} entries of "
            "spec.agents of the DataPlatform"
        )
    if left_out:
        what = f"{left_out} combinations of agent, purpose and lifetime; at most {MOST_VARIANTS} are"
        yield f"not tried: {what}; --purpose and --expiration-seconds choose others"


class _Cases:
    """The users of one platform, in groups that nothing distinguishes, times the variants."""

    def __init__(self, sides: Sides, platform: PlatformName, asked: Sequence[VariantClass]) -> None:
        self._sides = sides
        self._platform = platform
        self._comparer = ShapeComparer()
        alike: dict[Hashable, list[User]] = {}
        for user in sorted(sides[0].snapshot.people.keys() | sides[1].snapshot.people.keys()):
            was, is_now = (side.attributes(user) for side in sides)
            changed = (was, is_now) if was != is_now else None
            alike.setdefault((*(side.user_key(user) for side in sides), changed), []).append(user)
        self._users = list(alike.values())[:MOST_CASES]
        self._classes = asked[: max(1, MOST_CASES // max(1, len(self._users)))]
        self.left_out = list(_too_many(len(alike) - len(self._users), len(asked) - len(self._classes)))
        self._found = [[self._compared(users[0], each.members[0]) for each in self._classes] for users in self._users]

    @property
    def extent(self) -> Extent:
        members = [member for each in self._classes for member in each.members]
        agents = tuple(sorted({name for each in members for name in each.agents}))
        purposes = tuple(sorted({each.purpose for each in members}))
        users, cases = sum(map(len, self._users)), len(self._users) * len(self._classes)
        return Extent(self._platform, users, agents, purposes, tuple(joined({each.lifetime for each in members})), cases)

    def untried(self) -> list[str]:
        """Return a sentence for each statement that may differ and that no case meets."""
        users = [each[0] for each in self._users]
        asked = [each.members[0].requester(user, self._platform) for user in users[:1] for each in self._classes]
        before, after = (TriedRequests(side, users, asked) for side in self._sides)
        return untried(before, after)

    def differences(self) -> Iterator[Difference]:
        """Yield the differences of what policies grant, sorted by user and agent."""
        for who, found in self._outcomes([[granted for granted, _ in each] for each in self._found]):
            yield Difference(who, found.difference, found.when)

    def by_asking(self) -> Iterator[OfferDifference]:
        """Yield the differences of offers, in the same order."""
        for who, found in self._outcomes([[offered for _, offered in each] for each in self._found]):
            yield replace(found.difference, who=who, when=found.when)

    def _compared(self, user: User, variant: RequestVariant) -> tuple[Sequence[Change], Sequence[OfferDifference]]:
        who, (before, after) = variant.requester(user, self._platform), (side.snapshot for side in self._sides)
        was, is_now = (
            () if side.refuses(who) or self._platform not in side.snapshot.platforms else given_shapes(side.snapshot, who)
            for side in self._sides
        )
        offered = offer_differences(before, after, who, self._comparer)
        anybody = Requester(_NOBODY, ANY_AGENT, self._platform)
        values = (side.attributes(user) for side in self._sides)
        return self._comparer.changes(was, is_now, *values), [replace(each, who=anybody) for each in offered]

    def _outcomes(self, found: Sequence[Sequence[Sequence[T]]]) -> Iterator[tuple[Requester, DifferenceWhen[T]]]:
        """Yield the differences for each user and agent. `found` are those of each group of users in each class."""
        tried = Ranges.of(member for each in self._classes for member in each.members)
        by_agents: dict[tuple[ObjectName, ...], dict[RequestVariant, int]] = {}
        for number, each in enumerate(self._classes):
            for member in each.members:
                by_agents.setdefault(member.agents, {})[member] = number
        rows = []
        for users, by_class in zip(self._users, found, strict=True):
            for agents, members in by_agents.items() if any(by_class) else ():
                held = list(outcomes({member: by_class[number] for member, number in members.items()}, tried))
                rows += [(Requester(user, agent, self._platform), held) for user in users for agent in agents if held]
        for who, held in sorted(rows, key=lambda row: row[0]):
            yield from ((who, each) for each in held)


def _too_many(users: int, variants: int) -> Iterator[str]:
    for number, what, way_out in (
        (users, "users with attributes of their own", "--users names others"),
        (
            variants,
            "combinations of agent, purpose and lifetime",
            "--users names fewer users, --purpose and --expiration-seconds choose others",
        ),
    ):
        if number:
            yield f"not tried: {number} {what}; at most {MOST_CASES} cases are; {way_out}"
