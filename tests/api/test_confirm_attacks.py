"""Attacks on the page on which a person confirms: in no case does somebody else answer, or the person answer something else."""

from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest

from tests.support.confirming import OTHER_CLIENT, Browser, Confirmed, Installed, query_of
from tests.support.site import Body
from tests.support.waiting import eventually

WHY = "I look into a dispute"
HOSTILE = "</textarea><script>alert(1)</script><img src=x onerror=alert(1)> \"' {{7*7}} https://evil.example.org \u202egnp.exe"


@pytest.fixture
def requester(installed: Installed) -> Iterator[Confirmed]:
    yield installed.requester()
    installed.settle()


@pytest.fixture
def request_(requester: Confirmed) -> Body:
    return requester.waiting()


@pytest.fixture
def browser(installed: Installed) -> Browser:
    return installed.browser()


def link(request: Body) -> str:
    return str(request["confirm"]["url"])


class TestAnotherPerson:
    def test_reads_nothing_and_changes_nothing_and_is_on_record(self, installed: Installed, requester: Confirmed, request_: Body):
        mallory = installed.browser("dora")

        page = mallory.get(link(request_))

        assert mallory.answer.status_code == 403
        assert "You are signed in as somebody else" in mallory.answer.text
        for part in ("anna", "SSNs in clear", installed.tenant.name, "claims.people"):
            assert part not in page.text
        assert page.fields == {}
        mallory.answer = mallory.http.post(link(request_), data={"answer": "confirm", "justification": WHY})
        assert mallory.answer.status_code == 403
        assert requester.is_unanswered(request_)
        refused = [each["data"] for each in installed.trail.all() if each["type"] == "dev.rolevend.refused"]
        assert {each["bearer"] for each in refused if each["reason"] == "AnotherPerson"} == {"User"}

    def test_can_make_room_for_the_right_one(self, installed: Installed, request_: Body):
        shared = installed.browser("dora")
        page = shared.get(link(request_))
        shared.person = "anna"

        (again,) = page.links
        page = shared.get(f"{installed.urls[0]}{again}")

        assert "prompt=login" in "".join(shared.way)
        assert "You confirmed" in shared.submit(page, "confirm", WHY).text

    def test_does_not_use_the_form_of_the_right_one(self, installed: Installed, requester: Confirmed, request_: Body, browser: Browser):
        form = browser.get(link(request_))
        mallory = installed.browser("dora")
        mallory.get(link(request_))

        mallory.submit(form, "confirm", WHY)

        assert mallory.answer.status_code == 403
        assert requester.is_unanswered(request_)


class TestTheAgent:
    def test_does_not_answer_with_its_own_token(self, requester: Confirmed, request_: Body, browser: Browser):
        bearer = {"Authorization": f"Bearer {requester.asking.caller.token}"}

        seen = browser.http.get(link(request_), headers=bearer)
        posted = browser.http.post(link(request_), data={"answer": "confirm", "justification": WHY}, headers=bearer)

        assert (seen.status_code, posted.status_code) == (303, 401)
        assert requester.is_unanswered(request_)

    def test_has_no_call_that_answers(self, requester: Confirmed, request_: Body):
        path = f"/access/v1/requests/{request_['id']}"
        call = requester.asking.caller.call

        assert call("PATCH", path, {"confirmation": {"verdict": "Confirm"}}).status_code == 405
        assert call("POST", path, {"confirmation": {"verdict": "Confirm"}}).status_code == 405
        forged = requester.asking.ask(confirmation={"verdict": "Confirm"})
        assert (forged.status_code, forged.json()["code"]) == (422, "InvalidInput")
        assert requester.is_unanswered(request_)

    def test_cannot_use_the_request_before_the_answer(self, requester: Confirmed, request_: Body):
        refused = requester.asking.vend(request_)

        assert (refused.status_code, refused.json()["code"]) == (403, "NotApproved")


