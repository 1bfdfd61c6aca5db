"""`rolevend policy diff`: access that users gain and lose, or could get by asking, if one folder of objects replaces another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rolevend.audit.access_diff import Change, compare
from rolevend.audit.evidence import TableAccess
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import KnownUser
from rolevend.errors import InvalidInput
from rolevend.kinds import AccessPolicy, Agent, DataPlatform, UserAttributes, values
from rolevend.model import PlatformName
from rolevend.policytools import offer_diff
from rolevend.policytools.decisions import SECONDS, Requester, agents_of, given, opened, unlabelled, without_labels
from rolevend.policytools.folder import Catalogs, Folder
from rolevend.policytools.offer_diff import OfferDifference, offer_differences
from rolevend.policytools.report import Form, noted, rendered


@dataclass(frozen=True, slots=True)
class Difference:
    who: Requester
    change: Change


@dataclass(frozen=True, slots=True)
class Compared:
    differences: tuple[Difference, ...]
    """Of policies that grant at all times. Sorted by user, agent and platform."""
    notes: tuple[str, ...]
    """Parts that were not compared, and the reason."""
    by_asking: tuple[OfferDifference, ...] = ()
    """Of offers, in the same order."""


def diff(old: Path, new: Path, users: Sequence[Path], catalogs: Catalogs, purpose: str = "", seconds: int = SECONDS) -> Compared:
    """Compare access for every user of either folder, or only of `users` if given, with agents that state `purpose` and request a role
    for `seconds`. A platform that `old` lacks gives nothing in `old`."""
    people = [KnownUser(*values.known_user(each)) for each in Folder.sound(users).of(UserAttributes)] if users else None
    is_there, comes = Folder.sound([old]), Folder.sound([new])
    notes = list(_uncompared(is_there, comes, catalogs))
    purposes = [purpose] if purpose else []
    built = [each.build(catalogs).snapshot for each in (is_there, comes)]
    before, after = (opened(each, people, purposes=purposes) for each in built)
    if not before.people and not after.people:
        raise InvalidInput("--users", f"{old} and {new} hold no UserAttributes: name a file with some people who stand for many")
    for name in catalogs:
        if name not in after.platforms:
            also = "" if name in before.platforms else f"{old} and in "
            raise InvalidInput("", f"DataPlatform {name}, whose catalog is given, must be in {also}{new}")
    notes += without_labels(frozenset[str]().union(*(unlabelled(each, each.agents) for each in built)))
    asked = [
        Requester(user, agent, platform, purpose, seconds)
        for user in sorted(before.people.keys() | after.people.keys())
        for agent in agents_of(before, after)
        for platform in sorted(catalogs)
    ]
    differences = (Difference(who, change) for who in asked for change in compare(_given(before, who), given(after, who)))
    return Compared(tuple(differences), tuple(notes), tuple(each for who in asked for each in offer_differences(before, after, who)))


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


def _given(before: Snapshot, who: Requester) -> tuple[TableAccess, ...]:
    return given(before, who) if who.platform in before.platforms else ()


HEAD = ("User", "Agent", "Platform", "Change", "What", "Before", "After")


def row(difference: Difference) -> tuple[str, ...]:
    who, change = difference.who, difference.change
    about = (who.user.subject, str(who.agent).removeprefix("/"), who.platform)
    return (*about, change.direction, change.name, change.before or "", change.after or "")


def as_text(compared: Compared, form: Form) -> str:
    nobody = "nobody gains or loses anything" + (", as far as it was compared" if compared.notes else "")
    text = rendered(HEAD, [row(each) for each in compared.differences], form) if compared.differences else nobody
    return noted("\n\n".join([text, *offer_diff.as_text(compared.by_asking, form)]), compared.notes, form)


def as_json(compared: Compared) -> dict[str, Any]:
    return {"differences": _granted_json(compared), "byAsking": offer_diff.as_json(compared.by_asking)}


def _granted_json(compared: Compared) -> list[dict[str, str | None]]:
    return [
        {
            "issuer": each.who.user.issuer,
            "subject": each.who.user.subject,
            "agent": str(each.who.agent).removeprefix("/"),
            "platform": each.who.platform,
            "change": each.change.direction,
            "what": each.change.what,
            "name": each.change.name,
            "before": each.change.before,
            "after": each.change.after,
        }
        for each in compared.differences
    ]
