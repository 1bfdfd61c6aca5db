"""A responder on a site: a person who runs `rolevend revoke` with the rights of the chart's ClusterRole."""

import subprocess
from pathlib import Path

from tests.support.commanding import rolevend
from tests.support.site import Site

RESPONDER = "rita@example.org"


class Responder:
    def __init__(self, site: Site, directory: Path) -> None:
        site.cluster.bind(RESPONDER, "rolevend-responder")
        self._environment = site.cluster.environment(RESPONDER, directory)

    def revoke(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return rolevend(self._environment, "revoke", *arguments)
