"""Stops of users: their suspension, and the revocation of their sessions. Pure."""

from contextlib import suppress

from rolevend.errors import InvalidInput
from rolevend.kinds import UserAttributes, parse
from rolevend.kube.client import Body


def stop_of(raw: Body) -> UserAttributes | None:
    """Return the fields of a UserAttributes, which may be unreadable, that stop its user. If it is unreadable when, it is at once. None if
    it stops nobody, or if nobody knows whom."""
    spec = raw.get("spec")
    if not isinstance(spec, dict) or raw["metadata"].get("deletionTimestamp") or not ("notBefore" in spec or spec.get("suspend")):
        return None
    whole = {key: value for key, value in raw.items() if key != "status"}
    known = {key: spec[key] for key in ("user", "suspend", "notBefore") if key in spec}
    for stop in (known, {"user": spec.get("user"), "suspend": True}):
        with suppress(InvalidInput):
            return parse(UserAttributes, {**whole, "spec": stop}, unknown="ignore")
    return None
