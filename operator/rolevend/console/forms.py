"""Read the forms of the console's pages: the vote, the filter of roles."""

import hmac
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

from rolevend.access_report.target import TABLE as QUESTION_TABLE
from rolevend.approvals.narrowing import MASK, MOST_MASKS, TABLES, VoteNarrowing, read_mask, read_seconds, read_tables
from rolevend.console.acting import VoteOnPage
from rolevend.console.live import RoleQuery
from rolevend.console.sessions import Session
from rolevend.errors import InvalidInput, Rejected
from rolevend.kinds.vended_role import TableName
from rolevend.revocations.selection import RoleFilter, read_agent, read_table
from rolevend.web.forms import ForeignForm, read_form

_MOST_FIELDS: Final = 64
TABLE: Final = "table."
"""The beginning of the name of each checkbox of a table."""
_FIELDS: Final = {
    **{"--for": "Only for", "--tables": "Only these tables", "--mask": "Mask also"},
    **{"--because": "Why", "--agent": "Agent", "--table": "Table", "--user": "Person", "--platform": "Platform", "--purpose": "Purpose"},
    **{QUESTION_TABLE: "Table or column", "--catalog": "Catalogs"},
}
"""How the pages name the options of commands."""
FILTERS: Final = ("q", "agent", "user", "platform", "table", "purpose")


async def read_own_form(request: Request, session: Session) -> dict[str, str]:
    """Return the fields of a form of this session. Raises ForeignForm and UnreadableForm."""
    form = await read_form(request, _MOST_FIELDS)
    if not hmac.compare_digest(form.get("form", "").encode(errors="replace"), session.form_token.encode()):
        raise ForeignForm
    return form


def said(error: Rejected) -> str:
    """Return the message, with the field as the page names it."""
    if isinstance(error, InvalidInput) and error.field in _FIELDS:
        return f"{_FIELDS[error.field]}: {error.message}"
    return str(error)


def vote_of(form: dict[str, str], named: Mapping[str, TableName]) -> VoteOnPage:
    """`named` are the tables that the page showed to choose from. Raises InvalidInput, which names the field."""
    choice, comment = form.get("choice"), form.get("comment", "").strip() or None
    if choice == "Deny":
        if comment is None:
            raise InvalidInput("Comment", "say why, for the person and the agent")
        return VoteOnPage("Deny", VoteNarrowing(), comment, "", form.get("uid", ""))
    if choice != "Approve":
        raise InvalidInput("Answer", "neither Approve nor Deny was chosen")
    return VoteOnPage(
        "Approve", narrowing_of(form, named), comment, form.get("digest", ""), form.get("uid", ""), noted=form.get("noted", "")
    )


def narrowing_of(form: dict[str, str], named: Mapping[str, TableName]) -> VoteNarrowing:
    """`named` as of `vote_of`. Raises InvalidInput, which names the field."""
    seconds = form.get("seconds", "").strip()
    lines = [line.strip() for line in form.get("masks", "").splitlines() if line.strip()]
    if len(lines) > MOST_MASKS:  # before each is read, which takes time
        raise InvalidInput(MASK, f"that are {len(lines):,} masks; write at most {MOST_MASKS}")
    masks = tuple(read_mask(line, number) for number, line in enumerate(lines))
    return VoteNarrowing(read_seconds(seconds) if seconds else None, _tables_of(form, named), masks)


def chosen_tables(form: Mapping[str, str]) -> set[str]:
    """Return the texts of the tables whose boxes are checked."""
    return {value for name, value in form.items() if name.startswith(TABLE)}


def _tables_of(form: dict[str, str], named: Mapping[str, TableName]) -> tuple[TableName, ...] | None:
    """Return the chosen tables, or None for all of them."""
    chosen = chosen_tables(form)
    if not named:
        if chosen:  # the offer changed, or may not be read any more: never approve more than was chosen
            raise InvalidInput(TABLES, "they cannot be chosen here any more; open the page again")
        text = form.get("tables", "").strip()
        return read_tables(text) if text else None
    if not chosen:
        raise InvalidInput(TABLES, "choose at least one, or deny the request")
    if unknown := sorted(chosen - named.keys()):
        raise InvalidInput(TABLES, f"{unknown[0]} is not requested")
    return None if chosen == named.keys() else tuple(table for text, table in named.items() if text in chosen)


def query_of(given: dict[str, str]) -> RoleQuery:
    """Raises InvalidInput, which names the field."""
    text = {name: given.get(name, "").strip() for name in FILTERS}
    wanted = RoleFilter(
        agent=read_agent(text["agent"], None) if text["agent"] else None,
        user=text["user"] or None,
        platform=text["platform"] or None,
        table=read_table(text["table"]) if text["table"] else None,
        purpose=text["purpose"] or None,
    )
    page = given.get("page", "1")
    return RoleQuery(wanted, text["q"][:200], int(page) if page.isdecimal() and len(page) < 6 else 1)
