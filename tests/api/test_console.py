"""People at the console: each sees and does what RBAC permits them, on real parts."""

import pytest

from tests.support.calling import Caller, Doors
from tests.support.console import AUDITOR, NINA, OLGA, SVEN, ConsoleSite, Visitor, kubernetes_name
from tests.support.proving import Proven
from tests.support.requesting import Requester
from tests.support.site import AGENTS, DOMAIN
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually


@pytest.fixture
def requester(tenant: Tenant) -> Requester:
    return Requester(tenant).ready()


def shows(visitor: Visitor, path: str, text: str) -> bool:
    return text in visitor.get(path).text


def test_a_person_logs_in_and_out_and_a_session_holds_at_each_replica(console: ConsoleSite):
    before = len(console.sessions())
    visitor = console.browser(NINA)
    assert "Signed in as staff:nina" in visitor.get("/").text
    cookie = visitor.answer.request.headers["Cookie"]
    assert "Signed in as staff:nina" in visitor.get("/roles", replica=1).text
    assert len(console.sessions()) == before + 1

    assert "Signed out" in visitor.post("/logout").text

    assert len(console.sessions()) == before
    stale = visitor.http.get(f"{console.urls[1]}/requests", headers={"Cookie": cookie})
    assert (stale.status_code, stale.headers["Location"].partition("?")[0]) == (303, "/login")


def test_an_approver_answers_and_the_agent_reads_and_others_neither_see_nor_vote(console: ConsoleSite, requester: Requester):
    request = requester.ask()
    request.is_now("Pending")
    page = f"/requests/{AGENTS}/{request.name}"
    olga, sven, nina = (console.browser(each) for each in (OLGA, SVEN, NINA))
    eventually(lambda: shows(olga, "/requests", request.name))
    inbox = olga.page.text
    assert inbox.index("Waiting for you") < inbox.index(request.name)
    assert "the customer asked" in olga.get(page).text
    assert "(not verified)" in olga.page.text

    assert not shows(nina, "/requests", request.name)
    assert "Not found" in nina.get(page).text
    assert nina.answer.status_code == 404
    form = nina.get("/requests").fields["form"]
    refused = nina.post(page, form=form, choice="Approve", digest=request.status["offer"]["digest"])
    assert (nina.answer.status_code, "Not found" in refused.text) == (404, True)
    sven.get("/requests")
    sven.post(page, choice="Approve", digest=request.status["offer"]["digest"])
    assert sven.answer.status_code == 404
    assert request.status["state"] == "Pending"

    olga.get(page)
    counted = olga.post(page, choice="Count").text
    assert "With this approval" in counted, counted
    told = olga.post(page, choice="Approve", seconds="2m", comment="for the claim")
    assert "is Approved" in told.text, told.text
    approval = request.is_now("Approved")["approval"]
    assert (approval["expirationSeconds"], [each["by"] for each in approval["approvers"]]) == (120, [kubernetes_name(OLGA)])


def test_a_denial_needs_a_reason_and_a_vote_on_an_effect_that_changed_is_refused(console: ConsoleSite, requester: Requester):
    request = requester.ask()
    request.is_now("Pending")
    olga, page = console.browser(OLGA), f"/requests/{AGENTS}/{request.name}"
    eventually(lambda: shows(olga, page, "Your answer"))
    assert "say why" in olga.post(page, choice="Deny", comment=" ").text
    stale = olga.post(page, choice="Approve", digest=f"sha256:{'0' * 64}").text
    assert "Approved" not in request.status["state"], stale
    said = olga.post(page, choice="Approve", masks="ssn=Sha1").text
    assert "Mask also: 'ssn=Sha1' is no mask" in said, said
    decisions = request.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{DOMAIN}/accessdecisions").body["items"]
    assert not [each for each in decisions if each["spec"]["requestRef"]["name"] == request.name]
    assert "does not come from this page" in olga.post(page, form="0" * 64, choice="Deny", comment="no").text
    assert "does not come from this page" in olga.post(page, {"Sec-Fetch-Site": "cross-site"}, choice="Deny", comment="no").text
    olga.get(page)
    assert "is Denied" in olga.post(page, choice="Deny", comment="Ask for the masked offer.").text
    request.is_now("Denied")


def test_a_mask_that_may_mean_nothing_is_told_before_it_counts(console: ConsoleSite, requester: Requester):
    request = requester.ask()
    request.is_now("Pending")
    olga, page = console.browser(OLGA), f"/requests/{AGENTS}/{request.name}"
    eventually(lambda: shows(olga, page, "Your answer"))

    noted = olga.post(page, choice="Approve", masks="snn=Nullify")

    assert "the mask changes nothing. Press Approve again" in noted.text, noted.text
    for masks in ("nss=Nullify", "snn=Nullify"):
        assert f"no column {masks[:3]}" in olga.post(page, choice="Approve", masks=masks).text, "another note than the one that was told"
    assert "Press Approve again" in olga.post(page, choice="Approve", masks="snn=Hash\nnss=Hash").text
    assert request.status["state"] == "Pending"
    olga.post(page, choice="Approve", masks="snn=Nullify")
    assert "is Approved" in olga.post(page, choice="Approve", masks="snn=Nullify").text
    request.is_now("Approved")


