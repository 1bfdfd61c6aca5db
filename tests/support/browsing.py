"""People with a real browser at the console: Debian's Chromium, with a window for each of them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal
from urllib.parse import urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Locator, Page, sync_playwright
from playwright.sync_api import TimeoutError as NotThere

from tests.support.console import ConsoleSite
from tests.support.waiting import DEADLINE

VARIABLE: Final = "ROLEVEND_TEST_CHROMIUM"
_PROGRAMS: Final = ("chromium", "google-chrome", "chromium-browser")
_FLAGS: Final = ["--disable-gpu", "--disable-quic"]
_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""Tags of axe's rules."""
_FEWEST_RULES: Final = 10
"""That every page has something for."""
_ON_VIOLATION: Final = "document.addEventListener('securitypolicyviolation', event => console.error(`CSP: ${event.violatedDirective}`))"


def chromium() -> str:
    """Return the path of a Chromium, or skip the test."""
    named = os.environ.get(VARIABLE)
    found = named or next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if found is None:
        pytest.skip(f"there is no Chromium: apt-get install chromium, or name one in {VARIABLE}")
    return found


@contextmanager
def started_browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


class Windows:
    """Opens a window for each person, and notes all that pages do and must not do."""

    def __init__(self, console: ConsoleSite, browser: Browser) -> None:
        self.console = console
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.wrongs: list[str] = []
        """Requests to other hosts, dialogs, errors of scripts, and what the pages' policy had to stop."""

    def open(
        self,
        person: str,
        path: str = "/",
        *,
        script: bool = True,
        scheme: Literal["light", "dark"] = "light",
        width: int = 1280,
        height: int = 800,
    ) -> "Window":
        """Log the person in, in a new window, who came for this path."""
        context = self._browser.new_context(
            base_url=self.console.front.url,
            ignore_https_errors=True,
            java_script_enabled=script,
            color_scheme=scheme,
            viewport={"width": width, "height": height},
            locale="en-GB",
            timezone_id="UTC",
            reduced_motion="reduce",
        )
        self._contexts.append(context)
        context.set_default_timeout(DEADLINE * 1000)
        context.on("request", lambda request: self._expect_ours(request.url))
        context.on("dialog", self._expect_no_dialog)
        context.on("console", self._expect_no_error)
        context.on("weberror", lambda error: self.wrongs.append(f"a script failed: {error.error}"))
        if script:
            context.add_init_script(_ON_VIOLATION)
        return Window.signed_in(context.new_page(), f"{self.console.front.url}{path}", person)

    def close(self) -> None:
        for each in self._contexts:
            each.close()
        self._contexts.clear()

    def _expect_ours(self, url: str) -> None:
        host, login = urlsplit(url)[:2], url.startswith(f"{self.console.provider.issuer}/authorize?")
        if host != urlsplit(self.console.front.url)[:2] and not login:
            self.wrongs.append(f"a page asked another host: {url}")

    def _expect_no_dialog(self, dialog: Dialog) -> None:
        self.wrongs.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _expect_no_error(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "net::ERR" not in message.text and "status of 4" not in message.text:
            self.wrongs.append(f"{message.text} at {message.location}")


class Window:
    """A page of the console, as a person sees it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    def signed_in(cls, page: Page, url: str, person: str) -> "Window":
        """Log the person in, who came for this page."""
        page.goto(url)
        window = cls(page)
        window.log_in(person)
        page.wait_for_url(urljoin(url, "/**"))
        return window

    def log_in(self, person: str) -> None:
        """Fill the form of the identity provider."""
        self.page.get_by_label("Name").fill(person)
        self.page.get_by_role("button", name="Log in").click()

    def pages(self) -> list[str]:
        """Return the paths of the navigation. A new page of the console is in it, and so in all tests of every page."""
        links = self.page.locator("header nav a")
        return [str(links.nth(each).get_attribute("href")) for each in range(links.count())]

    @property
    def text(self) -> str:
        return " ".join(self.page.locator("body").inner_text().split())

    def press(self, name: str) -> None:
        self._awaited(self.page.get_by_role("button", name=name, exact=True)).click()

    def shows(self, text: str) -> None:
        """Return as soon as the page shows this text."""
        self._awaited(self.page.get_by_text(text).first)

    def _awaited(self, locator: Locator) -> Locator:
        try:
            locator.wait_for()
        except NotThere as error:
            raise AssertionError(f"{locator} does not come. The page says: {self.text}") from error
        return locator

    def tab_to(self, selector: str, most: int = 60) -> None:
        """Press Tab until this element has the focus, and see that a person sees where it is."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                outline = self.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", f"the focus on {selector} is not visible"
                return
        raise AssertionError(f"Tab does not lead to {selector}")

    def violations(self) -> list[str]:
        """Return what axe finds on the page."""
        tried: dict[str, Any] = Axe().run(self.page, options={"runOnly": _RULES}).response
        assert len(tried["passes"]) > _FEWEST_RULES, tried["passes"]
        return [f"{each['id']}: {node['html']}: {node['failureSummary']}" for each in tried["violations"] for node in each["nodes"]]

    def sideways(self) -> int:
        """Return by how many pixels the body is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
