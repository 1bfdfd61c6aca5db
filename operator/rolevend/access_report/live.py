"""The live roles that read a table, or may: from the objects and the catalog if they give exactly the role's profile, else from its audit
event, else from its status. Pure.

The profile of a role is named by a digest of all that it shows. So if a decision now gives the same name, it states what the role reads.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from rolevend.access_ledger.grants import handles_of
from rolevend.access_objects.use import approved_by
from rolevend.access_report.answer import ActingNames, Basis, RoleAccess, policies_on, tools_on
from rolevend.access_report.audited import AuditedAccess
from rolevend.access_report.target import AccessQuestion
from rolevend.audit.access import approval_sentence
from rolevend.audit.evidence import tables_of
from rolevend.decision.description import visible_rows
from rolevend.decision.outcome import Decision, Granted, Request
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import InvalidInput
from rolevend.kinds import AccessRequest, VendedRole, parse
from rolevend.kinds.access_request_facts import recorded, requested_access
from rolevend.kinds.vended_role import PlatformState
from rolevend.kube.client import Body
from rolevend.model import ObjectName, PlatformName, User
from rolevend.policytools.cluster import requester
from rolevend.policytools.decisions import decide_approved
from rolevend.revocations.selection import handle_of, may_live, may_read, present_on
from rolevend.roles.state import assigned_role_name, is_let_go, role_requests, state_on

_STATES = {"Live": "Live", "Dropping": "Ending"}


@dataclass(frozen=True, slots=True)
class LiveRoles:
    """The VendedRoles of a cluster."""

    roles: tuple[VendedRole, ...] = ()
    """Those that live, or may come to life."""
    unreadable: tuple[str, ...] = ()

    @classmethod
    def of(cls, bodies: Iterable[Body]) -> "LiveRoles":
        roles: list[VendedRole] = []
        unreadable: list[str] = []
        for each in bodies:
            if is_let_go(each):
                continue
            try:
                roles.append(parse(VendedRole, each, unknown="ignore"))
            except InvalidInput as error:
                metadata = each["metadata"]
                unreadable.append(_unreadable(ObjectName(metadata["namespace"], metadata["name"]), error))
        found = cls.of_parsed(roles)
        return cls(found.roles, (*unreadable, *found.unreadable))

    @classmethod
    def of_parsed(cls, parsed: Iterable[VendedRole]) -> "LiveRoles":
        roles, unreadable = [], []
        for each in parsed:
            try:
                role_requests(each)
            except InvalidInput as error:
                unreadable.append(_unreadable(ObjectName(each.namespace, each.name), error))
                continue
            if may_live(each):
                roles.append(each)
        return cls(tuple(roles), tuple(unreadable))

    @property
    def users(self) -> frozenset[User]:
        return frozenset(User(each.spec.user.issuer, each.spec.user.subject) for each in self.roles)


@dataclass(slots=True)
class LiveAccess:
    """Answers for one table. Iterate once; afterwards `notes` says what is not known."""

    question: AccessQuestion
    snapshot: Snapshot | None
    """None: the caller may not read the objects."""
    requests: Mapping[ObjectName, AccessRequest]
    """The AccessRequests whose approvals roles use."""
    audited: AuditedAccess
    _unread: set[str] = field(default_factory=set)
    """Platforms without a catalog on which roles are judged by their status."""
    _differing: Counter[str] = field(default_factory=Counter)
    """The roles of each platform whose profile the objects and the catalog do not give."""
    _uncertain: int = 0
    _left: int = 0
    """Roles that are not judged, because that took too long."""

    def of(self, roles: LiveRoles) -> Iterator[RoleAccess]:
        selection, platform, purpose = self.question.selection, self.question.platform, self.question.purpose
        for number, role in enumerate(roles.roles):
            if self.question.is_over():
                self._left = len(roles.roles) - number
                return
            for request in role_requests(role):
                if request.platform not in present_on(role) or platform not in (None, request.platform):
                    continue
                if purpose in (None, role.spec.purpose) and selection.of_people(_acting(role)):
                    entry = self._entry(role, request)
                    if entry is not None:
                        yield entry

    @property
    def notes(self) -> list[str]:
        notes = [
            f"the catalog of DataPlatform {each} is not known, so roles there are shown by their status "
            "(rolevend access --catalog reads it from a file)"
            for each in sorted(self._unread)
        ]
        notes += [
            f"{count} roles on {platform} were vended when the objects or the catalog were others: what they show of it is not known; "
            "rolevend access --audit reads the audit events, which say it"
            for platform, count in sorted(self._differing.items())
        ]
        if self._uncertain:
            may = f"they may read {self.question.target}, or not"
            notes.append(f"the status of {self._uncertain} of these roles does not list all of their tables: {may}")
        if self._left:
            notes.append(f"not judged: {self._left} more live roles, because that took too long; choose a user, an agent or a purpose")
        return notes

    def _entry(self, role: VendedRole, request: Request) -> RoleAccess | None:
        state = state_on(role, request.platform)
        name = assigned_role_name(role)
        blank = replace(_blank(role, request, state), approval=self._approval(request))
        granted = self._decided(request, state)
        if granted is not None:
            return self._by_decision(granted, blank)
        event = None if name is None or state is None else self.audited.find(name, request.platform, state.profile)
        if event is not None and (event.access is not None or event.is_complete):
            is_shown = event.access is not None and self.question.target.is_shown_by(event.access)
            return replace(blank, basis=Basis.AUDIT_EVENT, access=event.access, policies=event.policies) if is_shown else None
        return self._by_status(role, state, blank)

    def _by_decision(self, granted: Granted, blank: RoleAccess) -> RoleAccess | None:
        target = self.question.target
        shapes = [each for each in granted.tables if each.table == target.table]
        found = tables_of(shapes)
        if self.snapshot is None or not found or not target.is_shown_by(found[0]):
            return None
        index = self.snapshot.shapes[PlatformName(blank.platform)].index
        policies = policies_on(index, granted.granted_by.get(target.table, ()), target)
        tools = tools_on(granted.profile, target.table)
        rows = visible_rows(shapes[0], None)
        return replace(blank, basis=Basis.DECISION, access=found[0], rows=rows, policies=policies, tools=tools)

    def _by_status(self, role: VendedRole, state: PlatformState | None, blank: RoleAccess) -> RoleAccess | None:
        if not may_read(role, state, self.question.target.table):
            return None
        if self.snapshot is None or PlatformName(blank.platform) not in self.snapshot.shapes:
            self._unread.add(blank.platform)
        elif state is not None and state.profile is not None:
            self._differing[blank.platform] += 1
        if state is not None and self.question.target.table.quoted in state.tables:
            return blank
        self._uncertain += 1
        return replace(blank, basis=Basis.UNKNOWN)

    def _decided(self, request: Request, state: PlatformState | None) -> Granted | None:
        """Return the decision now, if it gives the profile that the role has, or would have."""
        decision = self._decide(request)
        if not isinstance(decision, Granted):
            return None
        profile = None if state is None else state.profile
        return decision if profile in (None, decision.profile.name) else None

    def _decide(self, request: Request) -> Decision | None:
        if self.snapshot is None or request.platform not in self.snapshot.shapes:
            return None
        if request.approval is None:
            return self.snapshot.decide(request, role_exists=True)
        found = self.requests.get(request.approval.name)
        approval = None if found is None else recorded(found).approval
        if found is None or approval is None:
            return None
        asked = requested_access(found)
        return decide_approved(self.snapshot, requester(request), asked.activation, approval.activation(asked))

    def _approval(self, request: Request) -> str | None:
        if request.approval is None:
            return None
        found = self.requests.get(request.approval.name)
        approval = None if found is None else recorded(found).approval
        if found is None or approval is None:
            return f"AccessRequest {request.approval.name}"
        return approval_sentence(approved_by(approval), str(requested_access(found).offer))


def _unreadable(name: ObjectName, error: InvalidInput) -> str:
    return f"VendedRole {name} cannot be read, so it may read it: {error}"


def _acting(role: VendedRole) -> ActingNames:
    name = assigned_role_name(role)
    return ActingNames(
        agent=f"{role.namespace}/{role.spec.agent_ref.name}",
        agent_handle=None if name is None else handles_of(name)[0],
        user_issuer=role.spec.user.issuer,
        user_subject=role.spec.user.subject,
        user_handle=handle_of(role),
    )


def _blank(role: VendedRole, request: Request, state: PlatformState | None) -> RoleAccess:
    """Return the facts that do not depend on the table."""
    is_ending = role.metadata.deletion_timestamp is not None
    return RoleAccess(
        acting=_acting(role),
        object=f"{role.namespace}/{role.name}",
        role=assigned_role_name(role),
        platform=request.platform,
        state="Ending" if is_ending else _STATES.get(state.state if state else "", "Pending"),
        basis=Basis.STATUS,
        purpose=role.spec.purpose,
        proof=None if role.status.user is None else role.status.user.proof,
        begin=request.created_at,
        end=role.status.expiration_timestamp,
    )
