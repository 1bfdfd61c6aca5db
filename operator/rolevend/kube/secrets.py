"""Secrets: the credential of a vended role, the two logins of a platform, the key of opaque user handles.

Credential Secrets are created, never overwritten, and deleted with the role that they are for: nobody reaches another Secret through us.
"""

import base64
import binascii
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import assert_never
from urllib.parse import quote, urlencode

from rolevend.errors import ClusterUnavailable, Conflict, InvalidInput, NotPermitted
from rolevend.kube.client import SECRETS, AlreadyExists, Body, Cluster, NotFound, NotYetCollected
from rolevend.model import RoleName
from rolevend.naming import parse_role_name
from rolevend.platforms.base import Address, Credential, KeyPairCredential, PasswordCredential, Secret, TlsMode
from rolevend.vending.verdict import Request

CREDENTIAL_TYPE = "rolevend.dev/credential"
USER_TOKEN_TYPE = "rolevend.dev/user-token"  # noqa: S105 - no password
"""Nothing else is read as a token: nobody learns through us what another Secret holds."""
MOUNTED_AT = "/var/run/secrets/rolevend.dev"
"""Where the `uri` of a credential looks for the authorities: an agent mounts the Secret in a folder of its name there."""
_HANDLE_KEY_BYTES = 32
_LONGEST_NAME, _KEPT = 253, 230

_log = logging.getLogger(__name__)


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


class CredentialSecrets:
    """The credential of each VendedRole in a Secret of the same name, and of its further platforms in others. It owns them, so that they
    are collected where we cannot discard them; but a deletion with `propagationPolicy: Orphan` takes the owner away."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def keep(self, request: Request, fresh: Credential, expires_at: datetime) -> Credential:
        """See vending.vend.CredentialStore."""
        body = _credential_secret(request, fresh, expires_at)
        try:
            await self._cluster.create(SECRETS, body, request.name.namespace)
        except AlreadyExists:
            kept = await self._cluster.get(SECRETS, secret_name(request), request.name.namespace)
            return _kept(request, kept, fresh)
        except NotPermitted as error:
            where = f"namespace {request.name.namespace}"
            raise NotPermitted(f"the operator may not write Secrets in {where}: add it to agentNamespaces in the chart's values") from error
        return fresh

    async def discard(self, request: Request) -> None:
        """See vending.vend.CredentialStore."""
        namespace, name = request.name.namespace, secret_name(request)
        try:
            secret = await self._cluster.get(SECRETS, name, namespace)
            if _is_of(request, secret):
                await self._cluster.delete(SECRETS, name, secret["metadata"]["uid"], namespace)
        except NotFound:
            return
        except NotPermitted as error:  # the namespace is none of the chart's any more: the end of a role waits for no right on Secrets
            _log.warning("discarding a credential that opens nothing any more: %s", error, extra={"object": str(request.name)})


def secret_name(request: Request) -> str:
    """Of its credential. What is too long for a Secret is cut, and told apart by a digest."""
    if not request.further:
        return request.name.name
    name = f"{request.name.name}-{request.platform}"
    return name if len(name) <= _LONGEST_NAME else f"{name[:_KEPT].rstrip('.-')}-{sha256(name.encode()).hexdigest()[:16]}"


async def login(cluster: Cluster, namespace: str, name: str, field: str) -> Login:
    """The keys `username` and `password` of a Secret; InvalidInput names `field`, which refers to it, and what is wrong."""
    secret = await _read(cluster, namespace, name, field)
    username, password = _text(secret, "username"), _text(secret, "password")
    missing = [key for key, value in (("username", username), ("password", password)) if not value]
    if missing:
        raise InvalidInput(field, f"Secret {namespace}/{name} has no usable key {' and no key '.join(missing)}")
    return Login(username, Secret(password), secret["metadata"]["resourceVersion"])


async def key_login(cluster: Cluster, namespace: str, name: str, field: str) -> KeyLogin:
    """The keys `username` and `private_key` of a Secret. One with a `password` is refused: it would be sent to whoever answers."""
    secret = await _read(cluster, namespace, name, field)
    username, private_key = _text(secret, "username"), _text(secret, "private_key")
    if _text(secret, "password"):
        raise InvalidInput(field, f"Secret {namespace}/{name} has a key password, and Snowflake is never given one: use private_key alone")
    missing = [key for key, value in (("username", username), ("private_key", private_key)) if not value]
    if missing:
        raise InvalidInput(field, f"Secret {namespace}/{name} has no usable key {' and no key '.join(missing)}")
    return KeyLogin(username, Secret(private_key), secret["metadata"]["resourceVersion"])


async def user_token(cluster: Cluster, namespace: str, name: str, key: str, field: str) -> Secret:
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
    text = _text(secret, key).strip()
    if not text:
        raise InvalidInput(field, f"Secret {namespace}/{name} has no usable key {key}")
    return Secret(text)


async def authority(cluster: Cluster, namespace: str, name: str, key: str, field: str, now: datetime) -> Authority:
    """The certificates in a key of a Secret, of which at least one is valid now; InvalidInput names `field`, and what is wrong."""
    secret = await _read(cluster, namespace, name, field)
    where = f"key {key} of Secret {namespace}/{name}"
    text = _text(secret, key)
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


async def handle_key(cluster: Cluster, namespace: str, name: str, randomness: Callable[[int], bytes] | None) -> bytes:
    """The key of opaque user handles, made on the first start; it must survive an uninstall, or old role names lose their meaning.
    Without `randomness` somebody else makes it: ClusterUnavailable until then."""
    try:
        secret = await cluster.get(SECRETS, name, namespace)
    except NotFound as error:
        if randomness is None:
            raise ClusterUnavailable(f"there is no Secret {namespace}/{name} yet: the operator makes it on its first start") from error
        encoded = base64.b64encode(randomness(_HANDLE_KEY_BYTES)).decode()
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "annotations": {"helm.sh/resource-policy": "keep"}},
            "data": {"key": encoded},
        }
        try:
            secret = await cluster.create(SECRETS, body, namespace)
        except AlreadyExists:
            secret = await cluster.get(SECRETS, name, namespace)
    key = _bytes(secret, "key")
    if len(key) < _HANDLE_KEY_BYTES:
        raise InvalidInput(f"Secret {namespace}/{name}", f"the key `key` must hold at least {_HANDLE_KEY_BYTES} bytes")
    return key


async def _read(cluster: Cluster, namespace: str, name: str, field: str) -> Body:
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


def _credential_secret(request: Request, credential: Credential, expires_at: datetime) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": CREDENTIAL_TYPE,
        "immutable": True,
        "metadata": {
            "name": secret_name(request),
            "annotations": {"rolevend.dev/expires": expires_at.isoformat()},
            "ownerReferences": [
                {
                    "apiVersion": "rolevend.dev/v1alpha1",
                    "kind": "VendedRole",
                    "name": request.name.name,
                    "uid": request.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "stringData": _login_keys(credential, f"{MOUNTED_AT}/{secret_name(request)}/ca.crt"),
    }


def _login_keys(credential: Credential, authorities: str) -> dict[str, str]:
    """What the agent finds in the Secret. `authorities` is where the key `ca.crt` will be mounted."""
    match credential:
        case PasswordCredential(role, password, address):
            return {
                "username": role,
                "password": password.reveal(),
                "host": address.host,
                "port": str(address.port),
                "dbname": address.database,
                "sslmode": address.tls.mode.value,
                **({} if address.tls.authority is None else {"ca.crt": address.tls.authority}),
                "uri": connection_uri(credential, authorities),
            }
        case KeyPairCredential(role, user, private_key, account):
            return {
                "username": user,
                "role": role,
                **({} if private_key is None else {"private_key": private_key.reveal()}),
                "account": account.identifier,
                "host": account.host,
                "port": str(account.port),
                "database": account.database,
                "warehouse": account.warehouse,
                **({} if account.encrypted else {"protocol": "http"}),
            }
        case _:
            assert_never(credential)


def connection_uri(credential: PasswordCredential, authorities: str | None) -> str:
    """As libpq takes it. `authorities` is the file that will hold the platform's own, where it has any; None: whoever connects adds an
    `sslrootcert`. One that is added wins in any case."""
    address = credential.address
    who = f"{quote(credential.role)}:{quote(credential.password.reveal(), safe='')}"
    where = f"{_host(address)}:{address.port}/{quote(address.database, safe='')}"
    return f"postgresql://{who}@{where}?{urlencode(_protection(address, authorities), safe='/')}"


def _protection(address: Address, authorities: str | None) -> dict[str, str]:
    """libpq's parameters."""
    mode = {"sslmode": address.tls.mode.value}
    if address.tls.authority is not None:
        return mode if authorities is None else {**mode, "sslrootcert": authorities}
    return {**mode, "sslrootcert": "system"} if address.tls.mode is TlsMode.VERIFY_FULL else mode


