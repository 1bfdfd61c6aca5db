"""Read a form that a page of this site sent, and set cookies that only this site gets."""

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

_FORM: Final = "application/x-www-form-urlencoded"


class ForeignForm(Exception):
    """Another site sent the form, or no form at all."""


class UnreadableForm(Exception):
    """The body is no form, has too many fields, or a field twice."""


async def read_form(request: Request, most_fields: int) -> dict[str, str]:
    """Return the fields. Raises ForeignForm and UnreadableForm."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if site != "same-origin" or kind != _FORM:
        raise ForeignForm
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=most_fields)
    except (ValueError, ClientDisconnect) as error:
        raise UnreadableForm from error
    if len(dict(pairs)) != len(pairs):
        raise UnreadableForm
    return dict(pairs)


def set_cookie(answer: Response, name: str, value: str, seconds: int) -> None:
    """Set the cookie for this time; an empty value removes it. The name begins with `__Host-`."""
    life = seconds if value else 0
    answer.set_cookie(name, value, max_age=life, path="/", secure=True, httponly=True, samesite="lax")
