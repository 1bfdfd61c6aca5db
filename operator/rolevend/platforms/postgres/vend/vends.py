"""Vend by calls to the database's functions: one round trip for up to sixty roles."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from rolevend.errors import InvalidInput, RolevendError
from rolevend.model import Task
from rolevend.plan import Lease, LeaseRecord, RoleLimits
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.failures import failure
from rolevend.platforms.postgres.vend.scram import SALT_BYTES, verifier
from rolevend.platforms.protocol import CreatedRole, Credential, PasswordCredential

CHUNK = 60
"""The maximum batch of `rolevend.vend_many`."""

_ONE = """
SELECT rolevend.vend(%(role)s, %(cluster)s, %(uid)s, %(profile)s, %(verifier)s, %(expires_at)s::timestamptz,
                     %(agent)s, %(issuer)s, %(subject)s, %(attrs)s::jsonb, %(limits)s::jsonb, %(resources)s::jsonb,
                     %(record)s::jsonb)
"""
_MANY = "SELECT role, expires_at, failed, message FROM rolevend.vend_many(%(vends)s::jsonb)"


_LONGEST_APPLICATION_NAME: Final = 63
_DIGEST_DIGITS: Final = 16
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9._:-]")

Run = Callable[[Callable[[Connection], Any]], Any]
"""Calls a function with a connection and returns its result."""


def prepared(credential: PasswordCredential, iterations: int) -> PasswordCredential:
    """Return the credential with its verifier, salted by the password, which has 256 random bits: the same vend gives the same verifier."""
    if credential.verifier is not None:
        return credential
    password = credential.password.reveal()
    salt = hashlib.sha256(f"rolevend salt of {credential.role} {password}".encode()).digest()[:SALT_BYTES]
    return replace(credential, verifier=verifier(password, salt, iterations))


def vend_all(run: Run, attempt: str, vends: Sequence[tuple[Lease, Credential]], iterations: int) -> Sequence[CreatedRole]:
    """Return one result for each vend, in their order. A vend fails alone; a lost connection fails the whole chunk."""
    answers: list[CreatedRole] = []
    for start in range(0, len(vends), CHUNK):
        answers += _chunk(run, attempt, vends[start : start + CHUNK], iterations)
    return answers


def _chunk(run: Run, attempt: str, vends: Sequence[tuple[Lease, Credential]], iterations: int) -> list[CreatedRole]:
    refused: dict[Any, InvalidInput] = {}
    sent: dict[Any, dict[str, Any]] = {}
    for lease, credential in vends:
        arguments = _arguments(lease, credential, iterations)
        if isinstance(arguments, InvalidInput):
            refused[lease.role] = arguments
        else:
            sent[lease.role] = arguments
    try:
        made = _send(run, attempt, list(sent.values()))
    except RolevendError as error:
        made = {role: CreatedRole(role, None, error) for role in sent}
    return [made[lease.role] if lease.role in sent else CreatedRole(lease.role, None, refused[lease.role]) for lease, _ in vends]


def _send(run: Run, attempt: str, sent: list[dict[str, Any]]) -> dict[Any, CreatedRole]:
    if not sent:
        return {}
    if len(sent) == 1:
        (one,) = sent
        parameters = {**one, **{key: _json(one[key]) for key in ("attrs", "limits", "resources", "record")}}
        expires_at: datetime = run(lambda connection: connection.execute(_ONE, parameters, prepare=True).fetchone())[0]
        return {one["role"]: CreatedRole(one["role"], expires_at)}
    rows = run(lambda connection: connection.execute(_MANY, {"vends": json.dumps(sent)}, prepare=True).fetchall())
    return {
        role: CreatedRole(role, expires_at, None if failed is None else failure(attempt, failed, message))
        for role, expires_at, failed, message in rows
    }


def _arguments(lease: Lease, credential: Credential, iterations: int) -> dict[str, Any] | InvalidInput:
    if not isinstance(credential, PasswordCredential):
        return InvalidInput("credential", f"of {credential.role} is a key, and PostgreSQL takes a password")
    unsendable = _unsendable(lease, credential)
    if unsendable is not None:
        return unsendable
    return {
        "role": lease.role,
        "cluster": lease.cluster,
        "uid": lease.uid,
        "profile": lease.profile,
        "verifier": prepared(credential, iterations).verifier,
        "expires_at": lease.expires_at.isoformat(),
        "agent": str(lease.agent),
        "issuer": lease.user.issuer,
        "subject": lease.user.subject,
        "attrs": {key: list(values) for key, values in lease.attributes},
        "limits": {**_limits(lease.limits), **application_name(lease.task)},
        "resources": _resources(lease),
        "record": None if lease.record is None else _record(lease.record),
    }


def _resources(lease: Lease) -> dict[str, list[str]] | None:
    """Return schema -> tables; nested, so that names may contain any separator."""
    if lease.resources is None:
        return None
    return {
        schema: [each.name for each in lease.resources if each.schema == schema] for schema in {each.schema for each in lease.resources}
    }


def _record(record: LeaseRecord) -> dict[str, Any]:
    token = {} if record.token is None else {"token": record.token.digest, "token_until": record.token.expires_at.isoformat()}
    most_live = {} if record.most_live is None else {"most_live": record.most_live}
    return {"name": str(record.name), "body": record.body, "call": record.call, "seal": record.seal, **token, **most_live}


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def _limits(limits: RoleLimits) -> dict[str, int]:
    idle = {} if limits.idle_seconds is None else {"idle_seconds": limits.idle_seconds}
    return {
        "connections": limits.connections,
        "transaction_seconds": limits.transaction_seconds,
        "idle_transaction_seconds": limits.idle_transaction_seconds,
        "temp_file_kb": limits.temp_file_mebibytes * 1024,
        **idle,
    }


def application_name(task: Task | None) -> dict[str, str]:
    """Return the task's name for the role's lease: `task:`, the id as far as it fits, and a prefix of the digest of its intent. Other
    characters become `_`. The role's sessions do not show it, because other roles could read it there.
    """
    if task is None:
        return {}
    digest = "" if task.intent_digest is None else f":{task.intent_digest.removeprefix('sha256:')[:_DIGEST_DIGITS]}"
    plain = _NOT_PLAIN.sub("_", task.id)
    return {"application_name": f"task:{plain}"[: _LONGEST_APPLICATION_NAME - len(digest)] + digest}


def _unsendable(lease: Lease, credential: Credential) -> InvalidInput | None:
    """Return an error for texts that PostgreSQL cannot store; checked here, so that they do not fail the whole chunk."""
    if lease.role != credential.role:
        return InvalidInput("credential", f"is for {credential.role}, and the lease for {lease.role}")
    named = [text for table in lease.resources or () for text in (table.schema, table.name)]
    texts = [*named, lease.user.issuer, lease.user.subject, *(text for key, values in lease.attributes for text in (key, *values))]
    if lease.record is not None:
        texts += [str(lease.record.name), lease.record.body, lease.record.call, lease.record.seal]
    if not all(map(_is_storable, texts)):
        return InvalidInput("attributes", f"{lease.role}: NUL and lone surrogates are no text")
    return None


def _is_storable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
