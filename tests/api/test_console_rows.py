"""An approver looks at rows of a requested table: as themself, through one role for this look, and nothing is left of it."""

from collections.abc import Iterator

import psycopg
import pytest

from rolevend.approvals import wording
from rolevend.console.row_pages import COOKIE
from rolevend.kinds.vended_role import TableName
from testbed.installation import ApiProcess
from tests.support.browsing import Windows
from tests.support.calling import Doors, send
from tests.support.confirming import with_hint
from tests.support.console import NINA, OLGA, OTTO, ROWS_CLIENT, ConsoleSite, Visitor, kubernetes_name
from tests.support.recorded import Trail
from tests.support.requesting import AccessRequested, Requester
from tests.support.site import AGENTS, WAREHOUSE, Body
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

BUTTON = "Show rows that I may read"
ODD = """<script>o"d d'; --%s"""
_ODD = ODD.replace('"', '""')
ODD_AS_SHOWN = wording.table(TableName(schema_name="claims", table=ODD))
PEOPLE = "claims.people"


class Looking:
    """Requests for two tables, and the Agent of the roles through which people look. Olga reads both for DE and AT in clear, and Otto reads
    `people` with the end of each ssn. Nina may decide nothing."""

    def __init__(self, console: ConsoleSite, tenant: Tenant, api: ApiProcess) -> None:
        self.console, self.tenant, self.site, self.api = console, tenant, console.site, api
        database = self.site.warehouse
        database.ask(f'CREATE TABLE claims."{_ODD}" (country text, "<i>c" text, long text, turned text, nothing text)')
        database.ask(f'ALTER TABLE claims."{_ODD}" OWNER TO app_owner')
        values = "'DE', '<img src=x onerror=alert(1)>', repeat('y', 100000), U&'\\202Egnp.exe', NULL"
        database.ask(f'INSERT INTO claims."{_ODD}" VALUES ({values})')
        identity = {"type": "OIDCClient", "oidcClient": {"issuer": console.provider.issuer, "clientIDs": [ROWS_CLIENT]}}
        proof = {"assertion": "TokenRequired"}
        agent = tenant.agent("rows", handle="ROWS", identity=identity, onBehalfOf=proof, combination="UserCeiling")
        self.site.told(agent, "Ready", "True")
        self.lets_read(OLGA, "people", ODD)
        self.lets_read(
            OTTO, "people", masks=[{"name": "ids", "columns": {"matchNames": ["ssn"]}, "type": "Partial", "partial": {"keepLast": 2}}]
        )
        self.people = Requester(tenant).ready().ask()
        odd = Requester(tenant, offer="odd")
        odd.offers(tenant.policy(odd.offer_name, ODD, masks=[], onRequest={"display": "odd", "maxExpirationSeconds": 600}))
        self.odd = odd.ask()

    def lets_read(self, person: str, *tables: str, **policy: object) -> None:
        name = f"{person}.{self.tenant.name}"
        facts = [{"key": "reads", "values": [name]}, {"key": "countries", "values": ["DE", "AT"]}]
        user = {"issuer": self.console.provider.issuer, "subject": person}
        self.tenant.make("UserAttributes", {"user": user, "attributes": facts}, name)
        users = {"matchAttributes": [{"key": "reads", "operator": "In", "values": [name]}]}
        made = self.tenant.policy(f"own-{name}", *tables, users=users, **{"masks": [], **policy})
        self.site.told(made, "Ready", "True")
        eventually(lambda: self.is_granted(person))

    def is_granted(self, person: str) -> bool:
        """True if the API would vend the person a role. It creates none, and takes no token."""
        tokens = self.console.provider.tokens
        asked = {"userToken": tokens.tokens_of(person, client=ROWS_CLIENT).access_token, "platforms": [WAREHOUSE]}
        headers = {"Authorization": f"Bearer {tokens.agent_token(ROWS_CLIENT)}"}
        return bool(send("POST", f"{self.api.url}/v1/decisions", json=asked, headers=headers).json().get("granted"))

    def roles(self) -> list[Body]:
        """The roles of looks that there are."""
        listed = self.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles").body["items"]
        return [each for each in listed if each["spec"]["agentRef"]["name"] == "rows"]

    def begun(self, visitor: Visitor, request: AccessRequested | None = None, table: str = PEOPLE, **fields: str) -> str:
        """Press the button, and return the address of the identity provider."""
        name = (request or self.people).name
        eventually(lambda: BUTTON in visitor.get(f"/requests/{AGENTS}/{name}").text)
        visitor.post(f"/rows/{AGENTS}/{name}", table=table, **fields)
        assert visitor.answer.status_code == 200, visitor.page.text
        address = visitor.answer.headers["Refresh"].removeprefix("0; url=")
        assert address in visitor.page.links, "it goes on without the header, too"
        return str(address)

    def back(self, visitor: Visitor, address: str) -> str:
        """Log in there, and return the address to which the provider sends the browser back; nobody goes there."""
        answer = visitor.http.get(with_hint(address, self.console.provider.issuer, visitor.person))
        assert answer.status_code == 302, answer.text
        return str(answer.headers["Location"])


