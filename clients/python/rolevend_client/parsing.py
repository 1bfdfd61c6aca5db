"""Parse JSON into values. A required member that is absent raises `Unreadable`; unknown members are ignored."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from rolevend_client.values import (
    AccessRequest,
    Agent,
    Approval,
    Column,
    Confirmation,
    Credential,
    Decision,
    Explanation,
    Join,
    KeyPairCredential,
    LeftOut,
    Missing,
    NeededLogin,
    Offer,
    Platform,
    Resource,
    Table,
    User,
    VendedRole,
)

_PARAMETER = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
"""A parameter of a challenge in WWW-Authenticate."""
_ESCAPED = re.compile(r"\\(.)")

Members = Mapping[str, Any]
Value = TypeVar("Value")


class Unreadable(ValueError):
    """A member is absent or invalid. The message names the member and never its value."""


def vended_role(document: Members) -> VendedRole:
    return VendedRole(
        id=text(document, "id"),
        role_name=text(document, "roleName", ""),
        state=text(document, "state"),
        expires_at=_time(document, "expirationTimestamp"),
        agent=_agent(_members(document, "agent")),
        user=_user(_members(document, "user")),
        platforms=_each(document, "platforms", _platform),
        purpose=_optional(document, "purpose"),
        explanation=explanation(_members(document, "explanation")) if document.get("explanation") is not None else None,
        left_out=_each(document, "leftOut", _left_out),
    )


def vended_roles(document: Members) -> tuple[VendedRole, ...]:
    return _each(document, "items", vended_role)


def platforms(document: Members) -> tuple[Platform, ...]:
    return _each(document, "items", _platform)


def decision(document: Members) -> Decision:
    granted = document.get("granted")
    if not isinstance(granted, bool):
        raise Unreadable("granted is not a boolean")
    return Decision(
        granted=granted,
        explanation=explanation(_members(document, "explanation", optional=not granted)),
        reason=text(document, "reason", ""),
        message=text(document, "message", ""),
        missing=missing(document),
        left_out=_each(document, "leftOut", _left_out),
    )


def explanation(document: Members) -> Explanation:
    return Explanation(
        tables=_each(document, "tables", _table),
        tables_left_out=_number(document, "tablesLeftOut", 0),
        functions=_texts(document, "functions"),
        offers=_each(document, "offers", _offer),
    )


def access_request(document: Members) -> AccessRequest:
    offer, approval = _members(document, "offer"), _members(document, "approval", optional=True)
    return AccessRequest(
        id=text(document, "id"),
        state=text(document, "state"),
        offer=text(offer, "name"),
        expiration_seconds=_number(document, "expirationSeconds"),
        reason=text(document, "reason", ""),
        message=text(document, "message", ""),
        display=text(offer, "display", ""),
        digest=text(offer, "digest", ""),
        approval=_approval(approval) if approval else None,
        confirmation=_confirmation(_members(document, "confirm", optional=True)),
    )


def _confirmation(document: Members) -> Confirmation | None:
    return Confirmation(text(document, "url"), _time(document, "expiresAt")) if document else None


def needed_login(challenge: str) -> NeededLogin | None:
    """Return the login that a challenge of RFC 9470 asks for; None: it asks for none."""
    said = {name: _ESCAPED.sub(r"\1", quoted) for name, quoted in _PARAMETER.findall(challenge)}
    if said.get("error") != "insufficient_user_authentication":
        return None
    age = said.get("max_age", "")
    return NeededLogin(tuple(said.get("acr_values", "").split()), int(age) if age.isdecimal() else None)


def _approval(document: Members) -> Approval:
    return Approval(_time(document, "claimUntil"), _number(document, "expirationSeconds"), _texts(document, "approvedBy"))


def _table(document: Members) -> Table:
    return Table(
        schema=text(document, "schema"),
        table=text(document, "table"),
        view=text(document, "view", text(document, "table")),  # an API of an earlier version does not say it
        columns=_each(document, "columns", _column),
        row_filters=_texts(document, "rowFilters"),
        restrictions=_texts(document, "restrictions"),
        policies=_texts(document, "policies"),
        stricter_for_tools=_texts(document, "stricterForTools"),
        platform=text(document, "platform", ""),
        comment=text(document, "comment", ""),
        rows=text(document, "rows", ""),
        primary_key=_texts(document, "primaryKey"),
        joins=_each(document, "joins", _join),
    )


def _column(document: Members) -> Column:
    return Column(
        name=text(document, "name"),
        shown=text(document, "shown"),
        mask=_optional(document, "mask"),
        type=text(document, "type", ""),
        comment=text(document, "comment", ""),
        mask_meaning=text(document, "maskMeaning", ""),
        values=_texts(document, "values"),
    )


def _join(document: Members) -> Join:
    return Join(_texts(document, "columns"), text(document, "schema"), text(document, "table"), _texts(document, "references"))


def _platform(document: Members) -> Platform:
    login = _members(document, "credential", optional=True)
    return Platform(
        name=text(document, "name"),
        type=text(document, "type", ""),
        table_count=None if document.get("tableCount") is None else _number(document, "tableCount"),
        credential=_credential(login) if login else None,
    )


def _left_out(document: Members) -> LeftOut:
    return LeftOut(text(document, "name"), text(document, "reason"), text(document, "message"), missing(document))


def _credential(document: Members) -> Credential | KeyPairCredential:
    return _key_pair(document) if "privateKey" in document else _password(document)


def _key_pair(document: Members) -> KeyPairCredential:
    return KeyPairCredential(
        account=text(document, "account"),
        user=text(document, "user"),
        role=text(document, "role"),
        private_key=text(document, "privateKey"),
        host=text(document, "host"),
        port=_number(document, "port"),
        database=text(document, "database"),
        warehouse=text(document, "warehouse"),
        protocol=text(document, "protocol", "https"),
    )


def _password(document: Members) -> Credential:
    return Credential(
        username=text(document, "username"),
        password=text(document, "password"),
        host=text(document, "host"),
        port=_number(document, "port"),
        dbname=text(document, "dbname"),
        sslmode=text(document, "sslmode"),
        schema=_optional(document, "schema"),
        ca_certificates=_optional(document, "caCertificates"),
    )


def _agent(document: Members) -> Agent:
    return Agent(text(document, "namespace"), text(document, "name"))


def _user(document: Members) -> User:
    return User(text(document, "issuer"), text(document, "subject"), text(document, "handle", ""), text(document, "proof", ""))


def missing(document: Members) -> Missing:
    """Return the missing grant; false if there is none. Tolerates the text of older versions, and members that it cannot read."""
    value = document.get("missing")
    if not isinstance(value, Mapping):
        return Missing(value if isinstance(value, str) else "")
    sentence = value.get("sentence")
    said = sentence if isinstance(sentence, str) else ""
    try:
        return Missing(said, _each(value, "tables", _resource), _texts(value, "columns"), _each(value, "offers", _offer))
    except Unreadable:
        return Missing(said)


def _resource(document: Members) -> Resource:
    return Resource(text(document, "schema"), text(document, "table"))


def _offer(document: Members) -> Offer:
    return Offer(
        name=text(document, "name"),
        platform=text(document, "platform"),
        display=text(document, "display"),
        how=text(document, "how"),
        up_to_seconds=_number(document, "upToSeconds"),
        shows=text(document, "shows"),
        purpose=_optional(document, "purpose"),
    )


def text(document: Members, name: str, default: str | None = None) -> str:
    value = document.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise Unreadable(f"{name} is not a string")
    return value


def _optional(document: Members, name: str) -> str | None:
    return text(document, name, "") or None


def _number(document: Members, name: str, default: int | None = None) -> int:
    value = document.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable(f"{name} is not a whole number")
    return value


def _time(document: Members, name: str) -> datetime | None:
    text = _optional(document, name)
    try:
        moment = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise Unreadable(f"{name} is not a time") from None
    if moment is not None and moment.tzinfo is None:
        raise Unreadable(f"{name} has no time zone")
    return moment


def _members(document: Members, name: str, *, optional: bool = False) -> Members:
    value = document.get(name)
    if value is None and optional:
        return {}
    if not isinstance(value, Mapping):
        raise Unreadable(f"{name} is not an object")
    return value


def _each(document: Members, name: str, read: Callable[[Members], Value]) -> tuple[Value, ...]:
    values = document.get(name) or []
    if not isinstance(values, list) or not all(isinstance(each, Mapping) for each in values):
        raise Unreadable(f"{name} is not a list of objects")
    return tuple(read(each) for each in values)


def _texts(document: Members, name: str) -> tuple[str, ...]:
    values = document.get(name) or []
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise Unreadable(f"{name} is not a list of strings")
    return tuple(values)
