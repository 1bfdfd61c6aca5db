"""`rolevend policy diff`: access that users gain and lose, or could get by asking, if one folder of objects replaces another."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rolevend.decision.snapshot_inputs import KnownUser
from rolevend.errors import InvalidInput
from rolevend.kinds import AccessPolicy, Agent, DataPlatform, UserAttributes, values
from rolevend.model import PlatformName
from rolevend.policy.vocabulary import closest
from rolevend.policytools.carriers import uncarried
from rolevend.policytools.comparison import CaseSelection, Difference, Extent, compare_platform
from rolevend.policytools.decisions import opened, unlabelled, without_labels
from rolevend.policytools.folder import Catalogs, Folder
from rolevend.policytools.offer_diff import OfferDifference
from rolevend.policytools.request_variants import OTHER_PURPOSE, named_purposes
from rolevend.policytools.uncompared import uncompared

MOST_NOTES: Final = 50
"""Of untried parts."""


@dataclass(frozen=True, slots=True)
class Compared:
    differences: tuple[Difference, ...]
    """Of policies that grant at all times. Sorted by user, agent and platform."""
    notes: tuple[str, ...]
    """Parts that were not compared, and the reason."""
    by_asking: tuple[OfferDifference, ...] = ()
    """Of offers, in the same order."""
    tried: tuple[Extent, ...] = ()
    """By platform."""


def diff(
    old: Path, new: Path, users: Sequence[Path], catalogs: Catalogs, purpose: str | None = None, seconds: int | None = None
) -> Compared:
    """Compare access for every user of either folder, or only of `users` if given, and for every agent, purpose and lifetime that
    something in the folders distinguishes, or only for `purpose` and `seconds` if given. A platform that `old` lacks gives nothing in
    `old`."""
    given = Folder.sound(users).of(UserAttributes) if users else None
    people = None if given is None else [KnownUser(*values.known_user(each)) for each in given]
    is_there, comes = Folder.sound([old]), Folder.sound([new])
    notes = list(_uncompared(is_there, comes, catalogs))
    built = is_there.build(catalogs).snapshot, comes.build(catalogs).snapshot
    purposes = named_purposes(built, catalogs)
    if purpose is not None and purpose not in purposes:
        unknown = f"no DataPlatform, policy or offer in {old} and {new} names the purpose {purpose}"
        raise InvalidInput("--purpose", unknown + closest(purpose, purposes))
    before, after = (opened(each, people, purposes=[*purposes, OTHER_PURPOSE]) for each in built)
    if not before.people and not after.people:
        raise InvalidInput("--users", f"{old} and {new} hold no UserAttributes: name a file with some people who stand for many")
    for name in catalogs:
        if name not in after.platforms:
            also = "" if name in before.platforms else f"{old} and in "
            raise InvalidInput("", f"DataPlatform {name}, whose catalog is given, must be in {also}{new}")
    notes += without_labels(frozenset[str]().union(*(unlabelled(each, each.agents) for each in built)))
    asked = CaseSelection(purposes, purpose, seconds)
    found = [compare_platform((before, after), built, name, asked) for name in sorted(catalogs)]
    notes += _shortened(
        [
            *(note for each in found for note in each.untried),
            *uncompared(is_there, comes, users_given=bool(users)),
            *_uncarried(is_there, comes, given),
        ]
    )
    differences = sorted((one for each in found for one in each.differences), key=lambda one: one.who)
    by_asking = sorted((one for each in found for one in each.by_asking), key=lambda one: one.who)
    return Compared(tuple(differences), tuple(notes), tuple(by_asking), tuple(each.extent for each in found))


def _shortened(notes: Iterable[str]) -> list[str]:
    distinct = list(dict.fromkeys(notes))
    more = len(distinct) - MOST_NOTES
    return distinct if more <= 0 else [*distinct[:MOST_NOTES], f"and {more} more parts that were not tried"]


def _uncompared(old: Folder, new: Folder, catalogs: Catalogs) -> Iterator[str]:
    """Yield notes on removed platforms without a catalog. Raises InvalidInput if one is still there."""
    there = {PlatformName(each.name) for each in new.of(DataPlatform)}
    for name in sorted((_named(old) | _named(new)) - catalogs.keys()):
        if name in there or name in _named(new):
            why = f"what DataPlatform {name} holds is not known, so nobody can tell who gains or loses there"
            raise InvalidInput("--catalog", f"{why}: give its catalog, too; rolevend platform catalog writes it")
        yield f"nothing on {name} was compared: nothing names it any more, and all that it gave is gone"


def _named(folder: Folder) -> set[PlatformName]:
    """Return the platforms of policies and tools."""
    refs = [ref for policy in folder.of(AccessPolicy) for ref in policy.spec.platform_refs]
    return {PlatformName(ref.name) for ref in [*refs, *(tool.platform_ref for agent in folder.of(Agent) for tool in agent.spec.tools)]}


def _uncarried(old: Folder, new: Folder, given: Sequence[UserAttributes] | None) -> Iterator[str]:
    """Yield notes on the values that nobody has, of policies and guardrails that are new or were changed."""
    before = {document.name: document.body.get("spec") for document, _ in old.found.values()}
    people = [*old.of(UserAttributes), *new.of(UserAttributes)] if given is None else given
    for each in uncarried(new, people):
        document, _ = new.found[each.uid]
        if before.get(document.name) != document.body.get("spec"):
            yield each.told(new)