@pytest.fixture(scope="module")
def looking(console: ConsoleSite, doors: Doors) -> Iterator[Looking]:
    console.site.ensure_operator()
    tenant = Tenant(console.site)
    yield Looking(console, tenant, doors.first)
    tenant.leave()
    console.site.warehouse.ask(f'DROP TABLE claims."{_ODD}" CASCADE')


@pytest.fixture
def olga(looking: Looking) -> Iterator[Visitor]:
    yield looking.console.browser(OLGA)
    eventually(lambda: not looking.roles())  # whatever a test did


def test_an_approver_reads_rows_as_themself_and_the_audit_says_why(looking: Looking, olga: Visitor, trail: Trail):
    address = looking.begun(olga)
    assert "prompt=" not in address
    text = olga.get(address).text
    assert "Rows of claims.people that you may read" in text, text
    assert "2 rows" in text
    assert "Lena Bauer" in text
    assert "Ruby Hayes" not in text, "a row of a country that Olga does not read"
    assert "900-01-0001 today hidden with the approval 900-01-0001" in text
    assert "today: hidden" in text
    assert "and was released" in text
    assert olga.answer.headers["Cache-Control"] == "no-store"
    assert "form-action 'self'" in olga.answer.headers["Content-Security-Policy"]
    assert olga.http.cookies.get(COOKIE) is None

    (line,) = looking.console.logged("rows shown", f"{AGENTS}/{looking.people.name}")
    assert (line["person"], line["table"]) == (kubernetes_name(OLGA), PEOPLE)
    told = eventually(lambda: [each for each in trail.all() if each.get("subject") == line["role"]])
    (vended,) = [each["data"] for each in told if each["type"] == "dev.rolevend.granted"]
    assert f"AccessRequest {AGENTS}/{looking.people.name}" in str(vended)
    assert OLGA in str(vended)
    assert "payments" not in str(vended), "the role reads the one table"
    assert looking.site.warehouse.ended(line["role"]) is not None
    log = "".join(each.log.read_text() for each in looking.console.replicas)
    for secret in ("eyJ", "Lena Bauer", "900-01-0001", "password"):
        assert secret not in log
    assert "eyJ" not in olga.answer.text


def test_a_masked_value_is_shown_as_the_approver_reads_it_and_no_other_way(looking: Looking):
    otto = looking.console.browser(OTTO)
    text = otto.get(looking.begun(otto)).text
    assert "***01" in text, text
    assert "900-01" not in text
    assert "today ***" not in text, "no value of the requester is made of a masked one"
    assert looking.roles() == []


def test_hostile_names_and_values_are_text_and_a_huge_value_is_cut(looking: Looking, olga: Visitor):
    address = looking.begun(olga, looking.odd, ODD_AS_SHOWN)
    olga.get(address)
    shown = olga.answer.text
    assert "1 row" in olga.page.text, olga.page.text
    for hostile in ("<script>o", "<img", "<i>c", "\u202e", "y" * 201):
        assert hostile not in shown
    assert "\\u202egnp.exe" in shown
    assert "y" * 200 in shown
    assert "the beginning of a longer value" in shown
    assert "NULL" in shown


def test_a_table_that_answers_too_late_shows_nothing_and_leaves_nothing(looking: Looking, olga: Visitor):
    with psycopg.connect(looking.site.warehouse.superuser.dsn) as other:
        other.execute(f'LOCK TABLE claims."{_ODD}" IN ACCESS EXCLUSIVE MODE')
        text = olga.get(looking.begun(olga, looking.odd, ODD_AS_SHOWN)).text
        assert "The database gives the console no rows within seconds" in text, text
        assert looking.roles() == []


def test_somebody_else_at_the_provider_shows_nothing_and_may_be_asked_to_log_in_again(looking: Looking, olga: Visitor):
    address = looking.begun(olga)
    olga.person = OTTO
    text = olga.get(address).text
    assert "Somebody else than you logged in" in text
    assert "Lena" not in text
    assert olga.answer.status_code == 403
    page = olga.page.fields
    olga.post(f"/rows/{AGENTS}/{looking.people.name}", given=page, table=PEOPLE)
    assert "prompt=login" in olga.answer.headers["Refresh"]


def test_a_callback_works_once_in_the_session_that_began_it(looking: Looking, olga: Visitor):
    back = looking.back(olga, looking.begun(olga))
    cookie = str(olga.http.cookies[COOKIE])
    otto = looking.console.browser(OTTO)
    otto.get("/requests")

    def opened(visitor: Visitor, url: str) -> str:
        visitor.http.cookies.set(COOKIE, cookie, domain="127.0.0.1")
        return visitor.get(url).text

    for url in (
        back.replace("code=", "kode="),
        f"{back}&code=x",
        back.replace("state=", "state=x"),
        f"{back}&iss=https://other.example.org",
    ):
        assert "The login for the rows did not complete" in opened(olga, url), url
    assert "in another session" in opened(otto, back), "and the code is used up"
    text = opened(olga, back)
    assert "did not complete" in text, "the code cannot be used again"
    assert "Lena" not in text


