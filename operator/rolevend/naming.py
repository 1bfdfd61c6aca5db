"""The names of roles: built from three parts that a query log shows, and parsed again. Validated before any use on a platform.

    IMMUTA_VENDED_<agent handle>_<user handle>_<uid, 26 characters of Crockford's base32>

63 bytes at most, because PostgreSQL silently truncates longer names, and the truncated part makes them unique.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from rolevend.errors import InvalidInput
from rolevend.model import AgentHandle, RoleName, Uid, User, UserHandle

PREFIX: Final = "IMMUTA_VENDED_"
CANARY_HANDLE: Final = AgentHandle("CANARY")
"""The agent of the roles of an attestation, which have no audit event."""
MAXIMUM_BYTES: Final = 63
MINIMUM_KEY_BYTES: Final = 32

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: without I, L, O and U."""
_UID_LENGTH: Final = 26
_HANDLE_LENGTH: Final = 11
_AGENT_HANDLE = re.compile(r"[A-Z0-9]{1,10}")
_USER_HANDLE = re.compile(r"[A-Z0-9]{1,11}")
_ROLE_NAME = re.compile(rf"{PREFIX}(?P<agent>[A-Z0-9]{{1,10}})_(?P<user>[A-Z0-9]{{1,11}})_(?P<uid>[0-7][{_ALPHABET}]{{25}})")
_EXAMPLE: Final = f"{PREFIX}FINBOT_E10442_3FXWQ4H5S8CK9RN2V6Y0ZTBDGM"


@dataclass(frozen=True, slots=True)
class RoleNameParts:
    agent: AgentHandle
    user: UserHandle
    uid: Uid


def role_name(agent: AgentHandle, user: UserHandle, uid: Uid) -> RoleName:
    """Return the name of a vend, the same on every platform. Raises InvalidInput if a part is malformed."""
    name = f"{PREFIX}{agent_handle(agent)}_{configured_user_handle(user)}_{encode_uid(uid)}"
    if len(name.encode()) > MAXIMUM_BYTES:
        raise InvalidInput("roleName", f"{name} has more than {MAXIMUM_BYTES} bytes")
    return RoleName(name)


def parse_role_name(name: str) -> RoleNameParts:
    """Return the parts of a name that `role_name` built. Raises InvalidInput for every other name."""
    parts = _ROLE_NAME.fullmatch(name)
    if parts is None:
        raise InvalidInput("roleName", f"{name[:100]!r} is not the name of a vended role; one looks like {_EXAMPLE}")
    return RoleNameParts(AgentHandle(parts["agent"]), UserHandle(parts["user"]), decode_uid(parts["uid"]))


def agent_handle(text: str, field: str = "spec.handle") -> AgentHandle:
    """Validate the configured handle of an agent."""
    if not _AGENT_HANDLE.fullmatch(text):
        raise InvalidInput(field, f"{text[:40]!r} is not an agent's handle: 1 to 10 of the characters A-Z and 0-9, such as FINBOT")
    return AgentHandle(text)


def configured_user_handle(text: str, field: str = "spec.handle") -> UserHandle:
    """Validate the configured handle of a user."""
    if not _USER_HANDLE.fullmatch(text):
        raise InvalidInput(field, f"{text[:40]!r} is not a user's handle: 1 to 11 of the characters A-Z and 0-9, such as E10442")
    return UserHandle(text)


def user_handle(key: bytes, user: User) -> UserHandle:
    """Return the handle of a user without a configured one: 55 bits that only a holder of `key` can link to a person. Among a million
    users two share one with a chance of 1 in 70,000; their roles still differ by uid."""
    if len(key) < MINIMUM_KEY_BYTES:
        raise InvalidInput("", f"the key of user handles has {len(key)} bytes; it needs {MINIMUM_KEY_BYTES}, or handles could be guessed")
    digest = hmac.new(key, length_prefixed(user.issuer, user.subject), hashlib.sha256).digest()
    return UserHandle(_base32(int.from_bytes(digest, "big") >> (256 - 5 * _HANDLE_LENGTH), _HANDLE_LENGTH))


def length_prefixed(*texts: str) -> bytes:
    """Return an injective encoding of the texts, as input of a digest: ("ab", "c") and ("a", "bc") differ."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in (text.encode() for text in texts))


def encode_uid(uid: Uid) -> str:
    """Encode the 128 bits of a UUID in 26 characters. Raises InvalidInput unless `uid` is spelled as in Kubernetes."""
    try:
        value = UUID(uid)
    except ValueError:
        value = None
    if value is None or str(value) != uid:
        raise InvalidInput("uid", f"{uid[:60]!r} is not a lower-case UUID with hyphens")
    return _base32(value.int, _UID_LENGTH)


def decode_uid(text: str) -> Uid:
    """Decode the 26 characters of `encode_uid`. Raises InvalidInput for any other spelling."""
    if len(text) != _UID_LENGTH or text[0] not in _ALPHABET[:8] or any(character not in _ALPHABET for character in text):
        raise InvalidInput("uid", f"{text[:60]!r} is not a UUID in {_UID_LENGTH} characters of Crockford's base32")
    number = 0
    for character in text:
        number = number << 5 | _ALPHABET.index(character)
    return Uid(str(UUID(int=number)))


def _base32(number: int, length: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))
