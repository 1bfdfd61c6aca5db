"""`rolevend platform attest`: asks the operator, through the cluster, to try every promise once more, and waits for what it found.

The operator alone holds the platform's logins; who asks needs no more than the right to change the DataPlatform.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from rolevend.errors import PlatformUnavailable
from rolevend.kube.client import Cluster
from rolevend.kube.paths import path_of
from rolevend.resources import DataPlatform, parse
from rolevend.resources.data_platform import Attestation
from rolevend.resources.shared import ATTEST
from rolevend.resources.status import body

_POLL_SECONDS = 0.3


async def attest(name: str, kubeconfig: str, request: str, seconds: float, tell: Callable[[str], None]) -> Attestation:
    """`request` must be new each time. `tell` hears why it takes so long, each reason once. Raises where there is no answer in time."""
    cluster = await Cluster.connect(kubeconfig)
    try:
        await cluster.merge(path_of(DataPlatform), name, {"metadata": {"annotations": {ATTEST: request}}})
        deadline, told = time.monotonic() + seconds, ""
        while time.monotonic() < deadline:
            platform = parse(DataPlatform, await cluster.get(path_of(DataPlatform), name), unknown="ignore")
            found = platform.status.attestation
            if found is not None and found.request == request:
                return found
            told = _tell_once(platform, told, tell)
            await asyncio.sleep(_POLL_SECONDS)
        raise PlatformUnavailable(f"attesting DataPlatform {name}: no answer within {seconds:g} s; {told or 'is an operator running?'}")
    finally:
        await cluster.close()


def _tell_once(platform: DataPlatform, told: str, tell: Callable[[str], None]) -> str:
    waiting = [each for each in platform.status.conditions if each.type in ("Ready", "Attested") and each.status != "True"]
    why = waiting[0].message if waiting else ""
    if why and why != told:
        tell(why)
    return why or told


def as_json(attestation: Attestation) -> dict[str, Any]:
    return body(attestation)


def as_text(name: str, attestation: Attestation) -> str:
    """A line for each check, what failed first."""
    rows = [("FAILED", check.name, check.detail) for check in attestation.failed]
    rows += [("not preventable here", check.name, check.reason) for check in attestation.not_preventable]
    rows += [("passed", check, "") for check in attestation.passed]
    width = max((len(check) for _, check, _ in rows), default=0)
    lines = [f"{outcome:<20}  {check:<{width}}  {detail}".rstrip() for outcome, check, detail in rows]
    counts = f"{len(attestation.passed)} passed, {len(attestation.failed)} failed, {len(attestation.not_preventable)} not preventable here"
    where = f"PostgreSQL {attestation.server_version}, installed as {attestation.install_mode}, rolevend {attestation.rolevend_version}"
    return "\n".join([*lines, f"{name}: {counts} ({where})"])
