"""Receivers of notifications in the chart: the operator gets the files that it reads, and no value holds a URL."""

import json
from pathlib import Path
from typing import Any

import pytest

from rolevend.notifications.receivers import read_receivers
from tests.support.installed import CHART
from tests.support.receiving import new_key
from tests.support.rendered import API_ON, Document, Helm, only

ONCALL = {"name": "oncall", "decisions": True, "secretRef": {"name": "rolevend-oncall"}}
CHANNEL = {"name": "claims-channel", "format": "Slack", "secretRef": {"name": "rolevend-channel"}}
NOTIFICATIONS = {"receivers": [ONCALL, CHANNEL], "default": ["oncall"]}
SECRETS = {
    "rolevend-oncall": {"url": "https://hooks.example.org/", "key": new_key()},
    "rolevend-channel": {"url": "https://hooks.example.org/services/T0"},
}


def pod(documents: list[Document]) -> Document:
    return dict(only(documents, "Deployment", "rolevend")["spec"]["template"])


def project(volume: Document, config: Document, folder: Path) -> None:
    """Write the files of a projected volume, as kubelet does."""
    for source in volume["projected"]["sources"]:
        (kind, found) = next(iter(source.items()))
        content = config["data"] if kind == "configMap" else SECRETS[found["name"]]
        for item in found["items"]:
            if item["key"] not in content:
                assert found.get("optional"), item
                continue
            file = folder / item["path"]
            file.parent.mkdir(exist_ok=True)
            file.write_text(content[item["key"]])


def test_the_operator_gets_the_files_that_it_reads(helm: Helm, tmp_path: Path):
    documents = helm.render({"notifications": NOTIFICATIONS})
    spec = pod(documents)["spec"]
    (volume,) = spec["volumes"]
    (mount,) = spec["containers"][0]["volumeMounts"]
    environment = {each["name"]: each.get("value") for each in spec["containers"][0]["env"]}

    project(volume, only(documents, "ConfigMap", "rolevend-notifications"), tmp_path)

    assert environment["ROLEVEND_NOTIFICATIONS_FOLDER"] == mount["mountPath"]
    assert mount["readOnly"]
    found = read_receivers(tmp_path)
    assert found.default == ("oncall",)
    assert [(each.name, each.format.value, each.hears_decisions) for each in found.by_name.values()] == [
        ("oncall", "StandardWebhooks", True),
        ("claims-channel", "Slack", False),
    ]


def test_another_configuration_restarts_the_operator(helm: Helm):
    before, after = (pod(helm.render({"notifications": {"receivers": each}})) for each in ([ONCALL], [ONCALL, CHANNEL]))

    assert before["metadata"]["annotations"] != after["metadata"]["annotations"]


def test_without_receivers_nothing_is_mounted(helm: Helm):
    documents = helm.render()

    assert "volumes" not in pod(documents)["spec"]
    assert "NOTIFICATIONS" not in json.dumps(pod(documents))


def test_the_operator_alone_reaches_receivers(helm: Helm):
    documents = helm.render({"api": API_ON, "networkPolicy": {"enabled": True, "notificationReceiverPorts": [8443]}})

    def ports(name: str) -> set[int]:
        rules = only(documents, "NetworkPolicy", name)["spec"]["egress"]
        return {port["port"] for rule in rules for port in rule["ports"]}

    assert 8443 in ports("rolevend")
    assert 8443 not in ports("rolevend-api")


@pytest.mark.parametrize(
    ("receiver", "word"),
    [
        ({"name": "oncall"}, "secretRef"),
        ({**ONCALL, "name": "On Call"}, "name"),
        ({**ONCALL, "format": "Teams"}, "format"),
        ({**ONCALL, "url": "https://hooks.example.org"}, "url"),
        ({**ONCALL, "decisions": "yes"}, "decisions"),
    ],
)
def test_a_bad_receiver_is_refused_and_named(helm: Helm, receiver: dict[str, Any], word: str):
    done = helm("template", "rolevend", str(CHART), f"--set-json=notifications.receivers={json.dumps([receiver])}")

    assert done.returncode != 0
    assert word in done.stderr
