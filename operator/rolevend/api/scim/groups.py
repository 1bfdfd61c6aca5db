"""Create, change and delete groups. A group is a ConfigMap with its name alone; who is in it is kept with the users, so a group of any size
fits. Members change first and the group last, so a call that stops in the middle is done by the same call again."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from scim2_models import Context, Group, Path
from scim2_models.path import CompareOperator, Comparison

from rolevend.api.scim.directory import ScimDirectory
from rolevend.api.scim.failures import ScimRefusal
from rolevend.api.scim.records import ScimGroupRecord, comparable, name_of
from rolevend.api.scim.schemas import GROUP_SCHEMA, TOLERANT, Document
from rolevend.api.scim.users import ScimCaller, ScimUsers
from rolevend.audit.scim_events import ScimChange
from rolevend.kinds.text import timestamp_text
from rolevend.kube.client import ResourceConflict

_LONGEST_NAME: Final = 256
_GroupPath: Final = Path[Group]
_READ_ONLY: Final = ("id", "meta", "schemas")


@dataclass(slots=True)
class _Edited:
    """A group, and the ids of its members, while operations are applied."""

    record: ScimGroupRecord
    joining: set[str] = field(default_factory=set)
    leaving: set[str] = field(default_factory=set)
    only: set[str] | None = None
    """All members; None: those of before, without `leaving`, and `joining`."""

    def add(self, ids: set[str]) -> None:
        if self.only is not None:
            self.only |= ids
        self.joining, self.leaving = self.joining | ids, self.leaving - ids

    def remove(self, ids: set[str]) -> None:
        if self.only is not None:
            self.only -= ids
        self.joining, self.leaving = self.joining - ids, self.leaving | ids

    def replace(self, ids: set[str]) -> None:
        self.joining, self.leaving, self.only = set(), set(), ids


class ScimGroups:
    def __init__(
        self,
        directory: ScimDirectory,
        users: ScimUsers,
        record: Callable[[ScimChange], Awaitable[None]],
        now: Callable[[], datetime],
    ) -> None:
        """`record` writes an audit event."""
        self._directory = directory
        self._users = users
        self._record = record
        self._now = now

    async def get(self, caller: ScimCaller, name: str) -> ScimGroupRecord:
        """Raises ScimRefusal if there is no such group of this provider."""
        record = await self._directory.group(name)
        if record is None or record.provider != caller.provider:
            raise ScimRefusal(404, "there is no group with this id")
        return record

    def members(self, caller: ScimCaller, name: str) -> list[str]:
        return [each.name for each in self._directory.find(caller.provider, "group", name)]

    async def create(self, caller: ScimCaller, body: Document) -> ScimGroupRecord:
        wanted, members = self._read(caller, body)
        await self._require_unique(caller, wanted.display_name, "")
        await self._require_users(caller, members)
        record = replace(wanted, modified=timestamp_text(self._now()))
        await self._tell(caller, record, "Created")
        try:
            created = await self._directory.create_group(record)
        except ResourceConflict:
            raise _duplicate(wanted.display_name) from None
        await self._users.join(caller, created.name, created.display_name, members)
        return created

    async def replace(self, caller: ScimCaller, name: str, body: Document) -> ScimGroupRecord:
        before = await self.get(caller, name)
        wanted, members = self._read(caller, body)
        after = replace(before, display_name=wanted.display_name, external_id=wanted.external_id)
        return await self._apply(caller, before, _Edited(after, only=set(members)))

    async def patch(self, caller: ScimCaller, name: str, body: Document) -> ScimGroupRecord:
        before = await self.get(caller, name)
        operations = body.get("Operations", body.get("operations"))
        if not isinstance(operations, list) or not operations:
            raise ScimRefusal(400, "Operations: must be a list of operations", "invalidSyntax")
        edited = _Edited(before)
        for each in operations:
            _operate(edited, each)
        return await self._apply(caller, before, edited)

    async def delete(self, caller: ScimCaller, name: str) -> None:
        record = await self.get(caller, name)
        await self._users.join(caller, name, None, await self._directory.members(name))
        await self._tell(caller, record, "Deleted")
        await self._directory.delete_group(record)

    async def _apply(self, caller: ScimCaller, before: ScimGroupRecord, edited: _Edited) -> ScimGroupRecord:
        after, renamed = edited.record, edited.record.display_name != before.display_name
        if comparable(after.display_name) != comparable(before.display_name):
            await self._require_unique(caller, after.display_name, before.name)
        joining, leaving = edited.joining, edited.leaving
        if edited.only is not None or renamed:
            now = await self._directory.members(before.name)
            wanted = (now - leaving) | joining if edited.only is None else edited.only
            joining, leaving = wanted if renamed else wanted - now, now - wanted
        await self._require_users(caller, joining)
        await self._users.join(caller, before.name, None, leaving)
        await self._users.join(caller, before.name, after.display_name, joining)
        if after == before:
            return before
        after = replace(after, modified=timestamp_text(self._now()))
        await self._tell(caller, after, "Changed")
        return await self._directory.change_group(after)

    def _read(self, caller: ScimCaller, body: Document) -> tuple[ScimGroupRecord, list[str]]:
        schemas = body.get("schemas")
        if not isinstance(schemas, list) or GROUP_SCHEMA.lower() not in [str(each).lower() for each in schemas]:
            raise ScimRefusal(400, f"schemas: must name {GROUP_SCHEMA}", "invalidSyntax")
        named = {name.lower(): value for name, value in body.items()}
        sent = {"schemas": [GROUP_SCHEMA], "displayName": named.get("displayname"), "externalId": named.get("externalid")}
        group = Group.model_validate(
            {name: value for name, value in sent.items() if value is not None},
            scim_ctx=Context.RESOURCE_CREATION_REQUEST,
            scim_policy=TOLERANT,
        )
        display = _display_name(group.display_name)
        name = name_of("group", caller.provider, comparable(display))
        return ScimGroupRecord(name, caller.provider, display, group.external_id), _ids(named.get("members") or [])

    async def _require_unique(self, caller: ScimCaller, display: str, own: str) -> None:
        for each in await self._directory.groups(caller.provider):
            if each.name != own and comparable(each.display_name) == comparable(display):
                raise _duplicate(display)

    async def _require_users(self, caller: ScimCaller, names: Iterable[str]) -> None:
        """Raise ScimRefusal before anything changes, if a member is no user of this provider."""
        for name in names:
            if not self._directory.find(caller.provider, "id", name):
                try:
                    await self._users.get(caller, name)  # created at another replica just now
                except ScimRefusal:
                    raise ScimRefusal(
                        400, f"members: there is no user with the id {name}; a group in a group is not supported", "invalidValue"
                    ) from None

    async def _tell(self, caller: ScimCaller, record: ScimGroupRecord, change: str) -> None:
        await self._record(ScimChange(caller.provider, f"ConfigMap {record.name}", change, None, ("displayName",), caller.request_id))


def _operate(edited: _Edited, operation: Any) -> None:
    """Apply one operation. Members are counted as sets of ids: the library would make a model of each of 50,000."""
    if not isinstance(operation, dict) or not isinstance(operation.get("op"), str):
        raise ScimRefusal(400, "Operations: each must be an object with op", "invalidSyntax")
    kind, path, value = operation["op"].lower(), operation.get("path"), operation.get("value")
    if kind not in ("add", "replace", "remove"):
        raise ScimRefusal(400, "op: must be add, replace or remove", "invalidValue")
    if path is None or path == "":
        if not isinstance(value, dict) or kind == "remove":
            raise ScimRefusal(400, "path: must be set, or value an object", "noTarget")
        for name, each in value.items():
            _set(edited, kind, name, each)
        return
    parsed = _GroupPath(path) if isinstance(path, str) else None
    if parsed is None:
        raise ScimRefusal(400, "path: must be a text", "invalidPath")
    if parsed.value_filter is None:
        _set(edited, kind, path.removeprefix(f"{GROUP_SCHEMA}:"), value)
        return
    match parsed.value_filter:
        case Comparison(op=CompareOperator.eq, value=str(member)) as term if parsed.attr.lower() == "members" and (
            term.attr_path.attr.lower() == "value"
        ):
            if kind != "remove":
                raise ScimRefusal(400, "path: a member is added with the path members", "invalidPath")
            edited.remove({member})
        case _:
            raise ScimRefusal(400, 'path: members are selected with members[value eq "ID"] alone', "invalidPath")


def _set(edited: _Edited, kind: str, name: str, value: Any) -> None:
    match name.lower():
        case "members":
            ids = set(_ids(value)) if value is not None else None
            if kind == "add":
                edited.add(ids or set())
            elif kind == "remove" and ids is not None:
                edited.remove(ids)
            else:
                edited.replace(ids if ids is not None and kind == "replace" else set())
        case "displayname":
            if kind == "remove":
                raise ScimRefusal(400, "displayName: a group must have it", "mutability")
            edited.record = replace(edited.record, display_name=_display_name(value))
        case "externalid":
            if value is not None and not isinstance(value, str):
                raise ScimRefusal(400, "externalId: must be a text", "invalidValue")
            edited.record = replace(edited.record, external_id=None if kind == "remove" else value)
        case other if other not in _READ_ONLY:
            raise ScimRefusal(400, f"{name[:100]}: a group has displayName, externalId and members", "invalidPath")


def _ids(value: Any) -> list[str]:
    members = [value] if isinstance(value, dict) else value
    if not isinstance(members, list):
        raise ScimRefusal(400, "members: must be a list of objects with value", "invalidValue")
    found = [each.get("value") if isinstance(each, dict) else None for each in members]
    if not all(isinstance(each, str) and each for each in found):
        raise ScimRefusal(400, "members: each must have the id of a user as value", "invalidValue")
    return list(dict.fromkeys(str(each) for each in found))


def _display_name(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME or not value.isprintable() or value != value.strip():
        raise ScimRefusal(400, f"displayName: must be a plain text of 1 to {_LONGEST_NAME} characters", "invalidValue")
    return value


def _duplicate(display: str) -> ScimRefusal:
    return ScimRefusal(409, f"displayName: another group has {display}", "uniqueness")
