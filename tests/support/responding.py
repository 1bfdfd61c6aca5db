"""A responder on a site: a person who runs `rolevend revoke` with the rights of the chart's ClusterRole."""

import subprocess
import sys
from pathlib import Path

from tests.support.site import Site

RESPONDER = "rita@example.org"


class Responder:
    def __init__(self, site: Site, directory: Path) -> None:
        site.cluster.bind(RESPONDER, "rolevend-responder")
        self._environment = site.cluster.environment(RESPONDER, directory)

    def revoke(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "rolevend", "revoke", *arguments]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False, timeout=300)
