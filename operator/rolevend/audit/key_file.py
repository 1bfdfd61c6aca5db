"""The key that audit events are sealed with, from the file that holds it: for who writes events, and for who verifies them."""

from pathlib import Path

from rolevend.audit.chain import SHORTEST_KEY, Key
from rolevend.errors import InvalidInput


def read_key(file: Path) -> Key:
    """Of a file that holds nothing else; white space around it does not count."""
    try:
        secret = file.read_bytes().strip()
    except OSError as error:
        raise InvalidInput(str(file), f"the key of audit events cannot be read: {error.strerror or error}") from error
    if len(secret) < SHORTEST_KEY:
        raise InvalidInput(str(file), f"a key of audit events has {SHORTEST_KEY} bytes or more; make one with: openssl rand -hex 32")
    return Key(secret)
