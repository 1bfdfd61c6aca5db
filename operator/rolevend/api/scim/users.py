"""Create, change and delete users. Each write is of one object and its version, so the last of two writes wins and none is lost."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from scim2_models import Context, PatchOp

from rolevend.api.scim.directory import ScimDirectory
from rolevend.api.scim.failures import ScimRefusal
from rolevend.api.scim.records import ScimUserRecord, comparable, name_of, user_document, user_object
from rolevend.api.scim.schemas import TOLERANT, USER_SCHEMA, Document, Kept, ScimUser
from rolevend.audit.scim_events import ScimChange
from rolevend.kinds.text import timestamp_text
from rolevend.kube.client import ResourceConflict
from rolevend.model import User

_ATTEMPTS: Final = 12
_MAX_PARALLEL: Final = 16
_MOST_OPERATIONS: Final = 100
_MOST_ENTRIES: Final = 256
_UserPatch: Final = PatchOp[ScimUser]
_LONGEST_PATH: Final = 2_000
"""The library validates all entries again for each operation."""


@dataclass(frozen=True, slots=True)
class ScimCaller:
    """The IdentityProvider whose token a call carries."""

    provider: str
    issuer: str
    kept: Kept
    request_id: str


class ScimUsers:
    def __init__(self, directory: ScimDirectory, record: Callable[[ScimChange], Awaitable[None]], now: Callable[[], datetime]) -> None:
        """`record` writes an audit event."""
        self._directory = directory
        self._record = record
        self._now = now

    async def get(self, caller: ScimCaller, name: str) -> ScimUserRecord:
        """Raises ScimRefusal if there is no such user of this provider."""
        record = await self._directory.user(name)
        if record is None or record.provider != caller.provider or record.deleted:
            raise ScimRefusal(404, "there is no user with this id")
        return record

    async def create(self, caller: ScimCaller, body: Document) -> ScimUserRecord:
        """Create the user, or revive the tombstone of the same person."""
        user = self._read(caller, body, Context.RESOURCE_CREATION_REQUEST)
        user = {**user, "active": user.get("active", True)}
        subject = _subject(caller, user)
        self._require_unique(caller, user, "")
        wanted = ScimUserRecord("", caller.provider, user, issuer=caller.issuer, subject=subject)
        for owner in self._directory.owners(caller.issuer, subject):
            return await self._revive(caller, wanted, owner)
        for attempt in range(_ATTEMPTS):
            name = name_of("user", caller.provider, comparable(user["userName"]), attempt)
            try:
                return await self._write(caller, replace(wanted, name=name), None)
            except ResourceConflict:
                there = await self._directory.user(name)
                if there is not None and not there.deleted and _is_named(there, user["userName"]):
                    raise _duplicate(user["userName"]) from None
        raise ScimRefusal(409, "too many users had this userName", "uniqueness")

    async def _revive(self, caller: ScimCaller, wanted: ScimUserRecord, owner: str) -> ScimUserRecord:
        """Write the user over the tombstone that has the subject. The operator may write the object's status meanwhile."""
        for attempt in range(_ATTEMPTS):
            tombstone = await self._directory.user(owner)
            if tombstone is None or not tombstone.deleted or tombstone.provider != caller.provider:
                raise _taken(caller, wanted.subject, owner, by_scim=tombstone is not None)
            try:
                return await self._write(caller, replace(wanted, name=owner, held=tombstone.held), tombstone)
            except ResourceConflict:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError

    async def replace(self, caller: ScimCaller, name: str, body: Document) -> ScimUserRecord:
        """Replace the user. An `active` that is left out stays, so that nobody is activated by omission."""
        wanted = self._read(caller, body, Context.RESOURCE_REPLACEMENT_REQUEST)
        return await self._change(caller, name, lambda before: replace(before, user={"active": before.user.get("active", True), **wanted}))

    async def patch(self, caller: ScimCaller, name: str, body: Document) -> ScimUserRecord:
        operations = _operations(caller.kept, body)
        if not operations:
            return await self.get(caller, name)
        sent = {"schemas": body.get("schemas"), "Operations": operations}
        patch = _UserPatch.model_validate(sent, scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=TOLERANT)

        def patched(before: ScimUserRecord) -> ScimUserRecord:
            user = ScimUser.model_validate(user_document(before, ""), scim_policy=TOLERANT)
            patch.patch(user, scim_policy=TOLERANT)
            found = _dumped(caller.kept, user)
            if "active" not in found:
                raise ScimRefusal(400, "active: it cannot be removed; replace it with true or false", "mutability")
            return replace(before, user=found)

        return await self._change(caller, name, patched, in_thread=True)

    async def delete(self, caller: ScimCaller, name: str) -> None:
        """Make the user a tombstone: suspended, and without attributes."""
        await self._change(caller, name, lambda before: replace(before, user={}, groups={}, deleted=True))

    async def join(self, caller: ScimCaller, group: str, display: str | None, names: Iterable[str]) -> None:
        """Put the users in the group, or take them out if `display` is None. A user that is gone is in no group."""
        slots = asyncio.Semaphore(_MAX_PARALLEL)

        def changed(before: ScimUserRecord) -> ScimUserRecord:
            others = {key: value for key, value in before.groups.items() if key != group}
            return replace(before, groups=others if display is None else {**others, group: display})

        async def one(name: str) -> None:
            async with slots:
                try:
                    await self._change(caller, name, changed)
                except ScimRefusal as error:
                    if error.status != 404:
                        raise

        try:
            async with asyncio.TaskGroup() as changes:
                for name in names:
                    changes.create_task(one(name))
        except ExceptionGroup as error:
            raise error.exceptions[0] from error

    async def _change(
        self, caller: ScimCaller, name: str, edit: Callable[[ScimUserRecord], ScimUserRecord], *, in_thread: bool = False
    ) -> ScimUserRecord:
        """`in_thread` lets other calls go on during a slow edit."""
        for attempt in range(_ATTEMPTS):
            before = await self.get(caller, name)
            after = await asyncio.to_thread(edit, before) if in_thread else edit(before)
            if after == before:
                return before
            if not after.deleted and not _is_named(before, after.user["userName"]):
                self._require_unique(caller, after.user, name)
            after = await self._moved(caller, before, after)
            try:
                return await self._write(caller, after, before)
            except ResourceConflict:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError

    async def _moved(self, caller: ScimCaller, before: ScimUserRecord, after: ScimUserRecord) -> ScimUserRecord:
        """Return the user under the issuer and subject of now. One that cannot get these is deactivated, deleted or taken out of a group
        all the same."""
        try:
            subject = before.subject if after.deleted else _subject(caller, after.user)
            if (caller.issuer, subject) != (before.issuer, before.subject):
                await self._leave(caller, before, subject)
        except ScimRefusal:
            if after.active and after.user != before.user:
                raise
            return after
        return replace(after, issuer=caller.issuer, subject=subject)

    async def _leave(self, caller: ScimCaller, before: ScimUserRecord, subject: str) -> None:
        """Before a user gets another subject: suspend the old one, so that tokens of it do not count without the object."""
        owners = self._directory.owners(caller.issuer, subject)
        if owners:
            raise _taken(caller, subject, min(owners), by_scim=False)
        for attempt in range(_ATTEMPTS):
            name = name_of("subject", caller.provider, before.subject, attempt)
            there = await self._directory.user(name)
            if there is None:
                tombstone = replace(before, name=name, user={}, groups={}, deleted=True)
                await self._write(caller, tombstone, None)
                return
            if there.deleted and (there.issuer, there.subject) == (before.issuer, before.subject):
                if before.held and not there.held:
                    await self._write(caller, replace(there, held=True), there)
                return
        raise ScimRefusal(409, f"{caller.kept.scim.subject}: too many users had the subject {before.subject}", "uniqueness")

    async def _write(self, caller: ScimCaller, record: ScimUserRecord, before: ScimUserRecord | None) -> ScimUserRecord:
        record = replace(record, modified=timestamp_text(self._now()))
        body = user_object(record, caller.kept, before)
        await self._record(change_of(caller, record, before))
        found = await (self._directory.create_user(body) if before is None else self._directory.change_user(body))
        assert found is not None  # noqa: S101 - this process wrote it
        return found

    def _read(self, caller: ScimCaller, body: Document, context: Context) -> Document:
        schemas = body.get("schemas")
        if not isinstance(schemas, list) or USER_SCHEMA.lower() not in [str(each).lower() for each in schemas]:
            raise ScimRefusal(400, f"schemas: must name {USER_SCHEMA}", "invalidSyntax")
        sent = {"schemas": [USER_SCHEMA], **caller.kept.cut(body)}
        return _dumped(caller.kept, ScimUser.model_validate(sent, scim_ctx=context, scim_policy=TOLERANT))

    def _require_unique(self, caller: ScimCaller, user: Document, own: str) -> None:
        if any(each.name != own for each in self._directory.find(caller.provider, "userName", user["userName"])):
            raise _duplicate(user["userName"])


