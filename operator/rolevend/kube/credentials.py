"""Secrets with the credential of a vended role, which the operator creates in the agent's namespace.

The operator creates these Secrets, never overwrites one, and deletes it with its role, so nobody can change another Secret through it. An
annotation holds a MAC over the Secret's purpose and all its keys. An attacker who creates a Secret in advance has no key for the MAC, and
the operator takes no password from a Secret without a valid MAC.
"""

import hashlib
import hmac
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, assert_never
from urllib.parse import quote, urlencode

from rolevend.decision.outcome import Request
from rolevend.errors import Conflict, InvalidInput, NotPermitted
from rolevend.kube.client import SECRETS, Body, KubeClient, NotFound, NotYetCollected, ResourceConflict
from rolevend.kube.secrets import refused_in_namespace, text_of
from rolevend.model import RoleName
from rolevend.naming import length_prefixed, parse_role_name
from rolevend.platforms.protocol import Address, Credential, KeyPairCredential, PasswordCredential, Secret, TlsMode

CREDENTIAL_TYPE: Final = "rolevend.dev/credential"
MAC: Final = "rolevend.dev/credential-mac"
"""The annotation that holds the MAC."""
MOUNTED_AT: Final = "/var/run/secrets/rolevend.dev"
"""The `uri` of a credential names the authorities below this path, where the agent mounts the Secret in a folder of its name."""
_LONGEST_NAME, _KEPT = 253, 230

_log = logging.getLogger(__name__)


class CredentialSecrets:
    """Stores the credential of a VendedRole in a Secret of the same name, and for each further platform in another Secret.

    The VendedRole owns them, so the garbage collector deletes those that the operator cannot. A deletion with `propagationPolicy: Orphan`
    removes the owner reference.
    """

    def __init__(self, cluster: KubeClient, key: bytes) -> None:
        """`key` is the key of the MACs."""
        self._cluster = cluster
        self._key = key

    async def keep(self, request: Request, fresh: Credential, expires_at: datetime) -> Credential:
        """See roles.protocols.CredentialStore. Replaces a Secret that claims to be the request's but has no valid MAC, and one for another
        profile: policies changed before the role was created."""
        namespace = request.name.namespace
        body = self._signed(request, _credential_secret(request, fresh, expires_at))
        try:
            if await self._create(body, namespace):
                return fresh
            there = await self._cluster.get(SECRETS, secret_name(request), namespace)
            where = f"Secret {namespace}/{secret_name(request)}"
            if self._wrote(request, there):
                if _is_current(there, fresh):
                    return _kept(there, fresh)
            else:
                _refuse_others(request, there)
                _log.warning("replaced a credential that this operator did not write: %s", where, extra={"object": str(request.name)})
            await self._cluster.delete(SECRETS, secret_name(request), there["metadata"]["uid"], namespace)
            if not await self._create(body, namespace):
                raise Conflict(f"{where} is written again by somebody else: find out who creates Secrets in namespace {namespace}")
        except NotPermitted as error:
            raise refused_in_namespace("write Secrets", namespace, error) from error
        return fresh

    async def discard(self, request: Request) -> None:
        """See roles.protocols.CredentialStore."""
        namespace, name = request.name.namespace, secret_name(request)
        try:
            secret = await self._cluster.get(SECRETS, name, namespace)
            if _is_of(request, secret):
                await self._cluster.delete(SECRETS, name, secret["metadata"]["uid"], namespace)
        except NotFound:
            return
        except NotPermitted as error:  # the chart may not list the namespace any more; a drop must not wait for the right
            _log.warning("cannot delete the credential of a role that is gone: %s", error, extra={"object": str(request.name)})

    async def _create(self, body: Body, namespace: str) -> bool:
        """Return False if a Secret of this name exists."""
        try:
            await self._cluster.create(SECRETS, body, namespace)
        except ResourceConflict:
            return False
        return True

    def _signed(self, request: Request, body: Body) -> Body:
        annotations = {**body["metadata"]["annotations"], MAC: self._mac(request, body["stringData"])}
        return {**body, "metadata": {**body["metadata"], "annotations": annotations}}

    def _wrote(self, request: Request, secret: Body) -> bool:
        """True if an operator with this key wrote the Secret for this request."""
        actual = str((secret["metadata"].get("annotations") or {}).get(MAC, ""))
        expected = self._mac(request, _texts(secret))
        return secret.get("type") == CREDENTIAL_TYPE and hmac.compare_digest(actual.encode(), expected.encode())

    def _mac(self, request: Request, texts: Mapping[str, str]) -> str:
        members = [part for key in sorted(texts) for part in (key, texts[key])]
        about = length_prefixed(request.name.namespace, secret_name(request), request.uid, *members)
        return hmac.new(self._key, about, hashlib.sha256).hexdigest()


