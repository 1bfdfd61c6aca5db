"""Auditors at the console: the story of a role from the files of operator and API, for those who may read it, on real parts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from rolevend.access_ledger.entry import Ran, Touched, entry_of
from rolevend.app.bootstrap import now
from rolevend.audit.event_files import verify as verify_chain
from rolevend.audit.receipt_files import verify as verify_receipts
from rolevend.identity.key_set import parse
from rolevend.naming import parse_role_name
from rolevend.platforms.statement import Statement
from rolevend.policytools.embedded.ports import free_ports
from tests.support import pglogs
from tests.support.calling import Caller, Doors
from tests.support.console import AUDITOR, NINA, OLGA, STAFF, SVEN, ZARA, ConsoleSite, Visitor, kubernetes_name
from tests.support.installed import RBAC
from tests.support.proving import Proven
from tests.support.requesting import Requester
from tests.support.site import AGENTS, Body
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

HOSTILE: Final = "</bdi></pre><script>alert(1)</script><img src=x onerror=alert(1)>"
ELSEWHERE: Final = pglogs.OTHER_ROLE


@pytest.fixture(scope="module")
def audited(console: ConsoleSite, doors: Doors) -> Iterator[Doors]:
    """The operator and a replica of the API write files that the console may read; Axel's group may, in one namespace, and Zara in all."""
    site = console.site
    of_operator, of_api = (
        {"AUDIT_FILE": str(console.audit / f"{name}.ndjson"), "RECEIPT_KEY_FILE": str(console.receipt_key)} for name in ("operator", "api")
    )
    site.operator.stop()
    site.start_operator(of_operator)
    door = doors.open(of_api)
    door.wait_until_ready()
    bind = ("create", "rolebinding", "axel-audits", "--clusterrole=rolevend-auditor", f"--group={STAFF}:auditors", f"--namespace={AGENTS}")
    site.cluster.kubectl(*bind)
    site.cluster.kubectl("create", "clusterrolebinding", "zara-audits", "--clusterrole=rolevend-auditor", f"--user={kubernetes_name(ZARA)}")
    elsewhere = pglogs.granted(ELSEWHERE, agent="elsewhere/riskbot", userSubject="bert", requestUid=str(parse_role_name(ELSEWHERE).uid))
    (console.audit / "other.ndjson").write_text(f"{json.dumps(elsewhere)}\n")
    former, doors.first = doors.first, door
    yield doors
    doors.first = former
    door.kill()
    site.operator.stop()
    site.start_operator()
    site.cluster.call("DELETE", f"/apis/{RBAC}/v1/clusterrolebindings/zara-audits")
    site.cluster.call("DELETE", f"/apis/{RBAC}/v1/namespaces/{AGENTS}/rolebindings/axel-audits")
    for each in (*console.audit.iterdir(), *console.ledger.iterdir()):
        each.unlink()


@pytest.fixture
def caller(audited: Doors, proven: Proven) -> Caller:
    return Caller(proven.ready_to_ask(), audited.first)


def ended(console: ConsoleSite, caller: Caller) -> Body:
    """A role that was vended, and is gone."""
    role = caller.vended()
    assert caller.release(role).status_code in (202, 204)
    file = console.audit / "operator.ndjson"
    eventually(file.exists)
    eventually(lambda: any(role["roleName"] in each and '"dev.rolevend.dropped"' in each for each in file.read_text().splitlines()))
    return role


def ran(console: ConsoleSite, role: Body, *texts: str) -> None:
    """Statements of the role, as the ledger has them."""
    lines = []
    for number, text in enumerate(texts):
        statement = Statement("", "claims", "s", "127.0.0.1:5", HOSTILE, text)
        facts = Ran(id=f"{role['id']}/{number}", time=now(), role=role["roleName"], source="PostgreSQL", command=None, refused=False)
        lines.append(json.dumps(entry_of(statement, facts, None, Touched(("claims.people",), "observed"), 32_768).as_json()))
    with (console.ledger / "warehouse.ndjson").open("a") as file:
        file.write("".join(f"{each}\n" for each in lines))


def status(visitor: Visitor, path: str) -> int:
    visitor.get(path)
    return visitor.answer.status_code


def test_an_auditor_finds_a_role_reads_its_story_and_sees_it_verified(console: ConsoleSite, caller: Caller):
    role = ended(console, caller)
    ran(console, role, "SELECT count(*)\n  FROM people")
    axel, agent = console.browser(AUDITOR), f"{AGENTS}/{caller.proven.tenant.name}"
    for query in (f"q={role['roleName']}", f"agent={agent}", f"agent={agent}&user=anna"):
        assert role["roleName"] in axel.get(f"/trail?{query}").text, query
    assert "Nothing that you may see matches" in axel.get(f"/trail?agent={agent}&to=2020-01-01").text

    page = axel.get(f"/trail/{role['roleName']}").text

    order = [page.index(each) for each in ("Role granted", "Release asked for", "Role gone", "SELECT count(*)", "Verified now")]
    assert order == sorted(order) or order[3] < order[2], page
    assert "anna" in page
    assert "claims.people" in page
    assert "The chain of api.ndjson is unbroken from" in page
    assert "The chain of operator.ndjson is unbroken from" in page
    assert "1 receipt is signed with a known key, and agrees with its event." in page
    assert "Broken" not in page


