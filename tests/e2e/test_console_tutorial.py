"""The tutorial of the console on `make dev`: its commands in one shell, and what it presses in a real browser."""

import re
from collections.abc import Callable

import pytest

from testbed.binaries import Binaries
from tests.e2e.command import rolevend, shows
from tests.e2e.test_readme import run
from tests.support.browsing import Window, started_browser
from tests.support.pages import ROOT, Typed, steps

PAGE = ROOT / "docs" / "tutorial" / "approve-your-first-request.md"
ADDRESS = re.compile(r"The console for people: (http://\S+)\. ")
OLGA, SVEN = "olga@example.org", "sven@example.org"


def shell(printed: str, typed: list[Typed]) -> Callable[[str], None]:
    """Return a function that types the next commands of the page, up to the one with this text."""
    pasted = [line.strip() for line in printed.partition("in a shell of your own:\n")[2].strip().partition("\n\n")[0].splitlines()]

    def go_on(last: str) -> None:
        count = 1 + next(number for number, step in enumerate(typed) if last in step.command)
        now, typed[:] = typed[:count], typed[count:]
        answers = run([*pasted, *(step.command for step in now)])[len(pasted) :]
        assert len(answers) == count
        for step, (status, output) in zip(now, answers, strict=True):
            assert status == 0, (step.command, output)
            for line in step.answer.splitlines():
                assert shows(output, line), (step.command, line, output)

    return go_on


@pytest.mark.long
def test_a_person_who_follows_the_tutorial_approves_withdraws_and_ends(binaries: Binaries) -> None:
    first, *typed = [step for step in steps(PAGE) if isinstance(step, Typed)]
    assert first.command == "make dev"
    with rolevend("--dev", "--claims", "1000", program="demo") as dev, started_browser() as browser:
        printed = dev.read_until("Ctrl-C here")
        go_on, address = shell(printed, typed), ADDRESS.search(printed)
        assert address is not None, printed
        context = browser.new_context(ignore_https_errors=True, locale="en-GB")

        go_on("get accessrequests")
        olga = Window.signed_in(context.new_page(), address[1], OLGA)
        olga.shows("Waiting for you")
        olga.page.get_by_role("link", name="large-case").click()
        request = olga.page.url
        olga.press("Count rows and cells first")
        olga.shows("With this approval")
        olga.press("Show rows that I may read of claims.people")
        olga.log_in(OLGA)
        olga.shows("with the approval: in clear")
        olga.page.goto(request)
        olga.page.get_by_label("Only for").fill("5m")
        olga.press("Approve")
        olga.shows("large-case is Approved")

        go_on("vendedrole/large-case")
        olga.page.get_by_role("link", name="Live roles").click()
        olga.page.get_by_role("link", name="large-case").wait_for()
        olga.page.goto(request)
        olga.press("Withdraw my vote")
        olga.shows("Your vote is withdrawn")
        go_on("=Revoked")

        olga.press("Sign out")
        go_on("vendedrole/ask-for-bob")
        sven = Window.signed_in(browser.new_context(ignore_https_errors=True).new_page(), address[1], SVEN)
        sven.shows("No request waits for your answer")
        sven.page.get_by_role("link", name="Live roles").click()
        sven.page.get_by_label("Agent").fill("agents/finbot")
        sven.press("Show")
        sven.page.get_by_label("Why").fill("the tutorial is over")
        sven.press("End 2 roles")
        sven.shows("2 roles are ending")
        assert typed == []
        assert dev.interrupt() == 0, dev.output
        assert dev.remains() == []
