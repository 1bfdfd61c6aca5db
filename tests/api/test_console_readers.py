"""Who can read, at the console: each person gets the answer that their own rights give, on real parts."""

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest

from tests.support.browsing import Windows
from tests.support.console import NINA, RITA, SVEN, ConsoleSite, Visitor
from tests.support.requesting import Requester
from tests.support.site import AGENTS
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

HOSTILE = "</bdi><script>alert(1)</script><img src=x onerror=alert(1)>"
SSN = "claims.people.ssn"


@pytest.fixture(scope="module")
def rita(console: ConsoleSite) -> Visitor:
    """A person with the rights that the how-to names for all of the section."""
    console.let_ask_who_reads(RITA)
    return console.browser(RITA)


def readers(visitor: Visitor, table: str = SSN, **given: str) -> str:
    visitor.answer = visitor.http.get(f"{visitor.console.urls[0]}/readers", params={"table": table, **given})
    return visitor.page.text


def answered(visitor: Visitor, text: str, **given: str) -> str:
    """Open the page until it has the text: the operator publishes a catalog, and its watch brings a role, soon after it is there."""

    def page() -> str:
        found = readers(visitor, **given)
        assert text in found, found
        return found

    return str(eventually(page))


def signed_in(console: ConsoleSite, *people: str) -> list[Visitor]:
    visitors = [console.browser(each) for each in people]
    for each in visitors:
        each.get("/readers")
        assert "Who can read" in each.page.text
    return visitors


def test_people_with_different_rights_get_different_answers(console: ConsoleSite, rita: Visitor, tenant: Tenant):
    requester = Requester(tenant).ready()
    plain = tenant.ask().ready()
    approved = requester.role(requester.approved()).ready()
    agent = f"{AGENTS}/{tenant.name}"
    sven, nina = signed_in(console, SVEN, NINA)
    rita.get("/readers")

    answered(rita, f"{AGENTS}/{approved.name}", agent=agent)
    full = answered(rita, "approved by", agent=agent)
    assert "2 live roles of 1 agent and 1 user" in full
    assert "country in (user attribute countries)" in full
    assert all(each in full for each in ("Nullify", "Clear", f"domain-claims/{tenant.name}", "approved by", plain.name)), full

    partly = answered(sven, plain.name, agent=agent)
    assert "policies are not judged" in partly
    assert "domain-claims" not in partly
    assert "Nullify" not in partly
    assert "claims.people.ssn: 2 live roles of 1 agent and 1 user" in partly

    nothing = readers(nina, agent=agent)
    assert "no live role reads it" in nothing
    assert not [each for each in (plain.name, "anna", "domain-claims", "userattributes/") if each in nothing]


def test_it_says_who_could_at_once_and_by_asking(console: ConsoleSite, rita: Visitor, tenant: Tenant):
    Requester(tenant).ready()
    agent, anna = f"{AGENTS}/{tenant.name}", tenant.user()["subject"]
    rita.get("/readers")

    found = answered(rita, "by asking: by people", agent=agent, user=anna, could="1")

    assert "1 agent and 1 user could read it at once, 1 agent and 1 user by asking" in found
    assert f"domain-claims/{tenant.name}-offer" in found
    assert "as the operator reads it" in found
    sven, nina = signed_in(console, SVEN, NINA)
    for other in (sven, nina):
        refused = readers(other, agent=agent, could="1")
        assert other.answer.status_code == 403
        assert "policies are not judged" in refused
        assert not [each for each in (anna, "domain-claims", "by asking") if each in refused]


