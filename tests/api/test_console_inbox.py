"""Two approvers at the console: each is told what the other did, and what became of a request that needs no answer any more."""

import re

import pytest

from tests.support.console import NINA, OLGA, OTTO, ConsoleSite, Visitor, kubernetes_name
from tests.support.requesting import Requester
from tests.support.site import AGENTS
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

TWO = {"approval": {"required": 2}}


@pytest.fixture
def requester(tenant: Tenant) -> Requester:
    return Requester(tenant).ready(TWO)


def waiting(visitor: Visitor) -> int:
    """The number of requests that wait for the visitor, as title and navigation of a page say it."""
    visitor.get("/roles")
    title = re.search(r"<title>(?:\((\d+)\) )?Live roles", visitor.answer.text)
    assert title is not None
    number = int(title[1] or 0)
    assert (f"({number} for you)" in visitor.page.text) == (number > 0)
    return number


def opened(visitor: Visitor, page: str) -> str:
    """The request's page, as soon as it asks for an answer."""
    eventually(lambda: "Your answer" in visitor.get(page).text)
    return visitor.page.text


def test_two_who_vote_against_each_other_are_told_who_when_and_what_became_of_it(console: ConsoleSite, requester: Requester):
    olga, otto, nina = (console.browser(each) for each in (OLGA, OTTO, NINA))
    before = waiting(olga)
    request = requester.ask()
    request.is_now("Pending")
    page = f"/requests/{AGENTS}/{request.name}"
    eventually(lambda: waiting(olga) == before + 1)
    assert waiting(nina) == 0

    opened(olga, page)
    assert "your vote counts" in olga.post(page, choice="Approve", comment="for the claim").text
    assert waiting(olga) == before + 1, "it still waits: one approval of two"
    eventually(lambda: f"by {kubernetes_name(OLGA)} at 20" in otto.get(page).text)
    assert "for the claim" in otto.page.text
    assert "opposed" not in otto.page.text

    assert "is Denied" in otto.post(page, choice="Deny", comment="not for this").text

    decided = f"{kubernetes_name(OLGA)} approved, and {kubernetes_name(OTTO)} denied; one denial decides, and the request is Denied"
    for each in (olga, otto):
        eventually(lambda each=each: "opposed" in each.get(page).text and decided in each.page.text)  # type: ignore[misc]
        told = each.page.text
        assert f"by {kubernetes_name(OTTO)} at 20" in told
        assert "Denied since 20" in told
        assert "Withdraw my vote" not in told
        assert "Your answer" not in told
    eventually(lambda: waiting(olga) == before)
    lines = console.logged("voted", f"{AGENTS}/{request.name}")
    assert [(each["person"], each["verdict"]) for each in lines] == [
        (kubernetes_name(OLGA), "Approve"),
        (kubernetes_name(OTTO), "Deny"),
    ]
    sessions = {each["metadata"]["name"] for each in console.sessions()}
    assert all(any(name.startswith(f"console-session-{each['session']}") for name in sessions) and each["request_id"] for each in lines)
    assert nina.get(page).text == nina.get(f"/requests/{AGENTS}/none").text, "she is not told that it exists"


def test_who_answers_a_request_that_another_decided_or_the_agent_withdrew_is_told_so(console: ConsoleSite, requester: Requester):
    other = requester.ask()
    olga, otto = console.browser(OLGA), console.browser(OTTO)
    gone = f"/requests/{AGENTS}/{other.name}"
    opened(olga, gone)
    console.site.remove(other.body)
    eventually(lambda: "It is gone" in otto.get(gone).text)
    told = olga.post(gone, choice="Approve").text
    assert "Nothing was changed. It was withdrawn or deleted" in told
    assert (olga.answer.status_code, otto.answer.status_code) == (410, 410)

    page = f"/requests/{AGENTS}/{requester.ask().name}"
    opened(olga, page)
    opened(otto, page)
    assert "is Denied" in otto.post(page, choice="Deny", comment="no").text
    told = olga.post(page, choice="Approve").text
    assert olga.answer.status_code == 409
    assert f"denied by {kubernetes_name(OTTO)}" in told, told


def test_a_request_that_expires_soon_is_first(console: ConsoleSite, tenant: Tenant, requester: Requester):
    later = requester.ask()
    later.is_now("Pending")
    soon = Requester(tenant, offer="soon").offering({**TWO, "pendingSeconds": 60}).ask()
    soon.is_now("Pending")
    olga = console.browser(OLGA)
    eventually(lambda: later.name in olga.get("/requests").text and "expires soon" in olga.page.text)
    inbox = olga.page.text
    assert inbox.index("Waiting for you") < inbox.index(soon.name) < inbox.index(later.name)
