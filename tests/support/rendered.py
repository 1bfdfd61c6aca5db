"""What helm makes of the chart and of values, without a cluster."""

import json
import subprocess
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tests.support.installed import AGENTS, CHART, SYSTEM

Document = dict[str, Any]
Served = subprocess.CompletedProcess[str]

SECRET_NAMES = ["warehouse-vendor", "warehouse-ca"]
"""Of a platform, those that the API may read."""
API_ON = {"enabled": True, "tls": {"mode": "Generated"}, "secretNames": SECRET_NAMES}
"""The value `api` with which it needs nothing from elsewhere."""


MCP_ON = {
    "enabled": True,
    "namespace": AGENTS,
    "platforms": ["warehouse"],
    "url": "https://mcp.example.org/mcp",
    "issuer": "https://idp.example.org",
    "clientID": "mcp-server",
    "clientSecretRef": {"name": "mcp-server"},
    "audience": "https://rolevend.example.org",
    "tlsSecretName": "mcp-tls",
}
"""The value `mcp` with all that it needs."""
CONSOLE_ON = {
    "enabled": True,
    "url": "https://console.example.org",
    "identityProvider": "workforce",
    "clientID": "rolevend-console",
    "clientSecretRef": {"name": "console-client"},
    "keySecretRef": {"name": "console-key"},
    "tlsSecretName": "console-tls",
    "groups": ["oidc:owners"],
    "impersonation": "Constrained",
}
"""The value `console` with all that it needs."""
ACCESS_LEDGER_ON = {
    "enabled": True,
    "volume": {"persistentVolumeClaim": {"claimName": "rolevend-access-ledger"}},
    "sources": [
        {"name": "warehouse", "platform": "warehouse", "logs": {"volume": {"persistentVolumeClaim": {"claimName": "warehouse-log"}}}},
        {"name": "lake", "platform": "lake", "snowflake": {"secretName": "rolevend-access-ledger-lake"}},
    ],
}
"""The value `accessLedger`, with a source of each kind. It needs `AUDIT_ON`."""
AUDIT_ON = {"volume": {"persistentVolumeClaim": {"claimName": "rolevend-audit"}}}
ALL_ON = {
    "agentNamespaces": [AGENTS],
    "api": API_ON,
    "mcp": MCP_ON,
    "audit": AUDIT_ON,
    "accessLedger": ACCESS_LEDGER_ON,
    "console": CONSOLE_ON,
}


class Helm:
    def __init__(self, program: Path) -> None:
        self._program = program
        self._rendered: dict[tuple[str, ...], list[Document]] = {}
        """By the flags: helm takes a third of a second each time."""

    def __call__(self, *arguments: str) -> Served:
        return subprocess.run([self._program, *arguments], capture_output=True, text=True, check=False)

    def render(
        self,
        values: Mapping[str, Any] | None = None,
        *arguments: str,
        release: str = "rolevend",
        namespace: str = SYSTEM,
        chart: Path = CHART,
    ) -> list[Document]:
        """AssertionError with what helm says, where it refuses them."""
        wanted = (release, str(chart), "--namespace", namespace, *flags(values or {}), *arguments)
        if wanted not in self._rendered:
            done = self("template", *wanted)
            assert done.returncode == 0, done.stderr
            self._rendered[wanted] = [document for document in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if document]
        return deepcopy(self._rendered[wanted])


def flags(values: Mapping[str, Any]) -> list[str]:
    return [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]


def only(documents: list[Document], kind: str, name: str = "", namespace: str = "") -> Document:
    """The one of this kind; where there are more, of this name and in this namespace."""
    found = [each for each in documents if each["kind"] == kind]
    found = [each for each in found if not name or each["metadata"]["name"] == name]
    (one,) = [each for each in found if not namespace or each["metadata"].get("namespace") == namespace]
    return one


def hooks(documents: list[Document], hook: str) -> list[Document]:
    return [each for each in documents if each["metadata"].get("annotations", {}).get("helm.sh/hook") == hook]


def pods(documents: list[Document]) -> dict[str, Document]:
    """The spec of every pod that the chart makes, by kind and name."""
    made = [each for each in documents if each["kind"] in ("Deployment", "Job", "Pod")]
    return {f"{each['kind']}/{each['metadata']['name']}": _pod(each) for each in made}


def _pod(made: Document) -> Document:
    """The spec of a pod, or of those that are made by a template."""
    spec: Document = made["spec"]
    return spec if made["kind"] == "Pod" else spec["template"]["spec"]