class TestLinks:
    def test_a_link_is_for_one_object(self, requester: Confirmed, request_: Body, browser: Browser):
        other = requester.waiting("bert")
        path, _, code = link(request_).rpartition("/")
        crossed = f"{path}/{link(other).rpartition('/')[2]}"

        answers = [browser.http.get(each) for each in (crossed, f"{path}/{code[:-1]}x", f"{path}x/{code}", f"{path}/{quote('ü')}")]

        assert [each.status_code for each in answers] == [404] * 4
        assert len({each.text for each in answers}) == 1

    @pytest.mark.parametrize("path", ["//evil.example.org/confirm/a/b", "/confirm//evil.example.org/x/y", "/confirm/..%2f/b/c"])
    def test_no_path_leads_elsewhere(self, installed: Installed, browser: Browser, path: str):
        answer = browser.http.get(f"{installed.urls[0]}{path}")

        assert answer.status_code == 404
        assert "Location" not in answer.headers

    def test_a_flood_of_visits_is_bounded_and_bounds_no_other_request(self, requester: Confirmed, request_: Body, browser: Browser):
        answers = [browser.http.post(link(request_)) for _ in range(70)]
        while answers[-1].status_code != 429:  # every second makes room for another visit
            assert len(answers) < 1000
            answers.append(browser.http.post(link(request_)))

        assert {each.status_code for each in answers} == {401, 429}
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert browser.http.get(link(requester.waiting("bert"))).status_code == 303


class TestTheLogin:
    def test_a_login_of_another_browser_is_not_taken_over(self, installed: Installed, request_: Body, browser: Browser):
        """Otherwise an attacker would log a person in as somebody else, or take over the login of the person."""
        back = installed.browser("anna").to_the_provider(link(request_))

        page = browser.get(back)

        assert browser.answer.status_code == 400
        assert "not begun in this browser" in page.text
        assert not browser.http.cookies

    def test_a_swapped_state_is_refused(self, requester: Confirmed, request_: Body, browser: Browser):
        first = query_of(browser.to_the_provider(link(request_)))
        back = browser.to_the_provider(link(requester.waiting()))

        browser.get(back.replace(query_of(back)["state"], first["state"]))

        assert browser.answer.status_code == 400

    def test_a_code_is_redeemed_once(self, request_: Body, browser: Browser):
        back = browser.to_the_provider(link(request_))
        cookies = dict(browser.http.cookies)
        assert browser.http.get(back).status_code == 303
        browser.http.cookies.clear()
        for name, value in cookies.items():
            browser.http.cookies.set(name, value, domain="127.0.0.1")

        again = browser.http.get(back, headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())})

        assert again.status_code == 403
        assert "does not prove who you are" in again.text
        assert "__Host-rolevend-session" not in again.headers.get("Set-Cookie", "")

    def test_a_code_of_another_client_is_refused(self, installed: Installed, requester: Confirmed, request_: Body, browser: Browser):
        """Its ID token would be for another audience."""
        begun = browser.http.get(link(request_)).headers["Location"]
        asked = {**query_of(begun), "client_id": OTHER_CLIENT, "login_hint": "anna"}
        back = browser.http.get(f"{installed.provider.issuer}/authorize?{urlencode(asked)}").headers["Location"]

        browser.get(back)

        assert browser.answer.status_code == 403
        assert requester.is_unanswered(request_)

    def test_an_issuer_that_sends_back_another_is_refused(self, request_: Body, browser: Browser):
        back = browser.to_the_provider(link(request_))

        browser.get(back.replace(quote(query_of(back)["iss"], safe=""), quote("https://evil.example.org", safe="")))

        assert browser.answer.status_code == 400

    def test_a_refused_login_is_told_and_repeats_nothing_of_the_query(self, request_: Body, browser: Browser):
        state = query_of(browser.to_the_provider(link(request_)))["state"]
        query = urlencode({"error": "access_denied", "error_description": HOSTILE, "state": state})

        page = browser.get(f"{link(request_).split('/confirm/')[0]}/confirm/callback?{query}")

        assert browser.answer.status_code == 403
        assert "evil" not in browser.answer.text
        assert "did not log you in" in page.text