def test_a_misspelled_name_is_an_error_with_a_similar_one(rita: Visitor, tenant: Tenant):
    tenant.ready_to_ask()
    rita.get("/readers")
    anna = tenant.user()["subject"]
    for given, said in (
        ({"table": "claims.peopel.ssn"}, "Table or column: no table claims.peopel is known; did you mean claims.people?"),
        ({"table": "claims.people.sn"}, "Table or column: table claims.people has no column sn; did you mean ssn?"),
        ({"table": "people"}, "Table or column: 'people' names no table and no column"),
        ({"user": f"{anna}a"}, f"Person: no user {anna}a is known; did you mean {anna}?"),
        ({"agent": f"{AGENTS}/{tenant.name}x"}, f"Agent: no Agent {AGENTS}/{tenant.name}x is known"),
        ({"platform": "warehous"}, "Platform: no DataPlatform warehous is known; did you mean warehouse?"),
        ({"user": "x" * 301}, "Person: has more than 300 characters"),
    ):
        assert said in answered(rita, said, could="1", **given)
        assert rita.answer.status_code == 400


def test_a_page_that_refuses_names_nothing(console: ConsoleSite, tenant: Tenant):
    """The answers on a table, a person and an agent that exist are those on others that do not."""
    tenant.ready_to_ask()
    (nina,) = signed_in(console, NINA)
    there = {"table": "claims.people.ssn", "user": tenant.user()["subject"], "agent": tenant.name, "platform": "warehouse"}
    absent = {"table": "clasms.peaple.snn", "user": "nobody-at-all", "agent": "nix", "platform": "nowhere"}
    for could in ({}, {"could": "1"}):
        pages = []
        for given in (there, absent):
            text = readers(nina, **given, **could)
            for value in (given["table"].removesuffix(".ssn").removesuffix(".snn"), given["user"], given["agent"], given["platform"]):
                text = text.replace(value, "-")
            pages.append(text)
        assert pages[0].replace(".ssn", ".snn") == pages[1], could
        assert nina.answer.status_code == (403 if could else 200)


def test_hostile_names_are_text(console: ConsoleSite, rita: Visitor, tenant: Tenant):
    tenant.ready_to_ask()
    tenant.make("UserAttributes", tenant.person_spec() | {"user": {**tenant.user(), "subject": HOSTILE}}, f"hostile.{tenant.name}")
    rita.get("/readers")
    agent = f"{AGENTS}/{tenant.name}"
    answered(rita, HOSTILE, agent=agent, could="1")
    answers = [rita.answer.text]
    for field in ("table", "user", "agent", "platform", "purpose"):
        for more in ({}, {"could": "1"}):
            readers(rita, **{"agent": agent, field: HOSTILE, **more})
            answers.append(rita.answer.text)
    for text in answers:
        assert "<script>alert" not in text
        assert "<img" not in text


def test_long_answers_hold_up_no_other_page(console: ConsoleSite, rita: Visitor, tenant: Tenant):
    tenant.ready_to_ask()
    rita.get("/readers")
    with ThreadPoolExecutor(8) as threads:
        params = {"table": SSN, "could": "1"}
        asked = [threads.submit(rita.http.get, f"{console.urls[0]}/readers", params=params) for _ in range(8)]
        assert rita.http.get(f"{console.urls[0]}/roles").status_code == 200
        assert not all(each.done() for each in asked)
        assert {each.result().status_code for each in asked} == {200}


def of_person(visitor: Visitor, user: str, **given: str) -> str:
    visitor.answer = visitor.http.get(f"{visitor.console.urls[0]}/readers/person", params={"user": user, **given})
    return visitor.page.text


