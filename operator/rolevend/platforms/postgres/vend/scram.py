"""Compute SCRAM-SHA-256 verifiers as PostgreSQL stores them, so that no password reaches a server or its log. Pure."""

import base64
import hashlib
import hmac

from rolevend.errors import InvalidInput

ITERATIONS = 4096
"""PostgreSQL's default, which its clients expect; generated passwords have 256 random bits."""
SALT_BYTES = 16


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """Return the verifier for `CREATE ROLE … PASSWORD`. ASCII only: other texts have several spellings (RFC 4013)."""
    if not password.isascii() or not password.isprintable() or not password:
        raise InvalidInput("password", "must be printable ASCII, and not empty")
    if len(salt) != SALT_BYTES:
        raise InvalidInput("salt", f"must be {SALT_BYTES} bytes")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
