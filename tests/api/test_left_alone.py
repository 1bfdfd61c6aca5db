"""A client that goes before its answer, an operator that is away, servers that are gone: what is begun is answered, or ends."""

import itertools
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from tests.support.calling import Caller, Doors
from tests.support.governed import SCHEMA
from tests.support.proving import Proven
from tests.support.proxies import ApiProxy
from tests.support.site import AGENTS, ANNEX, Body, Site
from tests.support.waiting import eventually

pytestmark = pytest.mark.long


@pytest.fixture
def caller(proven: Proven, doors: Doors) -> Caller:
    caller = Caller(proven.ready_to_ask(), doors.first)
    assert caller.release(caller.vended()).status_code == 204
    return caller


def objects(caller: Caller) -> list[Body]:
    listed = caller.proven.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles").body["items"]
    return [each for each in listed if each["spec"]["agentRef"]["name"] == caller.proven.tenant.name]


def nothing_is_left(caller: Caller) -> bool:
    return not objects(caller) and not caller.proven.tenant.roles()


def send_and_go(caller: Caller, question: Body, **headers: str) -> None:
    """Nobody reads the answer."""
    body, address = json.dumps(question).encode(), urlsplit(caller.api.url)
    lines = ["POST /v1/vended-roles HTTP/1.1", f"Host: {address.netloc}", f"Authorization: Bearer {caller.token}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", *(f"{key}: {value}" for key, value in headers.items())]
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def vended_in(caller: Caller) -> list[Body]:
    """What the replica's log says of this agent's roles."""
    whole = caller.api.log.read_text().rpartition("\n")[0]  # the last line may be half written
    lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("message") == "vended" and f"/{caller.proven.tenant.name}-" in str(line)]


def test_a_client_that_is_gone_before_its_answer_leaves_no_role(caller: Caller):
    before = len(vended_in(caller))

    send_and_go(caller, caller.question())

    eventually(lambda: len(vended_in(caller)) > before)
    eventually(lambda: nothing_is_left(caller))


def test_with_a_key_the_role_waits_for_the_same_call_again(caller: Caller, doors: Doors):
    question, before = caller.question(), len(vended_in(caller))
    send_and_go(caller, question, **{"Idempotency-Key": "once"})
    eventually(lambda: len(vended_in(caller)) > before)

    def again() -> httpx.Response:
        """Until the other replica knows the agent."""
        answer = Caller(caller.proven, doors.second).call("POST", "/v1/vended-roles", question, **{"Idempotency-Key": "once"})
        assert answer.status_code == 201, answer.text
        return answer

    answer = eventually(again)

    assert caller.proven.tenant.roles() == {answer.json()["roleName"]}
    assert caller.rows(answer.json(), "SELECT count(*) FROM people") == [(2,)]


def another_shape(caller: Caller, number: int) -> None:
    """From now on what the agent is given was never built on the platform."""
    name = caller.proven.tenant.name
    filtered = f"country IN (user_attr('countries')) AND person_id < {number}"
    policy = caller.proven.tenant.described("AccessPolicy", {}, name, "domain-claims")
    caller.proven.site.patch(policy, {"rowFilter": filtered})
    caller.proven.site.told(policy, "Ready", "True")
    eventually(lambda: f"< {number}" in str(caller.call("POST", "/v1/decisions", caller.question()).json()))


def refusal(caller: Caller, code: str) -> httpx.Response:
    """The answer to a call, which has this code. One that comes before the operator has looked may have another."""
    answer = caller.vend()
    assert (answer.status_code, answer.json().get("code")) == (503, code), answer.text
    return answer


def test_the_first_call_for_a_shape_waits_for_the_operator_and_gets_its_role(caller: Caller):
    numbers = itertools.count(7100)

    def first_call() -> httpx.Response:
        """It waits for five seconds, in which a busy machine may not have built the profile: then that of another shape is tried."""
        another_shape(caller, next(numbers))
        answer = caller.vend()
        assert answer.status_code == 201, answer.text
        return answer

    answer = eventually(first_call)

    assert caller.rows(answer.json(), "SELECT count(*) FROM people") == [(2,)]


