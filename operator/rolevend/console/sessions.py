"""Sessions of people, each a ConfigMap in the console's namespace: all replicas know them, and deleting one logs the person out. One whose
person is suspended, or whose sessions were revoked, ends.

The browser keeps a random text. The object is named by its digest, and holds the person, sealed: nobody who can only write ConfigMaps
makes a session.
"""

import contextlib
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rolevend.console.login import LoggedIn
from rolevend.console.person import Person
from rolevend.console.stops import StoppedUsers
from rolevend.derived_keys import derived_key
from rolevend.errors import NotPermitted, Rejected
from rolevend.identity.sealed import Seal
from rolevend.kinds.text import timestamp_text
from rolevend.kube.client import CONFIG_MAPS, Body, KubeClient, NotFound, ResourceConflict

LABEL: Final = "rolevend.dev/console-session"
_PREFIX: Final = "console-session-"
_BYTES: Final = 32
_MARK: Final = 32
"""Characters."""
_ID: Final = 16
"""Characters."""
_SEEN_EVERY: Final = timedelta(minutes=1)
_LONGEST: Final = 256 << 10
"""Characters of a sealed session: five hundred groups with long names take 50,000. A ConfigMap holds 1 MiB."""


class PersonSuspended(NotPermitted):
    """The person is suspended, so they can begin no session."""


class TooManyGroups(Rejected):
    """The groups of the person are too long for a session."""


@dataclass(frozen=True, slots=True)
class Session:
    person: Person
    secret: str
    """The text that the browser keeps."""
    waiting: int = 0
    """The number of requests that wait for the person, which the navigation shows."""

    @property
    def id(self) -> str:
        """A part of the name of its ConfigMap. It is no secret."""
        return session_id(self.secret)

    @property
    def form_token(self) -> str:
        """The text that each form of this session has: another site cannot know it."""
        return derived_key(self.secret.encode(), "rolevend", "console-form").hex()


@dataclass(frozen=True, slots=True)
class SessionLife:
    longest: timedelta
    """From the login on."""
    idle: timedelta
    """The longest time between two pages."""


class Sessions:
    def __init__(
        self, cluster: KubeClient, namespace: str, key: bytes, life: SessionLife, stopped: StoppedUsers, now: Callable[[], datetime]
    ) -> None:
        """`key` is one that all replicas have."""
        self._cluster = cluster
        self._namespace = namespace
        self._key = key
        self._seal = Seal(key, "console-session", life.longest, now, _LONGEST)
        self._idle = life.idle
        self._stopped = stopped
        self._now = now

    @property
    def life_seconds(self) -> int:
        return int(self._seal.life.total_seconds())

    async def begin(self, login: LoggedIn) -> str:
        """Return the text that the browser keeps. Each login has a session of its own. Raises PersonSuspended, TooManyGroups and
        Unavailable."""
        person = login.person
        if self._stopped.is_suspended(person):
            raise PersonSuspended(f"{person.username} is suspended")
        secret, now = self._marked(secrets.token_urlsafe(_BYTES)), timestamp_text(self._now())
        lists = {"groups": json.dumps(person.groups), "subjects": json.dumps(sorted(person.subjects))}
        since = timestamp_text(min(login.issued_at or self._now(), self._now()))
        sealed = self._seal.close(id=_name(secret), user=person.username, issuer=person.issuer, since=since, **lists)
        if len(sealed) > self._seal.longest:
            raise TooManyGroups("you are in too many of the groups of console.groups; tell your administrator")
        metadata = {"name": _name(secret), "labels": {LABEL: "true"}}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"session": sealed, "seen": now}}
        await self._cluster.create(CONFIG_MAPS, body, self._namespace)
        return secret

    async def find(self, secret: str | None, *, by_itself: bool = False) -> Session | None:
        """Return the session, or None if it is over. `by_itself`: the page asks, and not the person, who may be away. Raises
        Unavailable."""
        if not self.is_own(secret) or secret is None:
            return None  # without a call: nobody else's texts cost the API server anything
        try:
            found = await self._cluster.get(CONFIG_MAPS, _name(secret), self._namespace)
        except NotFound:
            return None
        person, seen = self._person(found), _moment(found.get("data", {}).get("seen", ""))
        if person is None or seen is None or self._now() - seen > self._idle:
            await self._delete(found)
            return None
        if self._now() - seen > _SEEN_EVERY and not by_itself:
            await self._touch(found)
        return Session(person, secret)

    def is_own(self, secret: str | None) -> bool:
        """True if the text was made here, whether or not its session is over."""
        return secret is not None and secret.isascii() and hmac.compare_digest(self._marked(secret.partition(".")[0]), secret)

    async def end(self, secret: str) -> None:
        """Raises ClusterUnavailable: then the session goes on."""
        try:
            found = await self._cluster.get(CONFIG_MAPS, _name(secret), self._namespace)
        except NotFound:
            return
        await self._delete(found)

    async def sweep(self) -> None:
        """Delete the sessions that are over. Raises Unavailable."""
        async for page in self._cluster.pages(CONFIG_MAPS, self._namespace, LABEL):
            for each in page["items"]:
                seen = _moment(each.get("data", {}).get("seen", ""))
                is_over = seen is None or self._now() - seen > self._idle
                if each["metadata"]["name"].startswith(_PREFIX) and (is_over or self._person(each) is None):
                    await self._delete(each)

    def _person(self, found: Body) -> Person | None:
        """Return the person of the session that the ConfigMap keeps, or None if it keeps none, or if the session has ended. Raises
        Unavailable."""
        facts = self._seal.open(found.get("data", {}).get("session"))
        if facts is None or facts["id"] != found["metadata"]["name"] or (since := _moment(facts.get("since", ""))) is None:
            return None
        groups, subjects = tuple(json.loads(facts["groups"])), frozenset(json.loads(facts["subjects"]))
        person = Person(facts["user"], groups, subjects, facts["issuer"])
        return None if self._stopped.has_ended(person, since) else person

    def _marked(self, text: str) -> str:
        """Return the text with a code that nobody else can compute."""
        return f"{text}.{derived_key(self._key, 'rolevend', 'console-cookie', text).hex()[:_MARK]}"

    async def _touch(self, found: Body) -> None:
        metadata = {"uid": found["metadata"]["uid"], "resourceVersion": found["metadata"]["resourceVersion"]}
        patch = {"metadata": metadata, "data": {"seen": timestamp_text(self._now())}}
        with contextlib.suppress(ResourceConflict, NotFound):  # another page did, or the person logged out
            await self._cluster.merge(CONFIG_MAPS, found["metadata"]["name"], patch, self._namespace)

    async def _delete(self, found: Body) -> None:
        await self._cluster.delete(CONFIG_MAPS, found["metadata"]["name"], found["metadata"]["uid"], self._namespace)


def _name(secret: str) -> str:
    return f"{_PREFIX}{hashlib.sha256(secret.encode(errors='replace')).hexdigest()}"


def session_id(secret: str) -> str:
    return _name(secret).removeprefix(_PREFIX)[:_ID]


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
