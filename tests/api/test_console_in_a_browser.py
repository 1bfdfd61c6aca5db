"""The console in a real browser: people click, type, press keys, and have no script, on the stack that they have in production."""

from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlencode

import pytest
from psycopg import sql

from tests.support.browsing import Window, Windows
from tests.support.calling import Caller, Doors
from tests.support.console import NINA, OLGA, PETRA, RITA, SVEN, ZARA, ConsoleSite, kubernetes_name
from tests.support.governed import SCHEMA
from tests.support.proving import Proven
from tests.support.requesting import AccessRequested, ApiRequester, Requester
from tests.support.site import AGENTS, WAREHOUSE, Site
from tests.support.tenancy import ISSUER, Asked, Tenant
from tests.support.waiting import eventually

HOSTILE = "</bdi><script>alert(1)</script><img src=//evil.example.org onerror=alert(2)><iframe src=//evil.example.org></iframe>\"' {{7*7}}"
IMAGE = "<img src=//evil.example.org onerror=alert(3)>"
SHORT = f"\"'>{IMAGE}"
"""As the name of a user or of a table."""
_FOREIGN = "main :is(img, iframe, script, b, object, svg, [onerror])"


class HostileScene:
    """A request and a live role, with hostile texts wherever somebody else chooses a text."""

    def __init__(self, site: Site) -> None:
        self.tenant = Tenant(site)
        self._table = f"{SCHEMA}." + sql.Identifier(SHORT).as_string()
        before = self._table_count
        made = f"CREATE TABLE {self._table} AS SELECT * FROM {SCHEMA}.people; ALTER TABLE {self._table} OWNER TO app_owner"
        site.warehouse.ask(made)
        eventually(lambda: self._table_count > before)  # a request before that would be superseded
        self.tenant.agent()
        user = {"issuer": ISSUER, "subject": SHORT}
        facts = {"tenant": self.tenant.name, "countries": "DE"}
        attributes = [{"key": key, "values": [value]} for key, value in facts.items()]
        self.tenant.make("UserAttributes", {"user": user, "attributes": attributes, "handle": self.tenant.handle}, "hostile")
        site.told(self.tenant.policy("", "people", SHORT), "Ready", "True")
        tables = {"matchNames": [{"schema": SCHEMA, "name": name} for name in ("people", SHORT)]}
        self.requester = Requester(self.tenant).offering({"display": HOSTILE[:100]}, tables=tables)
        self.request = self.requester.ask(user=user, justification={"text": HOSTILE}, ticket=SHORT)
        self.request.is_now("Pending")
        self.role: Asked = self.tenant.ask(user=user).ready()

    @property
    def _table_count(self) -> int:
        warehouse = {"kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}
        return int(self.tenant.site.cluster.read(warehouse).body["status"]["tableCount"])

    @property
    def request_page(self) -> str:
        return f"/requests/{AGENTS}/{self.request.name}"

    @property
    def role_page(self) -> str:
        return f"/roles/{AGENTS}/{self.role.name}"

    def leave(self) -> None:
        self.tenant.leave()
        self.role.gone()
        self.tenant.site.warehouse.ask(f"DROP TABLE {self._table} CASCADE")


@pytest.fixture(scope="module")
def hostile(site: Site) -> Iterator[HostileScene]:
    scene = HostileScene(site)
    yield scene
    scene.leave()


@pytest.fixture
def request_(tenant: Tenant) -> AccessRequested:
    request = Requester(tenant).ready().ask()
    request.is_now("Pending")
    return request


def test_people_follow_a_request_to_the_approved_rows_and_their_end(windows: Windows, console: ConsoleSite, proven: Proven, doors: Doors):
    agent = ApiRequester(Caller(proven, doors.first)).ready()
    olga, nina, sven = windows.open(OLGA), windows.open(NINA), windows.open(SVEN, "/roles")
    for each in (olga, sven):
        each.page.evaluate("window.kept = true")

    request = agent.asked("Pending")
    page = f"/requests/{AGENTS}/{request['id']}"
    link = olga.page.get_by_role("link", name=request["id"])
    link.wait_for()
    assert olga.page.evaluate("window.kept"), "the row came by itself, and not with a new page"
    link.click()
    olga.shows("the customer asked")
    olga.shows("(not verified)")
    assert request["id"] not in nina.text
    nina.page.goto(page)
    nina.shows("Not found")
    nina.page.goto("/requests")
    assert nina.page.evaluate(_POST, [page, {"choice": "Approve", "digest": "x"}]) == 404

    console.replicas[0].kill()
    olga.press("Count rows and cells first")
    olga.shows("With this approval")
    olga.page.get_by_label("Only for").fill("5m")
    olga.page.get_by_label("Comment").fill("for the claim")
    olga.press("Approve")
    olga.shows(f"{request['id']} is Approved")
    console.restart(0)
    role = agent.caller.vended(approval={"id": agent.usable(request)["id"]})
    assert agent.caller.rows(role, "SELECT count(ssn) FROM people")[0][0] > 0

    row = sven.page.get_by_role("link", name=role["id"])
    row.wait_for()
    assert sven.page.evaluate("window.kept"), "the row came by itself, and over the end of a replica"
    nina.page.goto("/roles")
    nina.shows("0 of 0 live roles")
    row.click()
    sven.page.get_by_label("Why").fill("the laptop was stolen")
    sven.press("End the role")
    eventually(lambda: role["roleName"] not in console.site.warehouse.roles())
    sven.page.goto("/roles")
    row.wait_for(state="detached")


@pytest.mark.long
def test_reading_and_answering_need_no_script(windows: Windows, request_: AccessRequested):
    olga = windows.open(OLGA, script=False)
    olga.page.get_by_role("link", name=request_.name).click()
    olga.shows("the customer asked")
    olga.press("Count rows and cells first")
    olga.shows("With this approval")
    olga.press("Deny")
    olga.shows("say why, for the person and the agent")
    olga.page.get_by_label("Comment").fill("once")
    olga.press("Approve")
    olga.shows(f"{request_.name} is Approved")
    request_.is_now("Approved")
    for path in olga.pages():
        olga.page.goto(path)
        assert olga.page.locator("h1").count() == 1, path
    olga.press("Sign out")
    olga.shows("Signed out")


@pytest.mark.long
def test_an_answer_needs_no_pointer(windows: Windows, request_: AccessRequested):
    olga = windows.open(OLGA)
    keyboard = olga.page.keyboard
    olga.tab_to("a.skip", most=1)
    keyboard.press("Enter")
    olga.tab_to(f"a[href$='/{request_.name}']")
    keyboard.press("Enter")
    olga.shows("Your answer")
    olga.tab_to("#comment")
    keyboard.type("for the claim")
    olga.tab_to("button[value=Approve]", most=1)
    keyboard.press("Enter")
    olga.shows(f"{request_.name} is Approved")
    request_.is_now("Approved")


@pytest.mark.long
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_every_page_is_accessible_and_fits_a_phone_also_with_hostile_texts(
    windows: Windows, hostile: HostileScene, scheme: Literal["light", "dark"], width: int
):
    olga = windows.open(OLGA, scheme=scheme, width=width)
    for path in [*olga.pages(), "/trail/receipts", hostile.role_page, "/requests/no/such", hostile.request_page]:
        olga.page.goto(path)
        is_in_order(olga)
    olga.press("Count rows and cells first")
    olga.shows("With this approval")
    olga.press("Deny")
    olga.shows("say why")
    is_in_order(olga)
    olga.press("Sign out")
    is_in_order(olga)
    hostile.requester.site.cluster.bind(kubernetes_name(ZARA), "rolevend-auditor", AGENTS)
    zara = windows.open(ZARA, scheme=scheme, width=width)
    for each in (hostile.role.uid, hostile.request.uid):
        zara.page.goto(f"/trail/{each}")
        zara.shows("asked for")
        assert SHORT in zara.text
        is_in_order(zara)


@pytest.mark.long
def test_answers_about_readers_and_health_are_accessible_and_fit_a_phone(windows: Windows, console: ConsoleSite, hostile: HostileScene):
    console.let_ask_who_reads(RITA)
    table = urlencode({"table": f"claims.{sql.Identifier(SHORT).as_string()}"})
    rita = windows.open(RITA, scheme="dark", width=360)
    for path, text in ((f"/readers?{table}", IMAGE), (f"/readers?{table}&could=1", IMAGE)):
        rita.page.goto(path)
        rita.shows(text)
        is_in_order(rita)
    petra = windows.open(PETRA, "/health", width=360)
    petra.shows("Versions")
    is_in_order(petra)


def test_hostile_texts_are_shown_and_do_nothing(windows: Windows, hostile: HostileScene):
    olga, sven = windows.open(OLGA), windows.open(SVEN, "/roles")
    assert SHORT in olga.text
    olga.page.get_by_role("link", name=hostile.request.name).click()
    olga.shows("Your answer")
    assert "alert(1)" in olga.text
    olga.press("Count rows and cells first")
    olga.shows("With this approval")
    olga.shows(IMAGE)
    for field in olga.page.locator("main :is(input:not([type]), textarea)").all():
        field.fill(HOSTILE)
    olga.press("Approve")
    olga.page.get_by_role("alert").wait_for()
    assert olga.page.get_by_label("Comment").input_value() == HOSTILE

    assert SHORT in sven.text
    sven.page.get_by_role("link", name=hostile.role.name).click()
    sven.shows("End the role")
    assert sven.text.count(IMAGE) == 2, "of the user and of the table"
    assert [each.page.locator(_FOREIGN).count() for each in (olga, sven)] == [0, 0]
    sven.page.goto("/roles")
    sven.page.get_by_label("Search").fill(SHORT)
    sven.press("Show")
    sven.shows("1 of ")
    assert IMAGE in sven.text


def is_in_order(window: Window) -> None:
    assert window.violations() == [], window.page.url
    assert window.sideways() == 0, window.page.url
    assert window.page.locator(_FOREIGN).count() == 0, window.page.url


_POST = """async ([path, fields]) => {
  const form = document.querySelector("input[name=form]").value;
  return (await fetch(path, {method: "POST", body: new URLSearchParams({form, ...fields})})).status;
}"""
