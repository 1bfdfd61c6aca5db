"""How recorded roles end: each once and told once, whatever is down, and none reads by a policy that is over."""

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from testbed.brief import in_time
from testbed.installation import ApiProcess
from tests.support.calling import Caller, Doors
from tests.support.gateway import Gateway
from tests.support.ledger import become
from tests.support.recorded import Trail, is_empty, lease, living, patience, reads, recording, shown
from tests.support.site import AGENTS, DOMAIN, Body, Site
from tests.support.tiers import by_tier
from tests.support.waiting import eventually

ROLES = "/v1/vended-roles"
IN_FLIGHT = by_tier(100, 500)
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"


def is_reported(caller: Caller, role: Body) -> bool:
    return lease(caller, role)["reported_at"] is not None


def told_once(caller: Caller, trail: Trail, role: Body, **said: Any) -> None:
    """Wait for the report, and for one more of another role: what is told twice is told by then."""
    eventually(lambda: is_reported(caller, role))
    another = caller.vended()
    caller.release(another)
    eventually(lambda: is_reported(caller, another))
    assert trail.kinds(role) == {"granted": 1, "dropped": 1}
    (end,) = trail.ends(role)
    assert {key: end.get(key) for key in said} == said


@contextlib.contextmanager
def sessions(caller: Caller, role: Body, count: int) -> Iterator[None]:
    with contextlib.ExitStack() as ends:
        for _ in range(count):
            session = ends.enter_context(caller.session(role))
            session.execute("SELECT 1")
        yield


def policy_of(caller: Caller) -> Body:
    return caller.proven.tenant.described("AccessPolicy", {}, caller.proven.tenant.name, DOMAIN)


@pytest.mark.long
def test_each_end_is_told_once_with_its_sessions(recorder: Caller, trail: Trail):
    site = recorder.proven.site
    for _ in range(6):  # the operator finds the role while the API ends it, or when it is gone
        role = recorder.vended()
        with sessions(recorder, role, 2):
            assert recorder.release(role).status_code == 204
        told_once(recorder, trail, role, ended="Released", sessionsEnded=2)

    role = recorder.vended()
    eventually(lambda: role["id"] in shown(recorder))
    with sessions(recorder, role, 3):
        assert site.cluster.delete(shown(recorder)[role["id"]]).ok
        eventually(lambda: role["roleName"] not in living(recorder))
    told_once(recorder, trail, role, ended="Released", sessionsEnded=3)

    def expired(seconds: int) -> Body:
        role = recorder.vended(expirationSeconds=seconds)
        with sessions(recorder, role, 1):
            eventually(lambda: role["roleName"] not in living(recorder))
        return role

    told_once(recorder, trail, in_time(expired, 5), ended="Expired", sessionsEnded=1)


@pytest.mark.long
def test_of_a_crowd_that_the_api_releases_while_the_operator_looks_each_end_is_told_once_with_its_session(recorder: Caller, trail: Trail):
    roles = [recorder.vended() for _ in range(by_tier(40, 200))]
    for first in range(0, len(roles), 20):
        with contextlib.ExitStack() as ends:
            for role in roles[first : first + 20]:
                ends.enter_context(sessions(recorder, role, 1))
            with ThreadPoolExecutor(4) as threads:
                assert {each.status_code for each in threads.map(recorder.release, roles[first : first + 20])} == {204}

    eventually(lambda: is_empty(recorder))
    eventually(lambda: all(trail.by_role()[role["roleName"]]["dropped"] for role in roles))
    told = [trail.ends(role) for role in roles]
    assert {len(each) for each in told} == {1}
    assert {(end["ended"], end["sessionsEnded"]) for (end,) in told} == {("Released", 1)}


@pytest.mark.long
def test_an_answer_that_was_not_confirmed_is_taken_back_in_ten_seconds(recorder: Caller, trail: Trail):
    warehouse, soon = recorder.proven.site.warehouse, patience(recorder)
    with confirming_nothing(recorder):
        role = recorder.vended()
        assert reads(recorder, role)

        eventually(lambda: lease(recorder, role)["revoked_at"])

        ((lived,),) = warehouse.ask(
            "SELECT extract(epoch FROM revoked_at - issued_at) FROM rolevend.lease WHERE role = %s", role["roleName"]
        )
        assert 8 < lived < 10 + soon
    told_once(recorder, trail, role, ended="Revoked", endedBy="Unanswered")
    eventually(lambda: is_empty(recorder))


