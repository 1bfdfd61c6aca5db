"""A suspended Agent, user or cluster over HTTP: roles end, also those that only a database records, and calls are refused until it is
resumed."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.site import AGENTS, WAREHOUSE
from tests.support.switch import Switch
from tests.support.waiting import eventually


@pytest.fixture
def caller(proven: Proven, doors: Doors) -> Caller:
    return Caller(proven.ready_to_ask(), doors.first)


@pytest.fixture
def switch(proven: Proven) -> Iterator[Switch]:
    switch = Switch(proven.site)
    yield switch
    switch.off()
    proven.site.wait_for_platform(WAREHOUSE)


@pytest.mark.parametrize("record", ["caller", "recorder"], ids=["an object", "the database"])
def test_roles_of_a_suspended_cluster_end_and_calls_are_refused(record: str, request: pytest.FixtureRequest, switch: Switch):
    caller: Caller = request.getfixturevalue(record)
    role = caller.vended()

    switch.set(suspend="TRUE ", because="INC-4711")

    eventually(lambda: not caller.proven.site.warehouse.has(role["roleName"]))

    def is_refused() -> bool:
        """By the replica, too, which reads the switch by itself."""
        problem = caller.vend().json()
        return (problem.get("status"), problem.get("code"), problem.get("detail")) == (403, "Suspended", "the whole cluster is suspended")

    eventually(is_refused)

    switch.off()

    assert caller.proven.site.warehouse.has(eventually(lambda: vended(caller))["roleName"])


def vended(caller: Caller) -> dict[str, str]:
    answer = caller.vend()
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("record", ["caller", "recorder"], ids=["an object", "the database"])
def test_its_roles_end_and_calls_are_refused_until_it_is_resumed(record: str, request: pytest.FixtureRequest):
    caller: Caller = request.getfixturevalue(record)
    site, tenant = caller.proven.site, caller.proven.tenant
    agent = tenant.described("Agent", {}, namespace=AGENTS)
    role = caller.vended()
    with caller.session(role) as session:
        session.execute("SELECT 1")

        site.patch(agent, {"suspend": True})

        with pytest.raises(psycopg.Error):
            session.execute("SELECT pg_sleep(60)")
    eventually(lambda: not site.warehouse.has(role["roleName"]))

    def refused() -> dict[str, object]:
        answer = caller.vend()
        assert (answer.status_code, answer.json().get("code")) == (403, "Suspended"), answer.text
        return dict(answer.json())

    problem = eventually(refused)
    assert problem["detail"] == f"Agent {AGENTS}/{tenant.name} is suspended"
    assert not caller.call("POST", "/v1/decisions", caller.question()).json()["granted"]

    site.patch(agent, {"suspend": False})

    site.told(agent, "Ready", "True")
    assert site.warehouse.has(caller.vended()["roleName"])


@pytest.mark.parametrize("record", ["caller", "recorder"], ids=["an object", "the database"])
def test_roles_of_revoked_sessions_end_and_their_tokens_prove_nothing(record: str, request: pytest.FixtureRequest):
    caller: Caller = request.getfixturevalue(record)
    site, proven = caller.proven.site, caller.proven
    role, of_bob, old = caller.vended(), caller.vended("bob"), proven.token()
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)

    proven.tenant.make("UserAttributes", {"user": proven.user(), "notBefore": until.isoformat()})

    eventually(lambda: not site.warehouse.has(role["roleName"]))
    eventually(lambda: datetime.now(UTC) > until)
    refused = caller.vend(userToken=old)
    assert (refused.status_code, refused.json()["code"]) == (403, "SessionRevoked")
    assert "the user has to log in again" in refused.json()["detail"]
    assert site.warehouse.has(caller.vended(userToken=proven.token(iat=int(time.time())))["roleName"])
    assert site.warehouse.has(of_bob["roleName"])


@pytest.mark.parametrize("record", ["caller", "recorder"], ids=["an object", "the database"])
def test_a_suspended_user_has_no_role_whatever_their_token_says(record: str, request: pytest.FixtureRequest):
    caller: Caller = request.getfixturevalue(record)
    site, tenant = caller.proven.site, caller.proven.tenant
    role, of_bob = caller.vended(), caller.vended("bob")

    suspended = tenant.make("UserAttributes", {"user": caller.proven.user(), "suspend": True})

    eventually(lambda: not site.warehouse.has(role["roleName"]))

    def refused() -> dict[str, object]:
        answer = caller.vend()
        assert answer.status_code == 403, answer.text
        return dict(answer.json())

    problem = eventually(refused)
    assert problem["code"] == "Suspended"
    assert problem["detail"] == f"the user anna ({caller.proven.issuer}) is suspended"
    assert site.warehouse.has(of_bob["roleName"])

    site.patch(suspended, {"suspend": False})

    assert site.warehouse.has(caller.vended()["roleName"])