def test_an_approver_chooses_some_of_the_tables(console: ConsoleSite, tenant: Tenant):
    tables = [{"schema": "claims", "table": name} for name in ("people", "payments")]
    names = [{"schema": "claims", "name": name} for name in ("people", "payments")]
    request = Requester(tenant).ready(tables={"matchNames": names}).ask(tables=tables)
    request.is_now("Pending")
    olga, page = console.browser(OLGA), f"/requests/{AGENTS}/{request.name}"
    eventually(lambda: shows(olga, page, "Your answer"))
    first, second = sorted(name for name in olga.page.fields if name.startswith("table."))
    assert (olga.page.fields[first], olga.page.fields[second]) == ("claims.people", "claims.payments")
    assert "Only these tables: claims.secrets is not requested" in olga.post(page, choice="Approve", **{second: "claims.secrets"}).text

    olga.get(page)
    without = {name: value for name, value in olga.page.fields.items() if name != second}
    again = olga.post(page, given=without, choice="Count", comment="claims.payments")
    assert second not in again.fields, "no word checks the box of a table"
    assert "is Approved" in olga.post(page, given=without, choice="Approve").text

    assert [each["tables"] for each in request.is_now("Approved")["approval"]["approvers"]] == [tables[:1]]


def test_nobody_approves_what_an_agent_asks_for_in_their_name(console: ConsoleSite, requester: Requester):
    issuer = requester.tenant.user("anna")["issuer"]
    request = requester.ask(user={"issuer": issuer, "subject": OLGA})
    olga, page = console.browser(OLGA), f"/requests/{AGENTS}/{request.name}"
    eventually(lambda: shows(olga, page, "AccessRequest"))
    assert "Your answer" not in olga.page.text
    fields = {"digest": request.status.get("offer", {}).get("digest", ""), "uid": request.uid}
    assert "is Approved" not in olga.post(page, choice="Approve", **fields).text
    assert request.status.get("state") != "Approved"


def test_a_vote_that_is_withdrawn_ends_the_role(console: ConsoleSite, requester: Requester):
    request = requester.ask()
    request.is_now("Pending")
    olga, page = console.browser(OLGA), f"/requests/{AGENTS}/{request.name}"
    eventually(lambda: shows(olga, page, "Your answer"))
    olga.post(page, choice="Approve")
    role = requester.role(request)
    name = role.ready().role
    eventually(lambda: shows(olga, page, "Withdraw my vote"))

    assert "withdrawn" in olga.post(page, choice="Withdraw").text

    request.is_now("Revoked")
    eventually(lambda: name not in console.site.warehouse.roles())


def test_who_may_end_roles_sees_them_searches_them_and_ends_one_and_all(console: ConsoleSite, proven: Proven, doors: Doors):
    caller = Caller(proven.ready_to_ask(), doors.first)
    roles = [caller.vended(), caller.vended("bert"), caller.vended("carl")]
    sven, axel, nina = (console.browser(each) for each in (SVEN, AUDITOR, NINA))
    mine = f"/roles?agent={AGENTS}/{proven.tenant.name}"
    eventually(lambda: shows(sven, mine, "3 of"))
    assert "1 of" in sven.get(f"{mine}&q=bert").text
    assert "0 of 0 live roles" in nina.get("/roles").text
    console.site.cluster.kubectl(
        *("create", "rolebinding", "auditors", "--clusterrole=rolevend-viewer", "--group=staff:auditors", f"--namespace={AGENTS}")
    )
    eventually(lambda: shows(axel, mine, "3 of"))
    assert "Why" not in axel.page.text

    first = f"/roles/{AGENTS}/{roles[0]['id']}"
    axel.post(first, because="I want to")
    assert "may not" in axel.page.text or "forbidden" in axel.page.text.lower()
    assert caller.rows(roles[0], "SELECT count(*) FROM people")
    assert "Why" in sven.get(first).text
    told = sven.post(first, because="the laptop was stolen").text
    assert "The role is ending" in told or "The role is gone" in told  # before the answer, where the drop is faster
    eventually(lambda: roles[0]["roleName"] not in console.site.warehouse.roles())
    (line,) = console.logged("role ended", f"{AGENTS}/{roles[0]['id']}")
    assert (line["person"], line["because"]) == (kubernetes_name(SVEN), "the laptop was stolen")

    eventually(lambda: shows(sven, mine, "2 of"))
    agent = f"{AGENTS}/{proven.tenant.name}"
    for fewer in ("1", "", "x"):
        assert "Nothing was ended" in sven.post("/roles", agent=agent, count=fewer, because="x").text
    assert "2 roles are ending" in sven.post("/roles", agent=agent, count="2", because="the laptop was stolen").text
    eventually(lambda: not {each["roleName"] for each in roles} & set(console.site.warehouse.roles()))


@pytest.mark.long
def test_an_open_page_is_told_that_something_changed_and_holds_no_replica_up(console: ConsoleSite, requester: Requester):
    olga = console.browser(OLGA)
    olga.get("/requests", replica=1)
    with olga.http.stream("GET", f"{console.urls[1]}/events") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        lines = (line for line in stream.iter_lines() if line.startswith("data"))
        requester.ask()
        assert next(lines) == "data: changed"
        console.replicas[1].stop()
        assert all(line == "data: changed" for line in lines)
    console.restart(1)


def test_a_replica_that_is_killed_takes_no_session_with_it(console: ConsoleSite):
    visitor = console.browser(OLGA)
    visitor.get("/requests", replica=1)
    console.replicas[0].kill()
    assert "Signed in as staff:olga" in visitor.get("/requests", replica=1).text
    console.restart(0)
    assert "Signed in as staff:olga" in visitor.get("/requests", replica=0).text
