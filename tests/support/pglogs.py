"""Records of PostgreSQL's log and audit events of the roles in them, as the server and the operator write them."""

import json
from typing import Any

from rolevend.platforms.postgres.session_statements import COLUMNS

ROLE = "IMMUTA_VENDED_FINBOT_E10442_3FXWQ4H5S8CK9RN2V6Y0ZTBDGM"
OTHER_ROLE = "IMMUTA_VENDED_RISKBOT_E20001_42SKFT181Z8TKB28R3A49B8MN0"
TIME = "2026-11-24 12:00:00.000 UTC"
TABLES = ("claims.people", "claims.claims")


def record(message: str, **values: str) -> dict[str, str]:
    known = {"timestamp": TIME, "user": ROLE, "dbname": "claims", "pid": "7", "session_id": "1", "line_num": "1", "error_severity": "LOG"}
    return known | {"remote": "10.0.0.7:5123", "message": message} | values


def as_csv(*records: dict[str, str]) -> bytes:
    """Quoted as the server does: texts always, numbers and times never."""
    bare = {"timestamp", "pid", "session_id", "line_num", "session_start", "vxid", "txid", "error_severity", "state_code", "query_id"}
    lines = []
    for each in records:
        cells = []
        for column in COLUMNS:
            value = each.get(column, "")
            cells.append(value if column in bare or not value else '"' + value.replace('"', '""') + '"')
        lines.append(",".join(cells) + "\n")
    return "".join(lines).encode()


def as_json(*records: dict[str, str]) -> bytes:
    def spelled(values: dict[str, str]) -> dict[str, Any]:
        host, _, port = values.get("remote", "").rpartition(":")
        return {name: values[name] for name in COLUMNS if values.get(name)} | {"remote_host": host, "remote_port": int(port or 0)}

    return b"".join(json.dumps(spelled(each), ensure_ascii=False).encode() + b"\n" for each in records)


def granted(role: str = ROLE, tables: tuple[str, ...] = TABLES, **values: Any) -> dict[str, Any]:
    data = {
        "role": role,
        "request": "agents/ask",
        "requestUid": "82ccdfa0-a03f-46a6-b123-035112b452a0",
        "platform": "warehouse",
        "agent": "agents/finbot",
        "userIssuer": "https://idp.example.org",
        "userSubject": "anna",
        "userProof": "Token",
        "identityProvider": "workforce",
        "purpose": "fraud-review",
        "expiresAt": "2026-11-24T13:00:00Z",
        "objects": [{"kind": "AccessPolicy", "name": "domain-claims/analysts", "uid": "u", "generation": 3}],
        "profile": "rv_p_1",
        "tableCount": len(tables),
        "tables": [{"table": each, "rows": [], "clear": [], "masked": []} for each in tables],
    }
    time = values.pop("time", "2026-11-24T11:55:00Z")
    return {"id": f"{role}/granted", "type": "dev.rolevend.granted", "subject": role, "time": time, "data": data | values}


def dropped(role: str = ROLE, **values: Any) -> dict[str, Any]:
    data = {"role": role, "agent": "agents/finbot", "userIssuer": "https://idp.example.org", "userSubject": "anna", "platform": "warehouse"}
    ended = {"ended": "Released", "endedAt": "2026-11-24T12:30:00Z"}
    return {
        "id": f"{role}/dropped",
        "type": "dev.rolevend.dropped",
        "subject": role,
        "time": "2026-11-24T12:30:01Z",
        "data": data | ended | values,
    }
