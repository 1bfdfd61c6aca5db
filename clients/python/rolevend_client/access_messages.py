"""Texts for the model about offers and requests for them: what is missing, who decides, for how long, and what not to do."""

from collections.abc import Sequence

from rolevend_client.errors import Denied, Refused, RolevendError, Unavailable
from rolevend_client.values import AccessRequest, Decision, NeededLogin, Offer

FELL_BACK = "The approved role has ended. The standing role is used again: values that only the offer showed are not there any more."
ENDED = "The approved role has ended. Run the statement again to use the standing role: values that only the offer showed are not there."
UNKNOWN = (
    "This conversation made no such request. Call request_access with the same arguments: a request that is still open is found again, and "
    "not made twice."
)
ASK_FIRST = (
    "Ask the person first if you may request it, and for which reason; then call request_access. Do not try other tables for the same "
    "values, and do not ask again after a no."
)
_NOT_AGAIN = "Tell the person. Do not ask again, and do not try other tables for the same values."
_MOST_OFFERS = 5


def offered(offers: Sequence[Offer]) -> str:
    """Return the offers in plain words, and how to request one."""
    named = "; ".join(map(_offer, offers[:_MOST_OFFERS]))
    more = len(offers) - _MOST_OFFERS
    others = f"; and {more} other{'s' if more > 1 else ''}" if more > 0 else ""
    return f"{named}{others}. {ASK_FIRST}"


def denied(denial: Denied) -> str:
    """Return the text for a role that was not vended, where offers can be requested."""
    tables = ", ".join(f"{each.schema}.{each.table}" for each in denial.missing.tables)
    missing = f" Not granted: {tables}." if tables else ""
    return _line(
        f"Access was denied ({denial.code}): {_bare(denial.detail)}.{missing} It can be requested: {offered(denial.missing.offers)}"
    )


def not_granted(first: str, decision: Decision) -> str:
    """Return the text for a table that is not granted, after the sentence `first`."""
    reason = f" The API says ({decision.reason}): {_bare(decision.message)}." if decision.message else ""
    offers = decision.missing.offers
    way = f"It can be requested: {offered(offers)}" if offers else f"No offer that can be named shows it. {_NOT_AGAIN}"
    return _line(f"{first}{reason} {way}")


def stated(request: AccessRequest) -> str:
    """Return the state of a request, and what to do next."""
    if request.confirmation is not None:
        return _line(
            f"Request {request.id} for offer {request.offer} waits until the person confirms it on this page: {request.confirmation.url} "
            f"Show the person this link; do not open it, and do not change it. Then call access_status with request {request.id}; a wait "
            "that ends without an answer is no error. Do not ask again meanwhile."
        )
    if request.state == "Pending":
        waits = "waits for the decision of people" if request.reason == "PeopleDecide" else f"is not decided yet{_because(request.message)}"
        return _line(
            f"Request {request.id} for offer {request.offer} {waits}. Tell the person, then call access_status "
            f"with request {request.id}; a wait that ends without a decision is no error. Do not ask again meanwhile, and do not try other "
            "tables for the same values."
        )
    if request.state in {"Approved", "Used"} and request.approval is not None:
        by = ", ".join(request.approval.approved_by) or "a rule"
        return _line(
            f"Request {request.id} is approved by {by}, for {duration(request.approval.expiration_seconds)}. The next query uses a new "
            f"role, which reads the tables of offer {request.offer} alone: call list_tables. When it ends, the standing role is used again."
        )
    reason = f" ({request.reason})" if request.reason else ""
    return _line(
        f"Request {request.id} for offer {request.offer} is {request.state.lower()}{reason}: {_bare(request.message)}. {_NOT_AGAIN}"
    )


def _because(message: str) -> str:
    return f": {_bare(message)}" if message else ""


def to_confirm(request: AccessRequest) -> str:
    """Return the question of the MCP server to the person, beside the link."""
    return _line(
        f"The agent asks for offer {request.offer}{f' ({_bare(request.display)})' if request.display else ''}. Confirm or refuse it on "
        "rolevend's own page, which shows what it would read."
    )


def declined(request: AccessRequest) -> str:
    """Return the text for a person who does not want to open the page."""
    return _line(f"The person declined the request for offer {request.offer}, and it is withdrawn. Do not ask again.")


def not_requested(error: RolevendError) -> str:
    """Return the text for a request that was refused at once, or could not be sent."""
    if isinstance(error, Refused) and error.needed_login is not None:
        return _line(
            f"The offer asks for another login of the person: {_login(error.needed_login)}. Ask the person to log in again, in that way; "
            "then call request_access with the same arguments. It was not requested yet."
        )
    code = f" ({error.code})" if error.code else ""
    step = "Call again later." if isinstance(error, Unavailable) else _NOT_AGAIN
    return _line(f"The request failed{code}: {_bare(error.detail)}. {step}")


def unusable(error: RolevendError) -> str:
    """Return the text for an approval that gives no role."""
    if isinstance(error, Refused) and error.needed_login is not None:
        return _line(
            f"The approval needs another login of the person: {_login(error.needed_login)}. Ask the person to log in again, in that way; "
            "then call request_access with the same arguments: the approval is kept. The role is the same as before."
        )
    return _line(f"The approval could not be used ({error.code}): {_bare(error.detail)}. The role is the same as before. {_NOT_AGAIN}")


def not_yet(error: RolevendError) -> str:
    """Return the text for a role with an approval that cannot be vended now."""
    code = f" ({error.code})" if error.code else ""
    return _line(f"The approved role is not there yet{code}: {_bare(error.detail)}. Call again later; the approval is kept.")


def duration(seconds: int) -> str:
    number, unit = (seconds // 60, "minute") if seconds % 60 == 0 else (seconds, "second")
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _login(needed: NeededLogin) -> str:
    acr = f"with {' or '.join(needed.acr_values)}" if needed.acr_values else ""
    age = "" if needed.longest_age_seconds is None else f"within the last {duration(needed.longest_age_seconds)}"
    return ", ".join(filter(None, ("a login", acr, age))).replace("a login, ", "a login ", 1)


def _offer(offer: Offer) -> str:
    who = "a rule decides at once" if offer.how == "Automatic" else "people decide"
    return f"offer {offer.name} ({_bare(offer.display)}) shows {offer.shows}; {who}, for at most {duration(offer.up_to_seconds)}"


def _bare(text: str) -> str:
    return text.strip().rstrip(".")


def _line(text: str) -> str:
    return " ".join(text.split())
