"""`rolevend doctor` and `rolevend status`: what is found in facts, what is read with which rights, and what never shows."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rolevend import __version__
from rolevend.cluster_health.facts import OF_OWNERS, ClusterFacts, FactsReader, Gap, SecretFault
from rolevend.cluster_health.findings import ADMISSION, HealthFinding, as_json, as_text, findings, is_wrong
from rolevend.cluster_health.overview import as_json as overview_json
from rolevend.cluster_health.overview import as_text as overview_text
from rolevend.cluster_health.overview import overview
from rolevend.errors import ClusterUnavailable, NotPermitted
from rolevend.kinds import KINDS
from rolevend.kinds.crd import definition
from rolevend.kube.client import NotFound, ResourcePath
from tests.support.manifests import changed, valid

Body = dict[str, Any]
TEMPLATES = Path(__file__).parents[3] / "charts" / "rolevend" / "templates"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SYSTEM = "rolevend-system"


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def labelled(name: str, component: str = "operator", **labels: str) -> Body:
    ours = {"app.kubernetes.io/component": component, "app.kubernetes.io/version": __version__, "helm.sh/chart": f"rolevend-{__version__}"}
    return {"metadata": {"name": name, "labels": {**ours, **labels}}}


def deployment(name: str, component: str, version: str = __version__, ready: int = 2) -> Body:
    body = labelled(name, component, **{"app.kubernetes.io/version": version})
    template = {"spec": {"serviceAccountName": name, "volumes": [{"secret": {"secretName": f"{name}-tls"}}]}}
    return {
        **body,
        "spec": {"replicas": 2, "selector": {"matchLabels": {"is": name}}, "template": template},
        "status": {"readyReplicas": ready},
    }


def lease(renewed: datetime = NOW, written: datetime = NOW, holder: str = "rolevend-0") -> Body:
    spec = {"holderIdentity": holder, "renewTime": stamp(renewed), "leaseDurationSeconds": 15}
    return {"metadata": {"name": "rolevend-operator", "managedFields": [{"time": stamp(written)}]}, "spec": spec}


def told(body: Body, type_: str, status: str, reason: str, message: str = "", **others: Any) -> Body:
    conditions = [{"type": type_, "status": status, "reason": reason, "message": message}]
    created = {**body["metadata"], "creationTimestamp": stamp(NOW - timedelta(hours=1))}
    return {**body, "metadata": created, "status": {"observedGeneration": 1, "conditions": conditions, **others}}


def attestation(age: timedelta = timedelta(days=1), version: str = __version__) -> Body:
    return {"time": stamp(NOW - age), "rolevendVersion": version}


def platform(status: str = "True", reason: str = "Connected", message: str = "", **attested: Any) -> Body:
    return told(valid("DataPlatform", "warehouse"), "Ready", status, reason, message, attestation=attestation(**attested))


def conditions(*said: tuple[str, str, str]) -> Body:
    told_of = [{"type": type_, "status": status, "reason": reason, "message": ""} for type_, status, reason in said]
    return changed(platform(), "status.conditions", told_of)


@cache
def _definitions() -> list[Body]:
    """Each of them takes 10 ms of processor time."""
    return [definition(kind) for kind in KINDS]


def crd() -> list[Body]:
    return [{**each, "status": {"conditions": [{"type": "Established", "status": "True"}]}} for each in deepcopy(_definitions())]


def admitted(kind: str) -> list[Body]:
    return [{"metadata": {"name": f"rolevend-{end}"}, **({"spec": {"policyName": f"rolevend-{end}"}} if kind else {})} for end in ADMISSION]


def bound(account: str = "rolevend") -> Body:
    return {"metadata": {"name": "rolevend"}, "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": SYSTEM}]}


def lent(role: str, *subjects: tuple[str, str, str], namespace: str = "elsewhere") -> list[Body]:
    place = {"namespace": namespace} if namespace else {}
    bound_to = [{"kind": kind, "name": name, **({"namespace": where} if where else {})} for kind, name, where in subjects]
    return [{"metadata": {"name": "mine", **place}, "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": bound_to}]


OF_THE_OPERATOR, OF_THE_API = ("ServiceAccount", "rolevend", SYSTEM), ("ServiceAccount", "rolevend-api", SYSTEM)


def facts(**parts: list[Body]) -> ClusterFacts:
    """An installation in order, with these parts instead."""
    usual = {
        "CustomResourceDefinition": crd(),
        "Deployment": [deployment("rolevend", "operator"), deployment("rolevend-api", "api")],
        "Pod": [],
        "ValidatingAdmissionPolicy": admitted(""),
        "ValidatingAdmissionPolicyBinding": admitted("binding"),
        "ClusterRoleBinding": [bound()],
        "RoleBinding": [bound()],
        "Lease": [lease()],
        "ConfigMap": [{"metadata": {"name": "rolevend-suspension", "namespace": SYSTEM}}],
        "DataPlatform": [platform()],
        **{kind.name: [] for kind in KINDS if kind.name != "DataPlatform"},
    }
    return ClusterFacts(SYSTEM, NOW, NOW, {**usual, **parts})


def test_nothing_is_found_in_an_installation_in_order():
    assert findings(facts()) == ()
    assert as_text(()) == "nothing is wrong"
    assert as_json(()) == {"healthy": True, "findings": []}


def test_a_namespace_that_its_owner_made_one_of_agents_is_no_fault():
    made = [*lent("rolevend-agent-namespace", OF_THE_OPERATOR), *lent("rolevend-api-agent-namespace", OF_THE_API)]
    foreign = lent("another-agent-namespace", ("User", "bob", ""))

    assert findings(facts(**WITH_OWNERS, **{OF_OWNERS: made + foreign})) == ()
    assert findings(facts(**{OF_OWNERS: foreign})) == ()


def without_a_field() -> list[Body]:
    found = crd()
    agent = next(each for each in found if each["metadata"]["name"] == "agents.rolevend.dev")
    del agent["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["suspend"]
    return found


def waiting(reason: str) -> list[Body]:
    states = [{"name": "operator", "state": {"waiting": {"reason": reason, "message": "back-off"}}}]
    status = {"containerStatuses": states}
    theirs = {"metadata": {"name": "another"}, "status": status}
    return [theirs, {"metadata": {"name": "rolevend-0", "labels": {"is": "rolevend", "x": "y"}}, "status": status}]


CLOSED: dict[str, list[Body]] = {
    "ValidatingAdmissionPolicy": [*admitted(""), {"metadata": {"name": "rolevend-closed"}}],
    "ValidatingAdmissionPolicyBinding": [
        *admitted("binding"),
        {"metadata": {"name": "rolevend-closed"}, "spec": {"policyName": "rolevend-closed"}},
    ],
}
WITH_OWNERS: dict[str, list[Body]] = {
    "ValidatingAdmissionPolicy": [*admitted(""), {"metadata": {"name": "rolevend-binding"}}],
    "ValidatingAdmissionPolicyBinding": [
        *admitted("binding"),
        {"metadata": {"name": "rolevend-binding"}, "spec": {"policyName": "rolevend-binding"}},
    ],
}
SUSPENDED = changed(valid("Agent"), "spec.suspend", True)
WRONG: dict[str, tuple[dict[str, list[Body]], str, str, str]] = {
    "a definition that is missing": (
        {"CustomResourceDefinition": crd()[1:]},
        "wrong",
        "definition accessdecisions.rolevend.dev",
        "is missing",
    ),
    "an older definition": (
        {"CustomResourceDefinition": without_a_field()},
        "wrong",
        "definition agents.rolevend.dev",
        f"is older than this command, which is {__version__}: it has no field spec.suspend",
    ),
    "no operator": ({"Deployment": []}, "wrong", "operator", "no Deployment of the operator is in namespace rolevend-system"),
    "an operator that is not ready": (
        {"Deployment": [deployment("rolevend", "operator", ready=0)]},
        "wrong",
        "Deployment rolevend",
        "0 of 2 replicas are ready",
    ),
    "two versions": (
        {"Deployment": [deployment("rolevend", "operator"), deployment("rolevend-api", "api", "0.0.9")]},
        "wrong",
        "versions",
        f"the parts have different versions: rolevend-api: 0.0.9; rolevend: {__version__}",
    ),
    "another version": (
        {"Deployment": [deployment("rolevend", "operator", "9.9.9")], "DataPlatform": []},
        "look",
        "versions",
        f"the installation has version 9.9.9, and this command {__version__}",
    ),
    "a pod that cannot start": (
        {"Pod": waiting("ImagePullBackOff")},
        "wrong",
        "Pod rolevend-0",
        "container operator waits: ImagePullBackOff",
    ),
    "no leader": ({"Lease": []}, "wrong", "Lease rolevend-system/rolevend-operator", "no operator leads"),
    "a leader that is silent": (
        {"Lease": [lease(NOW - timedelta(minutes=3), NOW - timedelta(minutes=3))]},
        "wrong",
        "Lease rolevend-system/rolevend-operator",
        "rolevend-0 leads and did not renew for 3 minutes",
    ),
    "a wrong clock": (
        {"Lease": [lease(NOW + timedelta(minutes=5), NOW)]},
        "wrong",
        "clock of the operator",
        "differs from that of the API server by 5 minutes",
    ),
    "an admission policy that is missing": (
        {"ValidatingAdmissionPolicy": [each for each in admitted("") if not each["metadata"]["name"].endswith("-token")]},
        "wrong",
        "ValidatingAdmissionPolicy …-token",
        "is missing",
    ),
    "a binding that is missing": (
        {"ValidatingAdmissionPolicyBinding": [each for each in admitted("b") if not each["metadata"]["name"].endswith("-vend")]},
        "wrong",
        "ValidatingAdmissionPolicy rolevend-vend",
        "has no ValidatingAdmissionPolicyBinding",
    ),
    "vending that is closed": (CLOSED, "wrong", "ValidatingAdmissionPolicyBinding rolevend-closed", "vending is closed by rolevend drain"),
    "rights that are missing": (
        {"ClusterRoleBinding": [bound("another")]},
        "wrong",
        "ServiceAccount rolevend-system/rolevend",
        "no ClusterRoleBinding of the chart names it",
    ),
    "rights of the API that an owner has": (
        WITH_OWNERS | {OF_OWNERS: lent("rolevend-api-agent-namespace", OF_THE_API, ("User", "mallory", ""))},
        "wrong",
        "RoleBinding elsewhere/mine",
        "binds rolevend-api-agent-namespace, which is for ServiceAccount rolevend-system/rolevend-api alone",
    ),
    "rights of the API that the operator has": (
        WITH_OWNERS | {OF_OWNERS: lent("rolevend-api-agent-namespace", OF_THE_OPERATOR)},
        "wrong",
        "RoleBinding elsewhere/mine",
        "binds rolevend-api-agent-namespace, which is for ServiceAccount rolevend-system/rolevend-api alone",
    ),
    "rights on all Secrets": (
        WITH_OWNERS | {OF_OWNERS: lent("rolevend-agent-namespace", OF_THE_OPERATOR, namespace="")},
        "wrong",
        "ClusterRoleBinding mine",
        "binds rolevend-agent-namespace, which is for ServiceAccount rolevend-system/rolevend alone",
    ),
    "bindings of owners that no admission policy judges": (
        {OF_OWNERS: lent("rolevend-agent-namespace", OF_THE_OPERATOR)},
        "wrong",
        "ValidatingAdmissionPolicy …-binding",
        "is missing",
    ),
    "a platform that does not answer": (
        {"DataPlatform": [platform("False", "PlatformUnavailable", "connection refused")]},
        "wrong",
        "DataPlatform warehouse",
        "Ready is False (PlatformUnavailable): connection refused",
    ),
    "a platform whose attestation failed": (
        {"DataPlatform": [conditions(("Ready", "False", "Leak"), ("Attested", "False", "Leak"), ("Ledger", "False", "Disabled"))]},
        "wrong",
        "DataPlatform warehouse",
        "Attested is False (Leak)",
    ),
    "a platform whose attestation is overdue": (
        {"DataPlatform": [conditions(("Ready", "True", "Connected"), ("Attested", "Unknown", "Overdue"))]},
        "look",
        "DataPlatform warehouse",
        "Attested is Unknown (Overdue)",
    ),
    "a warning of a platform": (
        {"DataPlatform": [conditions(("Ready", "True", "Connected"), ("Isolated", "False", "AgentUser"))]},
        "look",
        "DataPlatform warehouse",
        "Isolated is False (AgentUser)",
    ),
    "an old attestation": (
        {"DataPlatform": [platform(age=timedelta(days=40))]},
        "look",
        "DataPlatform warehouse",
        "its attestation is 40 days old",
    ),
    "an attestation of another version": (
        {"DataPlatform": [platform(version="0.0.9")]},
        "look",
        "DataPlatform warehouse",
        f"its attestation is by version 0.0.9, and the operator is {__version__}",
    ),
    "a policy that grants nothing": (
        {"AccessPolicy": [told(valid("AccessPolicy"), "Ready", "False", "NotGranted", "no such column")]},
        "wrong",
        "AccessPolicy agents/sample",
        "Ready is False (NotGranted): no such column",
    ),
    "an object that nobody evaluates": (
        {"Agent": [changed(told(valid("Agent"), "Ready", "Unknown", "x"), "status", {"observedGeneration": -1})]},
        "wrong",
        "Agent agents/sample",
        "no operator has evaluated it since it was created, 60 minutes ago",
    ),
    "a suspended agent": (
        {"Agent": [told(SUSPENDED, "Ready", "False", "Suspended")]},
        "look",
        "Agent agents/sample",
        "spec.suspend is true",
    ),
    "a suspended cluster": (
        {"ConfigMap": [{"metadata": {"name": "s", "namespace": SYSTEM}, "data": {"suspend": "true", "because": "INC-1"}}]},
        "look",
        "cluster",
        "ConfigMap rolevend-system/s suspends the whole cluster: INC-1",
    ),
}


@pytest.mark.parametrize(("parts", "level", "object_", "message"), WRONG.values(), ids=WRONG)
def test_each_fault_is_found_alone_with_what_to_do(parts: dict[str, list[Body]], level: str, object_: str, message: str):
    (found,) = findings(facts(**parts))

    assert (found.level, found.object) == (level, object_)
    assert found.message.startswith(message)
    assert found.action
    assert is_wrong((found,)) == (level == "wrong")


def test_a_secret_without_a_key_is_wrong_and_what_may_not_be_read_is_no_fault():
    spoiled = replace(
        facts(),
        secret_faults=(SecretFault("DataPlatform warehouse", "Secret a/b has no usable key password"),),
        gaps=(Gap("UserAttributes", "you may not read it"), Gap("Agent", "the cluster has no such resource", is_missing=True)),
    )

    found = findings(spoiled)

    assert [(each.level, each.object) for each in found] == [("wrong", "DataPlatform warehouse"), ("not read", "UserAttributes")]
    assert not is_wrong(found[1:])


def test_the_clock_of_this_machine_is_compared_with_that_of_the_api_server():
    late = replace(facts(), read_at=NOW + timedelta(minutes=2))

    assert [each.object for each in findings(late)] == ["clock of this machine"]


def test_the_names_of_admission_policies_are_those_that_the_chart_always_has():
    always = set()
    for path in TEMPLATES.glob("admission-*.yaml"):
        text = path.read_text()
        if not text.startswith("{{- if"):
            bindings = re.findall(r"kind: ValidatingAdmissionPolicyBinding\nmetadata:\n  name: \{\{.*?\}\}-([a-z-]+)", text)
            always |= {each for each in bindings if each}

    assert always == set(ADMISSION)


def test_no_text_of_an_object_steers_the_terminal():
    hostile = HealthFinding("wrong", "Agent a/b", "it says \x1b[2J\nwrong     all is well", "look")

    assert "\x1b" not in as_text((hostile,))
    assert len(as_text((hostile,)).splitlines()) == 3


def role(state: str, **metadata: str) -> Body:
    metadata = {"name": "r", "namespace": "agents", "creationTimestamp": stamp(NOW - timedelta(minutes=9)), **metadata}
    return {"metadata": metadata, "status": {"platforms": [{"name": "warehouse", "state": state}]}}


def test_the_screen_counts_roles_and_names_requests_problems_and_suspensions():
    asked = {**valid("AccessRequest"), "status": {"state": "Pending"}}
    asked["metadata"] = {**asked["metadata"], "creationTimestamp": stamp(NOW - timedelta(hours=3))}
    answered = {**asked, "status": {"state": "Approved"}}
    seen = overview(
        facts(
            VendedRole=[role("Live"), role("Live"), role("Pending"), role("Dropping", deletionTimestamp=stamp(NOW))],
            AccessPolicy=[told(valid("AccessPolicy"), "Ready", "False", "NotGranted", "no\x1b such column" + "x" * 300)],
            Agent=[told(SUSPENDED, "Ready", "False", "Suspended")],
            AccessRequest=[answered, asked],
        )
    )

    (warehouse,) = seen.platforms
    assert warehouse.roles == (2, 1, 1)
    assert warehouse.conditions[0] == "True"
    assert seen.queue == "2 roles wait for a vend or a drop, the oldest since 9 minutes"
    assert seen.suspended == ("Agent agents/sample",)
    ((name, asks),) = seen.requests
    assert name.startswith("AccessRequest ")
    assert asks.endswith(", since 3 hours")
    text = overview_text(seen)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 120
    assert overview_json(seen)["platforms"][0]["roles"] == {"live": 2, "pending": 1, "dropping": 1}


def test_a_screen_has_ten_lines_of_a_sort_and_says_how_many_there_are():
    policies = [told(valid("AccessPolicy", f"p{number}"), "Ready", "False", "NotGranted") for number in range(25)]

    lines = overview_text(overview(facts(AccessPolicy=policies))).splitlines()

    assert "not ready: 25" in lines
    assert "  and 15 more; -o json has all" in lines


PASSWORD = "correct-horse"


class FakeCluster:
    """Answers from bodies by the plural of their resource. What `forbidden` names may not be read."""

    def __init__(self, lists: dict[str, list[Body]], objects: dict[str, Body], *forbidden: str, broken: str = "") -> None:
        self._lists = lists
        self._objects = objects
        self._forbidden = forbidden
        self._broken = broken
        self.writes: list[str] = []

    async def pages(self, resource: ResourcePath, namespace: str | None = None, selector: str | None = None) -> AsyncIterator[Body]:
        self._may(resource.plural)
        yield {"items": self._lists.get(resource.plural, [])}

    async def get(self, resource: ResourcePath, name: str, namespace: str | None = None) -> Body:
        self._may(resource.plural)
        if name not in self._objects:
            raise NotFound(name)
        return self._objects[name]

    async def create(self, resource: ResourcePath, body: Body) -> Body:
        self._may(resource.plural)
        self.writes.append(resource.plural)
        return {"metadata": {"creationTimestamp": stamp(NOW)}}

    def _may(self, plural: str) -> None:
        if plural in self._forbidden:
            raise NotPermitted(plural)
        if plural == self._broken:
            raise ClusterUnavailable("no answer")


def secret(**values: str) -> Body:
    return {"metadata": {"resourceVersion": "1"}, "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}}


def read(cluster: FakeCluster) -> ClusterFacts:
    return asyncio.run(FactsReader(cluster, SYSTEM).read(with_secrets=True))  # type: ignore[arg-type]


LISTS = {"dataplatforms": [valid("DataPlatform", "warehouse")]}
LOGINS = {each["name"]: each for each in LISTS["dataplatforms"][0]["spec"]["credentials"].values()}


def test_secrets_are_looked_at_for_their_keys_and_no_value_is_kept():
    names = list(LOGINS)
    cluster = FakeCluster(LISTS, {names[0]: secret(username="p", password=PASSWORD)})

    found = read(cluster)

    assert found.secret_faults[0].reason == f"there is no Secret {names[1]} in namespace {SYSTEM}"
    assert PASSWORD not in repr(found)
    assert cluster.writes == ["selfsubjectreviews"]


def test_a_secret_without_its_keys_is_a_fault():
    cluster = FakeCluster(LISTS, {name: secret(username="p", passwort=PASSWORD) for name in LOGINS})

    found = read(cluster)

    assert f"Secret {SYSTEM}/{next(iter(LOGINS))} has no usable key password" in [each.reason for each in found.secret_faults]


def test_each_part_that_may_not_be_read_is_a_gap_and_the_others_are_read():
    cluster = FakeCluster(LISTS, {}, "userattributes", "secrets", "leases", "selfsubjectreviews", broken="agents")

    found = read(cluster)

    assert {each.part for each in found.gaps} >= {"UserAttributes", "Agent", "the clock of the API server"}
    assert [each.reason for each in found.gaps if each.part == "Agent"] == ["no answer"]
    assert (found.server_time, found.secret_faults) == (None, ())
    assert [each["metadata"]["name"] for each in found.of("DataPlatform")] == ["warehouse"]
    assert not found.is_read("UserAttributes")
    assert any(each.part.startswith("Secrets ") for each in found.gaps)


def test_of_the_definitions_and_bindings_of_others_none_is_kept():
    """A large cluster has thousands, and definitions of a megabyte."""

    def binding(name: str, role: str, chart: str = "") -> Body:
        metadata = {"name": name, "labels": {"helm.sh/chart": chart}}
        return {"metadata": metadata, "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": []}

    bindings = [
        binding("of-others", "view"),
        binding("of-the-chart", "rolevend", "rolevend-1.0"),
        binding("lent", "rolevend-agent-namespace"),
    ]
    names = ("agents.rolevend.dev", "widgets.example.org", "xrolevend.dev")
    lists = {
        "clusterrolebindings": bindings,
        "rolebindings": bindings,
        "customresourcedefinitions": [{"metadata": {"name": each}} for each in names],
    }
    found = read(FakeCluster(lists, {}))

    assert [each["metadata"]["name"] for each in found.of("CustomResourceDefinition")] == ["agents.rolevend.dev"]
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        assert [each["metadata"]["name"] for each in found.of(kind)] == ["of-the-chart"]
    assert [each["metadata"]["name"] for each in found.of(OF_OWNERS)] == ["lent", "lent"], "of a namespace, and of the whole cluster"


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ("Running", "0 of 2 replicas are ready"),
        ("Pending", "0 of 2 replicas are ready, and it has no pod that runs"),
        (None, "0 of 2 replicas are ready, and it has no pod that runs"),
    ],
)
def test_whether_a_pod_runs_is_told(phase: str | None, message: str):
    """Without a kubelet, as in `make dev`, none does."""
    pods = [] if phase is None else [{**labelled("rolevend-0", "operator"), "status": {"phase": phase}}]
    for each in pods:
        each["metadata"]["labels"]["is"] = "rolevend"
    (found,) = findings(facts(Deployment=[deployment("rolevend", "operator", ready=0)], Pod=pods))
    assert found.message == message
