"""A search for roles and requests, and its rows. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from rolevend.audit.role_chain import ACCESS_UID, ROLE_UID, kind_of
from rolevend.errors import InvalidInput
from rolevend.naming import PREFIX, parse_role_name

FIELDS: Final = ("q", "agent", "user", "from", "to")
_LONGEST: Final = 300
_UID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DAY: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_NAMES: Final = ("role", "request", "accessRequest", "offer", "requestId", "taskId", "platform")
"""The members of events in which a text is searched."""
_OF_A_DAY: Final = "T23:59:59.999Z"


@dataclass(frozen=True, slots=True)
class TrailQuery:
    text: str = ""
    """A part of a name, as it is written."""
    uid: str = ""
    agent: str = ""
    """namespace/name, or the name alone."""
    user: str = ""
    """The subject."""
    since: str = ""
    until: str = ""
    """The first and the last time, as events have it."""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "TrailQuery":
        """Raises InvalidInput, which names the field."""
        text = {name: given.get(name, "").strip()[:_LONGEST] for name in FIELDS}
        for name in ("from", "to"):
            if text[name] and not _DAY.fullmatch(text[name]):
                raise InvalidInput(name.capitalize(), "write a day such as 2026-11-30")
        uid = uid_of(text["q"]) or ""
        since = f"{text['from']}T00:00:00.000Z" if text["from"] else ""
        until = f"{text['to']}{_OF_A_DAY}" if text["to"] else ""
        return cls("" if uid else text["q"], uid, text["agent"], text["user"], since, until)

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts that a matching line contains."""
        return tuple(filter(None, (self.text, self.uid, self.agent, self.user)))

    def matches(self, event: Mapping[str, Any]) -> bool:
        data, time = event["data"], str(event.get("time"))
        return (
            self.since <= time
            and (not self.until or time <= self.until)
            and (not self.uid or self.uid in (data.get(ROLE_UID), data.get(ACCESS_UID)))
            and (not self.agent or self._is_of_agent(str(data.get("agent", ""))))
            and (not self.user or self.user == data.get("userSubject"))
            and (not self.text or any(self.text in str(data.get(name, "")) for name in _NAMES))
        )

    def _is_of_agent(self, agent: str) -> bool:
        return self.agent in (agent, agent.rpartition("/")[2])


def uid_of(text: str) -> str | None:
    """Return the uid that a text is, or that is in the name of a role; or None."""
    if _UID.fullmatch(text):
        return text
    try:
        return str(parse_role_name(text).uid)
    except InvalidInput:
        return None


@dataclass(frozen=True, slots=True)
class TrailRow:
    """A role, a request, or an event that belongs to neither."""

    key: str
    uid: str | None
    namespace: str | None
    """None: no event states it."""
    is_certain: bool
    """False if events state several namespaces."""
    name: str
    agent: str
    user: str
    platform: str
    kinds: frozenset[str]
    first: str
    last: str

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "TrailRow":
        data, time = event["data"], str(event.get("time"))
        found = data.get(ROLE_UID) or data.get(ACCESS_UID)
        uid = found if isinstance(found, str) and _UID.fullmatch(found) else None
        agent = data["agent"] if isinstance(data.get("agent"), str) else ""
        namespace, slash, _ = agent.partition("/")
        name = data.get("role") or data.get("request") or data.get("accessRequest") or event.get("subject")
        user, platform = (str(data.get(each) or "") for each in ("userSubject", "platform"))
        kind = frozenset([kind_of(event) if "type" in event else ""])
        return cls(
            uid or str(event["id"]),
            uid,
            namespace if slash and namespace else None,
            True,
            str(name),
            agent,
            user,
            platform,
            kind,
            time,
            time,
        )

    def with_event(self, other: "TrailRow") -> "TrailRow":
        """Return the row for the events of both."""
        platforms = sorted({*self.platform.split(", "), other.platform} - {""})
        agrees = None in (self.namespace, other.namespace) or self.namespace == other.namespace
        return replace(
            self,
            namespace=self.namespace or other.namespace,
            is_certain=self.is_certain and agrees,
            name=other.name if other.name.startswith(PREFIX) else self.name,
            agent=self.agent or other.agent,
            user=self.user or other.user,
            platform=", ".join(platforms[:16]),
            kinds=self.kinds | other.kinds,
            first=min(self.first, other.first),
            last=max(self.last, other.last),
        )
