"""Run kubectl as one person or ServiceAccount."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rolevend.policytools.embedded.errors import PartFailed
from testbed.controlplane import ControlPlane

_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """The message of a failed command."""

    message: str


class Kubectl:
    """Runs kubectl as the user of `kubeconfig`."""

    def __init__(self, cluster: ControlPlane, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self._cluster = cluster

    def __call__(self, *arguments: str, standard_input: str | None = None) -> str:
        """Return the output of ``kubectl arguments``. Raises `PartFailed` with its message if it fails."""
        answer = self._run(arguments, standard_input)
        if answer.returncode != 0:
            raise PartFailed(f"kubectl {' '.join(arguments)}: {answer.stderr.strip()}")
        return answer.stdout

    def get(self, *arguments: str) -> Any:
        """Return the parsed object of ``kubectl get arguments``."""
        return json.loads(self("get", *arguments, "--output=json"))

    def attempt(self, *arguments: str) -> str | Refusal:
        """Return the output, or the message of a failure."""
        answer = self._run(arguments, None)
        return answer.stdout if answer.returncode == 0 else Refusal(_last_line(answer.stderr))

    def _run(self, arguments: tuple[str, ...], standard_input: str | None) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(  # noqa: S603 - a list, no shell
                [self._cluster.binaries["kubectl"], *arguments],
                input=standard_input,
                stdin=subprocess.DEVNULL if standard_input is None else None,
                env=self._cluster.environment(self.kubeconfig),
                capture_output=True,
                text=True,
                check=False,
                timeout=_TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise PartFailed(f"kubectl {' '.join(arguments)}: no end after {_TIMEOUT:g} s") from error


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
