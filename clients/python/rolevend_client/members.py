"""Members of request bodies that several calls share."""

from collections.abc import Iterable, Mapping
from typing import Any

from rolevend_client.values import AssertedUser, Task, UserToken


def proof_of(user_token: UserToken | str | None, user: AssertedUser | None) -> UserToken | AssertedUser:
    """Return the one that is given. Raises TypeError if both are, or none."""
    who = UserToken(user_token) if isinstance(user_token, str) else user_token
    if (who is None) == (user is None):
        raise TypeError("give the user's token, or with user= a person whom you are trusted to name")
    return who or user  # type: ignore[return-value]


def user_members(user: UserToken | AssertedUser) -> dict[str, Any]:
    """Return the member of a request that proves or names the user."""
    if isinstance(user, UserToken):
        return {"userToken": user.reveal()}
    return {"user": {"issuer": user.issuer, "subject": user.subject}}


def task_members(task: Task | None) -> dict[str, Any] | None:
    return without_none({"id": task.id, "intentDigest": task.intent_digest}) if task else None


def tables_of(names: Iterable[tuple[str, str] | str] | str, argument: str) -> tuple[tuple[str, str], ...]:
    """Return tables as (schema, table). A text is `schema.table`. Raises ValueError with the name of the argument."""
    return tuple(_table(each, argument) for each in ((names,) if isinstance(names, str) else names))


def _table(name: tuple[str, str] | str, argument: str) -> tuple[str, str]:
    parts = tuple(name.split(".")) if isinstance(name, str) else tuple(name)
    if len(parts) != 2 or not all(parts):
        raise ValueError(f"{argument}: {name!r} is no table; write 'schema.table', or Resource(schema, table) for names with dots")
    return parts[0], parts[1]


def argument_of(member: str, arguments: Mapping[str, str]) -> str:
    """Return the argument that sets the member of a request, such as `platform[1]` for `platforms.1`."""
    if member in arguments:
        return arguments[member]
    head, *rest = member.split(".")
    return arguments.get(head, head) + "".join(f"[{each}]" if each.isdecimal() else f".{each}" for each in rest)


def without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