def test_others_neither_see_nor_find_nor_export_what_they_may_not_read(console: ConsoleSite, caller: Caller):
    role = ended(console, caller)
    ran(console, role, "SELECT 'a secret'")
    path = f"/trail/{role['roleName']}"
    axel, zara, sven, nina, olga = (console.browser(each) for each in (AUDITOR, ZARA, SVEN, NINA, OLGA))
    for visitor in (sven, nina, olga):
        for each in (path, f"{path}/export", "/trail/00000000-0000-4000-8000-000000000000"):
            assert status(visitor, each) == 404, (visitor.person, each)
            assert visitor.page.text == nowhere(visitor), "the same as of a role that never was"
        for query in ("", f"?q={role['roleName']}", "?user=anna", "?q=rolevend"):
            assert role["roleName"] not in visitor.get(f"/trail{query}").text
            assert "Nothing that you may see matches" in visitor.page.text
    for visitor in (axel, zara):
        assert "a secret" in visitor.get(path).text
    assert status(axel, f"/trail/{ELSEWHERE}") == status(axel, f"/trail/{ELSEWHERE}/export") == 404
    assert ELSEWHERE not in axel.get("/trail").text
    assert "dev.rolevend" not in axel.page.text
    assert "started" not in axel.page.text, "an event of no namespace"
    assert "elsewhere/riskbot" in zara.get(f"/trail/{ELSEWHERE}").text
    assert ELSEWHERE in zara.get("/trail").text
    assert "started" in zara.page.text


def nowhere(visitor: Visitor) -> str:
    current = visitor.answer
    found = visitor.get("/trail/11111111-0000-4000-8000-000000000000").text
    visitor.answer = current
    return found


def test_the_export_has_the_lines_as_they_were_written(console: ConsoleSite, caller: Caller, tmp_path: Path):
    role = ended(console, caller)
    ran(console, role, HOSTILE)
    axel = console.browser(AUDITOR)
    axel.get(f"/trail/{role['roleName']}/export")

    uid = str(parse_role_name(role["roleName"]).uid)
    assert axel.answer.headers["Content-Disposition"] == f'attachment; filename="trail-{uid}.ndjson"'
    assert axel.answer.headers["Content-Type"].startswith("application/x-ndjson")
    assert axel.answer.headers["X-Content-Type-Options"] == "nosniff"
    lines = axel.answer.content.splitlines()
    known = [each for file in (*console.audit.iterdir(), *console.ledger.iterdir()) for each in file.read_bytes().splitlines()]
    assert len(lines) == 4
    assert all(each in known for each in lines)
    (tmp_path / "export").write_bytes(axel.answer.content)
    keys = parse((Path(str(console.receipt_key.parent)) / "receipts.json").read_bytes())
    found = verify_receipts([str(tmp_path / "export")], keys)
    assert (len(found.receipts), found.problems) == (1, [])
    logs = "".join(each.log.read_text() for each in console.replicas)
    (exported,) = [each for each in logs.splitlines() if "exported a trail" in each and uid in each]
    assert kubernetes_name(AUDITOR) in exported


def test_a_request_and_the_role_that_its_approval_made_are_one_story(console: ConsoleSite, audited: Doors, tenant: Tenant):
    requester = Requester(tenant).ready()
    request = requester.approved(comment=HOSTILE)
    name = requester.role(request).ready().role
    axel = console.browser(AUDITOR)
    page = eventually(lambda: text if "Role granted" in (text := axel.get(f"/trail/{name}").text) else None)
    order = [page.index(each) for each in ("Access asked for", "Decision on the request", "Role granted")]
    assert order == sorted(order)
    assert "alice@example.org" in page
    assert "The role lives" in page
    assert "Access asked for" in axel.get(f"/trail/{request.uid}").text
    assert "Role granted" not in axel.page.text


