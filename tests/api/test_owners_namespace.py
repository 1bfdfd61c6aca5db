"""A namespace of agents that its owner makes: the API serves it while the owner's binding is there, and an agent is told what holds."""

import pytest

from tests.support.calling import Caller, Doors
from tests.support.installed import API
from tests.support.proving import Proven
from tests.support.waiting import eventually


class Owned:
    """The namespace, and an agent in it."""

    def __init__(self, proven: Proven, doors: Doors) -> None:
        self.proven, self.cluster = proven, proven.site.cluster
        self.name = f"of-{proven.tenant.name}"
        self.caller = Caller(proven, doors.first)
        assert self.cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": self.name, "labels": {"team": "claims"}}}).ok
        proven.site.told(proven.provider(), "Ready", "True", "KeysRead")
        proven.site.told(proven.agent(namespace=self.name), "Ready", "True")
        proven.site.told(proven.tenant.policy(), "Ready", "True")

    def bind(self, role: str) -> None:
        account = API.removeprefix("system:serviceaccount:")
        self.cluster.kubectl(
            "create", "rolebinding", role, f"--namespace={self.name}", f"--clusterrole={role}", f"--serviceaccount={account}"
        )
        eventually(lambda: self.may("create"))

    def withdraw(self, role: str) -> None:
        self.cluster.kubectl("delete", "rolebinding", role, f"--namespace={self.name}")
        eventually(lambda: not self.may("create"))

    def may(self, verb: str) -> bool:
        return self.cluster.may(API, verb, "vendedroles", namespace=self.name, group="rolevend.dev")

    def refused(self) -> str:
        def said() -> str:
            answer = self.caller.vend()
            assert (answer.status_code, answer.json()["code"]) == (503, "NotServed"), answer.text
            return str(answer.json()["detail"])

        return eventually(said)


@pytest.fixture
def owned(proven: Proven, doors: Doors) -> Owned:
    doors.site.ensure_operator()
    return Owned(proven, doors)


def test_it_is_served_until_the_binding_goes_and_a_live_role_stays(owned: Owned):
    assert "the agent's namespace is not served" in owned.refused()
    owned.bind("rolevend-api-agent-namespace")
    role = owned.caller.vended()

    owned.withdraw("rolevend-api-agent-namespace")

    assert "the agent's namespace is not served" in owned.refused()
    kept = owned.caller.release(role)
    assert (kept.status_code, kept.json()["code"]) == (503, "NotServed")
    assert kept.json()["detail"].startswith(f"the role {role['id']} is not ended: ")
    assert f"it ends at {role['expirationTimestamp']}" in kept.json()["detail"]
    assert owned.caller.rows(role, "SELECT count(*) FROM people") == [(2,)]
    owned.bind("rolevend-api-agent-namespace")
    assert eventually(lambda: owned.caller.release(role).status_code in (202, 204))
    eventually(lambda: owned.proven.tenant.roles() == set())


def test_half_of_the_rights_vend_nothing(owned: Owned):
    """An owner may bind the ClusterRole of requesters to any account."""
    owned.bind("rolevend-requester")

    assert "the agent's namespace is not served" in owned.refused()

    eventually(lambda: owned.cluster.kubectl("get", "vendedroles", f"--namespace={owned.name}", "--output=name") == "")
    assert owned.proven.tenant.roles() == set()