class TestForgedForms:
    def test_a_form_needs_the_session_of_its_browser(self, installed: Installed, requester: Confirmed, request_: Body, browser: Browser):
        page = browser.get(link(request_))
        elsewhere = installed.browser("anna").get(link(request_))
        other = browser.get(link(requester.waiting()))
        browser.get(link(request_))

        for form in ("", "x.y.z", elsewhere.fields["form"], other.fields["form"]):
            browser.submit(page, "confirm", WHY, form=form)
            assert browser.answer.status_code == 403, form
            browser.get(link(request_))
        assert requester.is_unanswered(request_)

    @pytest.mark.parametrize(
        "headers",
        [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Content-Type": "text/plain"}],
        ids=["cross-site", "same-site", "no-form"],
    )
    def test_another_site_does_not_answer(self, requester: Confirmed, request_: Body, browser: Browser, headers: dict[str, str]):
        page = browser.get(link(request_))
        body = urlencode({**page.fields, "answer": "confirm", "justification": WHY})

        answer = browser.http.post(link(request_), content=body, headers={"Content-Type": "application/x-www-form-urlencoded", **headers})

        assert answer.status_code == 403
        assert requester.is_unanswered(request_)

    def test_an_answer_counts_once(self, requester: Confirmed, request_: Body, browser: Browser):
        page = browser.get(link(request_))
        assert "You confirmed" in browser.submit(page, "confirm", WHY).text

        again = browser.http.post(link(request_), data={**page.fields, "answer": "refuse"})

        assert again.status_code == 409
        assert requester.status(request_)["confirmation"]["verdict"] == "Confirm"

    def test_a_field_twice_and_a_long_body_are_refused(self, requester: Confirmed, request_: Body, browser: Browser):
        page = browser.get(link(request_))
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        twice = f"{urlencode(page.fields)}&answer=refuse&answer=confirm&justification=x"

        assert browser.http.post(link(request_), content=twice, headers=kind).status_code == 400
        assert browser.http.post(link(request_), content="justification=" + "x" * 70_000, headers=kind).status_code == 413
        assert requester.is_unanswered(request_)

    def test_a_page_from_before_the_withdrawal_changes_nothing(self, requester: Confirmed, request_: Body, browser: Browser):
        page = browser.get(link(request_))
        assert requester.asking.caller.call("DELETE", f"/access/v1/requests/{request_['id']}").status_code == 204
        eventually(lambda: requester.found(request_)["state"] == "Cancelled")

        browser.submit(page, "confirm", WHY)

        assert browser.answer.status_code == 409
        assert "confirmation" not in requester.status(request_)


class TestHostileTexts:
    def test_words_of_an_agent_are_text_and_nothing_else(self, requester: Confirmed, browser: Browser):
        request = requester.waiting(justification=HOSTILE, ticket="<b>FR</b>&amp;")

        page = browser.get(link(request))

        assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "b", "a"})
        assert "https://evil.example.org" not in browser.answer.text
        assert "\u202e" not in browser.answer.text
        assert "<b>FR</b>&amp;" in page.text

    def test_words_of_the_user_come_back_as_text(self, request_: Body, browser: Browser):
        page = browser.get(link(request_))

        after = browser.submit(page, "confirm", HOSTILE + "x" * 500)

        assert browser.answer.status_code == 422
        assert {tag for tag, _ in after.tags}.isdisjoint({"script", "img", "a"})

    def test_an_offer_that_changed_is_not_confirmed(self, installed: Installed, browser: Browser):
        requester = installed.requester("changing")
        requester.asking.offering({"asks": {"justification": "User"}})
        request = requester.waiting("emil")
        emil = installed.browser("emil")
        page = emil.get(link(request))
        offer = requester.asking.offers.offer

        installed.tenant.site.patch(offer, {"rowFilter": "country = 'AT'"})
        eventually(lambda: requester.found(request)["state"] == "Superseded")

        def is_refused() -> bool:
            """A replica that knows the new offer and the old request asks to read the page again."""
            emil.submit(page, "confirm", WHY)
            assert emil.answer.status_code in (409, 503), emil.answer.text
            return emil.answer.status_code == 409

        eventually(is_refused)
        assert "confirmation" not in requester.status(request)
