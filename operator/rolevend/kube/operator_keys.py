"""Secrets with a key of the operator's own, which it creates on its first start."""

import base64
from collections.abc import Callable

from rolevend.errors import ClusterUnavailable, InvalidInput
from rolevend.kube.client import SECRETS, Body, KubeClient, NotFound, ResourceConflict
from rolevend.kube.secrets import bytes_of

CREDENTIAL_KEY_SECRET = "rolevend-credential-key"  # noqa: S105 - its name
"""The key of the MACs in `credentials`. The API has no right to read it, so it cannot write a credential that the operator accepts."""
_KEY_BYTES = 32


async def operator_key(cluster: KubeClient, namespace: str, name: str, randomness: Callable[[int], bytes] | None) -> bytes:
    """Read the key, or create it from `randomness`. Without `randomness` raises ClusterUnavailable if another process has not created it.

    Helm keeps the Secret after an uninstall: a new key would change the opaque handles of users, so that old role names lose their meaning.
    """
    try:
        secret = await cluster.get(SECRETS, name, namespace)
    except NotFound as error:
        if randomness is None:
            raise ClusterUnavailable(f"there is no Secret {namespace}/{name} yet: the operator makes it on its first start") from error
        secret = await _create(cluster, namespace, name, randomness(_KEY_BYTES))
    key = bytes_of(secret, "key")
    if key is None or len(key) < _KEY_BYTES:
        raise InvalidInput(f"Secret {namespace}/{name}", f"the key `key` must hold at least {_KEY_BYTES} bytes")
    return key


async def _create(cluster: KubeClient, namespace: str, name: str, key: bytes) -> Body:
    """Return the Secret that exists now: another replica may create one at the same time."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "annotations": {"helm.sh/resource-policy": "keep"}},
        "data": {"key": base64.b64encode(key).decode()},
    }
    try:
        return await cluster.create(SECRETS, body, namespace)
    except ResourceConflict:
        return await cluster.get(SECRETS, name, namespace)
