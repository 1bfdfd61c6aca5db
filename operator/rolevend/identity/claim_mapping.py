"""Read subject, client, handle and attributes from claims, each with its source. Pure.

An unreadable claim gives no value, and its attribute is named: a caller can deny where a missing attribute could grant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, assert_never

from rolevend.errors import InvalidInput
from rolevend.identity.claim_expression import Expression, Unanswerable
from rolevend.model import UserHandle
from rolevend.naming import configured_user_handle

MAXIMUM_VALUES: Final = 64
MAXIMUM_VALUE_LENGTH: Final = 256


@dataclass(frozen=True, slots=True)
class ClaimPath:
    """The path of one claim: `("realm_access", "roles")` is `roles` in `realm_access`."""

    members: tuple[str, ...]

    def __str__(self) -> str:
        return f"claim {'.'.join(self.members)}"


ClaimSource = ClaimPath | Expression


@dataclass(frozen=True, slots=True)
class ClaimMapping:
    subject: ClaimPath = ClaimPath(("sub",))
    """The user's subject in policies. Choose a claim whose values are never reused."""
    client: ClaimPath | None = None
    """The client that a token was issued to, in addition to `azp` and `client_id`. Required in tokens if it is set."""
    handle: ClaimSource | None = None
    """The user's part of role names, if it is 1 to 11 of the characters A-Z and 0-9."""
    attributes: tuple[tuple[str, ClaimSource], ...] = ()
    """Unique by key."""


@dataclass(frozen=True, slots=True)
class SourcedAttribute:
    key: str
    values: tuple[str, ...]
    """Sorted, unique."""
    source: str
    """For the explanation of a decision: `claim groups`."""


@dataclass(frozen=True, slots=True)
class Mapped:
    attributes: tuple[SourcedAttribute, ...]
    unreadable: tuple[str, ...]
    """The keys of attributes whose claims exist, but have another type than text."""


class _Unreadable(ValueError):
    """The claim exists, but has a wrong type."""


def mapped(mapping: ClaimMapping, claims: dict[str, Any]) -> Mapped:
    found: list[SourcedAttribute] = []
    unreadable: list[str] = []
    for key, source in mapping.attributes:
        try:
            if values := _values(_claim(source, claims)):
                found.append(SourcedAttribute(key, values, _named(source)))
        except _Unreadable:
            unreadable.append(key)
    return Mapped(tuple(found), tuple(unreadable))


def handle(mapping: ClaimMapping, claims: dict[str, Any]) -> UserHandle | None:
    """Return the handle, or None if there is no valid one."""
    if mapping.handle is None:
        return None
    try:
        (value,) = _values(_claim(mapping.handle, claims))
        return configured_user_handle(value)
    except (InvalidInput, ValueError):
        return None


def at(path: ClaimPath, claims: Mapping[str, Any]) -> Any:
    """Return the claim, or None. Raises ValueError if a claim on the path is not an object."""
    value: Any = claims
    for member in path.members:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise _Unreadable("a claim on the way is no object")
        value = value.get(member)
    return value


def _claim(source: ClaimSource, claims: dict[str, Any]) -> Any:
    match source:
        case ClaimPath():
            return at(source, claims)
        case Expression():
            return _answered(source, claims)
    assert_never(source)


def _answered(expression: Expression, claims: dict[str, Any]) -> Any:
    try:
        return expression.answer(claims)
    except KeyError:
        return None
    except Unanswerable as error:
        raise _Unreadable("the expression has no answer") from error


def _values(claim: Any) -> tuple[str, ...]:
    """Return all values or none: a list without one of its values could pass a test that it must fail."""
    if claim is None:
        return ()
    given = claim if isinstance(claim, list) else [claim]
    values = {_value(each) for each in given} - {""}
    if len(values) > MAXIMUM_VALUES:
        raise _Unreadable("there are too many values")
    return tuple(sorted(values))


def _value(claim: Any) -> str:
    if isinstance(claim, bool):
        return "true" if claim else "false"
    if isinstance(claim, int):
        claim = str(claim)
    if not isinstance(claim, str) or len(claim) > MAXIMUM_VALUE_LENGTH or (claim and not claim.isprintable()) or claim != claim.strip():
        raise _Unreadable("a value is no plain text")
    return claim


def _named(source: ClaimSource) -> str:
    match source:
        case ClaimPath():
            return str(source)
        case Expression():
            return f"expression {source.text}"
    assert_never(source)
