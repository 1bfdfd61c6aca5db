"""Read the key that audit events are sealed with, to write events and to verify them."""

from pathlib import Path

from rolevend.audit.chain import MIN_KEY_BYTES, Key
from rolevend.errors import InvalidInput


def read_key(file: Path) -> Key:
    """Read a key from a file that holds only the key; surrounding white space is ignored. Raises InvalidInput."""
    try:
        secret = file.read_bytes().strip()
    except OSError as error:
        raise InvalidInput(str(file), f"the key of audit events cannot be read: {error.strerror or error}") from error
    if len(secret) < MIN_KEY_BYTES:
        raise InvalidInput(str(file), f"a key of audit events has {MIN_KEY_BYTES} bytes or more; make one with: openssl rand -hex 32")
    return Key(secret)
