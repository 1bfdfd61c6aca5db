"""Secrets that are read: the two logins of a platform, authorities, tokens of users, and the keys that the operator makes for itself."""

import base64
import binascii
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from rolevend.errors import ClusterUnavailable, InvalidInput, NotPermitted
from rolevend.kube.client import SECRETS, Body, KubeClient, NotFound, ResourceConflict
from rolevend.platforms.protocol import Secret

USER_TOKEN_TYPE = "rolevend.dev/user-token"  # noqa: S105 - no password
"""Nothing else is read as a token: nobody learns through us what another Secret holds."""
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    password: Secret
    version: str
    """Changes when the Secret does."""


@dataclass(frozen=True, slots=True)
class KeyLogin:
    username: str
    private_key: Secret
    """In PEM."""
    version: str
    """Changes when the Secret does."""


@dataclass(frozen=True, slots=True)
class Authority:
    """PEM certificates of who may sign a server's."""

    certificates: str
    version: str
    """Changes when the Secret does."""


async def login(cluster: KubeClient, namespace: str, name: str, field: str) -> Login:
    """The keys `username` and `password` of a Secret; InvalidInput names `field`, which refers to it, and what is wrong."""
    secret = await _read(cluster, namespace, name, field)
    username, password = text_of(secret, "username"), text_of(secret, "password")
    missing = [key for key, value in (("username", username), ("password", password)) if not value]
    if missing:
        raise InvalidInput(field, f"Secret {namespace}/{name} has no usable key {' and no key '.join(missing)}")
    return Login(username, Secret(password), secret["metadata"]["resourceVersion"])


async def key_login(cluster: KubeClient, namespace: str, name: str, field: str) -> KeyLogin:
    """The keys `username` and `private_key` of a Secret. One with a `password` is refused: it would be sent to whoever answers."""
    secret = await _read(cluster, namespace, name, field)
    username, private_key = text_of(secret, "username"), text_of(secret, "private_key")
    if text_of(secret, "password"):
        raise InvalidInput(field, f"Secret {namespace}/{name} has a key password, and Snowflake is never given one: use private_key alone")
    missing = [key for key, value in (("username", username), ("private_key", private_key)) if not value]
    if missing:
        raise InvalidInput(field, f"Secret {namespace}/{name} has no usable key {' and no key '.join(missing)}")
    return KeyLogin(username, Secret(private_key), secret["metadata"]["resourceVersion"])


async def user_token(cluster: KubeClient, namespace: str, name: str, key: str, field: str) -> Secret:
    """The token in a key of a Secret of our own type; InvalidInput names `field`, and what is wrong."""
    try:
        secret = await cluster.get(SECRETS, name, namespace)
    except NotFound as error:
        raise InvalidInput(field, f"there is no Secret {name} in namespace {namespace}") from error
    except NotPermitted as error:
        where = f"namespace {namespace}"
        raise NotPermitted(f"the operator may not read Secrets in {where}: add it to agentNamespaces in the chart's values") from error
    if secret.get("type") != USER_TOKEN_TYPE:
        raise InvalidInput(field, f"Secret {namespace}/{name} is not of type {USER_TOKEN_TYPE}, and nothing else is read as a token")
    text = text_of(secret, key).strip()
    if not text:
        raise InvalidInput(field, f"Secret {namespace}/{name} has no usable key {key}")
    return Secret(text)


async def authority(cluster: KubeClient, namespace: str, name: str, key: str, field: str, now: datetime) -> Authority:
    """The certificates in a key of a Secret, of which at least one is valid now; InvalidInput names `field`, and what is wrong."""
    secret = await _read(cluster, namespace, name, field)
    where = f"key {key} of Secret {namespace}/{name}"
    text = text_of(secret, key)
    if not text:
        there = ", ".join(sorted(secret.get("data") or {})) or "none"
        raise InvalidInput(field, f"there is no usable {where}, which has the keys: {there}")
    try:
        end = _last_end(text)
    except (ssl.SSLError, ValueError, TypeError) as error:  # TypeError: no ASCII
        raise InvalidInput(field, f"{where} holds no certificates in PEM") from error
    if end is not None and end <= now:
        raise InvalidInput(field, f"the authority in {where} expired at {end:%Y-%m-%d %H:%M} UTC: put the one there that followed it")
    return Authority(text, secret["metadata"]["resourceVersion"])


async def own_key(cluster: KubeClient, namespace: str, name: str, randomness: Callable[[int], bytes] | None) -> bytes:
    """A key of the operator's own, made on its first start. That of opaque user handles must survive an uninstall, or old role names lose
    their meaning. Without `randomness` somebody else makes it: ClusterUnavailable until then."""
    try:
        secret = await cluster.get(SECRETS, name, namespace)
    except NotFound as error:
        if randomness is None:
            raise ClusterUnavailable(f"there is no Secret {namespace}/{name} yet: the operator makes it on its first start") from error
        encoded = base64.b64encode(randomness(_KEY_BYTES)).decode()
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "annotations": {"helm.sh/resource-policy": "keep"}},
            "data": {"key": encoded},
        }
        try:
            secret = await cluster.create(SECRETS, body, namespace)
        except ResourceConflict:
            secret = await cluster.get(SECRETS, name, namespace)
    key = _bytes(secret, "key")
    if len(key) < _KEY_BYTES:
        raise InvalidInput(f"Secret {namespace}/{name}", f"the key `key` must hold at least {_KEY_BYTES} bytes")
    return key


async def _read(cluster: KubeClient, namespace: str, name: str, field: str) -> Body:
    """One that a platform or an issuer refers to by `field`. The API has a right on each by its name."""
    try:
        return await cluster.get(SECRETS, name, namespace)
    except NotFound as error:
        raise InvalidInput(field, f"there is no Secret {name} in namespace {namespace}") from error
    except NotPermitted as error:
        way_out = "where this is the API, add it to api.secretNames in the chart's values"
        raise NotPermitted(f"{field}: there is no right to read Secret {namespace}/{name}; {way_out}") from error


@lru_cache(maxsize=64)  # each platform's is looked at every few seconds
def _last_end(certificates: str) -> datetime | None:
    """When the last of these authorities ends; None where none of the certificates is an authority's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificates)
    ends = (datetime.fromtimestamp(ssl.cert_time_to_seconds(str(each["notAfter"])), UTC) for each in context.get_ca_certs())
    return max(ends, default=None)


def texts_of(secret: Body) -> dict[str, str]:
    """What a Secret says, by key; what is no text is empty."""
    return {key: text_of(secret, key) for key in secret.get("data") or {}}


def _bytes(secret: Body, key: str) -> bytes:
    try:
        return base64.b64decode((secret.get("data") or {}).get(key, ""), validate=True)
    except binascii.Error:
        return b""


def text_of(secret: Body, key: str) -> str:
    try:
        return _bytes(secret, key).decode()
    except UnicodeDecodeError:
        return ""
