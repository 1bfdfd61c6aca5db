"""Convert the `onRequest` of an AccessPolicy to the terms of an offer. Pure."""

from collections.abc import Iterator
from datetime import timedelta

from rolevend.access_requests.terms import AutomaticRule, Justification, Limits, NeededProof, OfferTerms, Precedent
from rolevend.errors import InvalidInput
from rolevend.kinds.access_policy import AccessPolicy
from rolevend.kinds.match_condition import admitted
from rolevend.kinds.on_request import AutomaticApproval, AutomaticLimits, OnRequest, PrecedentTerms, ProofTerms, TicketTerms
from rolevend.kinds.parse import Faults
from rolevend.kinds.values import object_name
from rolevend.model import Uid
from rolevend.policy import pattern


def offer_terms(policy: AccessPolicy) -> OfferTerms:
    """Return the terms of an offer. Raises InvalidInput, which names the first invalid condition or pattern, or the missing
    `spec.onRequest` of a policy that is no offer."""
    spelled_out = policy.spec.on_request
    if spelled_out is None:
        raise InvalidInput("spec.onRequest", "must be set: this policy is no offer that can be requested")
    faults = Faults()
    terms = read_terms(policy, spelled_out, faults)
    faults.raise_first()
    return terms


def read_terms(policy: AccessPolicy, spelled_out: OnRequest, faults: Faults) -> OfferTerms:
    """Return the terms without their invalid parts, and collect the errors."""
    asks = spelled_out.asks
    return OfferTerms(
        offer=object_name(policy),
        uid=Uid(policy.uid),
        generation=policy.generation,
        display=spelled_out.display,
        discoverable=spelled_out.discoverable,
        longest_seconds=spelled_out.max_expiration_seconds,
        claim_seconds=spelled_out.claim_seconds,
        uses=spelled_out.uses,
        pending_seconds=spelled_out.pending_seconds,
        purposes=None if asks.purposes is None else frozenset(asks.purposes),
        justification=Justification(asks.justification),
        ticket=None if asks.ticket is None else _ticket(asks.ticket, faults),
        proof=None if spelled_out.proof is None else _proof(spelled_out.proof),
        automatic=tuple(_rules(spelled_out.automatic or (), faults)),
        required=spelled_out.approval.required,
        approver_must_hold=spelled_out.approval.approver_must_hold,
        notify=spelled_out.notify or (),
    )


def _rules(spelled_out: tuple[AutomaticApproval, ...], faults: Faults) -> Iterator[AutomaticRule]:
    for each in spelled_out:
        yield AutomaticRule(
            each.name,
            tuple(admitted(each.match_conditions or (), f"spec.onRequest.automatic[{each.name}]", faults)),
            each.max_expiration_seconds,
            _limits(each.limits),
            None if each.precedent is None else _precedent(each.precedent),
        )


def _limits(spelled_out: AutomaticLimits) -> Limits:
    return Limits(spelled_out.per_user_per_day, spelled_out.per_agent_per_hour, spelled_out.live_at_once)


def _precedent(spelled_out: PrecedentTerms) -> Precedent:
    return Precedent(spelled_out.approved_by_people, timedelta(days=spelled_out.within_days))


def _proof(spelled_out: ProofTerms) -> NeededProof:
    return NeededProof(spelled_out.max_auth_age_seconds, spelled_out.acr or ())


def _ticket(spelled_out: TicketTerms, faults: Faults) -> str:
    faults.reading(lambda: pattern.admit(spelled_out.pattern, "spec.onRequest.asks.ticket.pattern"))
    return spelled_out.pattern
