"""A person confirms on rolevend's page what an agent asks for, after a login at a real identity provider."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urljoin

import pytest

from testbed.brief import in_time
from tests.support.confirming import PAGE_CLIENT, PEOPLE_DECIDE, STRONG, TWO_FACTORS, Confirmed, Installed, Seen, query_of
from tests.support.requesting import REQUESTS, ApiRequester
from tests.support.site import Body
from tests.support.waiting import eventually

SSN = "SELECT person_id, ssn FROM people ORDER BY 1"
CLEAR = [(1, "900-01-0001"), (2, "900-01-0002")]
WHY = "I look into a dispute"


@pytest.fixture
def requester(installed: Installed) -> Iterator[Confirmed]:
    yield installed.requester()
    installed.settle()


class TestTheAnswer:
    def test_a_confirmed_request_is_approved_by_its_rule_and_the_role_shows_the_values(self, installed: Installed, requester: Confirmed):
        request = requester.waiting()
        browser = installed.browser()

        page = browser.get(request["confirm"]["url"])
        after = browser.submit(page, "confirm", WHY)

        assert "You confirmed this request" in after.text
        found = requester.decided(request)
        assert (found["state"], found["reason"], found.get("confirm")) == ("Approved", "ApprovedByRule", None)
        assert requester.asking.caller.rows(requester.asking.vended(request), SSN) == CLEAR
        answer = requester.status(request)["confirmation"]
        assert (answer["verdict"], answer["text"]) == ("Confirm", WHY)
        assert answer["digest"] == request["offer"]["digest"]
        assert answer["login"]["provider"] == installed.tenant.name

    def test_people_decide_after_the_user_and_the_agent_hears_both(self, installed: Installed):
        requester = installed.requester(PEOPLE_DECIDE)
        request = requester.waiting("bert")
        browser = installed.browser("bert")
        page = browser.get(request["confirm"]["url"])

        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(requester.found, request, Prefer="wait=10")
            browser.submit(page, "confirm", WHY)
            found = waiting.result()

        assert (found["state"], found["reason"]) in {("Pending", "UserConfirms"), ("Pending", "PeopleDecide")}
        assert "confirm" not in found
        eventually(lambda: requester.found(request)["reason"] == "PeopleDecide")
        requester.asking.offers.vote(requester.asking.offers.found(request["id"]))
        assert requester.decided(request)["state"] == "Approved"

    def test_a_no_ends_the_request_and_starts_a_cool_down(self, installed: Installed, requester: Confirmed):
        request = requester.waiting("carl")
        browser = installed.browser("carl")

        after = browser.submit(browser.get(request["confirm"]["url"]), "refuse")

        assert "You refused this request" in after.text
        found = requester.decided(request)
        assert (found["state"], found["reason"]) == ("Cancelled", "RefusedByUser")
        requester.asking.refused(403, "CoolDown", "carl", ticket="again")

    def test_words_are_needed_and_an_error_is_beside_the_field(self, installed: Installed, requester: Confirmed):
        request = requester.waiting()
        browser = installed.browser()
        page = browser.get(request["confirm"]["url"])

        empty = browser.submit(page, "confirm", " \u200b ")

        assert browser.answer.status_code == 422
        assert "Write why you need this." in empty.text
        (field,) = (given for tag, given in empty.tags if tag == "textarea")
        assert (field["aria-invalid"], field["aria-describedby"]) == ("true", "hint error")
        long = browser.submit(empty, "confirm", "x" * 501)
        assert "These are 501" in long.text
        assert requester.is_unanswered(request)
        assert "You confirmed" in browser.submit(long, "confirm", WHY).text

    def test_the_same_request_again_has_the_same_page(self, requester: Confirmed):
        request = requester.waiting(ticket="same")

        again = requester.waiting(ticket="same")

        assert (again["id"], again["confirm"]) == (request["id"], request["confirm"])
        assert requester.found(request)["confirm"] == request["confirm"]
        (listed,) = [each for each in requester.asking.caller.call("GET", REQUESTS).json()["items"] if each["id"] == request["id"]]
        assert listed["confirm"] == request["confirm"]

    @pytest.mark.long
    def test_a_request_that_nobody_answers_expires_with_its_link(self, installed: Installed):
        browser = installed.browser()

        def seen(seconds: int) -> tuple[Confirmed, Body, Seen]:
            requester = installed.brief(seconds)
            request = requester.waiting()
            page = browser.get(request["confirm"]["url"])
            assert page.fields, page.text
            return requester, request, page

        requester, request, page = in_time(seen, 8)

        found = requester.decided(request)

        assert (found["state"], found["reason"]) == ("Expired", "NotConfirmed")
        late = browser.submit(page, "confirm", WHY)
        assert browser.answer.status_code == 409
        assert "does not wait for an answer any more" in late.text
        assert "There is nothing to confirm" in installed.browser().get(request["confirm"]["url"]).text
        assert "confirmation" not in requester.status(request)


class TestThePage:
    @pytest.fixture
    def page(self, installed: Installed, requester: Confirmed) -> Seen:
        tables = [{"schema": "claims", "table": "people"}]
        request = requester.waiting(purpose="fraud-review", tables=tables, columns=["person_id", "ssn"], justification="a dispute")
        self.browser = installed.browser()
        return self.browser.get(request["confirm"]["url"])

    def test_it_has_exactly_what_the_agent_asks_for(self, installed: Installed, page: Seen):
        for part in (
            f"claims-agents/{installed.tenant.name}",
            "SSNs in clear",
            "10 minutes",
            "fraud-review",
            "claims.people",
            "in clear: person_id, ssn",
            "The agent says (not verified) a dispute",
        ):
            assert part in page.text, page.text
        assert "full_name" not in page.text

    def test_it_needs_no_script_and_loads_nothing(self, page: Seen):
        policy = self.browser.answer.headers["Content-Security-Policy"]

        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert (self.browser.answer.headers["Referrer-Policy"], self.browser.answer.headers["Cache-Control"]) == ("no-referrer", "no-store")
        assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "link", "iframe", "object", "a"})
        assert not [name for _, given in page.tags for name in given if name.startswith("on") or name == "style"]

    def test_its_cookies_are_for_this_host_alone(self, page: Seen):
        jar = {each.name: each for each in self.browser.http.cookies.jar}

        assert set(jar) == {"__Host-rolevend-session"}
        assert all(each.secure and each.path == "/" and not each.domain_specified for each in jar.values())
        (cookie,) = jar.values()
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.get_nonstandard_attr("SameSite", "").lower() == "lax"
        assert cookie.expires is not None

    def test_it_is_labelled_for_everybody(self, page: Seen):
        tags = dict(page.tags)

        assert tags["html"]["lang"] == "en"
        assert tags["label"]["for"] == tags["textarea"]["id"]
        assert [given.get("value") for tag, given in page.tags if tag == "button"] == ["confirm", "refuse"]
        assert "width=device-width" in str([given for tag, given in page.tags if tag == "meta"])


class TestTheLogin:
    """The offer asks for a login of the last 15 minutes with two factors: of the user on the page, as of the token of the agent."""

    @pytest.fixture
    def strong(self, installed: Installed) -> Iterator[Confirmed]:
        yield installed.requester(STRONG)
        installed.settle()

    def waiting(self, strong: Confirmed, installed: Installed) -> Body:
        return strong.waiting(userToken=installed.proven.token_by_two_factors("anna"))

    def test_the_issuer_is_asked_for_the_login_and_the_answer_records_it(self, installed: Installed, strong: Confirmed):
        request, browser = self.waiting(strong, installed), installed.browser()

        page = browser.get(request["confirm"]["url"])
        after = browser.submit(page, "confirm", WHY)

        asked = query_of(next(each for each in browser.way if "/authorize?" in each))
        assert (asked["acr_values"], asked["max_age"]) == (TWO_FACTORS, "900")
        assert "You confirmed this request" in after.text
        assert strong.decided(request)["state"] == "Approved"
        login = strong.status(request)["confirmation"]["login"]
        assert login["acr"] == TWO_FACTORS
        assert "authTime" in login

    @pytest.mark.parametrize(
        ("left_out", "says"),
        [
            (("acr_values", "max_age"), f"a login with acr {TWO_FACTORS}"),
            (("acr_values",), f"a login with acr {TWO_FACTORS}"),
            (("max_age",), "a login within the last 900 seconds"),
        ],
        ids=" and ".join,
    )
    def test_a_weaker_login_sees_no_question_and_can_sign_in_again(
        self, installed: Installed, strong: Confirmed, left_out: tuple[str, ...], says: str
    ):
        request, browser = self.waiting(strong, installed), installed.browser()
        browser.left_out = left_out

        page = browser.get(request["confirm"]["url"])

        assert browser.answer.status_code == 403
        assert says in page.text, page.text
        assert (page.action, page.fields) == ("", {})
        browser.left_out = ()
        again = browser.get(urljoin(request["confirm"]["url"], page.links[0]))
        assert query_of(next(each for each in browser.way if "prompt=login" in each))["acr_values"] == TWO_FACTORS
        assert "You confirmed" in browser.submit(again, "confirm", WHY).text

    def test_the_session_of_a_weaker_login_for_another_request_is_not_enough(self, installed: Installed, strong: Confirmed):
        weak, request = installed.requester().waiting(), self.waiting(strong, installed)
        browser = installed.browser()
        form = browser.get(weak["confirm"]["url"])

        page = browser.get(request["confirm"]["url"])

        assert "Sign in again" in page.text
        form.action = request["confirm"]["url"]
        browser.submit(form, "confirm", WHY)
        assert browser.answer.status_code == 403
        assert strong.is_unanswered(request)


class TestReplicas:
    def test_a_login_that_began_at_one_ends_at_another(self, installed: Installed, requester: Confirmed):
        request = requester.waiting()
        browser = installed.browser()
        back = browser.to_the_provider(request["confirm"]["url"]).replace(*installed.urls)

        page = browser.get(back)
        after = browser.submit(page, "confirm", WHY)

        assert browser.way[-1].startswith(installed.urls[1])
        assert "You confirmed this request" in after.text

    def test_two_answers_at_once_are_one(self, installed: Installed, requester: Confirmed):
        request = requester.waiting()
        browsers = [installed.browser(), installed.browser()]
        links = [request["confirm"]["url"], request["confirm"]["url"].replace(*installed.urls)]
        pages = [browsers[0].get(links[0]), browsers[1].get(links[0])]
        browsers[1].answer.request.url = browsers[1].answer.url  # both have the page

        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda each: each[0].submit(each[1], "confirm", each[2]), zip(browsers, pages, ("one", "two"), strict=True)))

        assert sorted(each.answer.status_code for each in browsers) in ([200, 200], [200, 409])
        assert sum("You confirmed" in each.page.text for each in browsers) >= 1
        assert requester.status(request)["confirmation"]["text"] in ("one", "two")


class TestTheRecord:
    def test_the_answer_is_in_the_chain_with_the_login_and_not_with_the_words(self, installed: Installed, requester: Confirmed):
        request = requester.waiting()
        browser = installed.browser()
        browser.submit(browser.get(request["confirm"]["url"]), "confirm", "not for the record 4711")
        assert requester.decided(request)["state"] == "Approved"
        uid = requester.asking.offers.found(request["id"]).uid

        def told() -> list[str]:
            mine = [each for each in installed.trail.all() if each.get("data", {}).get("accessRequestUid") == uid]
            return [each["data"].get("state") or each["type"].rpartition(".")[2] for each in sorted(mine, key=lambda each: each["time"])]

        assert eventually(lambda: "Approved" in told())
        assert told() == ["access-requested", "Pending", "access-answered", "Approved"]
        (event,) = [each for each in installed.trail.all() if each["type"] == "dev.rolevend.access-answered" and uid in each["id"]]
        assert (event["data"]["verdict"], event["data"]["identityProvider"]) == ("Confirm", installed.tenant.name)
        assert event["data"]["tokenDigest"] == requester.status(request)["confirmation"]["login"]["tokenDigest"]
        assert "4711" not in str(event)
        assert not [log for log in (each.log.read_text() for each in installed.replicas) if request["confirm"]["url"][-22:] in log]


def test_without_a_login_the_offer_cannot_be_met_and_the_answer_says_why(requester: Confirmed, proven, doors):
    from tests.support.calling import Caller

    other = ApiRequester(Caller(proven, doors.first)).ready({"asks": {"justification": "User"}})

    refused = other.refused(403, "AskIncomplete")

    assert "spec.login" in refused.json()["detail"]


def test_the_issuer_is_asked_for_a_code_with_its_challenge(installed: Installed, requester: Confirmed):
    answer = installed.browser().http.get(requester.waiting()["confirm"]["url"])

    asked = query_of(answer.headers["Location"])
    assert answer.headers["Location"].startswith(f"{installed.provider.issuer}/authorize?")
    assert (asked["response_type"], asked["code_challenge_method"], asked["client_id"]) == ("code", "S256", PAGE_CLIENT)
    assert asked["redirect_uri"] == f"{installed.urls[0]}/confirm/callback"
    assert {"state", "nonce", "code_challenge"} <= asked.keys()
