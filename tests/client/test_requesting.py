"""A program requests an offer: what is sent, what comes of the answer, and the wait for the decision."""

import asyncio
from datetime import UTC, datetime

import pytest

from rolevend_client import AssertedUser, Confirmation, Denied, NeededLogin, NotFound, Refused, Resource, Task, Unexpected
from tests.client.answers import MISSING, OFFER, USER_TOKEN, Api, denied_with_an_offer, problem, requested, vended

REQUEST, LOOK = "POST /access/v1/requests", "GET /access/v1/requests/ar-3f7k2m"
VEND, RELEASE = "POST /v1/vended-roles", "DELETE /v1/vended-roles/finbot-0f3a"
NAME = str(OFFER["name"])


def waits(api: Api) -> list[str | None]:
    return [request.headers.get("Prefer") for request in api.asked if request.method == "GET"]


def test_a_denial_names_the_tables_and_the_offers():
    with pytest.raises(Denied) as denied, Api(denied_with_an_offer()).client().vend(USER_TOKEN, platform="warehouse"):
        pass

    missing = denied.value.missing
    assert str(missing) == missing.sentence == MISSING["sentence"]
    assert missing.tables == (Resource("claims", "payments"),)
    (offer,) = missing.offers
    assert (offer.name, offer.platform, offer.how, offer.up_to_seconds) == (NAME, "warehouse", "People", 600)
    assert (offer.display, offer.shows, offer.purpose) == (OFFER["display"], OFFER["shows"], "fraud-review")


@pytest.mark.parametrize("wrong", [{"offers": "all"}, {"offers": [{}]}, {"tables": [{"schema": 5}]}, {"columns": "ssn"}])
def test_a_denial_that_cannot_be_read_in_full_still_has_its_sentence(wrong: dict[str, object]):
    answer = problem(403, "NoPolicy", "nothing is granted", missing={**MISSING, **wrong})
    with pytest.raises(Denied) as denied, Api(answer).client().vend(USER_TOKEN, platform="warehouse"):
        pass
    assert (str(denied.value.missing), denied.value.missing.offers) == (MISSING["sentence"], ())


def test_a_role_says_which_offers_show_more():
    api = Api(vended(explanation={"tables": [], "offers": [OFFER]}))
    with api.client().vend(USER_TOKEN, platform="warehouse") as role:
        assert [each.name for each in role.explanation.offers] == [NAME]


def test_a_request_is_what_the_api_calls_it():
    api, task = Api(requested(status=202)), Task("chat-4711")
    request = api.client().request_access(
        USER_TOKEN,
        platform="warehouse",
        offer=NAME,
        tables=[Resource("claims", "payments")],
        columns=["ssn"],
        expiration_seconds=600,
        purpose="fraud-review",
        justification="the customer disputes a payment",
        ticket="FR-12",
        task=task,
    )

    assert api.lines == [REQUEST]
    assert api.body() == {
        "userToken": USER_TOKEN,
        "platform": "warehouse",
        "offer": NAME,
        "tables": [{"schema": "claims", "table": "payments"}],
        "columns": ["ssn"],
        "expirationSeconds": 600,
        "purpose": "fraud-review",
        "justification": "the customer disputes a payment",
        "ticket": "FR-12",
        "task": {"id": "chat-4711"},
    }
    assert (request.id, request.state, request.reason, request.offer) == ("ar-3f7k2m", "Pending", "PeopleDecide", NAME)
    assert (request.is_pending, request.is_approved, request.approval) == (True, False, None)


def test_members_that_are_not_given_are_not_sent():
    api, anna = Api(requested(status=202)), AssertedUser("https://idp.example.org", "anna")
    api.client().request_access(user=anna, platform="warehouse", offer=NAME)
    user = {"issuer": "https://idp.example.org", "subject": "anna"}
    assert api.body() == {"user": user, "platform": "warehouse", "offer": NAME}

    with pytest.raises(TypeError, match="token"):
        api.client().request_access(platform="warehouse", offer=NAME)


def test_a_rule_approves_at_once_and_a_role_uses_it():
    api = Api(requested("Approved", 201), vended())
    client = api.client()
    request = client.request_access(USER_TOKEN, platform="warehouse", offer=NAME, purpose="fraud-review")
    assert request.is_approved
    assert request.approval is not None
    assert request.approval.claim_until == datetime(2026, 11, 24, 14, 15, tzinfo=UTC)
    assert (request.approval.expiration_seconds, request.approval.approved_by) == (600, ("alice@example.org",))

    with client.vend(USER_TOKEN, platform="warehouse", purpose="fraud-review", approval=request):
        pass

    assert api.lines == [REQUEST, VEND, RELEASE]
    assert api.body(1)["approval"] == {"id": "ar-3f7k2m"}


