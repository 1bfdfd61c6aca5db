"""Split a signed token in compact form (RFC 7515). Pure; the result is not verified yet.

A header that could mislead a lenient library is refused here, before a key is selected.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

from rolevend.identity import base64url
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.strict_json import DuplicateMember, NotJson, read_object

MAXIMUM_LENGTH: Final = 16 * 1024
MAXIMUM_LOGIN_LENGTH: Final = 128 * 1024
"""Of an ID token, which the issuer sends itself. It may name hundreds of groups."""
MAXIMUM_KEY_ID_LENGTH: Final = 256

_SEGMENTS: Final = 3
_SEGMENTS_OF_ENCRYPTED: Final = 5
_NEVER: Final = ("jwk", "jku", "x5c", "x5u", "crit", "b64", "zip", "enc", "cty")
"""The first four contain a key; the others change the interpretation of the token. `x5t` is only a name."""


@dataclass(frozen=True, slots=True)
class Compact:
    """Nothing in it is proven before its signature is verified."""

    algorithm: str
    key_id: str | None
    type: str | None
    """`typ` in lower case."""
    claims: dict[str, Any] = field(repr=False)
    signed: bytes = field(repr=False)
    """The signed part."""
    signature: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """Return the digest of the signed part, because some signatures have two spellings."""
        return hashlib.sha256(self.signed).hexdigest()


def digest(text: str) -> str:
    """Return the digest of a token, or of any other text: it identifies the text in a record and reveals nothing of it."""
    return hashlib.sha256(text.rpartition(".")[0].encode(errors="replace")).hexdigest()


def read(text: str, longest: int = MAXIMUM_LENGTH) -> Compact:
    """Split a token. Raises TokenRefused unless it is a signed token in canonical form."""
    if len(text) > longest:
        raise TokenRefused(Code.TOKEN_TOO_LARGE, f"the token has more than {longest} characters")
    segments = text.split(".", _SEGMENTS_OF_ENCRYPTED)  # bounded: many dots must not create many segments
    if len(segments) == _SEGMENTS_OF_ENCRYPTED:
        raise TokenRefused(Code.ENCRYPTED_TOKEN, "the token is encrypted; send a signed one")
    if len(segments) != _SEGMENTS or not text.isascii():
        raise _malformed("it has not three segments of base64url")
    header, claims, signature = (_segment(segment) for segment in segments)
    members = _object(header, "header")
    _refuse_extensions(members)
    return Compact(
        algorithm=_text(members, "alg") or "",
        key_id=_text(members, "kid"),
        type=_lowered(_text(members, "typ")),
        claims=_object(claims, "payload"),
        signed=text.rpartition(".")[0].encode(),
        signature=signature,
    )


def _segment(text: str) -> bytes:
    try:
        return base64url.decode(text)
    except ValueError as error:
        raise _malformed("a segment is not spelled as base64url without padding is") from error


def _object(raw: bytes, part: str) -> dict[str, Any]:
    try:
        return read_object(raw)
    except DuplicateMember as error:
        raise TokenRefused(Code.DUPLICATE_MEMBER, f"the token's {part} is ambiguous: {error}") from error
    except NotJson as error:
        raise _malformed(f"its {part} cannot be read: {error}") from error


def _refuse_extensions(header: dict[str, Any]) -> None:
    for name in _NEVER:
        if name in header:
            raise TokenRefused(Code.HEADER_NOT_ALLOWED, f"the token's header has {name}, which is never accepted")


def _text(header: dict[str, Any], name: str) -> str | None:
    value = header.get(name)
    if name not in header:
        return None
    if not isinstance(value, str) or len(value) > MAXIMUM_KEY_ID_LENGTH:
        raise _malformed(f"{name} in its header is no text of at most {MAXIMUM_KEY_ID_LENGTH} characters")
    return value


def _lowered(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _malformed(cause: str) -> TokenRefused:
    return TokenRefused(Code.MALFORMED_TOKEN, f"the token cannot be read: {cause}")
