"""An entry as an event of the Open Cybersecurity Schema Framework: class Datastore Activity. Pure.

https://schema.ocsf.io/1.8.0/classes/datastore_activity. A test validates events with that schema.
"""

import re
from typing import Any, Final

from rolevend import __version__
from rolevend.access_ledger.entry import LedgerEntry, json_name, time_text

VERSION: Final = "1.8.0"
CLASS_UID: Final = 6005
_CATEGORY_UID: Final = 6
ACTIVITIES: Final = {
    "SELECT": (4, "Query"),
    "DECLARE": (4, "Query"),
    "PREPARE": (4, "Query"),
    "EXECUTE": (4, "Query"),
    "FETCH": (4, "Query"),
    "COPY": (1, "Read"),
    "INSERT": (6, "Create"),
    "UPDATE": (2, "Update"),
    "MERGE": (2, "Update"),
    "DELETE": (7, "Delete"),
}
_ENDPOINT: Final = re.compile(r"\[?(?P<ip>[0-9a-fA-F.:]+)\]?:(?P<port>\d{1,5})")
PLACES: Final = {
    "id": "metadata.uid",
    "source": "metadata.log_provider",
    "time": "time",
    "role": "actor.user.account.name",
    "agent": "actor.app_name",
    "user_issuer": "actor.user.domain",
    "user_subject": "actor.user.name",
    "policies": "actor.authorizations",
    "platform": "dst_endpoint.svc_name",
    "request_uid": "metadata.correlation_uid",
    "database": "database.name",
    "session": "actor.session.uid",
    "client": "src_endpoint",
    "statement": "query_info.query_string",
    "truncated": "metadata.is_truncated",
    "duration_ms": "duration",
    "error": "status_code",
    "command": "activity_name",
}
"""Fields of the entry with a place of their own, and the place; the others are in `unmapped`."""
_MAPPED: Final = frozenset(map(json_name, PLACES))


def ocsf(entry: LedgerEntry) -> dict[str, Any]:
    """Return the event as JSON."""
    activity, activity_name = _activity(entry)
    code, _, message = (entry.error or "").partition(" ")
    status = (2, "Failure") if entry.error else (1, "Success") if entry.duration_ms is not None else (0, "Unknown")
    event = {
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": _CATEGORY_UID,
        "category_name": "Application Activity",
        "class_uid": CLASS_UID,
        "class_name": "Datastore Activity",
        "type_uid": CLASS_UID * 100 + activity,
        "type_name": f"Datastore Activity: {activity_name if activity != _OTHER[0] else 'Other'}",
        "type_id": 3 if entry.tables else 1,
        "type": "Table" if entry.tables else "Database",
        "severity_id": 1,
        "severity": "Informational",
        "time": round(entry.time.timestamp() * 1000),
        "status_id": status[0],
        "status": status[1],
        "status_code": code,
        "status_detail": message,
        "duration": None if entry.duration_ms is None else round(entry.duration_ms),
        "metadata": {
            "version": VERSION,
            "product": {"name": "rolevend", "vendor_name": "rolevend", "version": __version__},
            "uid": entry.id,
            "correlation_uid": entry.request_uid,
            "original_time": time_text(entry.time),
            "log_provider": entry.source,
            "is_truncated": entry.truncated,
        },
        "actor": _actor(entry),
        "src_endpoint": _client(entry.client),
        "dst_endpoint": {"svc_name": entry.platform} if entry.platform else None,
        "database": {"name": entry.database or "unknown", "type_id": 1, "type": "Relational"},
        "table": {"name": entry.tables[0]} if entry.tables else None,
        "query_info": {"query_string": entry.statement or "(empty)", "uid": entry.id},
        "unmapped": {name: value for name, value in entry.as_json().items() if name not in _MAPPED},
    }
    return _present(event)


_OTHER: Final = (99, "Other")


def _activity(entry: LedgerEntry) -> tuple[int, str]:
    if entry.command is None:
        return 0, "Unknown"
    return ACTIVITIES.get(entry.command.split()[0], (_OTHER[0], entry.command))


def _actor(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "app_name": entry.agent or entry.agent_handle,
        "user": {
            "name": entry.user_subject or entry.user_handle,
            "domain": entry.user_issuer,
            "type_id": 1,
            "type": "User",
            "account": {"name": entry.role, "type_id": 99, "type": f"{entry.source} role"},
        },
        "session": {"uid": entry.session},
        "authorizations": [{"decision": "granted", "policy": {"name": each}} for each in entry.policies] or None,
    }


def _client(client: str) -> dict[str, Any]:
    found = _ENDPOINT.fullmatch(client)
    if found is None or int(found["port"]) > 0xFFFF:
        return {"name": client or "unknown"}
    return {"ip": found["ip"], "port": int(found["port"])}


def _present(values: dict[str, Any]) -> dict[str, Any]:
    """Drop members without a value, at every depth."""
    kept = {name: _present(value) if isinstance(value, dict) else value for name, value in values.items()}
    return {name: value for name, value in kept.items() if value is not None and value not in ("", {})}
