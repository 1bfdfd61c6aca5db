"""`rolevend who`: finds the agent and the user of a role in every place that keeps records. Each fact names its source.

The record of a handle lasts as long as the operator's namespace, audit events as long as their files, the VendedRole until the role is
gone, and the lease on the platform for a day more, on Snowflake for a week. A role that its database records may have no VendedRole.
"""

import json
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from rolevend.app.who_approval import approval_of_event, approval_of_role
from rolevend.audit.event_files import events_of
from rolevend.audit.events import EventType
from rolevend.decision.proof import Actor
from rolevend.errors import NotPermitted, RolevendError
from rolevend.kinds import REQUESTED_BY, Agent, DataPlatform, Resource, UserAttributes
from rolevend.kube.client import VENDED_ROLES, Body, KubeClient, path_of
from rolevend.kube.handles import HandleRegistry
from rolevend.model import RoleName, User
from rolevend.naming import RoleNameParts, parse_role_name
from rolevend.platforms.postgres.connections import connect_person
from rolevend.platforms.postgres.drop.drops import Tombstone, tombstone_of
from rolevend.platforms.postgres.install.survey import server_of
from rolevend.roles.state import recorded_uid
from rolevend.snapshot.conditions.ledger import is_or_was_ledger
from rolevend.snapshot.controller import ready_condition

_ORDER = (
    *("role", "agent", "user", "proof", "token", "actors", "request", "object", "record", "requester", "approval"),
    *("platform", "purpose", "tables", "policies", "profile", "from", "until", "ended", "state"),
)
_AGREED = ("agent", "user", "proof", "token", "actors", "approval")
"""If two sources differ in one of these, somebody manipulated one of them."""
_MOST_TABLES = 20
_GONE = "gone: no VendedRole has its uid"
_MAY_BE_RECORDED = "no VendedRole has its uid: it is gone, or its platform's database records it (see --dsn)"
_RECORDED_STATES = {
    (False, False): "its database records it, and it has not ended",
    (True, False): "is ending",
    (True, True): "gone: its database records its end",
    (False, True): "gone",
}


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources beside the name. A source that is None or empty is not used."""

    namespace: str
    """The operator's namespace, which holds the records of handles."""
    kubeconfig: str | None = None
    audit_files: Sequence[str] = ()
    dsn: str | None = None
    """The platform's database, with a user that may read `rolevend.lease`."""
    connection: str | None = None
    """A connection in `connections.toml` to the Snowflake account, with a user that may read ROLEVEND.CONTROL.LEASE."""


@dataclass(frozen=True, slots=True)
class Fact:
    name: str
    value: str
    source: str


@dataclass(slots=True)
class RoleOwner:
    facts: list[Fact] = field(default_factory=list)
    """One of each name, from the first source that has it."""
    notes: list[str] = field(default_factory=list)
    """Sources that failed, and differences between sources."""

    @property
    def text(self) -> dict[str, str]:
        return {fact.name: fact.value for fact in sorted(self.facts, key=lambda fact: _ORDER.index(fact.name))}

    @property
    def sources(self) -> dict[str, str]:
        return {fact.name: fact.source for fact in self.facts}

    def learn(self, source: str, facts: Iterable[tuple[str, Any]]) -> None:
        for name, value in facts:
            known = next((each for each in self.facts if each.name == name), None)
            if known is None and value is not None:
                self.facts.append(Fact(name, str(value), source))
            elif known is not None and known.value != str(value) and name in _AGREED:
                self.notes.append(f"{known.source} says that the {name} is {known.value}, and {source} says {value}")

    async def ask(self, source: str, answer: Awaitable[Iterable[tuple[str, Any]]]) -> None:
        try:
            self.learn(source, await answer)
        except RolevendError as error:
            self.notes.append(str(error))


async def describe(role_name: str, sources: Sources) -> RoleOwner:
    """Ask all sources. A source that fails becomes a note. Raises InvalidInput if the name is not one of a vended role."""
    parts = parse_role_name(role_name)
    who = RoleOwner()
    who.learn("its name", [("role", role_name), ("request", parts.uid)])
    without = ""
    if sources.kubeconfig is not None:
        without = await _ask_cluster(who, parts, sources.kubeconfig, sources.namespace)
    if sources.audit_files:
        await who.ask("the audit file", _audit(parts, sources.audit_files))
    has_lease = sources.dsn is not None and await _ask_database(who, RoleName(role_name), sources.dsn)
    if sources.connection is not None:
        from rolevend.app.trace import lease_facts  # the connector is an extra, and large

        await who.ask("the account", lease_facts(RoleName(role_name), sources.connection))
    if without and "state" not in who.text:
        who.learn("the cluster", [("state", _GONE if has_lease else without)])  # a lease without a record is that of an object
    if sources.kubeconfig is not None and not {"agent", "user"} <= who.text.keys():
        await _ask_who_has_them_now(who, parts, sources.kubeconfig)
    known = who.text
    handles = (("agent", parts.agent), ("user", parts.user))
    who.learn("its name", [(name, f"handle {handle}") for name, handle in handles if name not in known])
    return who


