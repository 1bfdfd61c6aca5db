"""What a VendedRole's status says at each step of its life. Pure: from what happened to the fields that change."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

from rolevend.kube.client import Body
from rolevend.resources import VendedRole
from rolevend.resources.status import Finding, Truth, body, reported
from rolevend.resources.text import timestamp_text
from rolevend.vending.proof import Proof, Unproven, UserProof
from rolevend.vending.verdict import Delivery, Denied, Granted, Request, Undecided, Verdict


@dataclass(frozen=True, slots=True)
class Report:
    """On which object, and when."""

    role: VendedRole
    now: datetime

    def status(self, findings: list[Finding], **fields: Any) -> Body:
        generation = self.role.metadata.generation
        conditions = reported(findings, self.role.status.conditions, generation=generation, now=self.now)
        return {**fields, "observedGeneration": generation, "conditions": [body(each) for each in conditions]}


def verdict_of(verdict: Verdict) -> tuple[Truth, str]:
    """Status and message of the condition Granted."""
    match verdict:
        case Undecided(message=message):
            return "Unknown", message
        case Denied(message=message):
            return "False", message
        case Granted():
            return "True", f"{len(verdict.tables)} tables"
        case _:
            assert_never(verdict)


def refused(report: Report, verdict: Undecided | Denied, request: Request) -> Body:
    truth, message = verdict_of(verdict)
    findings = [Finding("Granted", truth, verdict.reason, message), Finding("Ready", "False", verdict.reason, message)]
    return report.status(findings + ([] if request.proof is None else [_user_proven(request)]))


def granted(report: Report, verdict: Granted, request: Request, receipt_digest: str | None = None) -> Body:
    """Written before anything is made on a platform: what a drop needs to know."""
    findings = [_granted(verdict), Finding("Ready", "False", "Vending", "the role is being made"), _user_proven(request)]
    receipt = {} if receipt_digest is None else {"receiptDigest": receipt_digest}
    return report.status(findings, **_names(verdict, request), **receipt, platforms=[_platform(verdict, request, "Pending")])


def vended(report: Report, verdict: Granted, request: Request) -> Body:
    kept = request.delivery is Delivery.SECRET
    message = "the role can log in; " + (
        f"its credential is in Secret {request.name.name}" if kept else "the API answered with its credential"
    )
    findings = [_granted(verdict), Finding("Ready", "True", "Live", message), _user_proven(request)]
    return report.status(findings, **_names(verdict, request), platforms=[_platform(verdict, request, "Live")])


def unready(report: Report, reason: str, message: str) -> Body:
    """Granted, or not yet decided, and something is in the way; tried again for ever."""
    return report.status([Finding("Ready", "False", reason, message)])


def dropping(report: Report, reason: str, message: str) -> Body:
    platforms = [{**body(each), "state": "Dropping"} for each in report.role.status.platforms]
    return report.status([Finding("Ready", "False", "Dropping", f"{reason}: {message}")], platforms=platforms)


def _granted(verdict: Granted) -> Finding:
    truth, message = verdict_of(verdict)
    return Finding("Granted", truth, "PolicyGrants", message)


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


def _names(verdict: Granted, request: Request) -> Body:
    attributes = [{"key": key, "values": list(values)} for key, values in verdict.lease.attributes]
    return {
        "roleName": verdict.lease.role,
        "expirationTimestamp": timestamp_text(request.expires_at),
        "user": {"handle": verdict.user_handle, **_proof(verdict.proof), "attributes": attributes},
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


def _platform(verdict: Granted, request: Request, state: str) -> Body:
    kept = {"credentialSecretRef": {"name": request.name.name}} if request.delivery is Delivery.SECRET else {}
    return {"name": request.platform, "state": state, "profile": verdict.profile.name, "tableCount": len(verdict.tables), **kept}
