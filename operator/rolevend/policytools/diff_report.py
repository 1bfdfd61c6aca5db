"""Output of `rolevend policy diff` as text, as Markdown, and as JSON."""

from typing import Any, Final

from rolevend.policytools import offer_diff
from rolevend.policytools.comparison import Difference, Extent
from rolevend.policytools.diff import Compared
from rolevend.policytools.outcomes import when_columns
from rolevend.policytools.report import noted
from rolevend.text_table import Form, rendered

_ABOUT: Final = ("User", "Agent", "Platform")
_CHANGE: Final = ("Change", "What", "Before", "After")


def as_text(compared: Compared, form: Form) -> str:
    nobody = "nobody gains or loses anything" + (", as far as it was compared" if compared.notes else "")
    text = _table(compared, form) if compared.differences else nobody
    return noted("\n\n".join([text, *offer_diff.as_text(compared.by_asking, form)]), compared.notes, form)


def _table(compared: Compared, form: Form) -> str:
    columns = when_columns(each.when for each in compared.differences)
    rows = [_row(each, tuple(column.text(each.when) for column in columns)) for each in compared.differences]
    return rendered((*_ABOUT, *(column.name for column in columns), *_CHANGE), rows, form)


def _row(difference: Difference, when: tuple[str, ...]) -> tuple[str, ...]:
    who, change = difference.who, difference.change
    about = (who.user.subject, str(who.agent).removeprefix("/"), who.platform)
    return (*about, *when, change.direction, change.name, change.before or "", change.after or "")


def as_json(compared: Compared) -> dict[str, Any]:
    return {
        "differences": [_granted_json(each) for each in compared.differences],
        "byAsking": offer_diff.as_json(compared.by_asking),
        "tried": [_tried_json(each) for each in compared.tried],
        "notTried": list(compared.notes),
    }


def _granted_json(each: Difference) -> dict[str, Any]:
    return {
        "issuer": each.who.user.issuer,
        "subject": each.who.user.subject,
        "agent": str(each.who.agent).removeprefix("/"),
        "platform": each.who.platform,
        **each.when.json,
        "change": each.change.direction,
        "what": each.change.what,
        "name": each.change.name,
        "before": each.change.before,
        "after": each.change.after,
    }


def _tried_json(extent: Extent) -> dict[str, Any]:
    return {
        "platform": extent.platform,
        "users": extent.users,
        "agents": [str(each).removeprefix("/") for each in extent.agents],
        "purposes": [each or None for each in extent.purposes],
        "expirationSeconds": [{"from": each.shortest, "to": each.longest} for each in extent.lifetimes],
        "cases": extent.cases,
    }
