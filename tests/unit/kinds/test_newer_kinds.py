"""What tools that deploy from git make of our objects: Argo CD by the check that we ship, Flux by the rules of kstatus."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from rolevend.kinds import KINDS, AccessPolicy, Agent, Guardrail, Resource, TagBinding, UserAttributes, parse
from rolevend.kinds.crd import definition
from rolevend.platform_runtime.state import PlatformState
from rolevend.snapshot.builder import SnapshotBuild
from rolevend.snapshot.conditions.common import StatusEvaluation
from rolevend.snapshot.status import status_of
from tests.support.gitops import EXAMPLE, Body, argo_health, kstatus
from tests.support.painted import NOW, OBJECTS, STATES, WAREHOUSE, answering, judged, made, paint, raw, raw_agent, raw_policy

GUARDRAIL = parse(Guardrail, raw("Guardrail", "floor", "", ("spec.deny.columns", {"matchNames": ["full_name"]})))
ALL = replace(OBJECTS, guardrails=[GUARDRAIL])
AT_WORK = ("warehouse", "finbot", "analysts", "pii", "anna", "floor")
"""The name of an object of each kind in the picture of `ALL`."""


def shown(judgement: StatusEvaluation[Resource]) -> Body:
    """The object, as far as anybody looks at it from outside."""
    return {"metadata": {"generation": judgement.resource.generation}, "status": status_of(judgement, NOW)}


def seen(built: SnapshotBuild, name: str) -> tuple[str, str]:
    """In Argo CD, and in Flux."""
    body = shown(judged(built, name))
    return argo_health(body)[0], kstatus(body)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name != "VendedRole"], ids=lambda kind: kind.name)
def test_what_no_operator_has_looked_at_is_not_at_work_yet(kind):
    schema = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    body = {"metadata": {"generation": 1}, "status": schema["properties"]["status"]["default"]}

    assert (argo_health(body)[0], kstatus(body)) == ("Progressing", "InProgress")
    assert argo_health({"metadata": {"generation": 1}})[0] == "Progressing"


@pytest.mark.parametrize("name", AT_WORK)
def test_what_is_at_work_is_healthy(name: str):
    assert seen(paint(ALL), name) == ("Healthy", "Current")


@pytest.mark.parametrize("name", AT_WORK)
def test_a_change_that_was_not_looked_at_yet_is_no_success_and_no_failure(name: str):
    body = shown(judged(paint(ALL), name))
    body["metadata"]["generation"] += 1

    assert (argo_health(body)[0], kstatus(body)) == ("Progressing", "InProgress")


@pytest.mark.parametrize(
    ("name", "objects", "reason"),
    [
        ("analysts", replace(ALL, policies=[parse(AccessPolicy, raw_policy("country ="))]), "InvalidInput"),
        ("pii", replace(ALL, bindings=[made(TagBinding, "pii", "elsewhere")]), "NotPermitted"),
        ("floor", replace(ALL, guardrails=[made(Guardrail, "floor", rowRestriction="country =")]), "InvalidInput"),
        ("younger", replace(ALL, agents=[parse(Agent, raw_agent(age=9)), parse(Agent, raw_agent("younger"))]), "Conflict"),
        ("younger", replace(ALL, people=[made(UserAttributes, "older", age=9), made(UserAttributes, "younger")]), "Conflict"),
    ],
    ids=["AccessPolicy", "TagBinding", "Guardrail", "Agent", "UserAttributes"],
)
def test_what_a_person_must_mend_fails_at_once_and_says_why(name: str, objects, reason: str):
    body = shown(judged(paint(objects), name))
    (stalled,) = [each for each in body["status"]["conditions"] if each["type"] == "Stalled"]

    assert kstatus(body) == "Failed"
    assert (stalled["status"], stalled["reason"]) == ("True", reason)
    assert argo_health(body) == ("Degraded", stalled["message"])


def test_a_second_platform_for_one_server_fails_at_once():
    states = dict.fromkeys(STATES, answering("one server"))

    assert sorted(seen(paint(ALL, states), name) for name in states) == [("Degraded", "Failed"), ("Healthy", "Current")]


def test_a_handle_that_is_somebody_elses_for_ever_fails_though_the_object_is_accepted():
    judgement = judged(paint(ALL), "finbot")
    refused = replace(judgement.findings[1], status="False", reason="Conflict", message="spec.handle: agents/other has it")
    body = shown(replace(judgement, findings=(judgement.findings[0], refused)))

    assert (argo_health(body), kstatus(body)) == (("Degraded", "spec.handle: agents/other has it"), "Failed")


@pytest.mark.parametrize("name", ["analysts", "pii", "floor"])
def test_a_platform_that_may_still_arrive_fails_nobody_who_waits(name: str):
    body = shown(judged(paint(replace(ALL, platforms=[])), name))

    assert kstatus(body) == "InProgress"
    assert argo_health(body)[0] == "Progressing"
    assert "is named warehouse" in argo_health(body)[1], "a name that is misspelt waits for ever, and says for what"


def test_an_agent_whose_tools_platform_may_still_arrive_waits_with_it():
    tools = [{"platformRef": {"name": "warehouse"}, "postgres": {"schemas": ["finbot"]}}]
    waiting = made(Agent, "finbot", "agents", tools=tools)

    assert seen(paint(replace(ALL, platforms=[], agents=[waiting])), "finbot") == ("Progressing", "InProgress")


@pytest.mark.parametrize("name", ["warehouse", "analysts", "pii", "floor"])
def test_what_waits_for_a_platform_to_be_read_is_in_progress(name: str):
    states = {**STATES, WAREHOUSE: PlatformState()}

    assert seen(paint(ALL, states), name) == ("Progressing", "InProgress")


def test_a_policy_that_grants_nothing_here_is_degraded_and_a_table_that_comes_mends_it():
    selects_nothing = made(AccessPolicy, "analysts", "domain-claims", tables={"matchNames": [{"schema": "claims", "name": "no_such"}]})

    assert seen(paint(replace(ALL, policies=[selects_nothing])), "analysts") == ("Degraded", "InProgress")


def test_a_platform_that_fails_is_degraded():
    states = {**STATES, WAREHOUSE: replace(STATES[WAREHOUSE], problem=("PlatformUnavailable", "no answer"))}

    assert argo_health(shown(judged(paint(ALL, states), "warehouse"))) == ("Degraded", "no answer")


def test_stalled_goes_with_what_it_told_of():
    broken = shown(judged(paint(replace(ALL, policies=[parse(AccessPolicy, raw_policy("country ="))])), "analysts"))
    mended = parse(AccessPolicy, {**raw_policy(), "status": broken["status"]})

    body = shown(judged(paint(replace(ALL, policies=[mended])), "analysts"))

    assert (argo_health(body)[0], kstatus(body)) == ("Healthy", "Current")
    assert "Stalled" not in {each["type"] for each in body["status"]["conditions"]}


def documents(folder: Path) -> list[Body]:
    return [each for path in sorted(folder.glob("*.yaml")) for each in yaml.safe_load_all(path.read_text())]


FOLDERS = sorted(str(each.relative_to(EXAMPLE)) for each in [*EXAMPLE.glob("domains/*"), *map(EXAMPLE.joinpath, ("platform", "agents"))])


def test_argo_cd_syncs_every_folder_once_and_lets_a_domain_write_policy_in_its_own_namespace_alone():
    found = documents(EXAMPLE / "deploy" / "argo-cd")
    projects = {each["metadata"]["name"]: each["spec"] for each in found if each["kind"] == "AppProject"}
    applications = [each["spec"] for each in found if each["kind"] == "Application"]
    paths = [source["path"] for each in applications for source in each.get("sources", [each.get("source")])]

    assert sorted(set(paths) & set(FOLDERS)) == FOLDERS
    assert len(set(paths)) == len(paths)
    assert all((EXAMPLE / path).is_dir() for path in paths)
    for spec in applications:
        project, here = projects[spec["project"]], spec["destination"]["namespace"]
        synced = [body for source in spec.get("sources", [spec.get("source")]) for body in documents(EXAMPLE / source["path"])]
        allowed = {each["kind"] for each in project["namespaceResourceWhitelist"]}
        global_ = {each["kind"] for each in project["clusterResourceWhitelist"]}
        assert here in {each["namespace"] for each in project["destinations"]}
        for body in synced:
            namespace = body["metadata"].get("namespace")
            assert body["kind"] in (allowed if namespace else global_), body["metadata"]
            assert namespace in (None, here)
        if here.startswith("domain-"):
            assert (allowed, global_) == ({"AccessPolicy", "TagBinding"}, set())
            assert spec["syncPolicy"]["automated"]["prune"]


def test_flux_syncs_every_folder_once_and_waits_for_what_it_applied():
    found = documents(EXAMPLE / "deploy" / "flux")
    syncs = {each["spec"]["path"].removeprefix("./"): each for each in found if each["kind"] == "Kustomization"}
    bound = {each["metadata"]["namespace"]: each["roleRef"]["name"] for each in found if each["kind"] == "RoleBinding"}

    assert set(FOLDERS) <= set(syncs)
    assert len(syncs) == sum(each["kind"] == "Kustomization" for each in found)
    for path, each in syncs.items():
        assert each["spec"]["wait"]
        assert documents(EXAMPLE / path), path
        if path.startswith("domains/"):
            namespace = each["metadata"]["namespace"]
            assert {body["metadata"]["namespace"] for body in documents(EXAMPLE / path)} == {each["spec"]["targetNamespace"]} == {namespace}
            assert bound[namespace] == "rolevend-policy-author"
            assert each["spec"]["prune"]
            assert each["spec"]["serviceAccountName"] == "policies"


def test_a_folder_that_is_synced_holds_no_request_and_no_vote():
    bodies = [body for folder in [*FOLDERS, "people", "governance"] for body in documents(EXAMPLE / folder)]

    assert {body["kind"] for body in bodies} == {kind.name for kind in KINDS} - {"AccessDecision", "AccessRequest", "VendedRole"}
