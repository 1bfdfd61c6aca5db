"""The live roles that read a table, or may: from the objects and the catalog if they give exactly the role's profile, else from its audit
event, else from its status. Pure.

The profile of a role is named by a digest of all that it shows. So if a decision now gives the same name, it states what the role reads.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from rolevend.access_ledger.grants import handles_of
from rolevend.access_ledger.selection import Selection
from rolevend.access_objects.use import approved_by
from rolevend.access_report.answer import ActingNames, Basis, RoleAccess, policies_on, tools_on
from rolevend.access_report.audited import AuditedAccess
from rolevend.access_report.target import AccessTarget
from rolevend.audit.access import approval_sentence
from rolevend.audit.evidence import tables_of
from rolevend.decision.outcome import Decision, Granted, Request
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import InvalidInput
from rolevend.kinds import AccessRequest, VendedRole, parse
from rolevend.kinds.access_request_facts import recorded, requested_access
from rolevend.kinds.vended_role import PlatformState
from rolevend.kube.client import Body
from rolevend.model import ObjectName, PlatformName
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
        roles, unreadable = [], []
        for each in bodies:
            if is_let_go(each):
                continue
            try:
                role = parse(VendedRole, each, unknown="ignore")
                role_requests(role)
            except InvalidInput as error:
                metadata = each["metadata"]
                unreadable.append(f"VendedRole {metadata['namespace']}/{metadata['name']} cannot be read, so it may read it: {error}")
                continue
            if may_live(role):
                roles.append(role)
        return cls(tuple(roles), tuple(unreadable))


@dataclass(slots=True)
class LiveAccess:
    """Answers for one table. Iterate once; afterwards `notes` says what is not known."""

    target: AccessTarget
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

    def of(self, roles: LiveRoles, selection: Selection, platform: str | None, purpose: str | None) -> Iterator[RoleAccess]:
        for role in roles.roles:
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
            f"the catalog of DataPlatform {each} is not known, so roles there are shown by their status: give it with --catalog"
            for each in sorted(self._unread)
        ]
        notes += [
            f"{count} roles on {platform} were vended when the objects or the catalog were others: what they show of it is not known; "
            "give the audit events with --audit"
            for platform, count in sorted(self._differing.items())
        ]
        if self._uncertain:
            notes.append(
                f"the status of {self._uncertain} of these roles does not list all of their tables: they may read {self.target}, or not"
            )
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
            is_shown = event.access is not None and self.target.is_shown_by(event.access)
            return replace(blank, basis=Basis.AUDIT_EVENT, access=event.access, policies=event.policies) if is_shown else None
        return self._by_status(role, state, blank)

    def _by_decision(self, granted: Granted, blank: RoleAccess) -> RoleAccess | None:
        found = tables_of(each for each in granted.tables if each.table == self.target.table)
        if self.snapshot is None or not found or not self.target.is_shown_by(found[0]):
            return None
        index = self.snapshot.shapes[PlatformName(blank.platform)].index
        policies = policies_on(index, granted.granted_by.get(self.target.table, ()), self.target)
        tools = tools_on(granted.profile, self.target.table)
        return replace(blank, basis=Basis.DECISION, access=found[0], policies=policies, tools=tools)

    def _by_status(self, role: VendedRole, state: PlatformState | None, blank: RoleAccess) -> RoleAccess | None:
        if not may_read(role, state, self.target.table):
            return None
        if self.snapshot is None or PlatformName(blank.platform) not in self.snapshot.shapes:
            self._unread.add(blank.platform)
        elif state is not None and state.profile is not None:
            self._differing[blank.platform] += 1
        if state is not None and self.target.table.quoted in state.tables:
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
