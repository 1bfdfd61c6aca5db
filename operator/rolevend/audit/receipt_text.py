"""A receipt as facts for people. Pure."""

from collections.abc import Iterator

from rolevend.audit.receipt_files import Receipt


def facts(receipt: Receipt) -> Iterator[tuple[str, str]]:
    """Yield the labels and values that are known."""
    beginning, end = receipt.beginning, receipt.end
    payload = {**(end.said if end else {}), **(beginning.said if beginning else {})}
    user = f"{payload['userSubject']} ({payload.get('userIssuer')})" if "userSubject" in payload else None
    proof = ", ".join(str(payload[name]) for name in ("userProof", "identityProvider", "tokenType") if name in payload)
    task = " ".join(str(payload[name]) for name in ("taskId", "intentDigest") if name in payload)
    tables = ", ".join(payload.get("tables", ()))
    more = f"{payload.get('tableCount')}: {tables}" + (", …" if len(payload.get("tables", ())) < payload.get("tableCount", 0) else "")
    known = {
        "role": payload.get("role"),
        "object": payload.get("request"),
        "agent": payload.get("agent"),
        "user": user,
        "proof": proof,
        "token": payload.get("tokenDigest"),
        "platform": payload.get("platform"),
        "purpose": payload.get("purpose"),
        "task": task,
        "call": payload.get("requestId"),
        "policies": payload.get("policyDigest"),
        "catalog": payload.get("catalogDigest"),
        "profile": payload.get("profile"),
        "tables": more if beginning else None,
        "from": beginning.said.get("time") if beginning else "(no beginning is here)",
        "until": payload.get("expiresAt"),
        "ended": _ended(end.said) if end else "(no end is here: the role may live, or its second half is elsewhere)",
        "signed by": ", ".join(dict.fromkeys(half.key_id for half in (beginning, end) if half)),
    }
    return ((name, str(value)) for name, value in known.items() if value)


def _ended(payload: dict[str, object]) -> str:
    by = f" by {payload['endedBy']}" if "endedBy" in payload else ""
    sessions = f", {payload['sessionsEnded']} sessions ended" if "sessionsEnded" in payload else ""
    return f"{payload.get('ended')}{by}, gone at {payload.get('endedAt')} after {payload.get('dropSeconds')} s{sessions}"
