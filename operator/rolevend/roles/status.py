"""The status of a VendedRole at each step of its life. Pure: returns the fields that change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, assert_never

from rolevend.decision.approval import ActiveApproval
from rolevend.decision.outcome import Delivery, Denied, Granted, Pending, Request
from rolevend.decision.proof import Proof, Unproven, UserProof
from rolevend.errors import PlatformDrifted, RolevendError
from rolevend.kinds import VendedRole
from rolevend.kinds.shared import REVOKED_BY
from rolevend.kinds.status import ConditionUpdate, Truth, body, reported, shortened
from rolevend.kinds.text import timestamp_text
from rolevend.kinds.vended_role import MOST_TABLES_LISTED
from rolevend.kube.client import Body
from rolevend.kube.credentials import secret_name
from rolevend.model import PlatformName, UserHandle
from rolevend.platforms.progress import BuildProgress
from rolevend.roles.decision import PlatformGrant, RoleDecision
from rolevend.roles.state import is_platform_active, may_exist_on

BUILDING: Final = "Building"
"""The reason of the condition Ready while the role's profile is being built."""
_MAX_MESSAGE: Final = 1024
_EMPTY: Final[Mapping[PlatformName, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StatusBuilder:
    """Builds the status patches of one object. All statuses of VendedRoles come from here."""

    role: VendedRole
    now: datetime

    def denied_status(self, decision: Pending | Denied, role_decision: RoleDecision) -> Body:
        """Return the status of a blocked role. `decision` is the one that blocks."""
        truth: Truth = "Unknown" if isinstance(decision, Pending) else "False"
        request = role_decision.decisions[0][0]
        conditions = [
            ConditionUpdate("Granted", truth, decision.reason, decision.message),
            ConditionUpdate("Ready", "False", decision.reason, decision.message),
        ]
        return self._status(conditions + ([] if request.proof is None else [_user_proven(request)]))

    def pending_status(self, role_decision: RoleDecision, receipts: Mapping[PlatformName, str | None] = _EMPTY) -> Body:
        """Return the intent, which is written before anything exists on a platform and has every field that a drop needs. `receipts` are
        the digests of the written receipts."""
        conditions = [
            _granted(role_decision),
            ConditionUpdate("Ready", "False", "Vending", "the role is being created"),
            *_user_conditions(role_decision),
        ]
        first = [digest for platform, digest in receipts.items() if digest is not None and not _is_further(role_decision, platform)]
        platforms = self._platforms(role_decision, {each.platform: _platform(each, "Pending", receipts) for each in role_decision.grants})
        return self._status(conditions, **_names(role_decision), **({"receiptDigest": first[0]} if first else {}), platforms=platforms)

    def building_status(self, platform: PlatformName, progress: BuildProgress | None) -> Body:
        """Return the status of a role that waits for its profile on `platform`. None: the build has not started."""
        where = f"on {platform}: " if len(self.role.spec.platform_refs) > 1 else ""
        so_far = "" if progress is None else f": {progress}"
        return self._status([ConditionUpdate("Ready", "False", BUILDING, f"{where}building its profile{so_far}")])

    def ready_status(
        self,
        role_decision: RoleDecision,
        failed: Mapping[PlatformName, Body] = _EMPTY,
        receipts: Mapping[PlatformName, str | None] = _EMPTY,
    ) -> Body:
        """Return the status of a created role. `failed` has the status of each granted platform without a role: see `skipped_platform`
        and `abandoned_platform`."""
        live = [each for each in role_decision.grants if each.platform not in failed]
        message = "the role can log in; the API answered with its credential"
        if live[0].request.delivery is Delivery.SECRET:
            message = f"the role can log in; its credential is in Secret {', '.join(secret_name(each.request) for each in live)}"
        there = {each.platform: {**_platform(each, "Live", receipts), **failed.get(each.platform, {})} for each in role_decision.grants}
        platforms = self._platforms(role_decision, there)
        missing = [f"{each['name']} ({each['reason']})" for each in platforms if each["state"] != "Live"]
        if missing:
            message += f"; there is none on {', '.join(missing)}"
        ready = ConditionUpdate("Ready", "True", "Partial", message) if missing else ConditionUpdate("Ready", "True", "Live", message)
        return self._status(
            [_granted(role_decision), ready, *_user_conditions(role_decision)], **_names(role_decision), platforms=platforms
        )

    def receipts_status(self, role_decision: RoleDecision, receipts: Mapping[PlatformName, str | None]) -> Body:
        """Return the digests of rewritten receipts; empty if the status has them already."""
        status = self.role.status
        changed: Body = {}
        platforms: list[Body] = []
        for each in status.platforms:
            digest, entry = receipts.get(PlatformName(each.name)), body(each)
            if digest is not None and not _is_further(role_decision, PlatformName(each.name)):
                changed |= {} if status.receipt_digest == digest else {"receiptDigest": digest}
            elif digest is not None and each.receipt_digest != digest:
                entry["receiptDigest"] = digest
                changed["platforms"] = platforms
            platforms.append(entry)
        return changed

    def not_ready_status(
        self, reason: str, message: str, platform: PlatformName | None = None, created: Iterable[PlatformName] = ()
    ) -> Body:
        """Return the status of a vend that failed on `platform` and is retried. The role exists on the platforms in `created`."""
        role = self.role
        if len(role.status.platforms) < 2:  # the spec may be invalid
            return self._status([ConditionUpdate("Ready", "False", reason, message)])
        done = set(created)
        platforms = []
        for each in role.status.platforms:
            entry = {name: value for name, value in body(each).items() if each.state == "LeftOut" or name not in ("reason", "message")}
            if each.name in done:
                entry["state"] = "Live"
            elif each.name == platform:
                entry |= {"reason": reason, "message": message[:_MAX_MESSAGE]}
            platforms.append(entry)
        where = f"on {platform}: " if platform else ""
        return self._status([ConditionUpdate("Ready", "False", reason, f"{where}{message}")], platforms=platforms)

    def dropping_status(self, failures: Mapping[PlatformName | None, tuple[str, str]], gone: Iterable[PlatformName] = ()) -> Body:
        """Return the status of a role that is being dropped. `failures` are reason and message by platform; the platform is None if
        none failed. The role is gone from those of `gone`."""
        done = set(gone)
        platforms = []
        for each in self.role.status.platforms:
            name, entry = PlatformName(each.name), body(each)
            if name in done:
                entry = {"name": name, "state": "Gone"}
            elif is_platform_active(self.role, name):
                entry = {**entry, "state": "Dropping"}
                if name in failures and len(self.role.status.platforms) > 1:
                    reason, message = failures[name]
                    entry |= {"reason": reason, "message": message[:_MAX_MESSAGE]}
            platforms.append(entry)
        text = "; ".join(f"{reason}: {message}" for reason, message in failures.values())
        return self._status([ConditionUpdate("Ready", "False", "Dropping", text)], platforms=platforms, **self._revoked())

    def gone_status(self, message: str, finalizers: Iterable[str]) -> Body:
        """Return the status of an object whose role is gone, and that `finalizers` of others keep. `message` says where the role was,
        and why it ended."""
        platforms = [
            {"name": each.name, "state": "Gone"} if is_platform_active(self.role, PlatformName(each.name)) else body(each)
            for each in self.role.status.platforms
        ]
        kept_by = f"finalizers of others keep this object: {', '.join(finalizers)}"
        gone = ConditionUpdate("Ready", "False", "Gone", f"{message}; {kept_by}")
        return self._status([gone], platforms=platforms, **self._revoked())

    def _revoked(self) -> Body:
        """Return the end by a person, whose reason is in annotations until the operator writes it; empty for another end."""
        ended = self.role.status.ended
        return {"ended": body(ended)} if ended is not None and REVOKED_BY in self.role.metadata.annotations else {}

    def _status(self, conditions: list[ConditionUpdate], **fields: Any) -> Body:
        generation = self.role.metadata.generation
        merged = reported(conditions, self.role.status.conditions, generation=generation, now=self.now)
        return {**fields, "observedGeneration": generation, "conditions": [body(each) for each in merged]}

    def _platforms(self, role_decision: RoleDecision, there: Mapping[PlatformName, Body]) -> list[Body]:
        """Return the platforms in the order of the object. A platform without a decision keeps its status."""
        skipped = {}
        for request, decision in role_decision.skipped:  # an earlier attempt may have created the role there
            became = abandoned_platform if may_exist_on(self.role, request.platform) else skipped_platform
            skipped[request.platform] = became(decision.reason, decision.message)
        before = {PlatformName(each.name): body(each) for each in self.role.status.platforms}
        names = [PlatformName(each.name) for each in self.role.spec.platform_refs]
        platforms = ({"name": name, **there.get(name, skipped.get(name, before.get(name, {"state": "Pending"})))} for name in names)
        return [{member: value for member, value in each.items() if value is not None} for each in platforms]


def ended_status(reason: str, by: str, message: str) -> Body:
    """Return the reason of an early end. The caller then deletes the object."""
    return {"ended": {"reason": reason, "by": by, "message": message[:_MAX_MESSAGE]}}


def granted_condition(role_decision: RoleDecision) -> tuple[Truth, str]:
    """Return status and message of the condition Granted."""
    match role_decision.combined:
        case Pending(message=message):
            return "Unknown", message
        case Denied(message=message):
            return "False", message
        case Granted():
            given = [_tables(each, role_decision) for each in role_decision.grants]
            return "True", "; ".join(
                [*given, *(f"nothing on {request.platform}: {each.message}" for request, each in role_decision.skipped)]
            )
        case _:
            assert_never(role_decision.combined)


def skipped_platform(reason: str, message: str) -> Body:
    """Return the status of a platform on which nothing was created."""
    absent = {"profile": None, "tableCount": None, "tables": None, "credentialSecretRef": None}
    return {"state": "LeftOut", "reason": reason, "message": message[:_MAX_MESSAGE], **absent}


def abandoned_platform(reason: str, message: str) -> Body:
    """Return the status of a platform on which a role may exist, which is dropped."""
    return {"state": "Dropping", "reason": reason, "message": message[:_MAX_MESSAGE], "credentialSecretRef": None}


def needs_person(role: VendedRole) -> bool:
    """True if, by the last status, a person must repair the platform before the profile can be built."""
    ready = role.status.condition("Ready")
    return ready is not None and ready.reason == PlatformDrifted.__name__


def build_progress(role: VendedRole) -> str | None:
    """Return the last message of `building_status` while the profile is being built, or None."""
    ready = role.status.condition("Ready")
    return ready.message if ready is not None and ready.reason == BUILDING else None


def error_reason(error: Exception) -> tuple[str, str]:
    """Return reason and message. The message of an unexpected error may hold a secret, so only its class is reported."""
    if isinstance(error, RolevendError):
        return type(error).__name__, str(error)
    return "InternalError", f"{type(error).__name__}; see the operator's log"


def _granted(role_decision: RoleDecision) -> ConditionUpdate:
    truth, message = granted_condition(role_decision)
    return ConditionUpdate("Granted", truth, "PolicyGrants", message)


def _tables(grant: PlatformGrant, role_decision: RoleDecision) -> str:
    return f"{len(grant.granted.tables)} tables" + (f" on {grant.platform}" if len(role_decision.decisions) > 1 else "")


def _user_conditions(role_decision: RoleDecision) -> list[ConditionUpdate]:
    """Return the conditions of a granted role that do not depend on its progress."""
    proven = _user_proven(role_decision.grants[0].request)
    restrictions = [sentence for grant in role_decision.grants for sentence in grant.granted.stricter]
    return [proven, ConditionUpdate("StricterForTools", "True", "TablePolicies", shortened(restrictions))] if restrictions else [proven]


def _user_proven(request: Request) -> ConditionUpdate:
    match request.proof:
        case None:
            return ConditionUpdate("UserProven", "False", "Asserted", "a trusted agent named the user; no token proves it")
        case Unproven(code=code, message=message):
            return ConditionUpdate("UserProven", "False", code, message)
        case Proof() as proof:
            of = f"a token of IdentityProvider {proof.provider}, until {timestamp_text(proof.expires_at)} at the latest"
            if proof.kind is UserProof.EXCHANGED:
                chain = ", for ".join(map(str, proof.actors))
                return ConditionUpdate("UserProven", "True", "Exchanged", f"{of}: by its issuer the agent acts for the user ({chain})")
            return ConditionUpdate("UserProven", "True", "Token", f"{of}: it was issued to the agent's client")
    assert_never(request.proof)


def _names(role_decision: RoleDecision) -> Body:
    first = role_decision.grants[0]
    approval = first.request.approval
    return {
        **({"accessRequestUid": approval.uid} if isinstance(approval, ActiveApproval) else {}),
        "roleName": role_decision.role,
        "expirationTimestamp": timestamp_text(first.request.expires_at),
        "user": {
            **user_status(first.granted.user_handle, role_decision.proof),
            "attributes": [{"key": key, "values": list(values)} for key, values in role_decision.attributes],
        },
    }


def user_status(handle: UserHandle, proof: Proof | None) -> Body:
    """Return the user as the decision saw them; without `proof` the agent asserts the user."""
    if proof is None:
        return {"handle": handle, "proof": UserProof.ASSERTED.value}
    token = {
        "provider": proof.provider,
        "type": proof.token_type,
        "digest": proof.digest,
        "actors": [{"issuer": each.issuer, "subject": each.subject} for each in proof.actors],
        "attributes": [{"key": each.key, "values": list(each.values), "source": each.source} for each in proof.attributes],
        "unreadAttributes": sorted(proof.unreadable),
        **({} if proof.authenticated_at is None else {"authTime": timestamp_text(proof.authenticated_at)}),
        **({} if proof.acr is None else {"acr": proof.acr}),
    }
    return {"handle": handle, "proof": proof.kind.value, "token": token}


def _platform(grant: PlatformGrant, state: str, receipts: Mapping[PlatformName, str | None]) -> Body:
    kept = {"credentialSecretRef": {"name": secret_name(grant.request)}} if grant.request.delivery is Delivery.SECRET else {}
    receipt = {"receiptDigest": receipts.get(grant.platform)} if grant.request.further else {}
    tables = grant.granted.tables
    listed = sorted(each.table.quoted for each in tables[:MOST_TABLES_LISTED])
    shape = {"profile": grant.granted.profile.name, "tableCount": len(tables), "tables": listed}
    return {"name": grant.platform, "state": state, **shape, **kept, **receipt}


def _is_further(role_decision: RoleDecision, platform: PlatformName) -> bool:
    return any(request.further for request, _ in role_decision.decisions if request.platform == platform)