def _host(address: Address) -> str:
    return f"[{address.host}]" if ":" in address.host else address.host


def _kept(request: Request, secret: Body, fresh: Credential) -> Credential:
    owners = secret["metadata"].get("ownerReferences", [])
    ours = secret.get("type") == CREDENTIAL_TYPE and [(each["kind"], each["name"]) for each in owners] == [
        ("VendedRole", request.name.name)
    ]
    where = f"{request.name.namespace}/{secret_name(request)}"
    if ours and owners[0]["uid"] != request.uid:
        raise NotYetCollected(f"Secret {where} is of an earlier VendedRole of this name, and not collected yet")
    if not ours:
        raise Conflict(f"Secret {where} exists and is not this VendedRole's credential: delete it, or give the VendedRole another name")
    match fresh:
        case PasswordCredential(address=address):
            return PasswordCredential(RoleName(_text(secret, "username")), Secret(_text(secret, "password")), address)
        case KeyPairCredential(account=account):
            role, user = RoleName(_text(secret, "role")), _text(secret, "username")
            key = None if fresh.private_key is None else Secret(_text(secret, "private_key"))
            return KeyPairCredential(role, user, key, account)
        case _:
            assert_never(fresh)


def _is_of(request: Request, secret: Body) -> bool:
    """The name of its role holds the request's uid, and it is immutable: so it can be told also where it has lost its owner."""
    if secret.get("type") != CREDENTIAL_TYPE:
        return False
    owners = [each["uid"] for each in secret["metadata"].get("ownerReferences", [])]
    try:
        role = _text(secret, "role") or _text(secret, "username")
        return request.uid in owners or parse_role_name(role).uid == request.uid
    except InvalidInput:
        return False


def _bytes(secret: Body, key: str) -> bytes:
    try:
        return base64.b64decode((secret.get("data") or {}).get(key, ""), validate=True)
    except binascii.Error:
        return b""


def _text(secret: Body, key: str) -> str:
    try:
        return _bytes(secret, key).decode()
    except UnicodeDecodeError:
        return ""