def test_hostile_words_in_a_trail_are_text(console: ConsoleSite, caller: Caller):
    role = caller.vended()
    ran(console, role, f"SELECT '{HOSTILE}' -- \u202e", HOSTILE * 300)
    sven, axel = console.browser(SVEN), console.browser(AUDITOR)
    one = f"/roles/{AGENTS}/{role['id']}"
    eventually(lambda: status(sven, one) == 200)
    sven.post(one, because=HOSTILE)
    eventually(lambda: "alert(1)" in axel.get(f"/trail/{role['roleName']}").text and "Role gone" in axel.page.text)
    fields = ("q", "agent", "user", "from", "to")
    answers = [axel.answer.text, *(axel.http.get(f"{console.urls[0]}/trail", params={name: HOSTILE}).text for name in fields)]
    axel.get("/trail/receipts")
    axel.post("/trail/receipts", receipts=f'{HOSTILE}\n{{"{HOSTILE}": 1}}\n{"[" * 2000}')
    answers.append(axel.answer.text)
    for text in answers:
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "</pre><script" not in text
        assert "\u202e" not in text
    for path in ("/trail/..%2f..%2fetc%2fpasswd", "/trail/%3Cscript%3E", "/trail/receipts%00"):
        assert axel.http.get(f"{console.urls[0]}{path}").status_code == 404


def test_a_person_verifies_a_receipt_that_they_have(console: ConsoleSite, caller: Caller):
    role = ended(console, caller)
    texts = [each for file in console.audit.iterdir() for each in file.read_text().splitlines() if role["roleName"] in each]
    events = [each for each in texts if '"receipt"' in each]
    nina = console.browser(NINA)
    nina.get("/trail/receipts")

    assert "1 verified" in nina.post("/trail/receipts", receipts="\n".join(events)).text
    assert role["roleName"] in nina.page.text
    beginning, end = sorted(events, key=lambda each: str(json.loads(each)["time"]))
    receipt = json.loads(beginning)["data"]["receipt"]
    assert "1 verified" in nina.post("/trail/receipts", receipts=receipt).text
    forged = f"{receipt[:-8]}AAAAAAAA"
    assert "Not verified: 1 problems" in nina.post("/trail/receipts", receipts=forged).text
    assert role["roleName"] not in nina.page.text
    assert "Not verified" in nina.post("/trail/receipts", receipts=beginning.replace("anna", "bert")).text
    assert "the first half, which it names, is not here" in nina.post("/trail/receipts", receipts=end).text
    assert "48,000" in nina.post("/trail/receipts", receipts="x" * 50_000).text
    nina.post("/trail/receipts", receipts="x" * 70_000)
    assert nina.answer.status_code == 413
    assert "does not come from this page" in nina.post("/trail/receipts", form="0" * 64, receipts=receipt).text


def test_without_audit_files_the_objects_tell_the_story_and_the_page_says_how_to_connect_them(
    console: ConsoleSite, audited: Doors, tenant: Tenant
):
    requester = Requester(tenant).ready()
    request = requester.approved()
    role = requester.role(request).ready()
    name = role.role
    axel, sven = console.browser(AUDITOR), console.browser(SVEN)
    eventually(lambda: f"/trail/{name}" in axel.get(f"/roles/{AGENTS}/{role.name}").links)
    assert not [each for each in sven.get(f"/roles/{AGENTS}/{role.name}").links if each.startswith("/trail/")]
    (port,) = free_ports(1)
    bare = console.start(port, AUDIT_FILES="", LEDGER_FILES="")
    bare.wait_until_ready()
    console.urls.append(f"https://127.0.0.1:{port}")
    try:
        axel, nina = console.browser(AUDITOR), console.browser(NINA)
        for each in (axel, nina):
            each.get("/requests")
        page = eventually(lambda: text if "Role asked for" in (text := axel.get(f"/trail/{name}", replica=2).text) else None)
        for text in ("Access asked for", "Approval used", "Request is ", "console.audit.enabled"):
            assert text in page
        assert name in axel.get("/trail", replica=2).text
        nina.get(f"/trail/{name}", replica=2)
        assert nina.answer.status_code == 404
        assert name not in nina.get("/trail", replica=2).text
    finally:
        console.urls.pop()
        bare.kill()


@pytest.mark.long
def test_a_file_that_was_altered_is_told_to_be_broken(console: ConsoleSite, caller: Caller):
    """The last test of this file: what is close to the altered event is told to be broken, too."""
    role = ended(console, caller)
    axel, zara = console.browser(AUDITOR), console.browser(ZARA)
    path = f"/trail/{role['roleName']}"
    assert "Broken" not in axel.get(path).text
    file = console.audit / "api.ndjson"
    line = next(each for each in file.read_bytes().splitlines() if role["roleName"].encode() in each)
    with file.open("r+b") as writer:  # in place, as somebody does who can write the file
        writer.seek(file.read_bytes().index(line) + line.index(b'"userProof":"Token"'))
        writer.write(b'"userProof":"Other"')
    assert verify_chain([str(file)]).problems

    page = axel.get(path).text

    assert "Broken: the chain of api.ndjson" in page
    assert "api.ndjson at byte" in page
    assert "was altered" not in page.partition("Receipts:")[0], "it would name events of others, too"
    assert "problems" in page.partition("Receipts:")[2]
    assert "was altered" in zara.get(path).text
