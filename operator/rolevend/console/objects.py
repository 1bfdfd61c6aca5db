"""The objects of rolevend that the console shows, followed by watches. I/O is the informers' alone."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from rolevend.console.stops import StoppedUsers
from rolevend.kinds import AccessDecision, AccessPolicy, AccessRequest, IdentityProvider, Resource, UserAttributes, VendedRole
from rolevend.kube.client import Body, KubeClient, path_of
from rolevend.kube.informer import Informer
from rolevend.model import ObjectName
from rolevend.roles.state import is_let_go
from rolevend.snapshot.parsed import ParsedObjects, R

_EVERYTHING = 1_000_000_000
_AT_ONCE = 50


class WatchedObjects:
    """The readable objects of each kind. One that another version of the schema accepted is left out."""

    def __init__(self, cluster: KubeClient, now: Callable[[], datetime], changed: Callable[[], None], on_stop: Callable[[], None]) -> None:
        """`changed` is called after every change, `on_stop` after one that may end sessions. They must not block."""
        self.stopped = StoppedUsers(cluster, now, on_stop)

        def follow(kind: type[R]) -> ParsedObjects[R]:
            return ParsedObjects(kind, Informer(cluster, path_of(kind), changed, now))

        self._roles, self._requests = follow(VendedRole), follow(AccessRequest)
        self._offers, self._votes = follow(AccessPolicy), follow(AccessDecision)
        self._providers = follow(IdentityProvider)
        kinds: tuple[ParsedObjects[Any], ...] = (self._roles, self._requests, self._offers, self._votes, self._providers)
        self._of: dict[type[Resource], ParsedObjects[Any]] = {each.kind: each for each in kinds}

    @property
    def informers(self) -> tuple[Informer, ...]:
        return (*(each.informer for each in self._of.values()), self.stopped)

    @property
    def listed(self) -> bool:
        """True after the first list of each kind."""
        return all(each.synced for each in self.informers)

    async def catch_up(self) -> None:
        """Parse what changed, in turns with people's calls: thousands of objects take seconds, which their first page would wait for."""
        for each in self._of.values():
            while not each.refresh(_AT_ONCE):
                await asyncio.sleep(0)

    def bodies(self, kind: type[Resource]) -> list[Body]:
        """Return the objects of the kind as the API server wrote them, also those that cannot be read. Of UserAttributes only
        those that stop their user, in part."""
        informer = self.stopped if kind is UserAttributes else self._of[kind].informer
        return list(informer.objects.values())

    def roles(self) -> Iterable[VendedRole]:
        """Return those that a finalizer of rolevend keeps, or may keep."""
        listed = self._roles.informer.objects
        return (each for key, each in _readable(self._roles).items() if not is_let_go(listed[key]))

    def changed_roles(self) -> set[tuple[str, str]]:
        """Return a set of the keys of all roles, to which each is added that changes. The caller empties it."""
        return self._roles.informer.changed_keys()

    def kept_role(self, key: tuple[str, str]) -> VendedRole | None:
        """Return the role, if a finalizer of rolevend keeps it, or may keep it."""
        role = _readable(self._roles).get(key)
        return None if role is None or is_let_go(self._roles.informer.objects[key]) else role

    def role(self, name: ObjectName) -> VendedRole | None:
        return _readable(self._roles).get((name.namespace, name.name))

    def requests(self) -> Iterable[AccessRequest]:
        return _readable(self._requests).values()

    def request(self, name: ObjectName) -> AccessRequest | None:
        return _readable(self._requests).get((name.namespace, name.name))

    def offer(self, name: ObjectName) -> AccessPolicy | None:
        return _readable(self._offers).get((name.namespace, name.name))

    def votes(self, request: AccessRequest) -> tuple[AccessDecision, ...]:
        """Return the votes on the request, in the order of their creation."""
        uid, namespace = request.uid, request.spec.offer_ref.namespace
        votes = (each for each in _readable(self._votes).values() if each.namespace == namespace)
        mine = (each for each in votes if each.spec.request_ref.uid == uid and each.spec.verdict != "Preview")
        return tuple(sorted(mine, key=lambda each: (str(each.metadata.creation_timestamp), each.name)))

    def providers(self) -> Iterable[IdentityProvider]:
        _readable(self._providers)
        return self._providers.granting.values()


def _readable(objects: ParsedObjects[R]) -> dict[tuple[str, str], R]:
    objects.refresh(_EVERYTHING)
    return objects.readable
