"""Which effect a request of the operator, or of the API, has, if any: the other side of `rolevend.roles.side_effects`."""

import re
from importlib.resources import files
from typing import TypeVar

from rolevend.roles.side_effects import CallEffect, Effect
from tests.support.proxies import Asked

_OBJECT = r"/apis/rolevend\.dev/v1alpha1/namespaces/[^/]+/vendedroles/[^/]+"
_REQUEST = r"/apis/rolevend\.dev/v1alpha1/namespaces/[^/]+/accessrequests/[^/]+"
_API = {
    Effect.FINALIZER: rf'PATCH {_OBJECT}\n.*"finalizers": ?\["rolevend\.dev/drop"\]|PATCH {_OBJECT}\n.*"op": "add".*finalizers',
    Effect.FINALIZER_OFF: rf'PATCH {_OBJECT}\n.*"op": "remove".*finalizers',
    Effect.RECONSIDERED: rf'PATCH {_OBJECT}\n.*"rolevend\.dev/reconsidered"',
    Effect.TOKEN_TAKEN: r'POST /apis/coordination\.k8s\.io/v1/namespaces/rolevend-system/leases\n.*"rolevend-token-',
    Effect.HANDLE: r"POST /api/v1/namespaces/rolevend-system/configmaps\n(?!.*rolevend-catalogs-)",
    Effect.NOTIFIED: rf'PATCH {_REQUEST}/status\n.*"notifications"',
    Effect.APPROVAL_USED: rf'PATCH {_REQUEST}/status\n.*"uses"',
    Effect.INTENT: rf'PATCH {_OBJECT}/status\n.*"state": "Pending"',
    Effect.CREDENTIAL: r'POST /api/v1/namespaces/[^/]+/secrets\n.*"rolevend\.dev/credential"',
    Effect.CREDENTIAL_GONE: r"DELETE /api/v1/namespaces/[^/]+/secrets/",
    Effect.READY: rf'PATCH {_OBJECT}/status\n.*"state": "Live"',
    Effect.REASON: rf'PATCH {_OBJECT}/status\n.*"ended"',
    Effect.REPORTED: rf"PATCH {_OBJECT}/status\n",
    Effect.DELETION: rf"DELETE {_OBJECT}\n",
    Effect.EVENT: r"POST /api/v1/namespaces/[^/]+/events\n",
}
_SQL = {
    Effect.TEMPLATE_ROLES: r"rolevend\.make_templates\(",
    Effect.TEMPLATE: r"rolevend\.record_template\(",
    Effect.PROFILE: r"rolevend\.record_profile\(",
    Effect.ROLE: r"rolevend\.vend(_many)?\(",
    Effect.CLOSED: r"rolevend\.close_many\(",
    Effect.FINISHED: r"rolevend\.finish_many\(",
    Effect.CURBED: r"rolevend\.curb\(",
    Effect.DRIFT_NOTED: r"rolevend\.drift\(",
    Effect.FORGOTTEN: r"rolevend\.forget\(",
    Effect.PROFILE_COLLECTED: r"rolevend\.drop_profile\(",
    Effect.TEMPLATE_COLLECTED: r"rolevend\.drop_template\(",
}
ON_THE_PLATFORM = frozenset(_SQL)
_CALLS = {
    CallEffect.OBJECT: r"POST /apis/rolevend\.dev/v1alpha1/namespaces/[^/]+/vendedroles\n",
    CallEffect.HANDLE: _API[Effect.HANDLE],
    CallEffect.INTENT: _API[Effect.INTENT],
    CallEffect.TOKEN_TAKEN: _API[Effect.TOKEN_TAKEN],
    CallEffect.APPROVAL_USED: _API[Effect.APPROVAL_USED],
    CallEffect.READY: _API[Effect.READY],
    CallEffect.UNTOUCHED: rf'PATCH {_OBJECT}/status\n.*"NothingBegun"',
    CallEffect.UNDONE: rf"DELETE {_OBJECT}\n",
}

_BESIDE = (
    r"GET ",
    r"(PATCH|DELETE) /apis/coordination\.k8s\.io/",
    r"(PATCH|DELETE) /api/v1/namespaces/[^/]+/configmaps/rolevend-catalogs-\d+\n",
    r"POST /api/v1/namespaces/[^/]+/configmaps\n.*rolevend-catalogs-",
    r"POST /apis/authorization\.k8s\.io/v1/subjectaccessreviews\n",
    r"PATCH /apis/rolevend\.dev/v1alpha1/(?!.*vendedroles/).*/status\n",
    r"PATCH /apis/rolevend\.dev/v1alpha1/dataplatforms/[^/]+\n",
    r"SELECT 1$",
    r"SELECT drift FROM rolevend\.profile ",
    r"SELECT pg_backend_pid\(\), pg_is_in_recovery\(\)$",
    r"SELECT set_config\(name, value, false\)",
    r"SELECT pg_advisory_(un)?lock\(",
    r"SELECT waiting\.pid, c\.\* FROM .* rolevend\.clear_way\(",  # while a session of ours waits: it ends sessions of other roles
    r"ROLLBACK$",
)
"""Reads, and what is no part of any role's life."""


def effects_of(asked: Asked) -> list[Effect | None]:
    """Of each statement that has one. None stands for a request that nobody has named: it may have any effect."""
    if asked.what.startswith(("GET ", "POST ", "PUT ", "PATCH ", "DELETE ")):
        return _found(_API, asked.text)
    return [effect for text in asked.what.split("\0") for effect in _found(_SQL, text)]


def call_effects_of(asked: Asked) -> list[CallEffect | None]:
    """The same of a process of the API. On the platform it only vends."""
    if asked.what.startswith(("GET ", "POST ", "PUT ", "PATCH ", "DELETE ")):
        return _found(_CALLS, asked.text)
    return [CallEffect.ROLE if effect is Effect.ROLE else None for effect in effects_of(asked)]


Named = TypeVar("Named", Effect, CallEffect)


def _found(patterns: dict[Named, str], text: str) -> list[Named | None]:
    for effect, pattern in patterns.items():
        if re.search(pattern, text, re.DOTALL):
            return [effect]
    beside = any(re.match(pattern, text) for pattern in _BESIDE) or text.lstrip().startswith(tuple(_read_queries()))
    return [] if beside else [None]


def _read_queries() -> list[str]:
    """How the files of queries begin. Each only reads, but for the one that `_SQL` knows."""
    folders = [files("rolevend.platforms.postgres") / "sql" / name for name in ("query", "survey")]
    entries = [entry for folder in folders for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return [entry.read_text(encoding="utf-8").splitlines()[0] for entry in entries]
