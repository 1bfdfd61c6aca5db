"""How much an agent may have: how often, how many at once, for how long and what for. At kubectl's door as at the API's."""

import pytest

from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.site import AGENTS, Body
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually


def limited(proven: Proven, doors: Doors, **limits: int) -> Caller:
    proven.ready_to_ask()
    caller = Caller(proven, doors.first)
    assert caller.release(caller.vended()).status_code == 204
    agent = proven.tenant.described("Agent", {}, proven.tenant.name, AGENTS)
    proven.site.patch(agent, {"limits": limits})
    proven.site.told(agent, "Ready", "True")
    return caller


def refused(caller: Caller, code: str) -> Body:
    """Asked until the replica knows the limit; what was vended before that is released."""

    def said() -> Body:
        answer = caller.vend()
        assert answer.status_code == 429, answer.text
        assert answer.json()["code"] == code
        assert int(answer.headers["retry-after"]) > 0
        return dict(answer.json())

    return dict(eventually(said))


def test_so_many_vends_a_minute(proven: Proven, doors: Doors):
    caller = limited(proven, doors, vendsPerMinute=2)

    problem = refused(caller, "TooManyRequests")

    assert "2 times a minute" in problem["detail"]
    for role in caller.call("GET", "/v1/vended-roles").json()["items"]:
        assert caller.release(role).status_code == 204


def test_so_many_decisions_a_minute(proven: Proven, doors: Doors):
    caller = limited(proven, doors, vendsPerMinute=2)

    def said() -> Body:
        answer = caller.call("POST", "/v1/decisions", caller.question())
        assert (answer.status_code, answer.json().get("code")) == (429, "TooManyRequests"), answer.text
        assert int(answer.headers["retry-after"]) > 0
        return dict(answer.json())

    assert "2 decisions a minute" in dict(eventually(said))["detail"]


def test_so_many_roles_at_once_and_a_call_again_is_no_other_role(proven: Proven, doors: Doors):
    caller = limited(proven, doors, maxLiveRoles=1)
    question = caller.question()

    def made() -> Body:
        answer = caller.call("POST", "/v1/vended-roles", question, **{"Idempotency-Key": "once"})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    role = eventually(made)
    problem = refused(caller, "TooManyRoles")
    assert "maximum of 1" in problem["detail"]

    again = caller.call("POST", "/v1/vended-roles", question, **{"Idempotency-Key": "once"})

    assert (again.status_code, again.json()["id"]) == (201, role["id"])
    for each in caller.call("GET", "/v1/vended-roles").json()["items"]:
        assert caller.release(each).status_code == 204
    eventually(lambda: caller.vend().status_code == 201)


@pytest.mark.parametrize(
    ("wanted", "code", "field"),
    [
        ({"expirationSeconds": 3601}, "ExpirationTooLong", "expirationSeconds"),
        ({"purpose": "curiosity"}, "NotPermitted", "purpose"),
    ],
)
def test_what_the_platform_does_not_permit_names_the_member(proven: Proven, doors: Doors, wanted: Body, code: str, field: str):
    caller = Caller(proven.ready_to_ask(), doors.first)
    caller.release(caller.vended())

    answer = caller.vend(**wanted)

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (403, code, field)


def test_at_kubectls_door_one_more_waits_until_a_role_is_gone(tenant: Tenant):
    tenant.agent(limits={"maxLiveRoles": 2})
    tenant.person()
    tenant.site.told(tenant.policy(), "Ready", "True")
    first, second = tenant.ask().ready(), tenant.ask().ready()
    third, fourth = tenant.ask(), tenant.ask()

    for each in (third, fourth):
        assert "has its maximum of 2 roles" in each.refused("TooManyRoles", granted="False")
    assert tenant.roles() == {first.role, second.role}
    tenant.policy(f"{tenant.name}-more")  # another picture decides nothing anew
    assert "maximum of 2" in third.refused("TooManyRoles")
    first.delete()
    first.gone()

    eventually(lambda: third.is_ready() or fourth.is_ready())
    assert len(tenant.roles() - {first.role}) == 2
    for each in (second, third, fourth):
        each.delete()
    for each in (second, third, fourth):
        each.gone()


def test_roles_of_the_api_count_at_kubectls_door(proven: Proven, doors: Doors):
    caller = limited(proven, doors, maxLiveRoles=1)
    role = caller.vended()

    asked = proven.ask(proven.token())

    asked.refused("TooManyRoles", granted="False")
    assert caller.release(role).status_code == 204
    asked.ready()
    asked.delete()
    asked.gone()


def test_where_the_chart_serves_nobody_the_answer_says_so_and_names_no_account_of_ours(proven: Proven, doors: Doors):
    namespace = f"unserved-{proven.tenant.name}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"team": "claims"}}}
    assert proven.site.cluster.call("POST", "/api/v1/namespaces", body).ok
    proven.site.told(proven.provider(), "Ready", "True", "KeysRead")
    proven.site.told(proven.agent(namespace=namespace), "Ready", "True")
    proven.site.told(proven.tenant.policy(), "Ready", "True")
    caller = Caller(proven, doors.first)

    def said() -> Body:
        answer = caller.vend()
        assert (answer.status_code, answer.json()["code"]) == (503, "NotServed"), answer.text
        return dict(answer.json())

    problem = dict(eventually(said))
    assert "system:" not in str(problem)
    proven.site.cluster.call("DELETE", f"/api/v1/namespaces/{namespace}")
