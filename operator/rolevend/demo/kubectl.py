"""kubectl and helm, run as one person or ServiceAccount. Leaves nothing in the home of whoever runs the demo."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rolevend.demo.controlplane import ControlPlane
from rolevend.demo.errors import PartFailed

_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a command said that failed."""

    message: str


class Kubectl:
    """The commands as whoever `kubeconfig` is."""

    def __init__(self, cluster: ControlPlane, kubeconfig: Path, scratch: Path) -> None:
        self.kubeconfig = kubeconfig
        self._cluster = cluster
        self._scratch = scratch

    def __call__(self, *arguments: str, standard_input: str | None = None) -> str:
        """What ``kubectl arguments`` prints; `PartFailed` with what it said if it fails."""
        return self._run("kubectl", arguments, standard_input)

    def get(self, *arguments: str) -> Any:
        """``kubectl get arguments`` as the object that it is."""
        return json.loads(self("get", *arguments, "--output=json"))

    def attempt(self, *arguments: str) -> str | Refusal:
        """What it prints, or what it says if it fails."""
        answer = self._start("kubectl", arguments, None)
        return answer.stdout if answer.returncode == 0 else Refusal(_last_line(answer.stderr))

    def helm(self, *arguments: str) -> str:
        return self._run("helm", arguments, None)

    @property
    def environment(self) -> Mapping[str, str]:
        """Of every command: ours, but for whatever the person has set up for kubectl and helm themselves."""
        homes = {f"HELM_{name}_HOME": str(self._scratch / "helm" / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        return {
            **self._cluster.environment(self.kubeconfig),
            **homes,
            "KUBECACHEDIR": str(self._scratch / "kube-cache"),
            "KUBERC": "off",
        }

    def _run(self, program: str, arguments: tuple[str, ...], standard_input: str | None) -> str:
        answer = self._start(program, arguments, standard_input)
        if answer.returncode != 0:
            raise PartFailed(f"{program} {' '.join(arguments)}: {answer.stderr.strip()}")
        return answer.stdout

    def _start(self, program: str, arguments: tuple[str, ...], standard_input: str | None) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(  # noqa: S603 - a list, no shell
                [self._cluster.binaries[program], *arguments],
                input=standard_input,
                stdin=subprocess.DEVNULL if standard_input is None else None,
                env=dict(self.environment),
                capture_output=True,
                text=True,
                check=False,
                timeout=_TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise PartFailed(f"{program} {' '.join(arguments)}: no end after {_TIMEOUT:g} s") from error


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