def test_all_that_a_person_gets_and_what_is_missing(console: ConsoleSite, rita: Visitor, tenant: Tenant):
    requester = Requester(tenant).ready()
    tenant.person("eve", tenant=["another"])
    anna, eve = (tenant.user(each)["subject"] for each in ("anna", "eve"))
    rita.get("/readers/person")

    def gets(user: str, *texts: str, **given: str) -> str:
        def page() -> str:
            found = of_person(rita, user, table="claims.people", platform="warehouse", **given)
            assert all(each in found for each in texts), found
            return found

        return str(eventually(page))

    hers = gets(anna, "country in (user attribute countries)", "ssn: Nullify", f"domain-claims/{tenant.name}", agent=tenant.name)
    assert f"AccessPolicy domain-claims/{requester.offer_name}, by people" in hers
    gets(anna, "through an agent that each platform admits")
    lacking = gets(eve, "Smallest missing piece", agent=tenant.name)
    assert "asks for tenant In (" in lacking
    assert "DE" not in lacking, "values of the person are told to nobody"
    for wrong in (anna + "x", HOSTILE):
        of_person(rita, wrong)
        assert rita.answer.status_code == 400
        assert "<script>alert" not in rita.answer.text
    (sven, nina) = signed_in(console, SVEN, NINA)
    for other in (sven, nina):
        refused, absent = of_person(other, anna), of_person(other, "nobody-at-all")
        assert other.answer.status_code == 403
        assert "policies are not judged" in refused
        assert refused == absent


def explained(visitor: Visitor, user: str, table: str = "claims.people", **given: str) -> str:
    visitor.answer = visitor.http.get(f"{visitor.console.urls[0]}/readers/explain", params={"user": user, "table": table, **given})
    return visitor.page.text


def test_a_picture_has_policies_guardrails_and_the_result_of_each_column_on_made_up_values(
    console: ConsoleSite, rita: Visitor, tenant: Tenant
):
    tenant.ready_to_ask()
    tenant.policy(f"{tenant.name}-x", users={"matchAttributes": [{"key": "job", "operator": "In", "values": [HOSTILE]}]})
    role = tenant.ask().ready()
    anna = tenant.user()["subject"]
    rita.get("/readers/explain")

    def page() -> str:
        found = explained(rita, anna, agent=tenant.name, platform="warehouse")
        assert f"domain-claims/{tenant.name}-x" in found, found
        return found

    found = str(eventually(page))
    assert f"tenant In ({tenant.name})</bdi>: met" in rita.answer.text
    assert f"job In ({HOSTILE}) : not met" in found
    assert "Rows: <bdi>country in (user attribute countries)</bdi>." in rita.answer.text
    assert "made up" in found
    result = found[found.index("Is shown as") :]
    assert "masked" in result[result.index("ssn") : result.index("ssn") + 60]
    values = {str(value) for row in role.rows("SELECT * FROM people") for value in row if value is not None and len(str(value)) > 3}
    assert len(values) >= 4
    assert not [each for each in values if each in found], "no value of the database"
    assert "<script>alert" not in rita.answer.text
    assert " style=" not in rita.answer.text
    for wrong in ({"table": HOSTILE}, {"user": HOSTILE}, {"agent": HOSTILE}, {"platform": HOSTILE}):
        explained(rita, **{"user": anna, "agent": tenant.name, **wrong})
        assert rita.answer.status_code == 400
        assert "<script>alert" not in rita.answer.text
    for other in signed_in(console, SVEN, NINA):
        refused, absent = explained(other, anna), explained(other, "nobody-at-all", "no.such")
        assert other.answer.status_code == 403
        assert refused == absent


@pytest.mark.long
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_the_answers_are_pages_for_everybody(rita: Visitor, windows: Windows, tenant: Tenant, scheme: Literal["light", "dark"], width: int):
    Requester(tenant).ready()
    tenant.ask().ready()
    rita.get("/readers")
    answered(rita, "by asking: by people", agent=tenant.name, could="1")
    window = windows.open(RITA, "/readers", scheme=scheme, width=width)
    chosen = f"user={tenant.user()['subject']}&agent={tenant.name}"
    for path, text in (
        (f"/readers?table={SSN}&agent={tenant.name}", "Live roles that read it"),
        (f"/readers?table={SSN}&agent={tenant.name}&could=1", "People and agents who could read it"),
        (f"/readers/person?{chosen}", "Tables that the person gets"),
        (f"/readers/explain?{chosen}&table=claims.people", "Columns, with example values that are made up"),
    ):
        window.page.goto(path)
        window.shows(text)
        assert window.violations() == [], path
        assert window.sideways() == 0, path
