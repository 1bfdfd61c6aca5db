"""Secrets with a login of a DataPlatform: a user name with a password (PostgreSQL) or with a private key (Snowflake)."""

from dataclasses import dataclass

from rolevend.errors import InvalidInput
from rolevend.kube.client import Body, KubeClient
from rolevend.kube.secrets import read_secret, text_of
from rolevend.platforms.protocol import Secret


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    password: Secret
    version: str | None = None
    """The Secret's resourceVersion, or None if the login is not from a Secret of the cluster."""


@dataclass(frozen=True, slots=True)
class KeyLogin:
    username: str
    private_key: Secret
    """In PEM."""
    version: str | None = None
    """See Login."""


async def login(cluster: KubeClient, namespace: str, name: str, field: str) -> Login:
    """Read `username` and `password`. Raises InvalidInput, which names `field`, if the Secret or a key is missing."""
    secret = await read_secret(cluster, namespace, name, field)
    username, password = _required(secret, ("username", "password"), f"Secret {namespace}/{name}", field)
    return Login(username, Secret(password), secret["metadata"]["resourceVersion"])


async def key_login(cluster: KubeClient, namespace: str, name: str, field: str) -> KeyLogin:
    """Read `username` and `private_key`. Raises InvalidInput, which names `field`, if the Secret or a key is missing.

    Also refuses a Secret with a `password`: the connector would send it to any server that answers.
    """
    secret, where = await read_secret(cluster, namespace, name, field), f"Secret {namespace}/{name}"
    if text_of(secret, "password") is not None:
        raise InvalidInput(field, f"{where} has a key password, and Snowflake is never given one: use private_key alone")
    username, private_key = _required(secret, ("username", "private_key"), where, field)
    return KeyLogin(username, Secret(private_key), secret["metadata"]["resourceVersion"])


def _required(secret: Body, keys: tuple[str, str], where: str, field: str) -> tuple[str, str]:
    first, second = (text_of(secret, key) for key in keys)
    if first is None or second is None:
        missing = [key for key, value in zip(keys, (first, second), strict=True) if value is None]
        raise InvalidInput(field, f"{where} has no usable key {' and no key '.join(missing)}")
    return first, second