async def _ask_cluster(who: RoleOwner, parts: RoleNameParts, kubeconfig: str, namespace: str) -> str:
    """Return the state that follows from the cluster alone if it has no VendedRole of the role, or an empty text."""
    try:
        cluster = await KubeClient.connect(kubeconfig)
    except RolevendError as error:
        who.notes.append(str(error))
        return ""
    try:
        records = HandleRegistry(cluster, namespace)
        await who.ask("the record of its handle", _recorded("agent", records.agent(parts.agent)))
        await who.ask("the record of its handle", _recorded("user", records.user(parts.user)))
        namespace = who.text.get("agent", "").partition("/")[0]
        try:
            role = await _find(cluster, parts.uid, namespace or None)
        except RolevendError as error:
            who.notes.append(str(error))
            return ""
        if role is None:
            return _MAY_BE_RECORDED if await _may_record(cluster) else _GONE
        who.learn("the cluster", _object(role))
        await who.ask("the AccessRequest", approval_of_role(cluster, role))
        return ""
    finally:
        await cluster.close()


async def _ask_who_has_them_now(who: RoleOwner, parts: RoleNameParts, kubeconfig: str) -> None:
    """Learn who has the handles now, for a role that is older than the records. The facts name this source."""
    try:
        cluster = await KubeClient.connect(kubeconfig)
    except RolevendError:
        return  # a note says so already
    try:
        await who.ask("who has the handle now", _registered(cluster, Agent, "agent", parts.agent))
        await who.ask("who has the handle now", _registered(cluster, UserAttributes, "user", parts.user))
    finally:
        await cluster.close()


async def _recorded(name: str, answer: Awaitable[Any]) -> Iterable[tuple[str, Any]]:
    return [(name, await answer)]


async def _may_record(cluster: KubeClient) -> bool:
    """True if databases may record roles, or if the caller may not read the DataPlatforms."""
    try:
        platforms, _ = await cluster.list(path_of(DataPlatform))
    except NotPermitted:
        return True
    except RolevendError:
        return False
    return any(map(is_or_was_ledger, platforms))


def _object(role: Body) -> Iterable[tuple[str, Any]]:
    """Read the VendedRole, which may only show a role that a database records."""
    metadata, spec, status = role["metadata"], role["spec"], role.get("status", {})
    shows = recorded_uid(role) is not None
    return [
        ("agent", f"{metadata['namespace']}/{spec['agentRef']['name']}"),
        ("user", User(spec["user"]["issuer"], spec["user"]["subject"])),
        *_proven(status.get("user", {})),
        ("object", f"{metadata['namespace']}/{metadata['name']}"),
        ("record", f"the database of DataPlatform {_platforms(spec)}, which the VendedRole only shows" if shows else None),
        ("requester", metadata.get("annotations", {}).get(REQUESTED_BY)),
        ("platform", _platforms(spec)),
        ("purpose", spec.get("purpose")),
        ("profile", ", ".join(each["profile"] for each in status.get("platforms", []) if "profile" in each) or None),
        ("from", None if shows else metadata["creationTimestamp"]),
        ("until", status.get("expirationTimestamp")),
        ("state", "is ending" if metadata.get("deletionTimestamp") else _ready(role)),
    ]


def _platforms(spec: Body) -> str:
    return ", ".join(each["name"] for each in spec["platformRefs"])


def _proven(user: Body) -> Iterator[tuple[str, Any]]:
    """Read `status.user`, which only rolevend writes."""
    token = user.get("token") or {}
    actors = [str(Actor(each["issuer"], each["subject"])) for each in token.get("actors", ())]
    yield from _proof(user.get("proof"), token.get("provider"), token.get("type"), token.get("digest"), actors)


def _proof(
    kind: str | None, provider: str | None, type_: str | None, digest: str | None, actors: Sequence[str]
) -> Iterator[tuple[str, Any]]:
    """Yield the kind of proof, and for a token its issuer, its digest, and the actors for the user, the agent first."""
    if kind is not None:
        yield "proof", ", ".join(each for each in (kind, provider, type_) if each)
        yield "token", digest
        yield "actors", ", for ".join(actors) or None


