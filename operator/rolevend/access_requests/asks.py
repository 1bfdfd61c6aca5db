"""The parts of a request that an offer asks for: purpose, justification, ticket, proof of the user."""

import re
from datetime import datetime, timedelta

from rolevend.access_requests.request import LoginFacts, RequestedAccess, whole_second
from rolevend.access_requests.terms import Justification, NeededProof, OfferTerms


def missing_ask(request: RequestedAccess, terms: OfferTerms) -> str | None:
    """Return the first part that is missing, as a sentence that says what to add, or None."""
    if terms.purposes is not None and request.purpose not in terms.purposes:
        return f"the offer is for the purposes {', '.join(sorted(terms.purposes))}; state one of them"
    if terms.justification is Justification.AGENT and not request.is_justified:
        return "the offer asks for a justification; add one"
    if terms.ticket is not None and not _matches(terms.ticket, request.ticket):
        return f"the offer asks for a ticket that matches {terms.ticket}"
    return None


def unmet_proof(needed: NeededProof | None, login: LoginFacts | None, at: datetime) -> str | None:
    """Return the reason why the login of the user does not suffice at `at`, or None. The user must log in again, see RFC 9470."""
    if needed is None:
        return None
    if login is None:
        return "the offer asks for a token of the user"
    if needed.acr and login.acr not in needed.acr:
        return f"the offer asks for a login with acr {' or '.join(needed.acr)}"
    if needed.longest_age_seconds is None:
        return None
    oldest = whole_second(at) - timedelta(seconds=needed.longest_age_seconds)
    if login.at is None or whole_second(login.at) < oldest:
        return f"the offer asks for a login within the last {needed.longest_age_seconds} seconds"
    return None


def _matches(pattern: str, ticket: str | None) -> bool:
    # `$` also matches before a line break at the end, and `.` no line break: no ticket has one.
    try:
        return ticket is not None and "\n" not in ticket and re.search(pattern, ticket) is not None
    except re.error:
        return False