@contextlib.contextmanager
def confirming_nothing(caller: Caller) -> Iterator[None]:
    warehouse = caller.proven.site.warehouse
    ((signature,),) = warehouse.ask("SELECT 'rolevend.confirm'::regproc::regprocedure::text")
    ((login,),) = warehouse.ask("SELECT vendor::text FROM rolevend.version")
    warehouse.ask(f'REVOKE EXECUTE ON FUNCTION {signature} FROM "{login}"')
    try:
        yield
    finally:
        warehouse.ask(f'GRANT EXECUTE ON FUNCTION {signature} TO "{login}"')


@pytest.mark.long
def test_without_the_operator_roles_expire_and_are_released_and_it_tells_each_once(recorder: Caller, trail: Trail):
    site = recorder.proven.site
    released, staying = recorder.vended(), recorder.vended()
    eventually(lambda: lease(recorder, staying)["confirmed_at"])
    site.operator.kill()
    tried: list[Body] = []

    def refused_at_its_expiry(seconds: int) -> Body:
        role = recorder.vended(expirationSeconds=seconds)
        tried.append(role)
        with recorder.session(role) as session:
            session.execute("SELECT count(*) FROM people")

            def is_refused() -> bool:
                try:
                    session.execute("SELECT count(*) FROM people").fetchall()
                except psycopg.Error:
                    return True
                return False

            eventually(is_refused)
        assert not reads(recorder, role)
        return role

    expired = in_time(refused_at_its_expiry, 5)
    with sessions(recorder, released, 2):
        assert recorder.release(released).status_code == 204
    assert living(recorder) == {each["roleName"] for each in (*tried, staying)}
    later = recorder.vended()
    assert reads(recorder, later)
    assert recorder.release(later).status_code == 204

    site.start_operator()

    told_once(recorder, trail, expired, ended="Expired")
    told_once(recorder, trail, released, ended="Released", sessionsEnded=2)
    told_once(recorder, trail, later, ended="Released")
    assert reads(recorder, staying)
    assert recorder.release(staying).status_code == 204
    eventually(lambda: is_empty(recorder))


class Flood:
    """Vends by many threads at once, until it is stopped."""

    def __init__(self, callers: list[Caller]) -> None:
        self._callers = callers
        self._stopped = threading.Event()
        self.roles: list[Body] = []
        self.codes: set[tuple[int, str]] = set()
        self._threads = ThreadPoolExecutor(8)
        for number in range(8):
            self._threads.submit(self._vend, callers[number % len(callers)])

    def _vend(self, caller: Caller) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(httpx.TransportError):
                answer = caller.vend()
                if answer.status_code == 201:
                    self.roles.append(answer.json())
                else:
                    self.codes.add((answer.status_code, answer.json()["code"]))

    def stop(self) -> None:
        self._stopped.set()
        self._threads.shutdown()


def test_of_a_crowd_in_flight_none_reads_by_the_old_policy_soon_after_the_operator_has_the_new_one(recorder: Caller, doors: Doors):
    site, policy = recorder.proven.site, policy_of(recorder)
    old = lease(recorder, recorder.vended())["record_profile"]
    flood = Flood([recorder, Caller(recorder.proven, doors.second)])
    eventually(lambda: len(flood.roles) >= IN_FLIGHT)
    soon = patience(recorder)

    site.patch(policy, {"rowFilter": "country IN (user_attr('countries')) AND country = 'DE'"})
    site.told(policy, "Ready", "True")
    ((known_at,),) = site.warehouse.ask("SELECT clock_timestamp()")

    query = "SELECT count(*) FROM rolevend.lease WHERE record_profile = %s AND revoked_at IS NULL"
    vended = len(flood.roles)
    eventually(lambda: len(flood.roles) > vended or flood.codes)
    eventually(lambda: site.warehouse.ask(query, old) == [(0,)])
    flood.stop()
    ((late,),) = site.warehouse.ask(
        "SELECT extract(epoch FROM max(revoked_at) - %s) FROM rolevend.lease WHERE record_profile = %s", known_at, old
    )
    print(f"{len(flood.roles)} roles; the last of the old policy was locked out {late:.2f} s after it, of {soon:.1f} s; {flood.codes}")
    assert late < soon
    assert all(not reads(recorder, role) or recorder.rows(role, "SELECT count(*) FROM people") == [(1,)] for role in flood.roles[:20])
    for role in flood.roles:
        recorder.release(role)
    eventually(lambda: is_empty(recorder))


