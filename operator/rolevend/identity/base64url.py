"""Base64url without padding (RFC 7515), in canonical form. Pure."""

import base64
import binascii


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(segment: str) -> bytes:
    """Decode a segment. Raises ValueError for a non-canonical text: two spellings of one token would be two tokens."""
    given = segment.encode("ascii", "strict")
    try:
        decoded = base64.urlsafe_b64decode(given + b"=" * (-len(given) % 4))
    except binascii.Error as error:
        raise ValueError("this is no base64url") from error
    if encode(decoded) != segment:
        raise ValueError("this is not spelled as base64url without padding is")
    return decoded