async def _find(cluster: KubeClient, uid: str, namespace: str | None) -> Body | None:
    """Search page by page: the name of a role holds only the uid, and the API server finds objects by name.

    `namespace` is the namespace of the agent and the VendedRole, or None if no record says which.
    """
    async for page in cluster.pages(VENDED_ROLES, namespace):
        for item in page["items"]:
            if uid in (item["metadata"]["uid"], recorded_uid(item)):
                return dict(item)
    return None


def _ready(role: Body) -> str:
    condition = ready_condition(role)
    return f"{condition['reason']}: {condition['message']}" if condition else "no operator has looked at it"


async def _audit(parts: RoleNameParts, files: Sequence[str]) -> Iterable[tuple[str, Any]]:
    return [fact for event in events_of(parts.uid, files) for fact in _event_facts(event)]


def _event_facts(event: Body) -> Iterator[tuple[str, Any]]:
    data = event["data"]
    if "userSubject" in data:
        yield "agent", data["agent"]
        yield "user", User(data["userIssuer"], data["userSubject"])
    yield from _proof(
        data.get("userProof"), data.get("identityProvider"), data.get("tokenType"), data.get("tokenDigest"), data.get("actors", ())
    )
    yield "object", data.get("request")
    yield "requester", data.get("requestedBy")
    yield "platform", data.get("platform")
    yield from approval_of_event(data)
    match event["type"]:
        case EventType.GRANTED:
            policies = [f"{each['name']} ({each['generation']})" for each in data["objects"] if each["kind"] == "AccessPolicy"]
            yield "purpose", data.get("purpose")
            yield "tables", _tables(data)
            yield "policies", ", ".join(policies)
            yield "profile", data["profile"]
            yield "from", event["time"]
            yield "until", data["expiresAt"]
        case EventType.DROPPED:
            by = f" by {data['endedBy']}" if "endedBy" in data else ""
            message = f": {data['message']}" if "message" in data else ""
            sessions = f", {data['sessionsEnded']} sessions ended" if "sessionsEnded" in data else ""
            yield "ended", f"{data['ended']}{by}, gone at {data['endedAt']}{sessions}{message}"


def _tables(granted: Body) -> str | None:
    """Return the tables that the role may read, as far as the event names them."""
    names = [each["table"] for each in granted.get("tables", [])]
    more = granted.get("tablesLeftOut", 0) + max(0, len(names) - _MOST_TABLES)
    return ", ".join([*names[:_MOST_TABLES], *([f"and {more} more"] if more else [])]) or None


async def _ask_database(who: RoleOwner, role: RoleName, dsn: str) -> bool:
    """Return True if the database has a lease of the role."""
    try:
        with connect_person(dsn) as connection:
            if not server_of(connection).is_installed:
                who.notes.append("asking the database for the lease: rolevend is not installed in it")
                return False
            lease = tombstone_of(connection, role)
    except psycopg.Error as error:
        who.notes.append(f"asking the database for the lease: {' '.join(str(error).split())}")
        return False
    if lease is None:
        return False
    who.learn("the database", _lease(lease))
    if lease.record is not None:
        try:
            who.learn("the database", list(_record(lease, lease.record)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            who.notes.append(f"the database has a record of the role that is not one of rolevend: {error!r}")
    return True


def _lease(lease: Tombstone) -> Iterable[tuple[str, Any]]:
    ended = f"{lease.reason}, closed at {lease.revoked_at}, gone at {lease.dropped_at or '(not yet)'}" if lease.revoked_at else None
    return [
        ("agent", lease.agent),
        ("user", lease.user),
        ("profile", lease.profile),
        ("from", lease.issued_at),
        ("until", lease.expires_at),
        ("ended", ended),
    ]


def _record(lease: Tombstone, record: str) -> Iterator[tuple[str, Any]]:
    """Read the record that the database has instead of a VendedRole. Nothing in it is verified: the seal needs the operator's key."""
    role = json.loads(record)
    yield "object", lease.record_name
    yield "record", "the platform's database"
    yield "state", _RECORDED_STATES[lease.revoked_at is not None, lease.dropped_at is not None]
    yield "requester", role["metadata"].get("annotations", {}).get(REQUESTED_BY)
    yield "platform", _platforms(role["spec"])
    yield "purpose", role["spec"].get("purpose")
    yield from _proven(role["status"].get("user", {}))


async def _registered(cluster: KubeClient, kind: type[Resource], name: str, handle: str) -> Iterable[tuple[str, Any]]:
    items, _ = await cluster.list(path_of(kind))
    found = next((item for item in items if item["spec"].get("handle") == handle), None)
    if found is None:
        return []
    if kind is Agent:
        return [(name, f"{found['metadata']['namespace']}/{found['metadata']['name']}")]
    return [(name, User(found["spec"]["user"]["issuer"], found["spec"]["user"]["subject"]))]