def test_the_id_of_an_approval_is_enough():
    api = Api(vended())
    with api.client().vend(USER_TOKEN, platform="warehouse", approval="ar-3f7k2m"):
        pass
    assert api.body()["approval"] == {"id": "ar-3f7k2m"}


def test_a_denial_at_once_is_an_error_with_its_code():
    with pytest.raises(Denied, match="cannot request the offer domain-claims/fraud-ssn-clear: CoolDown") as denied:
        Api(problem(403, "CoolDown", "denied lately")).client().request_access(USER_TOKEN, platform="warehouse", offer=NAME)
    assert denied.value.code == "CoolDown"


def test_it_waits_until_the_decision():
    api = Api(requested(status=202), requested(), requested("Approved"))
    request = api.client().request_access(USER_TOKEN, platform="warehouse", offer=NAME)

    assert request.wait(90).is_approved

    assert api.lines == [REQUEST, LOOK, LOOK]
    assert waits(api) == ["wait=60", "wait=60"]
    assert request.wait(90).is_approved
    assert len(api.asked) == 3


def test_the_end_of_the_wait_is_no_error():
    api = Api(requested(status=202), *[requested()] * 5)
    request = api.client().request_access(USER_TOKEN, platform="warehouse", offer=NAME)
    assert request.wait(3).is_pending
    assert waits(api) == ["wait=3", "wait=2", "wait=1", None]
    assert api.slept == [1.0, 1.0, 1.0]
    assert request.wait(0).is_pending
    assert waits(api)[4:] == [None]


def test_a_no_is_a_state():
    api = Api(requested(status=202), requested("Denied"))
    request = api.client().request_access(USER_TOKEN, platform="warehouse", offer=NAME).wait(10)
    assert (request.is_approved, request.state, request.reason) == (False, "Denied", "DeniedByPerson")
    assert "ask the fraud team" in request.message


def test_another_process_resumes_and_withdraws():
    api = Api(requested(), requested("Cancelled"))
    request = api.client().access_request("ar-3f7k2m")
    request.withdraw()
    assert api.lines == [LOOK, "DELETE /access/v1/requests/ar-3f7k2m"]

    with pytest.raises(NotFound):
        Api(problem(404, "NotFound")).client().access_request("ar-nobodys")


def test_an_answer_that_it_does_not_understand_is_an_error():
    with pytest.raises(Unexpected, match="state is not a string"):
        Api(requested(status=202, state=5)).client().request_access(USER_TOKEN, platform="warehouse", offer=NAME)


def test_asyncio_has_the_same():
    api = Api(requested(status=202), requested("Approved"), vended())

    async def main() -> None:
        client = api.async_client()
        request = await client.request_access(USER_TOKEN, platform="warehouse", offer=NAME)
        assert (await request.wait(5)).is_approved
        async with client.vend(USER_TOKEN, platform="warehouse", approval=request):
            pass

    asyncio.run(main())
    assert api.lines == [REQUEST, LOOK, VEND, RELEASE]


def test_an_offer_that_asks_for_another_login_says_which_one():
    challenge = r'Bearer error="insufficient_user_authentication", acr_values="mfa a\"b", max_age="900"'
    weak = problem(401, "ProofNotMet", "the offer asks for a login with mfa", {"WWW-Authenticate": challenge})

    with pytest.raises(Refused) as refused:
        Api(weak).client().request_access(USER_TOKEN, platform="warehouse", offer=NAME)

    assert refused.value.needed_login == NeededLogin(("mfa", 'a"b'), 900)


@pytest.mark.parametrize("challenge", ["", "Bearer", 'Bearer error="invalid_token"', 'Bearer error="invalid_token", acr_values="mfa"'])
def test_a_token_that_is_not_valid_needs_no_other_login(challenge: str):
    with pytest.raises(Refused) as refused:
        Api(problem(401, "TokenExpired", headers={"WWW-Authenticate": challenge})).client().list()

    assert refused.value.needed_login is None


def test_a_request_that_the_user_must_confirm_names_the_page_until_it_is_confirmed():
    confirm = {"url": "https://access.example.org/confirm/agents/ar-3f7k2m/key", "expiresAt": "2026-11-24T14:15:00Z"}
    api = Api(requested(status=202, reason="UserConfirms", confirm=confirm), requested(), requested("Approved"))
    request = api.client().request_access(USER_TOKEN, platform="warehouse", offer=NAME)
    assert request.confirmation == Confirmation(confirm["url"], datetime(2026, 11, 24, 14, 15, tzinfo=UTC))

    request.wait(30, for_confirmation=True)
    assert (request.confirmation, request.is_pending) == (None, True)

    assert request.wait(30).is_approved
