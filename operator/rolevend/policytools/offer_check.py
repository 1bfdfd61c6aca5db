"""Probable mistakes in offers: rules that never approve, purposes that no agent may state, and offers that show nothing, or nothing new."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from rolevend.access_requests.terms import AutomaticRule, OfferTerms
from rolevend.decision.admission import PlatformAdmission
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import InvalidInput
from rolevend.kinds import AccessPolicy, values
from rolevend.kinds.offer_terms import offer_terms
from rolevend.model import ObjectName, PlatformName
from rolevend.policy.bitmap import places, union
from rolevend.policy.guardrail_compiler import CompiledGuardrail
from rolevend.policy.index import CompiledPolicy, GrantSet, Index
from rolevend.policy.mask import Clear
from rolevend.policy.request_context import GrantTarget
from rolevend.policy.unresolved_names import unknown_attributes
from rolevend.policy.vocabulary import closest

_RULES = "spec.onRequest.automatic"


@dataclass(frozen=True, slots=True)
class OfferFinding:
    offer: ObjectName
    level: Literal["error", "warning"]
    fault: InvalidInput


def offer_findings(policies: Iterable[AccessPolicy], snapshot: Snapshot, attributes: frozenset[str]) -> Iterator[OfferFinding]:
    """Yield the findings of all offers among `policies` that are valid. `attributes` are those of known users; none: users are unknown."""
    for policy in policies:
        terms = _terms(policy)
        if terms is not None:
            platforms = [snapshot.platforms.get(PlatformName(each.name)) for each in policy.spec.platform_refs]
            known = None if None in platforms else [each for each in platforms if each is not None]
            for level, fault in (*_rules(terms), *_unread(terms, known, attributes), *_unstated(terms, known)):
                yield OfferFinding(values.object_name(policy), level, fault)
    for platform, shapes in snapshot.shapes.items():
        for offer in shapes.index.offers:
            yield from (OfferFinding(offer.id, *each) for each in _shown(offer, shapes.index, snapshot.offers, platform))


_Found = tuple[Literal["error", "warning"], InvalidInput]


def _terms(policy: AccessPolicy) -> OfferTerms | None:
    try:
        return offer_terms(policy)
    except InvalidInput:  # it is no offer, or its condition says so
        return None


def _rules(terms: OfferTerms) -> Iterator[_Found]:
    for number, rule in enumerate(terms.automatic):
        field = f"{_RULES}[{rule.name}]"
        earlier = next((each for each in terms.automatic[:number] if _matches_more(each, rule)), None)
        if earlier is not None:
            reason = f"rule {earlier.name} comes first and matches every request that this one matches"
            yield "warning", InvalidInput(field, f"{reason}, so this one approves only beyond its limits; put this one first")
        if rule.precedent is not None and not terms.required:
            reason = "with approval.required 0 people approve nothing, so there is never a precedent"
            yield (
                "error",
                InvalidInput(f"{field}.precedent", f"{reason} and this rule never approves; leave it out, or require an approver"),
            )


def _matches_more(one: AutomaticRule, other: AutomaticRule) -> bool:
    """True if `one` matches all that `other` matches, but for their limits."""
    return one.precedent in (None, other.precedent) and {each.text for each in one.conditions} <= {each.text for each in other.conditions}


def _unread(terms: OfferTerms, platforms: list[PlatformAdmission] | None, attributes: frozenset[str]) -> Iterator[_Found]:
    """Yield the attributes that conditions read and that nobody has: such a condition cannot be evaluated, so its rule never approves."""
    of_agents = {key for each in platforms or () for agent in each.agents for key, _ in agent.attributes}
    for rule in terms.automatic:
        for condition in rule.conditions:
            messages = list(unknown_attributes(condition.reads, attributes)) if attributes else []
            for key in sorted(condition.agent_reads - of_agents) if platforms is not None else ():
                messages.append(f"no DataPlatform of this offer gives an agent the attribute {key}{closest(key, of_agents)}")
            field = f"{_RULES}[{rule.name}].matchConditions[{condition.name}].expression"
            yield from (("warning", InvalidInput(field, f"{each}; the rule never approves")) for each in messages)


def _unstated(terms: OfferTerms, platforms: list[PlatformAdmission] | None) -> Iterator[_Found]:
    if platforms is None or terms.purposes is None:
        return
    permitted = {purpose for each in platforms for agent in each.agents for purpose in agent.purposes}
    for purpose in sorted(terms.purposes - permitted):
        message = f"no DataPlatform of this offer permits an agent to state {purpose}, so nobody can ask for the offer with it"
        yield "warning", InvalidInput("spec.onRequest.asks.purposes", message + closest(purpose, permitted))


def _shown(offer: CompiledPolicy, index: Index, offers: Mapping[ObjectName, OfferTerms], platform: PlatformName) -> Iterator[_Found]:
    tables = _tables(offer)
    if not tables:  # its report says why
        return
    if guardrails := _hiding(offer, index):
        message = f"{', '.join(guardrails)} denies all its tables on {platform} to all its users, so it shows nobody anything"
        terms = offers.get(offer.id)
        if terms is not None and terms.discoverable:
            yield "error", InvalidInput("spec.onRequest.discoverable", f"{message}; it must not be discoverable")
        else:
            yield "warning", InvalidInput("spec.tables", message)
    else:
        granting = next((each for each in index.policies if _grants_all(each, offer, index)), None)
        if granting is not None:
            yield "warning", InvalidInput("spec", f"AccessPolicy {granting.id} grants all its users the same on {platform} without asking")


def _tables(policy: CompiledPolicy) -> int:
    return union(each.tables for each in policy.grant_sets)


def _hiding(offer: CompiledPolicy, index: Index) -> list[str]:
    """Return the guardrails that deny all tables of the offer, or all granted columns, to each of its users; [] if something is shown."""
    concerned = [each for each in index.guardrails if set(each.users) <= set(offer.users)]
    found: dict[str, None] = {}
    for place in places(_tables(offer)):
        hiding = [each.name for each in concerned if _hides(each, offer, index, place)]
        if not hiding:
            return []
        found |= dict.fromkeys(f"Guardrail {each}" for each in hiding)
    return list(found)


def _hides(guardrail: CompiledGuardrail, offer: CompiledPolicy, index: Index, place: int) -> bool:
    if not any(each.tables >> place & 1 and (each.denies_table or each.denies_columns) for each in guardrail.restraint_sets):
        return False
    table = index.tables[place]
    restraint = guardrail.restraint(table)
    return restraint.denies_table or restraint.denied_columns.issuperset(name for name, _ in offer.grant(table).masks)


def _grants_all(policy: CompiledPolicy, offer: CompiledPolicy, index: Index) -> bool:
    """True if the policy alone certainly shows all that the offer shows, to all users and agents of the offer."""
    covers = (
        policy.grants_to is GrantTarget.USERS
        and policy.agent is None
        and set(policy.users) <= set(offer.users)
        and set(policy.agents) <= set(offer.agents)
        and {each.text for each in policy.conditions} <= {each.text for each in offer.conditions}
        and not _tables(offer) & ~_tables(policy)
    )
    return covers and all(_shows_all(policy, offer, index, place, each) for each in offer.grant_sets for place in places(each.tables))


def _shows_all(policy: CompiledPolicy, offer: CompiledPolicy, index: Index, place: int, offered: GrantSet) -> bool:
    granted = next(each for each in policy.grant_sets if each.tables >> place & 1)
    if not (set(granted.demands) <= set(offered.demands) and set(granted.ties) <= set(offered.ties)):
        return False
    one, other = policy.grant(index.tables[place]), offer.grant(index.tables[place])
    masks = dict(one.masks)
    rows = one.condition.predicate is None or one.condition == other.condition
    return rows and all(masks.get(name) in (Clear(), mask) for name, mask in other.masks)
