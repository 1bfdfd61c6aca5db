"""Read what the answers rest on: roles, objects and catalogs of a cluster as the caller may, or of files, and audit events. I/O."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from rolevend.access_report.audited import AuditedAccess
from rolevend.access_report.live import LiveRoles
from rolevend.access_report.names import KnownNames
from rolevend.access_report.target import TABLE, AccessTarget
from rolevend.approvals.reader import REQUESTS, ClusterAccess
from rolevend.audit.event_files import events
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import InvalidInput, NotPermitted, RolevendError
from rolevend.kinds import AccessRequest, Agent, DataPlatform, IdentityProvider, UserAttributes, parse, values
from rolevend.kube.client import KubeClient
from rolevend.model import ObjectName
from rolevend.naming import PREFIX
from rolevend.policytools.cluster import ClusterObjects, PeopleBound, objects_of
from rolevend.policytools.folder import CLUSTER, Catalogs, Folder, read_catalogs
from rolevend.policytools.published_catalogs import published_catalogs
from rolevend.policytools.request_variants import named_purposes
from rolevend.revocations.reader import list_roles, unlisted_places
from rolevend.revocations.selection import handle_of
from rolevend.snapshot.builder import SnapshotBuild


@dataclass(frozen=True)
class AccessSources:
    """The sources of an answer."""

    catalogs: Catalogs
    roles: LiveRoles = field(default_factory=LiveRoles)
    objects: ClusterObjects | None = None
    """None: the caller may not read them, or there is no cluster."""
    requests: tuple[AccessRequest, ...] = ()
    """The AccessRequests, if a role uses an approval."""
    other_users: frozenset[str] = frozenset()
    """Subjects of users that were left out of the objects."""
    notes: tuple[str, ...] = ()

    @cached_property
    def built(self) -> SnapshotBuild | None:
        return None if self.objects is None else self.objects.folder.build(self.catalogs, self.objects.cluster)

    @property
    def snapshot(self) -> Snapshot | None:
        return None if self.built is None else self.built.snapshot

    @property
    def issuers(self) -> dict[str, frozenset[str]]:
        """The keys of the attributes that tokens give, by accepted issuer."""
        accepted = () if self.snapshot is None else self.snapshot.issuers
        providers = () if self.objects is None else self.objects.folder.of(IdentityProvider)
        keys = {each.spec.issuer: frozenset(one.key for one in each.spec.claims.attributes) for each in providers}
        return {issuer: keys.get(issuer, frozenset()) for issuer in accepted}

    @property
    def unready(self) -> Iterator[str]:
        """A note for each kind with objects that are suspended, or not ready by their status: the operator vends nothing for them."""
        if self.objects is None:
            return
        folder = self.objects.folder
        for kind, objects in (
            ("DataPlatform", folder.of(DataPlatform)),
            ("Agent", folder.of(Agent)),
            ("UserAttributes", folder.of(UserAttributes)),
        ):
            found = {each.name: reason for each in objects if (reason := _unready(each)) is not None}
            if found:
                name, reason = min(found.items())
                more = f", and {len(found) - 1} more" if len(found) > 1 else ""
                yield f"{kind} {name}{more}: the operator vends nothing there or for it now: {reason}"

    @property
    def approvals(self) -> dict[ObjectName, AccessRequest]:
        return {values.object_name(each): each for each in self.requests}


async def read_sources(
    access: ClusterAccess, files: Sequence[Path], operator_namespace: str, now: datetime, *, with_roles: bool
) -> AccessSources:
    """Read a cluster, and the catalogs in `files`; without any, those that the operator publishes. Objects that the caller may not read
    become a note. Raises NotPermitted if those are the roles."""
    async with access.connected() as cluster:
        notes: list[str] = []
        listing = await list_roles(cluster, access.namespace) if with_roles else None
        roles = LiveRoles() if listing is None else LiveRoles.of(listing.items)
        notes += () if listing is None else (*listing.notes, *roles.unreadable, *await unlisted_places(cluster))
        found, hints = (read_catalogs(files), ()) if files else await _published(cluster, operator_namespace, now)
        notes += hints
        objects = await read_objects(cluster, notes)
        requests = await _requests(cluster, notes) if any(each.spec.approval_ref for each in roles.roles) else ()
        return AccessSources(found, roles, objects, requests, notes=tuple(notes))


def read_files(paths: Sequence[Path], files: Iterable[Path]) -> AccessSources:
    """Read objects from files instead of a cluster."""
    return AccessSources(read_catalogs(files), objects=ClusterObjects(Folder.sound(paths), CLUSTER))


async def _published(cluster: KubeClient, namespace: str, now: datetime) -> tuple[Catalogs, tuple[str, ...]]:
    """Return the published catalogs, and notes on their age, or on why there are none."""
    try:
        published = await published_catalogs(cluster, namespace, now)
    except RolevendError as error:
        return {}, (str(error),)
    return published.catalogs, published.notes


def read_events(target: AccessTarget, files: Sequence[str]) -> AuditedAccess:
    audited = AuditedAccess(target)
    for event in events(files, PREFIX):
        audited.learn(event)
    return audited


def known_names(sources: AccessSources, snapshot: Snapshot | None, audited: AuditedAccess | None = None) -> KnownNames:
    tables = {name.quoted for catalog in sources.catalogs.values() for name in catalog.tables}
    known = KnownNames(tables=tables, users=set(sources.other_users))
    for role in sources.roles.roles:
        known.add_agent(f"{role.namespace}/{role.spec.agent_ref.name}", None)
        known.add_user(role.spec.user.issuer, role.spec.user.subject, handle_of(role))
        known.platforms.update(each.name for each in role.spec.platform_refs)
        known.purposes.update([role.spec.purpose] if role.spec.purpose else [])
        known.tables.update(name for state in role.status.platforms for name in state.tables)
    for each in audited.roles if audited is not None else ():
        known.add_agent(each.agent, each.agent_handle)
        known.add_user(each.user_issuer, each.user_subject, each.user_handle)
        known.platforms.update([each.platform] if each.platform else [])
        known.purposes.update([each.purpose] if each.purpose else [])
    known.tables |= audited.tables if audited is not None else set()
    if snapshot is not None:
        for name, agent in snapshot.agents.items():
            known.add_agent(str(name), agent.handle)
        for user, person in snapshot.people.items():
            known.add_user(user.issuer, user.subject, person.handle)
        known.platforms.update(snapshot.platforms)
        known.purposes |= named_purposes([snapshot], snapshot.platforms)
        known.complete |= {"--agent", "--platform", "--purpose"}
        known.complete |= {TABLE} if sources.catalogs.keys() >= snapshot.platforms.keys() else set()
    return known


def _unready(resource: DataPlatform | Agent | UserAttributes) -> str | None:
    """Return the reason why the object is not ready, or None."""
    ready = resource.status.condition("Ready")
    if resource.spec.suspend:
        return "spec.suspend is true"
    return None if ready is None or ready.status == "True" else f"{ready.reason}: {ready.message}"


async def read_objects(cluster: KubeClient, notes: list[str], people: PeopleBound | None = None) -> ClusterObjects | None:
    """Return the objects, or None with a note if the caller may not read them. `people` as of `objects_of`."""
    try:
        found = await objects_of(cluster, people)
    except NotPermitted as error:
        notes.append(f"policies are not judged, because you may not read them and all that they depend on: {error}")
        return None
    if found.folder.refused or found.folder.unreadable:
        notes.append(f"{len(found.folder.refused) + len(found.folder.unreadable)} objects of the cluster cannot be read, and are left out")
    return found


async def _requests(cluster: KubeClient, notes: list[str]) -> tuple[AccessRequest, ...]:
    try:
        items, _ = await cluster.list(REQUESTS)
    except NotPermitted as error:
        notes.append(f"roles with an approval are shown by their status, because you may not read AccessRequests: {error}")
        return ()
    found = []
    for each in items:
        try:
            found.append(parse(AccessRequest, each, unknown="ignore"))
        except InvalidInput as error:
            notes.append(f"AccessRequest {each['metadata']['namespace']}/{each['metadata']['name']} cannot be read: {error}")
    return tuple(found)
