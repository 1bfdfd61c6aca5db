"""The texts that a responder reads before and after roles end. Names of agents and databases are quoted. Pure."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rolevend.approvals.wording import about, names
from rolevend.model import ObjectName
from rolevend.platforms.statement import plain
from rolevend.revocations.selection import RoleFilter, RoleSelection, SelectedRole

_HEADINGS: Final = ("ROLE", "AGENT", "USER", "PLATFORMS", "TABLES", "PURPOSE", "PROOF", "EXPIRES IN")
_PLAIN: Final = re.compile(r"[^\s\"\\()]+")
_MOST_TABLES: Final = 3
MOST_ROWS: Final = 100
_MOST_LEFT: Final = 20


@dataclass(frozen=True, slots=True)
class RoleLeft:
    """A role that is not gone."""

    name: ObjectName
    reason: str


@dataclass(frozen=True, slots=True)
class RevocationOutcome:
    gone: int
    left: tuple[RoleLeft, ...] = ()
    appeared: int = 0
    """Roles that match, and that were vended or shown after the selection."""
    unexplained: tuple[RoleLeft, ...] = ()
    """Roles that end without the reason, which could not be written."""


def table(roles: Sequence[SelectedRole], now: datetime, most: int | None = MOST_ROWS) -> str:
    """Return the table of the first roles, and the number of others. `most` None: all of them."""
    shown = roles if most is None else roles[:most]
    lines = [_HEADINGS, *(_row(each, now) for each in shown)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    more = [f"... and {len(roles) - len(shown)} more; --dry-run lists all"] if len(roles) > len(shown) else []
    text = ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*text, *more])


def counts(roles: Sequence[SelectedRole]) -> str:
    """Return one line for each agent, the one with the most roles first, and the sum."""
    agents = Counter(each.agent for each in roles)
    width = max(map(len, agents))
    lines = [f"{agent:<{width}}  {_roles(count)} of {_users(roles, agent)}" for agent, count in agents.most_common()]
    ending = sum(each.is_ending for each in roles)
    waiting = f"; {ending} of them are ending already" if ending else ""
    return "\n".join([*lines, f"{_roles(len(roles))} of {_number(len(agents), 'agent')} and {_users(roles)}{waiting}"])


def nothing(wanted: RoleFilter, selection: RoleSelection, namespace: str | None) -> str:
    where = "" if namespace is None else f" in namespace {namespace}"
    what = "there is no live role" if wanted.is_everything else f"no live role matches {wanted}"
    return f"{what}{where}: nothing to end{selection.hint}"


def intent(selection: RoleSelection, because: str, by: str) -> str:
    live = len(selection.live)
    if not live:
        return "all of them are ending already, with the reason of their first end"
    return f"{_roles(live)} end now, with their sessions and running statements, as revoked by {by}: {because}"


def result(outcome: RevocationOutcome, seconds: float) -> str:
    """Return how many roles are gone, and each that is not with its reason."""
    total = outcome.gone + len(outcome.left)
    lines = [f"{outcome.gone} of {_roles(total)} {'is' if total == 1 else 'are'} gone"]
    if outcome.left:
        lines[0] += f"; after {seconds:g} s {len(outcome.left)} {'is' if len(outcome.left) == 1 else 'are'} left:"
        lines += [f"left: {each.name}: {plain(each.reason)}" for each in outcome.left[:_MOST_LEFT]]
        others = Counter(each.reason for each in outcome.left[_MOST_LEFT:])
        lines += [f"left: {count} more: {plain(reason)}" for reason, count in others.most_common(_MOST_LEFT)]
        lines.append("The operator continues to drop them. Run the command again to wait for them.")
    return "\n".join(lines)


def notes(outcome: RevocationOutcome) -> Iterable[str]:
    for each in outcome.unexplained[:_MOST_LEFT]:
        yield f"{each.name} ends without your name and reason, which could not be written: {plain(each.reason)}"
    if len(outcome.unexplained) > _MOST_LEFT:
        yield f"{len(outcome.unexplained) - _MOST_LEFT} more end without your name and reason"
    if outcome.appeared:
        yield f"{_roles(outcome.appeared)} that match appeared meanwhile: suspend what they rest on, and run the command again"


def _row(role: SelectedRole, now: datetime) -> tuple[str, ...]:
    user = _word(role.subject)
    left = "-" if role.expires_at is None else about((role.expires_at - now).total_seconds())
    return (
        str(role.name),
        role.agent,
        user if role.handle is None or role.handle == role.subject else f"{user} ({role.handle})",
        names(role.platforms),
        _tables(role),
        role.purpose or "-",
        role.proof or "-",
        "ending" if role.is_ending else left,
    )


def _word(text: str) -> str:
    """Return a subject as it is, such as an address, or quoted and with invisible characters escaped."""
    return text if _PLAIN.fullmatch(text) and text.isprintable() else json.dumps(text, ensure_ascii=not text.isprintable())


def _tables(role: SelectedRole) -> str:
    shown, count = role.tables[:_MOST_TABLES], role.table_count
    if count is None:
        return "not decided"
    if not shown:
        return f"{count}, not listed"
    return f"{', '.join(map(plain, shown))}{f' +{count - len(shown)}' if count > len(shown) else ''}"


def _users(roles: Iterable[SelectedRole], agent: str | None = None) -> str:
    return _number(len({each.subject for each in roles if agent in (None, each.agent)}), "user")


def _roles(count: int) -> str:
    return _number(count, "role")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
