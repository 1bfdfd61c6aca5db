"""Find the offers that show what a role does not, as far as the agent may know them. Pure.

A table that does not exist, one without an offer, and one whose offer is not discoverable have the same answer, after the same work: see
`decision.offers.named_offers`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rolevend.access_requests.terms import Justification, OfferTerms
from rolevend.api.access.offer_schemas import AccessRequestHint, HintedRequest, MissingShown, OfferShown, TableMissing
from rolevend.audit.evidence import tables_of
from rolevend.catalog import TableId
from rolevend.decision.offers import MOST_NAMED, ApprovedBy, AvailableOffer, named_offers
from rolevend.decision.outcome import Denied, Pending, Request
from rolevend.decision.snapshot import Snapshot
from rolevend.kinds.shared import UserName
from rolevend.kinds.vended_role import TableName
from rolevend.plan import TableShape, contains
from rolevend.roles.decision import PlatformGrant

_MAX_TABLES: Final = 5
_MAX_COLUMNS: Final = 12


@dataclass(frozen=True, slots=True)
class OfferFinder:
    """Finds offers in one snapshot."""

    snapshot: Snapshot

    def missing(self, request: Request, decision: Denied | Pending) -> MissingShown | None:
        """Return the grant that a denied request lacks, or None if there is nothing to tell."""
        if isinstance(decision, Pending):
            return None
        tables = decision.tables or request.resources
        offers = tuple(_shown(request, each) for each in named_offers(self.snapshot, request, tables))
        sentence = "; ".join(filter(None, (decision.missing or _tables(decision.tables), _sentence(offers))))
        if not sentence:
            return None
        named = None if tables is None else tuple(TableMissing(schema_name=each.schema, table=each.name) for each in tables)
        return MissingShown(tables=named, offers=offers, sentence=sentence)

    def access_request(self, request: Request, decision: Denied | Pending) -> AccessRequestHint | None:
        """Return how to request the first offer of `missing`, or None if it names none. It holds no token."""
        if isinstance(decision, Pending):
            return None
        tables = decision.tables or request.resources
        first = next(iter(named_offers(self.snapshot, request, tables)), None)
        if first is None:
            return None
        shown = (each.table for each in first.effect.profile.tables)
        asserted = UserName(issuer=request.user.issuer, subject=request.user.subject) if request.token is None else None
        body = HintedRequest(
            platform=request.platform,
            offer=str(first.terms.offer),
            tables=None if tables is None else tuple(TableName(schema_name=each.schema, table=each.name) for each in shown),
            purpose=first.purpose,
            expiration_seconds=min(request.expiration_seconds, first.longest_seconds),
            user=asserted,
        )
        return AccessRequestHint(body=body, asks=tuple(_asks(request, first.terms)))

    def showing(self, request: Request, table: TableId, column: str | None) -> AvailableOffer | None:
        """Return the first offer that shows the table, or this column of it, to a request with the same purpose; None: no offer."""
        for each in named_offers(self.snapshot, request, (table,)):
            columns = {shown.name for shape in each.effect.profile.tables for shown in shape.columns}
            if each.purpose == request.purpose and (column is None or column in columns):
                return each
        return None

    def beside(self, grants: Sequence[PlatformGrant]) -> tuple[OfferShown, ...]:
        """Return the offers that show more than the grants, on the same tables if the request names tables."""
        return tuple(
            _shown(grant.request, each)
            for grant in grants
            for each in named_offers(self.snapshot, grant.request, grant.request.resources)
            if not contains(grant.granted.profile, each.effect.profile)
        )[:MOST_NAMED]


def _asks(request: Request, terms: OfferTerms) -> Iterator[Literal["userToken", "justification", "ticket"]]:
    if request.token is not None:
        yield "userToken"
    if terms.justification is Justification.AGENT:
        yield "justification"
    if terms.ticket is not None:
        yield "ticket"


def _shown(request: Request, offer: AvailableOffer) -> OfferShown:
    return OfferShown(
        name=str(offer.terms.offer),
        platform=request.platform,
        display=offer.terms.display,
        how=offer.how.value,
        up_to_seconds=offer.longest_seconds,
        shows="; ".join(_shows(offer.effect.profile.tables)),
        purpose=offer.purpose if offer.purpose != request.purpose else None,
    )


def _shows(tables: Sequence[TableShape]) -> Iterator[str]:
    for summary in tables_of(tables[:_MAX_TABLES]):
        clear, masked = list(summary.clear), [f"{each.name} as {each.shows}" for each in summary.masked]
        columns = [*clear, *masked]
        more = f" and {len(columns) - _MAX_COLUMNS} other columns" if len(columns) > _MAX_COLUMNS else ""
        rows = "some rows" if summary.rows or summary.restrictions else "every row"
        yield f"{summary.table}: {', '.join(columns[:_MAX_COLUMNS])}{more}, {rows}"
    if len(tables) > _MAX_TABLES:
        yield f"and {len(tables) - _MAX_TABLES} other tables"


def _tables(tables: Sequence[TableId]) -> str:
    """Return the requested tables that are not granted; empty if there are none. Some may not exist."""
    names = ", ".join(map(str, tables[:_MAX_TABLES])) + (", …" if len(tables) > _MAX_TABLES else "")
    return f"table{'s' if len(tables) > 1 else ''} {names}" if names else ""


def _sentence(offers: Sequence[OfferShown]) -> str:
    if not offers:
        return ""
    first, others = offers[0], len(offers) - 1
    who = "a rule decides at once" if first.how == ApprovedBy.AUTOMATIC.value else "people decide"
    more = "" if not others else f"; there {'is 1 other offer' if others == 1 else f'are {others} other offers'}"
    return f"offer {first.name} can be requested ({first.display}): {who}, for at most {first.up_to_seconds} seconds{more}"
