"""Members of request bodies that several calls share."""

from collections.abc import Mapping
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


def without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
