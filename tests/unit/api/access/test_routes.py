"""The preference `wait`, and the members of a request for an offer."""

import pytest
from pydantic import ValidationError

from rolevend.api.access.routes import wait_seconds
from rolevend.api.access.schemas import OFFER_EXAMPLE, OfferRequest
from rolevend.model import ObjectName


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("wait=30", 30),
        ("respond-async, WAIT=5; foo", 5),
        ('wait="7"', 7),
        ("wait=61", 60),
        ("wait=1e3", 0),
        ("wait=-1", 0),
        ("wait", 0),
        ("await=9", 0),
        ("wait=١", 0),
    ],
)
def test_the_preference_wait_is_bounded_and_otherwise_ignored(prefer: str | None, seconds: int):
    assert wait_seconds(prefer) == seconds


def test_an_offer_is_a_namespace_and_a_name():
    read = OfferRequest.model_validate(OFFER_EXAMPLE)

    assert read.offer_name == ObjectName("domain-claims", "fraud-ssn-clear")


@pytest.mark.parametrize(
    "offer", ["fraud", "a/b/c", "A/b", "a/", "/a", "a/b\n", "a/..", f"{'a' * 64}/b", f"a/{'b' * 254}"], ids=lambda offer: offer[:8]
)
def test_any_other_name_of_an_offer_is_refused(offer: str):
    with pytest.raises(ValidationError):
        OfferRequest.model_validate({**OFFER_EXAMPLE, "offer": offer})


@pytest.mark.parametrize("user", [{}, {"user": {"issuer": "https://idp.example.org", "subject": "anna"}, "userToken": "eyJ"}])
def test_the_user_is_proven_in_one_way(user: dict[str, object]):
    without = {member: value for member, value in OFFER_EXAMPLE.items() if member != "userToken"}

    with pytest.raises(ValidationError):
        OfferRequest.model_validate({**without, **user})