def test_a_call_that_gives_up_waiting_is_told_how_far_its_profile_is(caller: Caller, site: Site):
    """Somebody's transaction holds the table."""
    another_shape(caller, 7003)
    with psycopg.connect(site.warehouse.superuser.dsn) as holder:
        holder.execute(f"LOCK TABLE {SCHEMA}.people IN ACCESS SHARE MODE")

        def refused_with_progress() -> httpx.Response:
            """As soon as the operator has reported while a call waits."""
            answer = caller.vend()
            assert (answer.status_code, answer.json()["code"]) == (503, "ProfileBuilding")
            assert answer.json()["detail"].endswith("; try again (building its profile: 0 of 1 tables have their template)")
            return answer

        refused = eventually(refused_with_progress)

    def is_told() -> bool:
        told = [line for line in caller.api.log.read_text().splitlines() if refused.json()["requestId"] in line]
        return any("ProfileBuilding" in line and "is not built" in line for line in told)

    eventually(is_told)
    eventually(lambda: caller.vend().status_code == 201)


def test_where_nobody_can_say_whether_a_profile_is_built_the_agent_is_told_that_something_is_in_the_way(caller: Caller, site: Site):
    """Somebody's transaction holds what it would be read from."""
    another_shape(caller, 7005)
    with psycopg.connect(site.warehouse.superuser.dsn) as holder:
        holder.execute("LOCK TABLE rolevend.profile IN ACCESS EXCLUSIVE MODE")
        refused = eventually(lambda: refusal(caller, "PlatformBusy"))

    assert int(refused.headers["retry-after"]) > 0
    eventually(lambda: caller.vend().status_code == 201)


def test_where_somebody_changed_something_by_hand_the_agent_is_told_that_and_waits_for_a_person(caller: Caller, site: Site):
    another_shape(caller, 7004)
    role = caller.vended()["roleName"]
    ((profile,),) = site.warehouse.ask("SELECT profile FROM rolevend.lease WHERE role = %s", role)

    site.warehouse.ask(f"CREATE VIEW {profile}.more AS SELECT 1")

    eventually(lambda: role not in caller.proven.tenant.roles())
    refused = eventually(lambda: refusal(caller, "PlatformDrifted"))
    assert "changed manually" in refused.json()["detail"]
    assert profile not in refused.text
    assert int(refused.headers["retry-after"]) > 0
    site.warehouse.ask(f"DROP VIEW {profile}.more")
    eventually(lambda: caller.vend().status_code == 201)


