"""Texts that run in pods as a namespace with `restricted` takes them, and print one line of JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.node.bench import Bench
from tests.support.waiting import eventually

FOLDER = "/var/run/secrets/rolevend.dev"
"""Where a text finds what is projected for it. It can write to /tmp, and nowhere else."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Job:
    name: str
    image: str
    """It has python."""
    text: Path
    argument: Any
    """The only one of the text, as JSON."""
    sources: Sequence[Json]
    """Of the projected volume at `FOLDER`."""
    account: str = "default"
    environment: Mapping[str, str] = field(default_factory=dict)


def printed(bench: Bench, job: Job) -> Any:
    """What it prints, and nothing of it is left. AssertionError with what it says instead, where it fails."""
    bench.kubectl("apply", "--filename=-", standard_input=json.dumps(_manifest(job)))
    try:
        eventually(lambda: bench.get("job", job.name)["status"].get("conditions"), within=120)
        said = bench.kubectl("logs", f"job/{job.name}")
    finally:
        bench.kubectl("delete", f"job/{job.name}", "--cascade=foreground")
    try:
        return json.loads(said)
    except ValueError:
        raise AssertionError(f"{job.name} ended without an answer:\n{said}") from None


def _manifest(job: Job) -> Json:
    mounts = {"projected": FOLDER, "scratch": "/tmp"}
    pod = {
        "serviceAccountName": job.account,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "job",
                "image": job.image,
                "command": ["python", "-c", job.text.read_text(), json.dumps(job.argument)],
                "env": [{"name": key, "value": value} for key, value in job.environment.items()],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": volume, "mountPath": path} for volume, path in mounts.items()],
            }
        ],
        "volumes": [{"name": "projected", "projected": {"sources": list(job.sources)}}, {"name": "scratch", "emptyDir": {}}],
    }
    spec = {"backoffLimit": 0, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": job.name, "namespace": "default"}, "spec": spec}
