"""kubectl's door: reconcile a VendedRole to a role that can log in. Parses, decides, calls the Vender and reports."""

import time
from dataclasses import dataclass, replace

from rolevend.controllers.vended_events import VENDED, vended_message
from rolevend.decision.outcome import Denied, Pending, Request, revocation_code
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import Overtaken
from rolevend.kinds import VendedRole, parse
from rolevend.kube.client import Body
from rolevend.roles.decision import RoleDecision
from rolevend.roles.door import Door
from rolevend.roles.ender import RoleEnder
from rolevend.roles.objects import uid_of
from rolevend.roles.quota import RoleQuota
from rolevend.roles.state import assigned_role_name, for_report, is_platform_active, is_ready, role_requests
from rolevend.roles.status import error_reason, granted_condition
from rolevend.roles.store import RoleRecord, RoleStore
from rolevend.roles.user_authenticator import UserAuthenticator
from rolevend.roles.vender import GrantWithdrawn, NotVendableEverywhere, RoleEnding, Vender


@dataclass(frozen=True, slots=True)
class KubernetesEvent:
    """A Kubernetes Event, for people."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    status: Body
    event: KubernetesEvent | None = None


_NOTHING = ReconcileResult({})


class VendedRoleReconciler:
    def __init__(
        self, roles: RoleStore, authenticator: UserAuthenticator, quota: RoleQuota, vender: Vender, ender: RoleEnder, door: Door
    ) -> None:
        """`door` is the same for every role."""
        self._roles = roles
        self._authenticator = authenticator
        self._quota = quota
        self._vender = vender
        self._ender = ender
        self._door = door

    async def reconcile(self, body: Body) -> ReconcileResult:
        """Create the object's role on each of its platforms, or report the reason why not. Idempotent. Raises an error of
        `rolevend.errors` if a retry may succeed, or if a person must repair a platform."""
        role, record = parse(VendedRole, body), self._roles.record(uid_of(body))
        if role.spec.delivery == "Response":  # the API creates these
            return _NOTHING
        requests = tuple(record.with_proof(each) for each in role_requests(role) if is_platform_active(role, each.platform))
        if not requests or is_ready(role) or self._vender.objects.now() >= requests[0].expires_at:
            return _NOTHING
        door, snapshot = replace(self._door, started=time.perf_counter()), self._vender.snapshot
        requests = tuple(map(door.approvals.resolve, requests))
        role_exists = role.status.role_name is not None
        requests = await self._authenticator.authenticate(requests, record, snapshot, role_exists=role_exists)
        role_decision = self._decide(requests, record, snapshot, role_exists=role_exists)
        if role_decision.blocking_decision is not None:
            return await self._denied(role, role_decision, *role_decision.blocking_decision, record, snapshot)
        try:
            result = await self._vender.vend(role, role_decision, snapshot, record, door)
        except RoleEnding:
            return _NOTHING
        except (Overtaken, NotVendableEverywhere, GrantWithdrawn) as error:
            by = "PolicyChanged" if isinstance(error, Overtaken) else error.ended_by
            await self._ender.revoke_requests(requests, role_decision.role, by, str(error))
            return _NOTHING
        tables = [(each.platform, len(each.granted.tables)) for each in result.created]
        message = vended_message(role_decision.role, tables, requests[0].expires_at)
        return ReconcileResult(result.status, KubernetesEvent("Normal", VENDED, message))

    def not_ready_status(self, body: Body, error: Exception) -> Body:
        """Return the status after `error`, which `reconcile` raised."""
        record = self._roles.record(uid_of(body))
        created = [each.request.platform for each in record.states if each.granted is not None]
        report = self._vender.objects.report(for_report(body))
        return report.not_ready_status(*error_reason(error), record.blocked_on, created)

    def _decide(self, requests: tuple[Request, ...], record: RoleRecord, snapshot: Snapshot, *, role_exists: bool) -> RoleDecision:
        role_decision = self._vender.decide(requests, lambda request: self._quota.decide(request, snapshot, role_exists=role_exists))
        self._quota.reserve(requests[0], role_decision.combined)
        record.set_decision(granted_condition(role_decision))
        return role_decision

    async def _denied(
        self,
        role: VendedRole,
        role_decision: RoleDecision,
        request: Request,
        decision: Pending | Denied,
        record: RoleRecord,
        snapshot: Snapshot,
    ) -> ReconcileResult:
        withdrawal = role_decision.withdrawal
        if role.status.role_name is not None and withdrawal is not None:
            # An earlier attempt may have created the role, and could not report it before the grant was withdrawn.
            requests, (where, cause) = tuple(each for each, _ in role_decision.decisions), withdrawal
            message = role_decision.where(where) + cause.message
            await self._ender.revoke_requests(requests, assigned_role_name(role), revocation_code(cause), message)
            return _NOTHING
        status = self._vender.objects.report(role).denied_status(decision, role_decision)
        if isinstance(decision, Pending):
            return ReconcileResult(status)
        await self._vender.deny(role, request, decision, snapshot, record)
        return ReconcileResult(status, KubernetesEvent("Warning", "Denied", decision.message))
