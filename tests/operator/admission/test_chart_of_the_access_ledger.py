"""The processes of the access ledger in the chart: each may read its source and the audit events, and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rolevend.cli.ledger import ledger
from tests.support.installed import CHART
from tests.support.rendered import ACCESS_LEDGER_ON, AUDIT_ON, Document, Helm, only, pods

ON: dict[str, Any] = ACCESS_LEDGER_ON
WAREHOUSE, LAKE = ON["sources"]
OF_LOGS, OF_SNOWFLAKE = "rolevend-access-ledger-warehouse", "rolevend-access-ledger-lake"


def rendered(helm: Helm, **values: Any) -> list[Document]:
    return helm.render({"audit": AUDIT_ON, "accessLedger": ON} | values)


def pod_of(documents: list[Document], name: str) -> Document:
    return dict(only(documents, "Deployment", name)["spec"]["template"]["spec"])


def context(pod: Document, folder: Path) -> dict[str, Any]:
    """The command of the pod as the program reads it, with each mount in a folder of its own."""
    (container,) = pod["containers"]
    first, *arguments = container["args"]
    assert first == "ledger"
    mounts = {each["mountPath"]: folder / each["name"] for each in container["volumeMounts"]}
    for each in mounts.values():
        each.mkdir(exist_ok=True)
    paths = re.compile("|".join(map(re.escape, sorted(mounts, key=len, reverse=True))))
    arguments = [paths.sub(lambda found: str(mounts[found[0]]), each) for each in arguments]
    return dict(ledger.make_context("ledger", arguments).params)


def test_nothing_runs_that_was_not_asked_for(helm: Helm):
    assert not [each for each in helm.render() if "access-ledger" in each["metadata"]["name"]]


def test_the_program_understands_the_command_of_each_source(helm: Helm, tmp_path: Path):
    documents = rendered(helm)
    logs, lake = (context(pod_of(documents, name), tmp_path) for name in (OF_LOGS, OF_SNOWFLAKE))

    assert (logs["paths"], logs["connection"]) == ((str(tmp_path / "logs"),), None)
    assert (lake["paths"], lake["connection"]) == ((), "ledger")
    for found, platform in ((logs, "warehouse"), (lake, "lake")):
        assert found["follow"]
        assert found["platform"] == platform
        assert found["audit_files"] == (str(tmp_path / "audit"),)
        assert found["state"] == tmp_path / "state" / f"{platform}.state"
        assert (found["output"], found["write"], found["probes"], found["unused"]) == ("ocsf", None, ("0.0.0.0", 8080), 30)


def test_options_of_a_source_reach_the_program(helm: Helm, tmp_path: Path):
    (tmp_path / "logs" / "pg_log").mkdir(parents=True)
    source = {**WAREHOUSE, "pauseSeconds": 0.5, "logs": {**WAREHOUSE["logs"], "folder": "pg_log", "timezone": "Europe/Berlin"}}
    documents = rendered(helm, accessLedger=ON | {"sources": [source], "output": "File", "format": "json", "supplementalGroups": [26]})
    pod = pod_of(documents, OF_LOGS)
    found = context(pod, tmp_path)

    assert found["paths"] == (str(tmp_path / "logs" / "pg_log"),)
    assert (str(found["log_timezone"]), found["pause"], found["output"]) == ("Europe/Berlin", 0.5, "json")
    assert found["write"] == tmp_path / "state" / "warehouse.ndjson"
    assert pod["securityContext"]["supplementalGroups"] == [26]


def test_no_process_has_a_token_a_login_or_a_file_that_it_could_change_but_its_own(helm: Helm):
    documents = rendered(helm)
    for name, own in ((OF_LOGS, "logs"), (OF_SNOWFLAKE, "snowflake")):
        pod = pod_of(documents, name)
        (container,) = pod["containers"]
        assert pod["automountServiceAccountToken"] is False
        assert "serviceAccountName" not in pod
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {each["name"] for each in container["volumeMounts"] if not each.get("readOnly")} <= {"state", "scratch"}
        assert {each["name"] for each in pod["volumes"]} - {"scratch"} == {"audit", "state", own}
        assert {each["mountPath"] for each in container["volumeMounts"] if each["name"] == "audit"} == {"/var/log/rolevend"}
    assert "ROLEVEND_" not in json.dumps([each for each in pods(documents) if "access-ledger" in json.dumps(each)])
    assert not [each for each in documents if each["kind"] in ("Role", "ClusterRole") and "access-ledger" in json.dumps(each)]


def test_of_one_state_there_is_one_process(helm: Helm):
    spec = only(rendered(helm), "Deployment", OF_LOGS)["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_logs_process_reaches_nothing_and_the_other_one_its_account_alone(helm: Helm):
    documents = rendered(helm, networkPolicy={"enabled": True, "snowflakeAccountPorts": [443]})
    logs, lake = (only(documents, "NetworkPolicy", name)["spec"] for name in (OF_LOGS, OF_SNOWFLAKE))

    assert logs["egress"] == []
    assert set(logs["policyTypes"]) == {"Ingress", "Egress"}
    assert {port["port"] for rule in lake["egress"] for port in rule["ports"]} == {53, 443}
    for name, spec in ((OF_LOGS, logs), (OF_SNOWFLAKE, lake)):
        labels = only(documents, "Deployment", name)["spec"]["template"]["metadata"]["labels"]
        assert spec["podSelector"]["matchLabels"].items() <= labels.items()


def test_its_metrics_are_found_also_while_it_is_not_ready(helm: Helm):
    documents = rendered(helm, serviceMonitor={"enabled": True})
    service = only(documents, "Service", "rolevend-access-ledger")
    monitor = only(documents, "ServiceMonitor", "rolevend-access-ledger")

    assert service["spec"]["publishNotReadyAddresses"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    for name in (OF_LOGS, OF_SNOWFLAKE):
        assert service["spec"]["selector"].items() <= only(documents, "Deployment", name)["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("enabled", [False, True])
def test_its_alerts_are_there_with_it_alone(helm: Helm, enabled: bool):
    documents = rendered(helm, accessLedger=ON | {"enabled": enabled}, prometheusRule={"enabled": True})
    (group,) = only(documents, "PrometheusRule")["spec"]["groups"]
    own = {each["alert"] for each in yaml.safe_load((CHART / "alerts.yaml").read_text()) if each.get("accessLedger")}

    assert len(own) == 4
    assert own & {each["alert"] for each in group["rules"]} == (own if enabled else set())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"audit": {}}, "set audit.volume, too"),
        ({"accessLedger": ON | {"volume": {}}}, "accessLedger.volume: name a volume for the state"),
        ({"accessLedger": ON | {"sources": []}}, "accessLedger.sources: name the record of statements"),
        ({"accessLedger": ON | {"sources": [WAREHOUSE, WAREHOUSE]}}, "two have the name warehouse"),
        ({"accessLedger": ON | {"sources": [WAREHOUSE | LAKE]}}, "lake has either logs or snowflake"),
        ({"accessLedger": ON | {"sources": [{"name": "x", "platform": "x"}]}}, "x has either logs or snowflake"),
        ({"accessLedger": ON | {"sources": [{"name": "X", "platform": "x"}]}}, "pattern"),
        (
            {"accessLedger": ON | {"sources": [WAREHOUSE | {"logs": {"volume": {"emptyDir": {}}, "folder": "../etc"}}]}},
            "folder",
        ),
    ],
)
def test_a_mistake_is_named(helm: Helm, values: dict[str, Any], said: str):
    with pytest.raises(AssertionError, match=said):
        rendered(helm, **values)