@pytest.fixture
def gateway(site: Site) -> Iterator[Gateway]:
    gateway = Gateway(site.control_plane.server.host, site.control_plane.server.port)
    yield gateway
    gateway.close()


def replica(caller: Caller, doors: Doors, gateway: Gateway, trail: Trail, **settings: str) -> tuple[Caller, ApiProcess]:
    """One more, on its own way to the API server, which knows the agent."""
    api = doors.open(settings, gateway.url)
    api.wait_until_ready()
    trail.more.append(api.log)
    return recording(Caller(caller.proven, api)), api


@pytest.mark.long
@pytest.mark.parametrize("confirmed", [True, False], ids=["confirmed", "not confirmed"])
def test_what_a_replica_with_an_old_snapshot_vends_ends_soon(
    recorder: Caller, doors: Doors, gateway: Gateway, trail: Trail, confirmed: bool
):
    """Its watches hang. Without a confirmation the operator must not wait for one."""
    there, api = replica(recorder, doors, gateway, trail)
    site, policy = recorder.proven.site, policy_of(recorder)
    soon = patience(there)
    gateway.freeze()
    site.patch(policy, {"rowFilter": "country IN (user_attr('countries')) AND country = 'DE'"})
    site.told(policy, "Ready", "True")

    with contextlib.nullcontext() if confirmed else confirming_nothing(recorder):
        role = there.vended()
        eventually(lambda: lease(recorder, role)["revoked_at"])

    query = "SELECT extract(epoch FROM revoked_at - issued_at) FROM rolevend.lease WHERE role = %s"
    ((lived,),) = site.warehouse.ask(query, role["roleName"])
    assert lived < soon
    eventually(lambda: is_empty(recorder))
    api.kill()


def test_a_role_ends_with_its_agent(recorder: Caller):
    role = recorder.vended()
    recorder.proven.site.remove(recorder.proven.tenant.described("Agent", {}, recorder.proven.tenant.name, AGENTS))

    eventually(lambda: role["roleName"] not in living(recorder))

    assert not reads(recorder, role)
    eventually(lambda: is_reported(recorder, role))


# The cluster does not answer, or does not consent


def until_refused(caller: Caller) -> tuple[float, httpx.Response, list[Body]]:
    """Vend until a call is refused: when the last one that was answered began, the refusal, and the roles."""
    roles: list[Body] = []
    last = time.monotonic()
    while True:
        began = time.monotonic()
        answer = caller.vend()
        if answer.status_code != 201:
            return last, answer, roles
        last = began
        roles.append(answer.json())


@pytest.mark.long
def test_without_the_api_server_vends_end_after_three_seconds_and_releases_go_on(
    recorder: Caller, doors: Doors, gateway: Gateway, trail: Trail
):
    there, api = replica(recorder, doors, gateway, trail)

    def blocked() -> tuple[float, httpx.Response, list[Body]]:
        """Seconds from then to the last call that was answered, the refusal, and the roles. A busy machine may answer none in time."""
        gateway.unblock()
        before = there.vended()
        gateway.block()
        blocked_at = time.monotonic()
        last, refused, roles = until_refused(there)
        for each in (before, *roles):
            assert there.release(each).status_code == 204
        assert roles
        return last - blocked_at, refused, roles

    lasted, refused, _ = eventually(blocked)

    assert (refused.status_code, refused.json()["code"]) == (503, "ClusterUnavailable"), refused.text
    assert lasted < 3.5
    assert not living(recorder)
    gateway.unblock()
    eventually(lambda: there.vend().status_code == 201)
    api.kill()
    for each in recorder.call("GET", ROLES).json()["items"]:
        recorder.release(each)


@pytest.mark.long
def test_vends_go_on_for_as_long_as_the_administrator_says(recorder: Caller, doors: Doors, gateway: Gateway, trail: Trail):
    there, api = replica(recorder, doors, gateway, trail, API_UNREACHABLE_CLUSTER_SECONDS="600")
    gateway.block()
    until = time.monotonic() + 8

    while time.monotonic() < until:
        role = there.vend()
        assert role.status_code == 201, role.text
        assert there.release(role.json()).status_code == 204
    api.kill()


@contextlib.contextmanager
def closed(site: Site) -> Iterator[None]:
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "closed"},
        "spec": {"policyName": "rolevend-closed", "validationActions": ["Deny"]},
    }
    assert site.cluster.call("POST", BINDINGS, body).ok
    try:
        yield
    finally:
        assert site.cluster.call("DELETE", f"{BINDINGS}/closed").ok


