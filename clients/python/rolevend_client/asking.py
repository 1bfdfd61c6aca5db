"""The request that a model makes with a tool: its arguments, and the role that its approval gives. Does not depend on a tool framework."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rolevend_client import access_messages
from rolevend_client.sessions import ForTheModel
from rolevend_client.values import AccessRequest, Offer

LONGEST_REASON = 500
OFFER = "The offer, `namespace/name`, as a refusal or list_tables names it."
TABLES = "The only tables that are needed, each as schema.table. Without it: all of the offer."
COLUMNS = "The only columns that are needed. Without it: all of the offer."
MINUTES = "How long the role is needed."
REASON = "The reason, as the person gave it. People who decide read it."
TICKET = "The ticket of the request, if the offer asks for one. Ask the person for it; do not invent it."
REQUEST = "The id that request_access returned."
WAIT = "How long to wait for a decision, in seconds."


@dataclass(frozen=True, slots=True)
class Asking:
    """The arguments of one call of `request_access`."""

    offer: str
    platform: str
    purpose: str | None
    tables: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    seconds: int | None
    reason: str | None
    ticket: str | None = None

    def request(self) -> Mapping[str, Any]:
        """Return the arguments of the client's `request_access`, without the proof of the user."""
        return {
            "platform": self.platform,
            "offer": self.offer,
            "tables": self.tables,
            "columns": self.columns,
            "expiration_seconds": self.seconds,
            "purpose": self.purpose,
            "justification": self.reason,
            "ticket": self.ticket,
        }

    def vend(self, approved: AccessRequest) -> Mapping[str, Any]:
        """Return the arguments of the client's `vend` with the approval, without the proof of the user."""
        return {
            "platform": self.platform,
            "purpose": self.purpose,
            "seconds": approved.approval.expiration_seconds if approved.approval else None,
            "approval": approved.id,
        }


@dataclass(frozen=True, slots=True)
class AskingTerms:
    """The arguments of the standing role, which a request keeps to."""

    platforms: Sequence[str]
    purpose: str | None
    resources: Sequence[tuple[str, str]] = ()
    """The only tables that may be requested; empty: all."""

    def require(self, tables: Iterable[tuple[str, str]]) -> None:
        """Raise `ForTheModel` if one of the tables may not be requested."""
        if self.resources and not set(tables) <= set(map(tuple, self.resources)):
            names = ", ".join(".".join(each) for each in self.resources)
            raise ForTheModel(f"Only these tables can be requested here: {names}.")


def asking(
    known: Sequence[Offer],
    terms: AskingTerms,
    offer: str,
    *,
    tables: Sequence[str] | None,
    columns: Sequence[str] | None,
    minutes: int | None,
    why: str | None,
    ticket: str | None = None,
) -> Asking:
    """Return the request. `known` are the offers that the model was shown. Raises `ForTheModel` if it cannot be made of the arguments."""
    platforms, named = terms.platforms, tuple(map(_table, tables or ()))
    shown = next((each for each in known if each.name == offer), None)
    if shown is None and len(platforms) != 1:
        names = ", ".join(each.name for each in known) or "none"
        raise ForTheModel(f"There is no offer {offer} here; the offers are: {names}.")
    terms.require(named)
    return Asking(
        offer=offer,
        platform=shown.platform if shown else platforms[0],
        purpose=shown.purpose if shown and shown.purpose else terms.purpose,
        tables=named or tuple(terms.resources),
        columns=tuple(columns or ()),
        seconds=None if minutes is None else 60 * minutes,
        reason=(why or "")[:LONGEST_REASON] or None,
        ticket=(ticket or "").strip() or None,
    )


def unknown_request() -> ForTheModel:
    return ForTheModel(access_messages.UNKNOWN)


def _table(name: str) -> tuple[str, str]:
    schema, dot, table = name.partition(".")
    if not (schema and dot and table):
        raise ForTheModel(f"Name each table as schema.table, not {name}.")
    return schema, table