def test_what_the_first_role_of_a_shape_would_read_was_changed_by_hand_and_its_agent_is_told_that_too(caller: Caller, site: Site):
    """There is no profile yet that could be closed: the operator, who cannot build it, says why."""
    table = f"{SCHEMA}.people"
    role = caller.vended()["roleName"]
    site.warehouse.ask(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    eventually(lambda: role not in caller.proven.tenant.roles())
    another_shape(caller, 7006)

    refused = eventually(lambda: refusal(caller, "PlatformDrifted"))

    assert SCHEMA not in refused.text
    assert int(refused.headers["retry-after"]) > 0
    site.warehouse.ask(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    eventually(lambda: caller.vend().status_code == 201)


@pytest.fixture
def without_operator(site: Site) -> Iterator[None]:
    """It is back when the test is over, if not before."""
    yield
    if site.operator.probe("/readyz")[0] == 0:
        site.start_operator()


@pytest.mark.usefixtures("without_operator")
def test_while_the_operator_is_away_what_is_built_goes_on_and_what_is_not_has_to_wait(caller: Caller, site: Site):
    site.operator.stop()
    assert caller.vend().status_code == 201
    site.start_operator()
    another_shape(caller, 7002)
    eventually(lambda: nothing_is_left(caller))  # the first role ends with the policy that it had
    site.operator.stop()
    question = caller.question()

    refused = caller.call("POST", "/v1/vended-roles", question)

    assert (refused.status_code, refused.json()["code"]) == (503, "ProfileBuilding")
    assert int(refused.headers["retry-after"]) > 0
    assert not [each for each in objects(caller) if "deletionTimestamp" not in each["metadata"]]
    site.start_operator()
    eventually(lambda: nothing_is_left(caller))

    def made_again() -> httpx.Response:
        """As soon as the operator has built the profile."""
        answer = caller.call("POST", "/v1/vended-roles", question)
        assert answer.status_code == 201, f"a token is not used up where nothing came of it: {answer.text}"
        return answer

    again = eventually(made_again)
    assert caller.release(again.json()).status_code == 204


def test_the_api_server_is_gone_for_a_while(caller: Caller, doors: Doors, site: Site):
    proxy = ApiProxy(site.control_plane.server)
    try:
        replica = Caller(caller.proven, doors.open(url=proxy.url))
        replica.api.wait_until_ready()
        replica.vended()
        proxy.cut()

        answers = [replica.vend(), replica.vend(key="again")]

        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (503, "ClusterUnavailable")
            assert int(answer.headers["retry-after"]) > 0
        proxy.restore()
        assert replica.vended()["state"] == "Live"
        replica.api.stop()
    finally:
        proxy.close()


def test_over_newer_sql_nothing_is_vended_and_roles_are_released(proven: Proven, doors: Doors, site: Site):
    proven.site.told(proven.provider(), "Ready", "True", "KeysRead")
    proven.site.told(proven.agent(), "Ready", "True")
    proven.site.told(proven.tenant.policy(platform=ANNEX), "Ready", "True")
    caller = Caller(proven, doors.first)
    live = caller.vended(platforms=[ANNEX])

    def refused() -> httpx.Response | None:
        answer = caller.vend(platforms=[ANNEX])
        if answer.status_code == 201:  # before the next poll of the platform
            caller.release(answer.json())
        return answer if answer.status_code == 503 else None

    site.annex.ask("UPDATE rolevend.version SET version = version + 1")
    try:
        answer = eventually(refused)

        assert answer.json()["code"] == "PlatformUnavailable"
        assert "use a newer rolevend" in answer.json()["detail"]
        assert caller.release(live).status_code in (202, 204)
        eventually(lambda: not objects(caller))
        assert live["roleName"] not in site.annex.roles()
    finally:
        site.annex.ask("UPDATE rolevend.version SET version = version - 1")
    site.wait_for_platform(ANNEX)


def test_the_platform_is_gone_for_a_while(proven: Proven, doors: Doors, site: Site):
    proven.site.told(proven.provider(), "Ready", "True", "KeysRead")
    proven.site.told(proven.agent(), "Ready", "True")
    proven.site.told(proven.tenant.policy(platform=ANNEX), "Ready", "True")
    caller = Caller(proven, doors.first)
    assert caller.release(caller.vended(platforms=[ANNEX])).status_code == 204
    question = caller.question(platforms=[ANNEX])

    site.annex.server.kill()
    try:
        answer = caller.call("POST", "/v1/vended-roles", question, **{"Idempotency-Key": "once"})

        assert (answer.status_code, answer.json()["code"]) in ((503, "PlatformUnavailable"), (503, "NotAttested"))
        assert int(answer.headers["retry-after"]) > 0
    finally:
        site.annex.server.start()
    site.wait_for_platform(ANNEX)
    healed = eventually(lambda: got if (got := caller.vend(platforms=[ANNEX])).status_code == 201 else None)
    assert caller.release(healed.json()).status_code in (202, 204)
    eventually(lambda: not objects(caller))