@contextlib.contextmanager
def without_rights(site: Site) -> Iterator[None]:
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{AGENTS}/rolebindings"
    bound = [
        each for each in site.cluster.call("GET", path).body["items"] if any(one["name"] == "rolevend-api" for one in each["subjects"])
    ]
    for each in bound:
        assert site.cluster.call("DELETE", f"{path}/{each['metadata']['name']}").ok
    try:
        yield
    finally:
        for each in bound:
            metadata = {key: each["metadata"][key] for key in ("name", "labels", "annotations") if key in each["metadata"]}
            made = {"apiVersion": each.get("apiVersion", "rbac.authorization.k8s.io/v1"), "kind": "RoleBinding", "metadata": metadata}
            assert site.cluster.call("POST", path, {**made, "roleRef": each["roleRef"], "subjects": each["subjects"]}).ok


@pytest.mark.parametrize("refusing", [closed, without_rights], ids=["vending is closed", "the right is withdrawn"])
def test_what_the_cluster_forbids_is_vended_no_more_soon_after(recorder: Caller, refusing: Any):
    site = recorder.proven.site
    role = recorder.vended()
    with refusing(site):
        eventually(lambda: not site.cluster.create(probe(recorder), dry_run=True, user=API).ok)
        known_at = time.monotonic()
        last, refused, roles = until_refused(recorder)

        assert last - known_at < 3.5
        assert refused.status_code in (403, 503), refused.text
        print(refused.text)
        assert recorder.vend().status_code == refused.status_code
        for each in (role, *roles):
            assert recorder.release(each).status_code == 204
    eventually(lambda: recorder.vend().status_code == 201)
    for each in recorder.call("GET", ROLES).json()["items"]:
        recorder.release(each)


