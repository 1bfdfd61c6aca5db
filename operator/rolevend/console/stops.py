"""The people whose sessions must end: users that are suspended, and users whose sessions were revoked. I/O is the informer's alone."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from rolevend.console.person import Person
from rolevend.errors import Unavailable
from rolevend.kinds import UserAttributes, values
from rolevend.kube.client import Body, KubeClient, path_of
from rolevend.kube.informer import Informer, key_of
from rolevend.model import User
from rolevend.snapshot.stops import stop_of

STALE: Final = "UserAttributes cannot be watched, so nobody knows which sessions have ended"
_Key = tuple[str, str]
_SILENCE: Final = timedelta(minutes=3)
"""A watch has an event or a bookmark each minute."""


class StoppedUsers(Informer):
    """Keeps only those UserAttributes that stop their user, by suspension, SCIM or a signal, and little of each: there may be one for each
    user."""

    def __init__(self, cluster: KubeClient, now: Callable[[], datetime], on_stop: Callable[[], None]) -> None:
        """`on_stop` is called after a change that may end sessions, and must not block."""
        super().__init__(cluster, path_of(UserAttributes), lambda: None, now)
        self._on_stop = on_stop
        self._now = now
        self._stops: dict[_Key, UserAttributes] = {}
        self._by_user: defaultdict[User, set[_Key]] = defaultdict(set)

    @property
    def is_current(self) -> bool:
        """False if the users are not known, or not as they are now: then nobody can tell whose session has ended."""
        return self.synced and self.heard_at is not None and self._now() - self.heard_at <= _SILENCE

    def has_ended(self, person: Person, since: datetime) -> bool:
        """True if the session of the person, which began then, must end. Raises Unavailable."""
        return any(
            each.spec.suspend or (each.spec.not_before is not None and since < each.spec.not_before) for each in self._stops_of(person)
        )

    def is_suspended(self, person: Person) -> bool:
        """True if the person may begin no session. Raises Unavailable."""
        return any(each.spec.suspend for each in self._stops_of(person))

    def on_upsert(self, item: Body) -> None:
        key, stop = key_of(item), stop_of(item)
        self._forget(key)
        if stop is None:
            self.objects.pop(key, None)
            return
        self._stops[key] = stop
        self._by_user[values.user(stop.spec.user)].add(key)
        super().on_upsert(_short(item))
        self._on_stop()

    def drop(self, item: Body) -> None:
        self._forget(key_of(item))
        super().drop(item)

    def on_reset(self) -> None:
        self._stops.clear()
        self._by_user.clear()

    def _stops_of(self, person: Person) -> Iterator[UserAttributes]:
        if not self.is_current:
            raise Unavailable(STALE)
        for subject in person.subjects:
            yield from (self._stops[key] for key in self._by_user.get(User(person.issuer, subject), ()))

    def _forget(self, key: _Key) -> None:
        stop = self._stops.pop(key, None)
        if stop is None:
            return
        user = values.user(stop.spec.user)
        self._by_user[user].discard(key)
        if not self._by_user[user]:
            del self._by_user[user]


def _short(item: Body) -> Body:
    """Return the parts of the object that pages show."""
    metadata = {key: item["metadata"][key] for key in ("name", "uid", "resourceVersion", "creationTimestamp") if key in item["metadata"]}
    status = {key: each for key, each in (item.get("status") or {}).items() if key == "observedGeneration"}
    return {"metadata": metadata, "spec": {"suspend": bool(item["spec"].get("suspend"))}, "status": status}
