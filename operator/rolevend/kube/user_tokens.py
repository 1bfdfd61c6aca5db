"""Secrets with a user's token, which an agent creates in its namespace and its VendedRole refers to."""

from rolevend.errors import InvalidInput, NotPermitted
from rolevend.kube.client import SECRETS, KubeClient, NotFound
from rolevend.kube.secrets import refused_in_namespace, text_of
from rolevend.platforms.protocol import Secret

USER_TOKEN_TYPE = "rolevend.dev/user-token"  # noqa: S105 - no password
"""The only type that is read: the operator discloses nothing about other Secrets of the namespace."""


async def user_token(cluster: KubeClient, namespace: str, name: str, key: str, field: str) -> Secret:
    """Read the token in a key of a Secret. Raises InvalidInput, which names `field`, if the Secret, its type or its key is wrong."""
    try:
        secret = await cluster.get(SECRETS, name, namespace)
    except NotFound as error:
        raise InvalidInput(field, f"there is no Secret {name} in namespace {namespace}") from error
    except NotPermitted as error:
        raise refused_in_namespace("read Secrets", namespace, error) from error
    if secret.get("type") != USER_TOKEN_TYPE:
        raise InvalidInput(field, f"Secret {namespace}/{name} is not of type {USER_TOKEN_TYPE}, and nothing else is read as a token")
    text = (text_of(secret, key) or "").strip()
    if not text:
        raise InvalidInput(field, f"Secret {namespace}/{name} has no usable key {key}")
    return Secret(text)
