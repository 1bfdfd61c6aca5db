"""What a replica tells whoever watches it: how its calls went, where their time goes, and whether it can check tokens."""

import json

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from rolevend.api.routes import CALLS
from rolevend.telemetry.timing import VendStep
from testbed.installation import ApiProcess
from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.site import Body
from tests.support.waiting import eventually

STEPS = "rolevend_vend_step_seconds_count"


@pytest.fixture
def caller(proven: Proven, doors: Doors) -> Caller:
    return Caller(proven.ready_to_ask(), doors.first)


def logged(api: ApiProcess, request_id: str) -> Body:
    """What the log says of a call, which is written after its answer."""

    def line() -> Body | None:
        whole = api.log.read_text().rpartition("\n")[0]  # the last line may be half written
        lines = [json.loads(line) for line in whole.splitlines() if request_id in line]
        return next((line for line in lines if line.get("message") == "call"), None)

    return dict(eventually(line))


def told(api: ApiProcess, name: str) -> dict[tuple[str, ...], float]:
    """The series of this name, by their labels' values, in the order of the labels' names."""
    families = text_string_to_metric_families(api.probe("/metrics")[1])
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(sample.labels[each] for each in sorted(sample.labels)): float(sample.value) for sample in samples}


def grown(before: dict[tuple[str, ...], float], after: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    return {key: more for key, value in after.items() if (more := value - before.get(key, 0))}


def test_the_log_and_the_metrics_say_where_the_time_of_a_vend_went(caller: Caller):
    caller.vended()
    before = told(caller.api, STEPS)

    answer = caller.call("POST", "/v1/vended-roles", caller.question(), **{"X-Request-Id": "where-its-time-went"})

    assert answer.status_code == 201
    line = logged(caller.api, "where-its-time-went")
    assert list(line["steps"]) == [each for each in VendStep if each is not VendStep.AWAIT_PROFILE]
    assert sum(line["steps"].values()) <= line["seconds"]
    assert line["trace_id"] == answer.headers["traceparent"].split("-")[1]
    assert grown(before, told(caller.api, STEPS)) == {(step,): 1 for step in line["steps"]}


def test_a_call_that_gives_no_role_says_what_it_tried(caller: Caller):
    caller.vended()  # the replica knows the agent
    question = {**caller.question(), "userToken": caller.proven.token(tenant="another")}

    assert caller.call("POST", "/v1/vended-roles", question, **{"X-Request-Id": "tried-in-vain"}).status_code == 403

    line = logged(caller.api, "tried-in-vain")
    assert list(line["steps"]) == [VendStep.CHECK_AGENT, VendStep.CHECK_USER, VendStep.DECIDE]


def test_calls_are_counted_by_what_was_asked_and_how_it_went(caller: Caller):
    caller.vended()
    answer = caller.call("POST", "/v1/vended-roles", caller.question(), **{"X-Request-Id": "counted-before"})
    assert answer.status_code == 201, answer.text
    role = answer.json()
    logged(caller.api, "counted-before")  # which comes after its count
    before, fast = (told(caller.api, f"rolevend_{name}") for name in ("calls_total", "call_seconds_count"))

    caller.call("GET", f"/v1/vended-roles/{role['id']}")
    caller.call("GET", "/v1/vended-roles/any")
    caller.call("POST", "/v1/decisions", caller.question())
    caller.call("PUT", "/v1/nothing-of-ours")
    caller.release(role)

    wanted = {("get", "200"): 1, ("get", "404"): 1, ("decide", "200"): 1, ("another", "404"): 1, ("release", "204"): 1}
    eventually(lambda: grown(before, told(caller.api, "rolevend_calls_total")) == wanted)
    assert grown(fast, told(caller.api, "rolevend_call_seconds_count")) == {("get",): 1, ("decide",): 1, ("release",): 1}


@pytest.mark.long
def test_what_alerts_count_is_at_zero_before_the_first_call_and_a_replica_says_that_it_is_ready(doors: Doors):
    replica = doors.open()
    replica.wait_until_ready()

    calls = told(replica, "rolevend_calls_total")

    assert calls == {(call, status): 0 for call in CALLS for status in ("500", "503")}
    assert told(replica, "rolevend_api_ready") == {(): 1}
    replica.kill()


@pytest.mark.long
def test_a_replica_says_whose_tokens_it_cannot_check_until_that_is_mended_or_nobodys_any_more(caller: Caller):
    proven, site = caller.proven, caller.proven.site
    name = f"{proven.tenant.name}-away"
    away = proven.provider(name, issuer=f"https://{name}.example.org", keys={"url": "https://127.0.0.1:1/keys"})

    eventually(lambda: told(caller.api, "rolevend_identity_provider_up").get((name,)) == 0)

    assert told(caller.api, "rolevend_identity_provider_up")[(proven.tenant.name,)] == 1
    eventually(lambda: site.metric("rolevend_identity_provider_up", provider=proven.tenant.name) == 1)
    site.remove(away)
    eventually(lambda: (name,) not in told(caller.api, "rolevend_identity_provider_up"))