def test_a_second_look_in_another_tab_completes_whatever_becomes_of_the_first(looking: Looking, olga: Visitor):
    first, second = looking.begun(olga), looking.begun(olga, looking.odd, ODD_AS_SHOWN)
    assert "did not complete" in olga.get(first).text
    assert "1 row" in olga.get(second).text
    reasons = "".join(each.log.read_text() for each in looking.console.replicas)
    assert "a login for rows did not complete: the login was not begun in this browser" in reasons


def test_only_the_form_of_an_approver_begins_a_look_and_only_at_the_tables_of_the_request(looking: Looking, olga: Visitor):
    page = f"/rows/{AGENTS}/{looking.people.name}"
    looking.begun(olga)
    olga.get(f"/requests/{AGENTS}/{looking.people.name}")
    given = olga.page.fields
    assert olga.post(page, {"Sec-Fetch-Site": "cross-site"}, given=given, table=PEOPLE).text
    assert olga.answer.status_code == 403
    olga.post(page, given={**given, "form": "x"}, table=PEOPLE)
    assert olga.answer.status_code == 403
    for table in ("claims.payments", ODD_AS_SHOWN, "<script>alert(1)</script>", "", "claims.people, claims.claims"):
        text = olga.post(page, given=given, table=table).text
        assert olga.answer.status_code == 409
        assert "the request does not ask for this table" in text
        assert "<script>" not in olga.answer.text
        assert "Refresh" not in olga.answer.headers
    nina = looking.console.browser(NINA)
    nina.get("/requests")
    nina.post(page, table=PEOPLE)
    assert nina.answer.status_code == 404
    assert olga.get(f"{page}") is not None
    assert olga.answer.status_code == 405


def test_who_may_not_read_the_table_is_told_so(looking: Looking):
    otto = looking.console.browser(OTTO)
    text = otto.get(looking.begun(otto, looking.odd, ODD_AS_SHOWN)).text
    assert "You get no role for this table here" in text, text
    assert "is not granted to this user through this agent" in text
    assert otto.answer.status_code == 409
    assert looking.roles() == []


def test_an_agent_that_is_suspended_shows_nobody_rows(looking: Looking):
    agent = looking.tenant.described("Agent", {}, "rows", AGENTS)
    looking.site.patch(agent, {"suspend": True})
    eventually(lambda: not looking.is_granted(OLGA))
    olga = looking.console.browser(OLGA)
    text = olga.get(looking.begun(olga)).text
    looking.site.patch(agent, {"suspend": False})
    eventually(lambda: looking.is_granted(OLGA))
    assert "You get no role for this table here" in text, text
    assert "Lena" not in text


@pytest.mark.long
def test_the_button_works_in_a_browser_and_the_page_is_accessible_and_fits_a_phone(windows: Windows, looking: Looking):
    window = windows.open(OLGA, f"/requests/{AGENTS}/{looking.people.name}", width=360)
    window.press(BUTTON)
    window.log_in(OLGA)
    window.shows("Lena Bauer")
    assert window.violations() == []
    assert window.sideways() <= 0


def test_a_request_that_was_made_again_under_its_name_shows_no_rows_of_the_former(looking: Looking, olga: Visitor):
    requester = Requester(looking.tenant, offer="odd")
    body = requester.asked()
    former = AccessRequested(looking.site, looking.site.apply(body))
    address = looking.begun(olga, former, ODD_AS_SHOWN)
    looking.site.cluster.delete(former.body)
    eventually(lambda: BUTTON not in olga.get(f"/requests/{AGENTS}/{former.name}").text)
    again = AccessRequested(looking.site, looking.tenant.keep(eventually(lambda: looking.site.apply(body))))
    assert again.uid != former.uid
    eventually(lambda: again.status.get("state") == "Pending" and BUTTON in olga.get(f"/requests/{AGENTS}/{again.name}").text)
    assert "There is nothing here that you may see" in olga.get(address).text


def test_a_request_that_was_decided_meanwhile_shows_no_rows(looking: Looking, olga: Visitor):
    address = looking.begun(olga)
    otto = looking.console.browser(OTTO)
    otto.get(f"/requests/{AGENTS}/{looking.people.name}")
    assert "is Denied" in otto.post(f"/requests/{AGENTS}/{looking.people.name}", choice="Deny", comment="no").text
    eventually(lambda: BUTTON not in olga.get(f"/requests/{AGENTS}/{looking.people.name}").text)
    assert "There is nothing here that you may see" in olga.get(address).text