def secret_name(request: Request) -> str:
    """Return the name of the credential's Secret. A name that is too long is cut, and a digest keeps it unique."""
    if not request.further:
        return request.name.name
    name = f"{request.name.name}-{request.platform}"
    return name if len(name) <= _LONGEST_NAME else f"{name[:_KEPT].rstrip('.-')}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


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
    """Return the keys of the Secret. `authorities` is the path at which the agent mounts the key `ca.crt`."""
    match credential:
        case PasswordCredential(role, password, address, schema):
            return {
                "username": role,
                "password": password.reveal(),
                "host": address.host,
                "port": str(address.port),
                "dbname": address.database,
                "schema": schema,
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
    """Return a URI for libpq. `authorities` is the path of the platform's own authorities, if it has any. With None the caller adds it.

    No parameter is there twice, which some clients refuse, and `sslrootcert` is the last one, so that a shell can replace its value.
    """
    address = credential.address
    who = f"{quote(credential.role)}:{quote(credential.password.reveal(), safe='')}"
    where = f"{_host(address)}:{address.port}/{quote(address.database, safe='')}"
    return f"postgresql://{who}@{where}?{urlencode(_protection(address, authorities), safe='/')}"


def _protection(address: Address, authorities: str | None) -> dict[str, str]:
    """Return the TLS parameters of libpq."""
    mode = {"sslmode": address.tls.mode.value}
    if address.tls.authority is not None:
        return mode if authorities is None else {**mode, "sslrootcert": authorities}
    return {**mode, "sslrootcert": "system"} if address.tls.mode is TlsMode.VERIFY_FULL else mode


def _host(address: Address) -> str:
    return f"[{address.host}]" if ":" in address.host else address.host


def _refuse_others(request: Request, secret: Body) -> None:
    """Raise Conflict or NotYetCollected for a Secret that is not this request's credential."""
    where = f"{request.name.namespace}/{secret_name(request)}"
    owners = [(each["kind"], each["name"]) for each in secret["metadata"].get("ownerReferences", [])]
    if _is_of(request, secret):
        return
    if secret.get("type") == CREDENTIAL_TYPE and owners == [("VendedRole", request.name.name)]:
        raise NotYetCollected(f"Secret {where} is of an earlier VendedRole of this name, and not collected yet")
    raise Conflict(f"Secret {where} exists and is not this VendedRole's credential: delete it, or give the VendedRole another name")


def _is_current(secret: Body, fresh: Credential) -> bool:
    """True if the Secret names the schema of the role. Secrets of earlier versions name none."""
    return not isinstance(fresh, PasswordCredential) or (text_of(secret, "schema") or fresh.schema) == fresh.schema


def _kept(secret: Body, fresh: Credential) -> Credential:
    texts = _texts(secret)
    match fresh:
        case PasswordCredential():
            return replace(fresh, role=RoleName(texts.get("username", "")), password=Secret(texts.get("password", "")), verifier=None)
        case KeyPairCredential(account=account):
            key = None if fresh.private_key is None else Secret(texts.get("private_key", ""))
            return KeyPairCredential(RoleName(texts.get("role", "")), texts.get("username", ""), key, account)
        case _:
            assert_never(fresh)


def _texts(secret: Body) -> dict[str, str]:
    """Return all keys and values, each value that is not text as an empty one: the MAC covers every key."""
    return {key: text_of(secret, key) or "" for key in secret.get("data") or {}}


def _is_of(request: Request, secret: Body) -> bool:
    """True for the request's credential, also without the owner: the Secret is immutable, and its role's name holds the uid."""
    if secret.get("type") != CREDENTIAL_TYPE:
        return False
    owners = [each["uid"] for each in secret["metadata"].get("ownerReferences", [])]
    try:
        role = text_of(secret, "role") or text_of(secret, "username") or ""
        return request.uid in owners or parse_role_name(role).uid == request.uid
    except InvalidInput:
        return False
