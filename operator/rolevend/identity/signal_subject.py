"""Map the subject of a security event (RFC 9493, SSF 1.0) to the subject of a user. Pure."""

from typing import Any, Final

from rolevend.identity.claim_mapping import ClaimPath
from rolevend.identity.provider import MAXIMUM_ISSUER_LENGTH, is_plain
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.registered import MAXIMUM_SUBJECT_LENGTH

_EMAIL: Final = ClaimPath(("email",))
_ALONE: Final = "a session, a device, a group or a tenant alone ends nothing"


def subject_of(sub_id: Any, where: str, issuers: frozenset[str], claim: ClaimPath) -> str:
    """Return the user's subject. `where` names the member in messages. `issuers` are those that it may name, `claim` is the one that is
    the subject of users in tokens. Raises TokenRefused."""
    if not isinstance(sub_id, dict):
        raise _malformed(where, "it is no object")
    kind = _format(sub_id)
    if kind == "complex" or (kind is None and "user" in sub_id):
        where, sub_id = f"{where}.user", sub_id.get("user")
        if not isinstance(sub_id, dict):
            raise _malformed(where, f"it is no object: {_ALONE}")
        kind = _format(sub_id)
    match kind:
        case "iss_sub":
            if _text(sub_id, where, "iss", MAXIMUM_ISSUER_LENGTH) not in issuers:
                raise TokenRefused(Code.ANOTHER_ISSUERS_USER, f"{where}.iss is neither spec.issuer nor spec.signals.userIssuer")
            return _text(sub_id, where, "sub", MAXIMUM_SUBJECT_LENGTH)
        case "opaque":
            return _text(sub_id, where, "id", MAXIMUM_SUBJECT_LENGTH)
        case "email" if claim == _EMAIL:
            return _text(sub_id, where, "email", MAXIMUM_SUBJECT_LENGTH)
        case "email":
            raise _malformed(where, "an email address is no subject here: send iss_sub, or set spec.claims.subject to [email]")
        case _:
            raise _malformed(where, f"its format names no user here: send iss_sub; {_ALONE}")


def _format(sub_id: dict[str, Any]) -> str | None:
    """Return the format. Drafts called it `subject_type`, and wrote `iss-sub`."""
    found = sub_id.get("format", sub_id.get("subject_type"))
    return found.replace("-", "_") if isinstance(found, str) else None


def _text(sub_id: dict[str, Any], where: str, name: str, longest: int) -> str:
    value = sub_id.get(name)
    if not isinstance(value, str) or not is_plain(value, longest):
        raise _malformed(f"{where}.{name}", f"it is no plain text of 1 to {longest} characters")
    return value


def _malformed(where: str, cause: str) -> TokenRefused:
    return TokenRefused(Code.MALFORMED_CLAIM, f"the token's {where}: {cause}")