def change_of(caller: ScimCaller, record: ScimUserRecord, before: ScimUserRecord | None) -> ScimChange:
    """Return what the audit event of a write says. `before` is None for a new object."""
    old = {} if before is None else {**before.user, "groups": before.groups}
    new = {**record.user, "groups": record.groups}
    if before is None or before.deleted:
        change = "Deleted" if record.deleted else "Created"
    elif record.deleted:
        change = "Deleted"
    elif record.active != before.active:
        change = "Activated" if record.active else "Deactivated"
    else:
        change = "Changed"
    members = tuple(sorted(name for name in old.keys() | new.keys() if (old.get(name) or None) != (new.get(name) or None)))
    user = User(record.issuer, record.subject)
    return ScimChange(caller.provider, f"UserAttributes {record.name}", change, user, members, caller.request_id)


def _operations(kept: Kept, body: Document) -> list[Any]:
    """Return the operations that concern kept attributes."""
    operations = body.get("Operations", body.get("operations"))
    if not isinstance(operations, list) or not operations:
        raise ScimRefusal(400, "Operations: must be a list of operations", "invalidSyntax")
    if len(operations) > _MOST_OPERATIONS:
        raise ScimRefusal(400, f"Operations: at most {_MOST_OPERATIONS}", "tooMany")
    found: list[Any] = []
    for each in operations:
        if not isinstance(each, dict):
            raise ScimRefusal(400, "Operations: each must be an object", "invalidSyntax")
        path, value = each.get("path"), each.get("value")
        if isinstance(path, str) and path.strip():
            if kept.concerns(path):
                found.append(each)
        elif isinstance(value, Mapping):
            chosen = {name: one for name, one in value.items() if kept.concerns(str(name))}
            if chosen:
                found.append({**each, "value": chosen})
        else:
            found.append(each)
    _bound(found)
    return found