@contextlib.contextmanager
def denying(site: Site, purpose: str) -> Iterator[None]:
    """An admission policy of somebody else."""
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": f"no-{purpose}"}}
    rules = [{"apiGroups": ["rolevend.dev"], "apiVersions": ["*"], "resources": ["vendedroles"], "operations": ["CREATE"]}]
    validations = [{"expression": f"object.spec.?purpose.orValue('') != '{purpose}'", "message": f"nobody may vend for {purpose}"}]
    spec = {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": rules}, "validations": validations}
    made = {
        BINDINGS: {
            **kind,
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {"policyName": f"no-{purpose}", "validationActions": ["Deny"]},
        },
        POLICIES: {**kind, "kind": "ValidatingAdmissionPolicy", "spec": spec},
    }
    for path in (POLICIES, BINDINGS):
        answer = site.cluster.call("POST", path, made[path])
        assert answer.ok, answer.message
    try:
        yield
    finally:
        for path in (BINDINGS, POLICIES):
            assert site.cluster.call("DELETE", f"{path}/no-{purpose}").ok


def test_a_policy_of_others_about_a_purpose_refuses_that_purpose_alone(recorder: Caller):
    site = recorder.proven.site
    body = probe(recorder)
    body["spec"]["purpose"] = "fraud-review"
    with denying(site, "fraud-review"):
        eventually(lambda: not site.cluster.create(body, dry_run=True, user=API).ok)
        last = began = known_at = time.monotonic()
        while (answer := recorder.vend(purpose="fraud-review")).status_code == 201:
            assert recorder.vend(purpose="reporting").status_code == 201
            last, began = began, time.monotonic()
        assert last - known_at < 3.5, "when the last call that was granted began"
        assert "nobody may vend for fraud-review" in answer.json()["detail"]

        codes = {(purpose, recorder.vend(purpose=purpose).status_code) for _ in range(10) for purpose in ("reporting", "fraud-review")}

        assert codes == {("reporting", 201), ("fraud-review", answer.status_code)}
    for each in recorder.call("GET", ROLES).json()["items"]:
        recorder.release(each)


API = "system:serviceaccount:rolevend-system:rolevend-api"


def probe(caller: Caller) -> Body:
    spec = {
        "agentRef": {"name": caller.proven.tenant.name},
        "user": caller.proven.user(),
        "platformRefs": [{"name": "warehouse"}],
        "delivery": "Response",
    }
    return caller.proven.tenant.described("VendedRole", spec, f"{caller.proven.tenant.name}-probe", AGENTS)


# Other platforms, other clusters, and a ledger that goes off


def test_another_platform_that_is_down_holds_up_no_release(recorder: Caller, doors: Doors):
    annex = recorder.proven.site.annex
    roles = [recorder.vended() for _ in range(2)]
    annex.server.stop()
    try:
        for role, each in zip(roles, (doors.first, doors.second), strict=True):
            there = Caller(recorder.proven, each)
            assert there.call("GET", f"{ROLES}/{role['id']}").status_code == 200
            assert there.release(role).status_code == 204
        assert not living(recorder)
        assert recorder.vend().status_code == 201
    finally:
        annex.server.start()
    recorder.proven.site.wait_for_platform("annex")
    for each in recorder.call("GET", ROLES).json()["items"]:
        recorder.release(each)


def test_another_clusters_role_in_the_same_database_is_left_alone(recorder: Caller):
    warehouse = recorder.proven.site.warehouse
    role = recorder.vended()
    other = role["roleName"][:-1] + ("A" if role["roleName"][-1] != "A" else "B")
    columns = [
        name
        for (name,) in warehouse.ask("SELECT attname::text FROM pg_attribute WHERE attrelid = 'rolevend.lease'::regclass AND attnum > 0")
    ]
    changed = {"role": f"'{other}'::name", "cluster_id": "'another'", "role_oid": f"'\"{other}\"'::regrole::oid"}
    warehouse.ask(f'CREATE ROLE "{other}" LOGIN')
    values = ", ".join(changed.get(name, name) for name in columns)
    warehouse.ask(
        f"INSERT INTO rolevend.lease ({', '.join(columns)}) SELECT {values} FROM rolevend.lease WHERE role = %s", role["roleName"]
    )
    question = recorder.question()

    assert recorder.release(role).status_code == 204
    for _ in range(4):  # and the operator looks meanwhile
        again = recorder.call("POST", ROLES, question | {"userToken": recorder.proven.token()})
        recorder.release(again.json())
        eventually(lambda again=again: is_reported(recorder, again.json()))  # type: ignore[misc]

    row = lease(recorder, {"roleName": other})
    assert (row["revoked_at"], row["reported_at"], row["confirmed_at"] is None) == (None, None, row["confirmed_at"] is None)
    assert living(recorder) == {other}
    assert recorder.call("GET", ROLES).json()["items"] == []
    warehouse.ask("DELETE FROM rolevend.lease WHERE role = %s", other)
    warehouse.ask(f'DROP ROLE "{other}"')


@pytest.mark.long
def test_while_the_ledger_goes_off_recorded_roles_are_listed_released_and_ended(recorder: Caller, doors: Doors, trail: Trail):
    site = recorder.proven.site
    there = Caller(recorder.proven, doors.second)
    question = recorder.question()
    keyed = recorder.call("POST", ROLES, question, **{"Idempotency-Key": "before"}).json()
    released, narrowed = recorder.vended(), recorder.vended()
    try:
        become(site, "Joining")

        def is_an_object() -> bool:
            made = [each.vended() for each in (recorder, there)]
            recorded = [lease(recorder, role)["record"] for role in made]
            for role in made:  # a replica may be connecting to the changed platform
                eventually(lambda role=role: recorder.release(role).status_code in (204, 404))  # type: ignore[misc]
            return recorded == [None, None]

        eventually(is_an_object)
        recorded = {keyed["id"], released["id"], narrowed["id"]}
        for each in (recorder, there):  # an object that the other replica released goes from the list a moment later
            eventually(lambda each=each: {one["id"] for one in each.call("GET", ROLES).json()["items"]} == recorded)  # type: ignore[misc]
        again = there.call("POST", ROLES, question, **{"Idempotency-Key": "before"})
        assert (again.status_code, again.json().get("roleName")) == (201, keyed["roleName"]), again.text
        assert reads(recorder, again.json())
        with sessions(recorder, released, 1):
            assert there.release(released).status_code == 204
        eventually(lambda: len(living(recorder)) == 2)

        become(site, "Disabled")
        site.patch(policy_of(recorder), {"rowFilter": "country = 'DE'"})
        eventually(lambda: not living(recorder))
        eventually(lambda: all(is_reported(recorder, role) for role in (keyed, released, narrowed)))
        site.operator.stop()
        site.start_operator()
        object_ = recorder.vended()
        recorder.release(object_)
        assert [trail.kinds(role)["dropped"] for role in (keyed, released, narrowed)] == [1, 1, 1]
    finally:
        for mode in ("Joining", "Enabled"):
            become(site, mode)
