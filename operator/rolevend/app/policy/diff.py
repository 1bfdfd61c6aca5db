"""`rolevend policy diff`: who gains and who loses what, where one folder of objects takes the place of another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolevend.app.policy.folder import Catalogs, Folder
from rolevend.app.policy.tables import Form, rendered
from rolevend.app.policy.verdicts import Who, agents_of, given, opened
from rolevend.errors import InvalidInput
from rolevend.resources import UserAttributes, values
from rolevend.vending.difference import Change, compare
from rolevend.vending.directory import Directory, Person


@dataclass(frozen=True, slots=True)
class Difference:
    who: Who
    change: Change


def diff(old: Path, new: Path, users: Sequence[Path], catalogs: Catalogs, purpose: str = "") -> tuple[Difference, ...]:
    """For every user of either folder, or of `users` alone where they are given, where agents say that `purpose`; by user, agent and
    platform."""
    people = [Person(*values.known_user(each)) for each in Folder.sound(users).of(UserAttributes)] if users else None
    said = [purpose] if purpose else []
    before, after = (opened(Folder.sound([folder]).picture(catalogs).directory, people, purposes=said) for folder in (old, new))
    if not before.people and not after.people:
        raise InvalidInput("--users", f"{old} and {new} hold no UserAttributes: name a file with some people who stand for many")
    for name in catalogs:
        if name not in before.platforms or name not in after.platforms:
            raise InvalidInput("", f"DataPlatform {name}, whose catalog is given, must be in {old} and in {new}")
    return tuple(_differences(before, after, catalogs, purpose))


HEAD = ("User", "Agent", "Platform", "Change", "What", "Before", "After")


def row(difference: Difference) -> tuple[str, ...]:
    who, change = difference.who, difference.change
    return (who.user.subject, str(who.agent).removeprefix("/"), who.platform, change.direction, change.name, change.before, change.after)


def as_text(differences: Sequence[Difference], form: Form) -> str:
    if not differences:
        return "nobody gains or loses anything"
    return rendered(HEAD, [row(each) for each in differences], form)


def as_json(differences: Sequence[Difference]) -> list[dict[str, str]]:
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
        for each in differences
    ]


def _differences(before: Directory, after: Directory, catalogs: Catalogs, purpose: str) -> Iterator[Difference]:
    for user in sorted(before.people.keys() | after.people.keys()):
        for agent in agents_of(before, after):
            for platform in sorted(catalogs):
                who = Who(user, agent, platform, purpose)
                for change in compare(given(before, who), given(after, who)):
                    yield Difference(who, change)
