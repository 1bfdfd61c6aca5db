"""Tables, and offers that a user may ask for, as text and JSON for the owner of the data: every offer and every table is named."""

from collections.abc import Iterator
from typing import Any, Final

from rolevend.access_requests.terms import Justification, OfferTerms
from rolevend.audit.evidence import TableAccess, tables_of
from rolevend.decision.offers import ApprovedBy, AvailableOffer
from rolevend.policy.explanation import EVERY_ROW

BY: Final = {ApprovedBy.AUTOMATIC: "automatically", ApprovedBy.PEOPLE: "by people"}
_REASONS: Final = {Justification.AGENT: "a reason", Justification.USER: "a reason by the user"}


def access_lines(given: TableAccess) -> Iterator[str]:
    """Yield what is visible of a table, without its name."""
    yield f"  rows where {' or '.join(f'({row})' for row in given.rows)}" if given.rows else f"  {EVERY_ROW}"
    yield from (f"  and only where {restriction}" for restriction in given.restrictions)
    if given.clear:
        yield f"  {', '.join(given.clear)}"
    yield from (f"  {column.name}: {column.shows}" for column in given.masked)


def access_json(given: TableAccess) -> dict[str, Any]:
    return {
        "table": given.table,
        "rows": list(given.rows),
        "restrictions": list(given.restrictions),
        "clear": list(given.clear),
        "masked": [{"name": column.name, "shows": column.shows} for column in given.masked],
    }


def offer_lines(offer: AvailableOffer) -> Iterator[str]:
    rule = "" if offer.rule is None else f", by rule {offer.rule.name}"
    yield f"  AccessPolicy {offer.terms.offer}: {offer.terms.display}"
    yield f"    {BY[offer.how]}{rule}, for at most {offer.longest_seconds} seconds"
    if stated := _stated(offer):
        yield f"    the request states {', '.join(stated)}"
    yield from (f"    {each}" for each in offer.refusals)
    for table in tables_of(offer.effect.profile.tables):
        yield f"    shows {table.table}"
        yield from (f"    {line}" for line in access_lines(table))


def _stated(offer: AvailableOffer) -> list[str]:
    """Return the statements and proofs that a request needs."""
    terms = offer.terms
    return [
        *([f"the purpose {offer.purpose}"] if terms.purposes is not None else []),
        *([_REASONS[terms.justification]] if terms.justification in _REASONS else []),
        *([f"a ticket like {terms.ticket}"] if terms.ticket is not None else []),
        *_proof(terms),
    ]


def _proof(terms: OfferTerms) -> Iterator[str]:
    if terms.proof is not None:
        age = terms.proof.longest_age_seconds
        yield "a token of the user" if age is None else f"a token of the user, who logged in at most {age} seconds ago"
        if terms.proof.acr:
            yield f"with acr {' or '.join(terms.proof.acr)}"


def offer_json(offer: AvailableOffer) -> dict[str, Any]:
    return {
        "offer": str(offer.terms.offer),
        "display": offer.terms.display,
        "discoverable": offer.terms.discoverable,
        "how": offer.how.value,
        "rule": None if offer.rule is None else offer.rule.name,
        "refusals": list(offer.refusals),
        "upToSeconds": offer.longest_seconds,
        "purpose": offer.purpose,
        "states": _stated(offer),
        "tables": [access_json(each) for each in tables_of(offer.effect.profile.tables)],
    }
