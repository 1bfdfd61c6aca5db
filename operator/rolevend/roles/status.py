"""What a VendedRole's status says at each step of its life. Pure: from what happened to the fields that change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, assert_never

from rolevend.errors import PlatformDrifted, RolevendError
from rolevend.kube.client import Body
from rolevend.kube.credentials import secret_name
from rolevend.model import PlatformName
from rolevend.platforms.progress import Progress
from rolevend.resources import VendedRole
from rolevend.resources.status import Finding, Truth, body, reported, shortened
from rolevend.resources.text import timestamp_text
from rolevend.roles.decision import RoleDecision, Vend
from rolevend.roles.state import is_platform_active, may_exist_on, role_requests
from rolevend.vending.proof import Proof, Unproven, UserProof
from rolevend.vending.verdict import Delivery, Denied, Granted, Request, Undecided

BUILDING: Final = "Building"
"""As the condition Ready says it of a role whose profile is being built."""
_LONGEST_MESSAGE: Final = 1024
_NOTHING: Final[Mapping[PlatformName, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StatusBuilder:
    """On which object, and when."""

    role: VendedRole
    now: datetime

    def status(self, findings: list[Finding], **fields: Any) -> Body:
        generation = self.role.metadata.generation
        conditions = reported(findings, self.role.status.conditions, generation=generation, now=self.now)
        return {**fields, "observedGeneration": generation, "conditions": [body(each) for each in conditions]}


def granted_condition(whole: RoleDecision) -> tuple[Truth, str]:
    """Status and message of the condition Granted."""
    match whole.verdict:
        case Undecided(message=message):
            return "Unknown", message
        case Denied(message=message):
            return "False", message
        case Granted():
            given = [_tables(each, whole) for each in whole.vends]
            return "True", "; ".join([*given, *(f"nothing on {request.platform}: {why.message}" for request, why in whole.left_out)])
        case _:
            assert_never(whole.verdict)


def refused(report: StatusBuilder, verdict: Undecided | Denied, whole: RoleDecision) -> Body:
    """`verdict` is that of the whole, or of an agent that must wait."""
    truth: Truth = "Unknown" if isinstance(verdict, Undecided) else "False"
    request = whole.verdicts[0][0]
    findings = [Finding("Granted", truth, verdict.reason, verdict.message), Finding("Ready", "False", verdict.reason, verdict.message)]
    return report.status(findings + ([] if request.proof is None else [_user_proven(request)]))


def granted(report: StatusBuilder, whole: RoleDecision, receipts: Mapping[PlatformName, str | None] = _NOTHING) -> Body:
    """Written before anything is made on a platform: what a drop needs to know. `receipts` are the digests of those that were written."""
    findings = [_granted(whole), Finding("Ready", "False", "Vending", "the role is being made"), *_besides(whole)]
    first = [digest for platform, digest in receipts.items() if digest is not None and not _is_further(whole, platform)]
    platforms = _platforms(report, whole, {each.platform: _platform(each, "Pending", receipts) for each in whole.vends})
    return report.status(findings, **_names(whole), **({"receiptDigest": first[0]} if first else {}), platforms=platforms)


def building(report: StatusBuilder, platform: PlatformName, progress: Progress | None) -> Body:
    """Granted, and the role waits for its profile on `platform`, which takes a while. None: nothing of it was made yet."""
    where = f"on {platform}: " if len(report.role.spec.platform_refs) > 1 else ""
    so_far = "" if progress is None else f": {progress}"
    return report.status([Finding("Ready", "False", BUILDING, f"{where}building its profile{so_far}")])


def waits_for_a_person(role: VendedRole) -> bool:
    """Whether who builds its profile said last that a person must put something right first."""
    ready = role.status.condition("Ready")
    return ready is not None and ready.reason == PlatformDrifted.__name__


def how_far(role: VendedRole) -> str | None:
    """What `building` said last, while it is so."""
    ready = role.status.condition("Ready")
    return ready.message if ready is not None and ready.reason == BUILDING else None


def vended(
    report: StatusBuilder,
    whole: RoleDecision,
    failed: Mapping[PlatformName, Body] = _NOTHING,
    receipts: Mapping[PlatformName, str | None] = _NOTHING,
) -> Body:
    """`failed` is what became of platforms where the role was granted, and could not be made: see `left_out` and `given_up`. `receipts` are
    as in `granted`."""
    live = [each for each in whole.vends if each.platform not in failed]
    kept = live[0].request.delivery is Delivery.SECRET
    in_secrets = f"in Secret {', '.join(secret_name(each.request) for each in live)}"
    message = "the role can log in; " + (f"its credential is {in_secrets}" if kept else "the API answered with its credential")
    there = {each.platform: {**_platform(each, "Live", receipts), **failed.get(each.platform, {})} for each in whole.vends}
    platforms = _platforms(report, whole, there)
    missing = [f"{each['name']} ({each['reason']})" for each in platforms if each["state"] != "Live"]
    if missing:
        message += f"; there is none on {', '.join(missing)}"
    ready = Finding("Ready", "True", "Partial", message) if missing else Finding("Ready", "True", "Live", message)
    return report.status([_granted(whole), ready, *_besides(whole)], **_names(whole), platforms=platforms)


def receipts_told(report: StatusBuilder, whole: RoleDecision, receipts: Mapping[PlatformName, str | None]) -> Body:
    """What changes of a status where receipts were written again; empty where nothing does."""
    status = report.role.status
    changed: Body = {}
    platforms: list[Body] = []
    for each in status.platforms:
        digest, told = receipts.get(PlatformName(each.name)), body(each)
        if digest is not None and not _is_further(whole, PlatformName(each.name)):
            changed |= {} if status.receipt_digest == digest else {"receiptDigest": digest}
        elif digest is not None and each.receipt_digest != digest:
            told["receiptDigest"] = digest
            changed["platforms"] = platforms
        platforms.append(told)
    return changed


def left_out(reason: str, message: str) -> Body:
    """Of a platform: nothing was made there."""
    return {"state": "LeftOut", "reason": reason, "message": message[:_LONGEST_MESSAGE], "profile": None, "credentialSecretRef": None}


def given_up(reason: str, message: str) -> Body:
    """Of a platform: something may have been made there, and is taken away."""
    return {"state": "Dropping", "reason": reason, "message": message[:_LONGEST_MESSAGE], "credentialSecretRef": None}


def unready(
    report: StatusBuilder, reason: str, message: str, platform: PlatformName | None = None, made: Iterable[PlatformName] = ()
) -> Body:
    """Granted, or not yet decided, and something is in the way; tried again for ever. With several platforms, where it is in the way, and
    where the role is `made` already."""
    role = report.role
    if len(role.status.platforms) < 2:  # the spec may not be readable
        return report.status([Finding("Ready", "False", reason, message)])
    done = set(made)
    platforms = []
    for each in role.status.platforms:
        told = {name: value for name, value in body(each).items() if each.state == "LeftOut" or name not in ("reason", "message")}
        if each.name in done:
            told["state"] = "Live"
        elif each.name == platform:
            told |= {"reason": reason, "message": message[:_LONGEST_MESSAGE]}
        platforms.append(told)
    where = f"on {platform}: " if platform else ""
    return report.status([Finding("Ready", "False", reason, f"{where}{message}")], platforms=platforms)


def dropping(report: StatusBuilder, failures: Mapping[PlatformName, tuple[str, str]], gone: Iterable[PlatformName] = ()) -> Body:
    """`failures` are reason and message by platform, which is empty where none is to blame. From those of `gone` it is gone."""
    done = set(gone)
    platforms = []
    for each in report.role.status.platforms:
        name, told = PlatformName(each.name), body(each)
        if name in done:
            told = {"name": name, "state": "Gone"}
        elif is_platform_active(report.role, name):
            told = {**told, "state": "Dropping"}
            if name in failures and len(report.role.status.platforms) > 1:
                reason, message = failures[name]
                told |= {"reason": reason, "message": message[:_LONGEST_MESSAGE]}
        platforms.append(told)
    why = "; ".join(f"{reason}: {message}" for reason, message in failures.values())
    return report.status([Finding("Ready", "False", "Dropping", why)], platforms=platforms)


def gone(report: StatusBuilder, message: str, finalizers: Iterable[str]) -> Body:
    """The role is gone, and these finalizers of others keep the object. `message` says from where, and why."""
    role = report.role
    platforms = [
        {"name": each.name, "state": "Gone"} if is_platform_active(role, PlatformName(each.name)) else body(each)
        for each in role.status.platforms
    ]
    kept_by = f"finalizers of others keep this object: {', '.join(finalizers)}"
    return report.status([Finding("Ready", "False", "Gone", f"{message}; {kept_by}")], platforms=platforms)


def error_reason(error: Exception) -> tuple[str, str]:
    """Reason and message. What we did not raise on purpose might hold anything, so only its kind is told."""
    if isinstance(error, RolevendError):
        return type(error).__name__, str(error)
    return "InternalError", f"{type(error).__name__}; see the operator's log"


def _granted(whole: RoleDecision) -> Finding:
    truth, message = granted_condition(whole)
    return Finding("Granted", truth, "PolicyGrants", message)


def _tables(vend: Vend, whole: RoleDecision) -> str:
    return f"{len(vend.granted.tables)} tables" + (f" on {vend.platform}" if len(whole.verdicts) > 1 else "")


def _besides(whole: RoleDecision) -> list[Finding]:
    """What is said of a role that is granted, whatever has become of it."""
    proven = _user_proven(_first(whole))
    told = [sentence for vend in whole.vends for sentence in vend.granted.stricter]
    return [proven, Finding("StricterForTools", "True", "TablePolicies", shortened(told))] if told else [proven]


def _first(whole: RoleDecision) -> Request:
    return whole.vends[0].request


def _user_proven(request: Request) -> Finding:
    match request.proof:
        case None:
            return Finding("UserProven", "False", "Asserted", "the agent named the user, and is trusted to; no token proves it")
        case Unproven(code=code, message=message):
            return Finding("UserProven", "False", code, message)
        case Proof() as proof:
            of = f"a token of IdentityProvider {proof.provider}, until {timestamp_text(proof.expires_at)} at the latest"
            if proof.kind is UserProof.EXCHANGED:
                chain = ", for ".join(map(str, proof.actors))
                return Finding("UserProven", "True", "Exchanged", f"{of}: it says that the agent acts for the user ({chain})")
            return Finding("UserProven", "True", "Token", f"{of}: the user let the agent's client have it")
    assert_never(request.proof)


def _names(whole: RoleDecision) -> Body:
    first = whole.vends[0]
    return {
        "roleName": whole.role,
        "expirationTimestamp": timestamp_text(first.request.expires_at),
        "user": {
            "handle": first.granted.user_handle,
            **_proof(whole.proof),
            "attributes": [{"key": key, "values": list(values)} for key, values in whole.attributes],
        },
    }


def _proof(proof: Proof | None) -> Body:
    if proof is None:
        return {"proof": UserProof.ASSERTED.value}
    token = {
        "provider": proof.provider,
        "type": proof.token_type,
        "digest": proof.digest,
        "actors": [{"issuer": each.issuer, "subject": each.subject} for each in proof.actors],
        "attributes": [{"key": each.key, "values": list(each.values), "source": each.source} for each in proof.attributes],
        "unreadAttributes": sorted(proof.unreadable),
    }
    return {"proof": proof.kind.value, "token": token}


def _platforms(report: StatusBuilder, whole: RoleDecision, there: Mapping[PlatformName, Body]) -> list[Body]:
    """In the order of the object; of one that was not judged now what is said already."""
    left = {}
    for request, verdict in whole.left_out:  # granted before, perhaps, and made by a try that could not say so
        became = given_up if may_exist_on(report.role, request.platform) else left_out
        left[request.platform] = became(verdict.reason, verdict.message)
    said = {PlatformName(each.name): body(each) for each in report.role.status.platforms}
    names = [request.platform for request in role_requests(report.role)]
    told = ({"name": name, **there.get(name, left.get(name, said.get(name, {"state": "Pending"})))} for name in names)
    return [{member: value for member, value in each.items() if value is not None} for each in told]


def _platform(vend: Vend, state: str, receipts: Mapping[PlatformName, str | None]) -> Body:
    kept = {"credentialSecretRef": {"name": secret_name(vend.request)}} if vend.request.delivery is Delivery.SECRET else {}
    receipt = {"receiptDigest": receipts.get(vend.platform)} if vend.request.further else {}
    shape = {"profile": vend.granted.profile.name, "tableCount": len(vend.granted.tables)}
    return {"name": vend.platform, "state": state, **shape, **kept, **receipt}


def _is_further(whole: RoleDecision, platform: PlatformName) -> bool:
    return any(request.further for request, _ in whole.verdicts if request.platform == platform)
