"""A DataPlatform that alone knows the used tokens is kept until they are recorded elsewhere, too."""

from typing import Any, cast

import pytest

from rolevend.controllers.platform_finalizer import PlatformFinalizer
from rolevend.kinds import FINALIZER, DataPlatform, parse
from rolevend.kube.client import KubeClient
from rolevend.platform_runtime.registry import ConnectedPlatform
from tests.support.painted import WAREHOUSE, raw


class Patches:
    def __init__(self) -> None:
        self.finalizers: list[list[str]] = []

    async def merge(self, _resource: object, _name: str, patch: dict[str, Any]) -> None:
        self.finalizers.append(patch["metadata"]["finalizers"])


@pytest.mark.parametrize(("mode", "released"), [("Enabled", []), ("Joining", [[]]), ("Disabled", [[]])])
async def test_a_platform_that_is_the_only_ledger_is_not_released(mode: str, released: list[list[str]]):
    doomed = {"deletionTimestamp": "2026-11-24T12:00:00Z", "finalizers": [FINALIZER]}
    platform = parse(DataPlatform, raw("DataPlatform", WAREHOUSE, "", ("spec.postgres.ledger", mode), **doomed))
    patches = Patches()

    await PlatformFinalizer(cast(KubeClient, patches), lambda _: False).consider(WAREHOUSE, ConnectedPlatform(platform))

    assert patches.finalizers == released
