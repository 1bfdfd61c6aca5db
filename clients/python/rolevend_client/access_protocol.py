"""The calls about requests for offers, as `protocol` has the others: what to send, and what an answer means.

Each may be repeated: as long as a request is open, the same request is the same object, and a withdrawal is idempotent.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from rolevend_client import parsing
from rolevend_client.members import proof_of, tables_of, task_members, user_members, without_none
from rolevend_client.protocol import Call, reads
from rolevend_client.values import AccessRequest, AssertedUser, Offer, Task, UserToken

LONGEST_WAIT = 60
"""Seconds that one call can wait for a decision."""
_ARGUMENTS = {"userToken": "user_token", "expirationSeconds": "expiration_seconds"}
_REQUESTS = "/access/v1/requests"


@dataclass(frozen=True, slots=True)
class OfferWish:
    """The arguments of a request for an offer."""

    user: UserToken | AssertedUser
    platform: str
    offer: str
    tables: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    expiration_seconds: int | None = None
    purpose: str | None = None
    justification: str | None = None
    ticket: str | None = None
    task: Task | None = None

    def body(self) -> dict[str, Any]:
        members = {
            **user_members(self.user),
            "platform": self.platform,
            "offer": self.offer,
            "tables": [{"schema": schema, "table": table} for schema, table in self.tables] or None,
            "columns": list(self.columns) or None,
            "expirationSeconds": self.expiration_seconds,
            "purpose": self.purpose,
            "justification": self.justification or None,
            "ticket": self.ticket,
            "task": task_members(self.task),
        }
        return without_none(members)


def offer_wish(
    user_token: UserToken | str | None,
    *,
    user: AssertedUser | None,
    platform: str,
    offer: str | Offer,
    tables: Iterable[tuple[str, str] | str] | str,
    columns: Iterable[str],
    expiration_seconds: int | None,
    purpose: str | None,
    justification: str | None,
    ticket: str | None,
    task: Task | None,
) -> OfferWish:
    """Return the arguments as a value. Raises TypeError unless exactly one of token and user is given."""
    name = offer.name if isinstance(offer, Offer) else offer
    who, only = proof_of(user_token, user), tables_of(tables, "tables")
    return OfferWish(who, platform, name, only, tuple(columns), expiration_seconds, purpose, justification, ticket, task)


def ask(wanted: OfferWish) -> Call[AccessRequest]:
    return Call(f"request the offer {wanted.offer}", "POST", _REQUESTS, reads(parsing.access_request), wanted.body(), arguments=_ARGUMENTS)


def look(request_id: str, wait_seconds: int = 0) -> Call[AccessRequest]:
    """The answer comes as soon as the request is decided, after at most `wait_seconds`."""
    call = Call(f"look at the access request {request_id}", "GET", _path(request_id), reads(parsing.access_request))
    return replace(call, headers={**call.headers, "Prefer": f"wait={wait_seconds}"}) if wait_seconds else call


def withdraw(request_id: str) -> Call[None]:
    return Call(f"withdraw the access request {request_id}", "DELETE", _path(request_id), lambda _: None)


def _path(request_id: str) -> str:
    return f"{_REQUESTS}/{quote(request_id, safe='')}"
