"""The users and groups that SCIM made, in the cluster. Lists come from the watch of the API, with its own newest writes; a single one from
the API server."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final

from rolevend.api.scim.records import PREFIX, SELECTOR, ScimGroupRecord, ScimUserRecord, comparable, group_object, group_record, user_record
from rolevend.kinds import UserAttributes
from rolevend.kinds.signals import is_made_by_signals
from rolevend.kube.client import CONFIG_MAPS, Body, KubeClient, NotFound, path_of
from rolevend.kube.informer import Informer

USERS: Final = path_of(UserAttributes)
_KEPT_SECONDS: Final = 10.0
"""The watch shows a write long before."""


class ScimDirectory:
    def __init__(self, cluster: KubeClient, namespace: str, informer: Informer, moment: Callable[[], float]) -> None:
        """`informer` is of UserAttributes. `moment` is a monotonic clock, in seconds."""
        self._cluster = cluster
        self._namespace = namespace
        self._informer = informer
        self._changed = informer.changed_keys()
        self._moment = moment
        self._written: dict[str, tuple[float, Body]] = {}
        self._seen: dict[str, Body] = {}
        self._records: dict[str, ScimUserRecord] = {}
        self._owners: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._by_value: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        """Names by provider, attribute and value; also by provider, `group` and the id of the group."""

    def owners(self, issuer: str, subject: str) -> set[str]:
        """Return the names of the objects that describe the user, also those that SCIM did not make. Signals describe nobody."""
        self._sync()
        return self._owners.get((issuer, subject), set())

    def users(self, provider: str) -> Iterator[ScimUserRecord]:
        """Return the users of the provider, in a stable order."""
        self._sync()
        return (record for _, record in sorted(self._records.items()) if record.provider == provider and not record.deleted)

    def find(self, provider: str, attribute: str, value: str) -> list[ScimUserRecord]:
        """Return the users with this `userName`, `externalId` or `id`, or in this `group`."""
        self._sync()
        names = [value] if attribute == "id" else sorted(self._by_value.get((provider, attribute, _key(attribute, value)), ()))
        found = (self._records[name] for name in names if name in self._records)
        return [record for record in found if record.provider == provider and not record.deleted]

    async def members(self, group: str) -> set[str]:
        """Return the names of the users in the group as it is now, also of those that another replica put there just now."""
        found = set()
        async for page in self._cluster.pages(USERS, selector=SELECTOR):
            records = (user_record(body) for body in page["items"])
            found |= {record.name for record in records if record is not None and group in record.groups}
        return found

    async def user(self, name: str) -> ScimUserRecord | None:
        """Return the user, also a tombstone, as it is now."""
        if not name.startswith(PREFIX):
            return None
        try:
            return user_record(await self._cluster.get(USERS, name))
        except NotFound:
            return None

    async def create_user(self, body: Body) -> ScimUserRecord | None:
        return self._keep(await self._cluster.create(USERS, body))

    async def change_user(self, body: Body) -> ScimUserRecord | None:
        """Patch the object, whose version is in the patch. Raises ResourceConflict if it changed meanwhile."""
        return self._keep(await self._cluster.merge(USERS, body["metadata"]["name"], body))

    async def groups(self, provider: str) -> list[ScimGroupRecord]:
        found = []
        async for page in self._cluster.pages(CONFIG_MAPS, self._namespace, SELECTOR):
            found += [record for body in page["items"] if (record := group_record(body)) is not None and record.provider == provider]
        return found

    async def group(self, name: str) -> ScimGroupRecord | None:
        if not name.startswith(PREFIX):
            return None
        try:
            return group_record(await self._cluster.get(CONFIG_MAPS, name, self._namespace))
        except NotFound:
            return None

    async def create_group(self, record: ScimGroupRecord) -> ScimGroupRecord:
        return _group(await self._cluster.create(CONFIG_MAPS, group_object(record), self._namespace))

    async def change_group(self, record: ScimGroupRecord) -> ScimGroupRecord:
        return _group(await self._cluster.merge(CONFIG_MAPS, record.name, group_object(record), self._namespace))

    async def delete_group(self, record: ScimGroupRecord) -> None:
        await self._cluster.delete(CONFIG_MAPS, record.name, record.uid, self._namespace)

    def _keep(self, body: Body) -> ScimUserRecord | None:
        name = body["metadata"]["name"]
        self._written[name] = (self._moment(), body)
        self._changed.add(("", name))
        return user_record(body)

    def _sync(self) -> None:
        """Index what changed since the last call."""
        objects = self._informer.objects
        oldest = self._moment() - _KEPT_SECONDS
        for name, (at, body) in list(self._written.items()):
            known = objects.get(("", name))
            if at < oldest or (known is not None and _version(known) >= _version(body)):
                del self._written[name]
                self._changed.add(("", name))
        while self._changed:
            key = self._changed.pop()
            self._replace(key[1], self._written[key[1]][1] if key[1] in self._written else objects.get(key))

    def _replace(self, name: str, body: Body | None) -> None:
        before, record = self._seen.pop(name, None), self._records.pop(name, None)
        if before is not None:
            self._owners[_user(before)].discard(name)
        if record is not None:
            for key in _keys(record):
                self._by_value[key].discard(name)
        if body is None:
            return
        self._seen[name] = body
        if not is_made_by_signals(body["metadata"].get("labels") or {}):
            self._owners[_user(body)].add(name)
        if (found := user_record(body)) is not None:
            self._records[name] = found
            for key in _keys(found):
                self._by_value[key].add(name)


def _group(body: Body) -> ScimGroupRecord:
    record = group_record(body)
    assert record is not None  # noqa: S101 - this process wrote it
    return record


def _user(body: Body) -> tuple[str, str]:
    user = body["spec"]["user"]
    return user["issuer"], user["subject"]


def _keys(record: ScimUserRecord) -> Iterator[tuple[str, str, str]]:
    for attribute in ("userName", "externalId"):
        if value := record.user.get(attribute):
            yield record.provider, attribute, _key(attribute, value)
    for group in record.groups:
        yield record.provider, "group", group


def _key(attribute: str, value: str) -> str:
    return comparable(value) if attribute == "userName" else value


def _version(body: Body) -> int:
    return int(body["metadata"]["resourceVersion"])