def _bound(operations: list[Any]) -> None:
    """Raise ScimRefusal if the library would take long for them."""
    entries = 0
    for each in operations:
        value = each.get("value")
        named = value if isinstance(value, Mapping) else {}
        if any(isinstance(path, str) and len(path) > _LONGEST_PATH for path in (each.get("path"), *named)):
            raise ScimRefusal(400, f"path: at most {_LONGEST_PATH} characters", "invalidPath")
        entries += sum(len(one) for one in (value, *named.values()) if isinstance(one, list))
    if entries > _MOST_ENTRIES:
        raise ScimRefusal(400, f"Operations: at most {_MOST_ENTRIES} entries of lists in all", "tooMany")


def _dumped(kept: Kept, user: Any) -> Document:
    return kept.entries(kept.cut(user.model_dump(mode="json", scim_ctx=Context.RESOURCE_QUERY_RESPONSE)))


def _subject(caller: ScimCaller, user: Document) -> str:
    attribute = caller.kept.scim.subject
    subject = user.get(attribute)
    if not isinstance(subject, str) or not subject:
        raise ScimRefusal(400, f"{attribute}: must be set; spec.scim.subject of the IdentityProvider names it", "invalidValue")
    return subject


def _is_named(record: ScimUserRecord, user_name: str) -> bool:
    return comparable(record.user.get("userName", "")) == comparable(user_name)


def _duplicate(user_name: str) -> ScimRefusal:
    return ScimRefusal(409, f"userName: another user has {user_name}", "uniqueness")


def _taken(caller: ScimCaller, subject: str, owner: str, *, by_scim: bool) -> ScimRefusal:
    made = "is of another user, or of a deleted one" if by_scim else "describes this user, and this call did not make it"
    way_out = "delete that object, or do not push this user"
    return ScimRefusal(409, f"{caller.kept.scim.subject}: UserAttributes {owner} {made} ({subject}); {way_out}", "uniqueness")
