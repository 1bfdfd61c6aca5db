"""A key of the operator is created once, and is long enough."""

from typing import cast

import pytest

from rolevend.errors import ClusterUnavailable, InvalidInput
from rolevend.kube.client import KubeClient
from rolevend.kube.operator_keys import operator_key
from tests.support.secrets import SecretStore


@pytest.fixture
def secrets() -> SecretStore:
    return SecretStore()


async def test_the_key_of_handles_is_made_once(secrets: SecretStore):
    first = await operator_key(cast(KubeClient, secrets), "system", "key", lambda count: b"a" * count)

    second = await operator_key(cast(KubeClient, secrets), "system", "key", lambda count: b"b" * count)

    assert first == second == b"a" * 32


async def test_a_key_that_is_too_short_is_refused(secrets: SecretStore):
    await secrets.put("key", key="short")

    with pytest.raises(InvalidInput, match="at least 32 bytes"):
        await operator_key(cast(KubeClient, secrets), "system", "key", lambda count: b"a" * count)


async def test_a_process_that_may_not_create_the_key_waits_for_the_operator(secrets: SecretStore):
    with pytest.raises(ClusterUnavailable, match="there is no Secret system/key yet: the operator makes it on its first start"):
        await operator_key(cast(KubeClient, secrets), "system", "key", None)
