"""What a role runs now, on the page of a person with the right, and no hint of it on the pages of others."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.calling import Caller, Doors
from tests.support.console import OLGA, SVEN, ConsoleSite, Visitor, kubernetes_name
from tests.support.proving import Proven
from tests.support.site import AGENTS, WAREHOUSE, Body
from tests.support.waiting import eventually

AUDITOR_ROLE = "rolevend-auditor"
HOSTILE = "</bdi></pre><script>alert(1)</script> \u202e txet"
STATEMENT = f"SELECT pg_sleep(600), '{HOSTILE}'"


@pytest.fixture
def olga(console: ConsoleSite) -> Iterator[Visitor]:
    """She may see what roles run. Sven, who may end them, may not."""
    console.site.cluster.bind(kubernetes_name(OLGA), AUDITOR_ROLE, AGENTS)
    yield console.browser(OLGA)
    console.site.cluster.unbind(kubernetes_name(OLGA), AUDITOR_ROLE, AGENTS)


@pytest.fixture
def caller(proven: Proven, doors: Doors) -> Caller:
    return Caller(proven.ready_to_ask(), doors.first)


@contextmanager
def running(caller: Caller, role: Body) -> Iterator[None]:
    """The role waits in a statement."""
    with caller.session(role) as session:
        session.pgconn.send_query(STATEMENT.encode())
        yield
        session.pgconn.finish()  # its end ends the statement


def shows(visitor: Visitor, path: str, text: str) -> bool:
    return text in visitor.get(path).text


def test_a_person_with_the_right_sees_what_a_role_runs_and_others_no_hint_of_it(console: ConsoleSite, olga: Visitor, caller: Caller):
    role, quiet = caller.vended(), caller.vended("bert")
    page, of_quiet = (f"/statements/{AGENTS}/{each['id']}" for each in (role, quiet))
    sven = console.browser(SVEN)
    with running(caller, role):
        eventually(lambda: shows(olga, page, "pg_sleep"))
        seen = olga.answer.text
        assert "Session " in seen
        assert "active for" in seen
        assert "It waits for Timeout: PgSleep." in seen
        assert "data of people" in olga.page.text

        assert "&lt;/bdi&gt;&lt;/pre&gt;&lt;script&gt;" in seen
        assert "\\u{202e} txet" in seen
        assert "\u202e" not in seen
        assert "<script>" not in seen

        assert page in olga.get(f"/roles/{AGENTS}/{role['id']}", replica=1).links
        assert "/statements" in olga.get("/roles", replica=1).links
        assert page in olga.get("/statements").links
        assert of_quiet not in olga.page.links
        assert "pg_sleep" not in olga.page.text
        assert "The role has no session here now" in olga.get(of_quiet).text

        for path in (f"/roles/{AGENTS}/{role['id']}", "/roles"):
            assert shows(sven, path, role["id"])
            assert "tatement" not in sven.answer.text
        for path in (page, "/statements", f"/statements/{AGENTS}/none"):
            assert "There is nothing here that you may see" in sven.get(path).text
            assert sven.answer.status_code == 404
    log = console.replicas[0].log.read_text()
    (line, *_) = [each for each in log.splitlines() if "looked at statements" in each and role["id"] in each]
    assert kubernetes_name(OLGA) in line
    assert f"{AGENTS}/{role['id']}" in line
    assert "pg_sleep" not in log
    assert kubernetes_name(SVEN) not in "".join(each for each in log.splitlines() if "looked at" in each)


def test_the_right_to_see_statements_alone_shows_no_role(console: ConsoleSite, caller: Caller):
    """Who may not read the object is not shown what its role runs."""
    role, user = caller.vended(), kubernetes_name("nina")
    console.site.cluster.bind(user, AUDITOR_ROLE, AGENTS)
    nina = console.browser("nina")
    for path in (f"/statements/{AGENTS}/{role['id']}", "/statements"):
        assert "There is nothing here that you may see" in nina.get(path).text
    console.site.cluster.unbind(user, AUDITOR_ROLE, AGENTS)


def test_a_platform_that_is_not_asked_is_told_in_a_sentence(console: ConsoleSite, olga: Visitor, caller: Caller):
    role = caller.vended()
    page, platform = f"/statements/{AGENTS}/{role['id']}", f"/apis/rolevend.dev/v1alpha1/dataplatforms/{WAREHOUSE}"
    eventually(lambda: shows(olga, page, "no session here now"))

    def refer(name: str | None) -> None:
        change = {"spec": {"credentials": {"observerSecretRef": None if name is None else {"name": name}}}}
        assert console.site.cluster.call("PATCH", platform, change, content_type="application/merge-patch+json").ok

    try:
        refer(None)
        assert shows(olga, page, "has no login for the console")
        for other in (f"{WAREHOUSE}-of-nobody", "annex-vendor"):  # there is none; the console may not read it
            refer(other)
            assert shows(olga, page, "the console may not ask it")
            assert other not in olga.answer.text
    finally:
        refer(f"{WAREHOUSE}-observer")
    assert shows(olga, page, "no session here now")
