"""The answers as a table, and as values for JSON and YAML. Pure. Control characters are escaped, so that no name imitates another line."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rolevend.access_report.answer import ActingNames, Basis, PossibleAccess, RoleAccess
from rolevend.access_report.target import AccessTarget
from rolevend.approvals.wording import about, moment
from rolevend.audit.evidence import TableAccess
from rolevend.platforms.statement import plain
from rolevend.policy.explanation import EVERY_ROW
from rolevend.policytools.offer_text import BY, access_json
from rolevend.policytools.outcomes import when_columns
from rolevend.text_table import rendered

_NOT_KNOWN: Final = "?"
SOURCES: Final = {
    Basis.DECISION: "policies",
    Basis.AUDIT_EVENT: "audit",
    Basis.STATUS: "status",
    Basis.UNKNOWN: "perhaps",
}


def live_text(target: AccessTarget, found: Sequence[RoleAccess], now: datetime) -> str:
    if not found:
        return live_summary(target, found)
    head = ("Role", "Agent", "User", "Platform", "Purpose", "Proof", "Expires in", *_access_head(target), "Policies", "Source", "Rows")
    rows = [
        (
            each.object or "",
            *_role_cells(each),
            each.state.lower() if each.state != "Live" or each.end is None else about((each.end - now).total_seconds()),
            shown_text(target, each.access),
            policies_text(each),
            SOURCES[each.basis],
            rows_text(each.access),
        )
        for each in found
    ]
    return f"{live_summary(target, found)}\n\n{_table(head, rows)}"


def live_summary(target: AccessTarget, found: Sequence[RoleAccess]) -> str:
    if not found:
        return f"{target}: no live role reads it"
    known = [each for each in found if each.basis is not Basis.UNKNOWN]
    perhaps = len(found) - len(known)
    counts = [
        *([f"{_number(len(known), 'live role')} of {people_text(known)}"] if known else []),
        *([f"{_number(perhaps, 'live role')} perhaps"] if perhaps else []),
    ]
    return f"{target}: {', and '.join(counts)}"


def ended_text(target: AccessTarget, found: Sequence[RoleAccess]) -> str:
    if not found:
        return f"{target}: no role of these events could read it"
    head = ("From", "Until", "Role", "Agent", "User", "Platform", "Purpose", "Proof", *_access_head(target), "Policies", "Source", "Rows")
    rows = [
        (
            "" if each.begin is None else moment(each.begin),
            "" if each.end is None else moment(each.end),
            each.role or "",
            *_role_cells(each),
            shown_text(target, each.access),
            policies_text(each),
            SOURCES[each.basis],
            rows_text(each.access),
        )
        for each in found
    ]
    return f"{target}: {_number(len(found), 'role')} of {people_text(found)}\n\n{_table(head, rows)}"


def possible_text(target: AccessTarget, found: Sequence[PossibleAccess]) -> str:
    if not found:
        return possible_summary(target, found)
    columns = when_columns(each.when for each in found)
    head = ("User", "Agent", "Platform", "Proof", *(each.name for each in columns), "How", *_access_head(target), "Policies", "Rows")
    rows = [
        (
            each.acting.user_subject,
            each.acting.agent,
            each.platform,
            each.proof,
            *(column.text(each.when) for column in columns),
            how_text(each),
            shown_text(target, each.access),
            ", ".join(each.policies),
            rows_text(each.access),
        )
        for each in found
    ]
    return f"{possible_summary(target, found)}\n\n{_table(head, rows)}"


def possible_summary(target: AccessTarget, found: Sequence[PossibleAccess]) -> str:
    if not found:
        return f"{target}: nobody could read it"
    known = [each for each in found if not each.is_stranger]
    at_once = people_text(each for each in known if each.how is None)
    by_asking = people_text(each for each in known if each.how is not None)
    return f"{target}: {at_once} could read it at once, {by_asking} by asking"


def how_text(each: PossibleAccess) -> str:
    return "at once" if each.how is None else f"by asking: {BY[each.how]}"


def role_json(target: AccessTarget, each: RoleAccess) -> dict[str, Any]:
    return {
        "object": each.object,
        "role": each.role,
        **_acting_json(each.acting),
        "platform": each.platform,
        "purpose": each.purpose,
        "proof": each.proof,
        "state": each.state,
        "from": _time(each.begin),
        "until": _time(each.end),
        "source": each.basis.value,
        "policies": None if each.policies is None else list(each.policies),
        "approval": each.approval,
        "tools": list(each.tools),
        **_access_json(target, each.access),
    }


def possible_json(target: AccessTarget, each: PossibleAccess) -> dict[str, Any]:
    return {
        **_acting_json(each.acting),
        "standsForOthers": each.is_stranger,
        "platform": each.platform,
        "proof": each.proof,
        **each.when.json,
        "byAsking": None if each.how is None else each.how.value,
        "policies": list(each.policies),
        **_access_json(target, each.access),
    }


def _acting_json(names: ActingNames) -> dict[str, Any]:
    return {
        "agent": names.agent,
        "issuer": names.user_issuer,
        "subject": names.user_subject,
        "userHandle": names.user_handle,
    }


def _access_json(target: AccessTarget, access: TableAccess | None) -> dict[str, Any]:
    column = {} if target.column is None else {"shows": None if access is None else target.shown_by(access)}
    return {**column, "access": None if access is None else {**access_json(access), "lookups": list(access.lookups)}}


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return rendered(head, [[plain(cell) for cell in row] for row in rows], "text")


def _access_head(target: AccessTarget) -> tuple[str, ...]:
    return ("Columns" if target.column is None else target.column,)


def _role_cells(each: RoleAccess) -> tuple[str, ...]:
    names = each.acting
    user = names.user_subject if names.user_handle in (None, names.user_subject) else f"{names.user_subject} ({names.user_handle})"
    return names.agent, user, each.platform, each.purpose or "", each.proof or ""


def shown_text(target: AccessTarget, access: TableAccess | None) -> str:
    if access is None:
        return _NOT_KNOWN
    if target.column is not None:
        lookup = ", and lookup in hidden rows" if target.column in access.lookups else ""
        return f"{target.shown_by(access)}{lookup}"
    masked = f", {len(access.masked)} masked" if access.masked else ""
    return f"{len(access.clear)} clear{masked}"


def policies_text(each: RoleAccess) -> str:
    policies = (_NOT_KNOWN,) if each.policies is None else each.policies
    return ", ".join([*policies, *(f"{tool} too" for tool in each.tools), *([each.approval] if each.approval else [])])


def rows_text(access: TableAccess | None) -> str:
    if access is None:
        return _NOT_KNOWN
    rows = " or ".join(f"({row})" for row in access.rows) if len(access.rows) > 1 else "".join(access.rows)
    return " and only where ".join([rows or EVERY_ROW, *access.restrictions])


def people_text(found: Iterable[RoleAccess | PossibleAccess]) -> str:
    listed = [each.acting for each in found]
    users = {(each.user_issuer, each.user_subject) for each in listed}
    return f"{_number(len({each.agent for each in listed}), 'agent')} and {_number(len(users), 'user')}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
