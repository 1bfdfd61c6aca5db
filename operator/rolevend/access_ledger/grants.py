"""The roles of audit events: for whom each was vended, by which policies, and for which tables. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from rolevend.audit.access import approval_sentence_of
from rolevend.audit.events import EventType
from rolevend.catalog import TableId
from rolevend.errors import InvalidInput
from rolevend.naming import parse_role_name
from rolevend.plan import view_names

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_Named = tuple[str, str | None]
"""A table, and its view if an event names it."""


@dataclass(frozen=True, slots=True)
class GrantedTables:
    """The tables of one profile, with the names under which a role finds them."""

    names: tuple[str, ...]
    left_out: int
    """How many more there are: the event had no room for their names."""
    by_view: Mapping[str, str]
    """The table by the name of its view."""


@dataclass(frozen=True, slots=True)
class AuditedRole:
    """A vended role, as its events state it."""

    role: str
    agent: str
    user_issuer: str
    user_subject: str
    proof: str | None
    identity_provider: str | None
    purpose: str | None
    platform: str | None
    request: str | None
    request_uid: str | None
    policies: tuple[str, ...]
    approval: str | None
    profile: str | None
    tables: GrantedTables | None
    """None if the audit files have only the end of the role."""
    tools: frozenset[str]
    """The names of the functions that the role may call, without schemas."""
    granted_at: datetime | None
    expires_at: datetime | None
    ended_at: datetime | None = None

    @property
    def agent_handle(self) -> str | None:
        return handles_of(self.role)[0]

    @property
    def user_handle(self) -> str | None:
        return handles_of(self.role)[1]


class AuditedRoles:
    """The roles of any number of events. Roles of one profile share one list of tables in memory."""

    def __init__(self, platform: str | None = None) -> None:
        """`platform` is that of the logs: a role may be on several, under one name."""
        self._platform = platform
        self._roles: dict[str, tuple[AuditedRole, ...]] = {}
        """By name, one for each platform."""
        self._tables: dict[tuple[_Named, ...], GrantedTables] = {}
        self._texts: dict[str, str] = {}
        self.malformed = 0
        """Events that are not as rolevend writes them."""

    def learn(self, event: Mapping[str, Any]) -> None:
        """Take an event; other types than `granted` and `dropped` are skipped. An event that is read twice changes nothing."""
        kind, data = event.get("type"), event["data"]
        try:
            if kind == EventType.GRANTED:
                role = self._granted(event, data)
                known = self._known(role.role, role.platform)
                self._put(role if known is None else replace(role, ended_at=known.ended_at))
            elif kind == EventType.DROPPED and data.get("role"):
                ended = self._known(data["role"], data.get("platform")) or self._ended_only(data)
                if ended is not None:
                    self._put(replace(ended, ended_at=_time(data["endedAt"])))
        except (KeyError, TypeError, ValueError, AttributeError):
            self.malformed += 1

    def forget(self, before: datetime) -> None:
        """Drop the roles whose end was before this time, and the texts that roles shared."""
        self._roles = {name: found for name, found in self._roles.items() if any(_ends(each) >= before for each in found)}
        self._tables.clear()
        self._texts.clear()

    def get(self, role: str) -> AuditedRole | None:
        """Return the role; one on several platforms without a platform and with the tables of all, unless the platform of the logs is
        known."""
        found = self._roles.get(role)
        if found is None:
            return None
        if self._platform is not None:
            return self._known(role, self._platform)
        return found[0] if len(found) == 1 else replace(found[0], platform=None, profile=None, tables=self._all_of(found))

    def __iter__(self) -> Iterator[AuditedRole]:
        """Yield a role on several platforms once for each."""
        for each in self._roles.values():
            yield from each

    def __len__(self) -> int:
        return len(self._roles)

    def _known(self, role: str, platform: str | None) -> AuditedRole | None:
        return next((each for each in self._roles.get(role, ()) if each.platform == platform), None)

    def _put(self, role: AuditedRole) -> None:
        others = (each for each in self._roles.get(role.role, ()) if each.platform != role.platform)
        self._roles[role.role] = (*others, role)

    def _all_of(self, roles: Iterable[AuditedRole]) -> GrantedTables:
        tables = [each.tables for each in roles if each.tables is not None]
        named: dict[_Named, None] = dict.fromkeys((table, view) for each in tables for view, table in each.by_view.items())
        return self._of(tuple(named), sum(each.left_out for each in tables))

    def _granted(self, event: Mapping[str, Any], data: Mapping[str, Any]) -> AuditedRole:
        tables = tuple((each["table"], each.get("view")) for each in data.get("tables", ()))
        policies = tuple(self._shared(each["name"]) for each in data["objects"] if each["kind"] == "AccessPolicy")
        granted = self._of(tables, data.get("tableCount", len(tables)) - len(tables))
        role = self._role(data, policies, granted, frozenset(map(_function_name, data.get("functions", ()))))
        return replace(role, granted_at=_time(event["time"]))

    def _ended_only(self, data: Mapping[str, Any]) -> AuditedRole | None:
        """The end of an orphan has no agent and no user."""
        return self._role(data, (), None, frozenset()) if "agent" in data and "userSubject" in data else None

    def _role(self, data: Mapping[str, Any], policies: tuple[str, ...], tables: GrantedTables | None, tools: frozenset[str]) -> AuditedRole:
        def text(name: str) -> str | None:
            value = data.get(name)
            return None if value is None else self._shared(str(value))

        return AuditedRole(
            role=str(data["role"]),
            agent=self._shared(data["agent"]),
            user_issuer=self._shared(data["userIssuer"]),
            user_subject=self._shared(data["userSubject"]),
            proof=text("userProof"),
            identity_provider=text("identityProvider"),
            purpose=text("purpose") or None,
            platform=text("platform"),
            request=data.get("request"),
            request_uid=data.get("requestUid"),
            policies=policies,
            approval=approval_sentence_of(data),
            profile=text("profile"),
            tables=tables,
            tools=tools,
            granted_at=None,
            expires_at=_time(data["expiresAt"]) if "expiresAt" in data else None,
        )

    def _of(self, tables: tuple[_Named, ...], left_out: int) -> GrantedTables:
        if (found := self._tables.get(tables)) is None or found.left_out != left_out:
            found = self._tables[tables] = GrantedTables(tuple(dict.fromkeys(table for table, _ in tables)), left_out, _views(tables))
        return found

    def _shared(self, text: str) -> str:
        return self._texts.setdefault(text, text)


def _ends(role: AuditedRole) -> datetime:
    return min((each for each in (role.ended_at, role.expires_at) if each is not None), default=_NEVER)


def _function_name(function: str) -> str:
    """Return `risk` of `tools."Risk"(integer)`: in lower case, as calls are compared."""
    return function.partition("(")[0].rpartition(".")[2].strip('"').lower()


@lru_cache(maxsize=4096)
def handles_of(role: str) -> tuple[str | None, str | None]:
    """Return the handles of agent and user; None if the name is not one of a vended role."""
    try:
        parts = parse_role_name(role)
    except InvalidInput:
        return None, None
    return parts.agent, parts.user


def _views(tables: Iterable[_Named]) -> dict[str, str]:
    """Return the tables by view. Where an event names none, it is the one of the style `Short`. A view of one name on two platforms that
    shows different tables is left out."""
    unnamed = {TableId(*table.split(".", 1)): table for table, view in tables if view is None}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for place, view in view_names(unnamed).items():
        found[view].add(unnamed[place])
    for table, named in tables:
        if named is not None:
            found[named].add(table)
    return {view: min(shown) for view, shown in found.items() if len(shown) == 1}


def _time(text: str) -> datetime:
    """Raises ValueError without a zone."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return time
