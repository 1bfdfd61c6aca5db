"""Offers that a user may ask for through an agent, smallest exposure first. Pure.

Nothing here grants: an approval is an input of a later decision. See `approval`.
"""

import enum
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from rolevend.access_requests.terms import AutomaticRule, OfferTerms
from rolevend.catalog import TableId
from rolevend.decision.outcome import Denied, Pending, Request
from rolevend.decision.profile_cache import OfferEffect
from rolevend.decision.snapshot import Ground, Snapshot, of_person
from rolevend.model import ObjectName
from rolevend.policy.condition import Answers
from rolevend.policy.decision import covers
from rolevend.policy.mask import Clear
from rolevend.policy.offer import Activation, Narrowing
from rolevend.policy.requirement import facts_of

MOST_NAMED: Final = 10
_MAX_KEPT: Final = 1_000


class ApprovedBy(enum.StrEnum):
    """The approver of a request for an offer."""

    AUTOMATIC = "Automatic"
    """A rule of the offer, within its limits."""
    PEOPLE = "People"


@dataclass(frozen=True, slots=True)
class Exposure:
    """The size of what an offer shows a user."""

    clear_columns: int
    """Columns that show the value itself in some rows."""
    columns: int
    tables: int

    @classmethod
    def of(cls, effect: OfferEffect) -> "Exposure":
        columns = [column for table in effect.profile.tables for column in table.columns]
        clear = sum(any(cell.mask == Clear() for cell in column.cells) for column in columns)
        return cls(clear, len(columns), len(effect.profile.tables))


@dataclass(frozen=True, slots=True)
class AvailableOffer:
    """An offer that shows the user something, and that somebody or some rule can approve."""

    terms: OfferTerms
    effect: OfferEffect
    """The data that the offer alone shows."""
    how: ApprovedBy
    rule: AutomaticRule | None = None
    """The first rule whose conditions hold, for AUTOMATIC."""
    purpose: str | None = None
    """The purpose that the request must state, or already states; None: none."""
    refusals: tuple[str, ...] = ()
    """For PEOPLE: for each rule the reason why it does not approve. For the owner of the offer."""

    @property
    def longest_seconds(self) -> int:
        """The longest lifetime of a role."""
        longest = None if self.rule is None else self.rule.longest_seconds
        return self.terms.longest_seconds if longest is None else min(longest, self.terms.longest_seconds)

    @property
    def order(self) -> tuple[int, int, int, bool, ObjectName]:
        """A sort key: the smallest exposure first, then automatic approval before people."""
        exposure = Exposure.of(self.effect)
        return exposure.clear_columns, exposure.columns, exposure.tables, self.how is ApprovedBy.PEOPLE, self.terms.offer


def available_offers(snapshot: Snapshot, request: Request, *, role_exists: bool = False, named: bool = False) -> tuple[AvailableOffer, ...]:
    """Return the offers that show the user something on the requested tables, in the order of `AvailableOffer.order`.

    Limits, precedent, the ticket and the proof of the user are ignored: they belong to one AccessRequest. With another purpose than an
    offer asks for, the offer is judged for each purpose that it asks for. The result may name offers that are not discoverable: it is for
    their owners. With `named` it has those alone that are discoverable. With `role_exists`, a platform that is closed to new roles has
    offers too.
    """
    shapes = snapshot.shapes.get(request.platform)
    if shapes is None:
        return ()
    facts, offers = facts_of(snapshot.person(request).attributes), snapshot.offers
    covering = (offers[each.id] for each in shapes.index.offers if each.id in offers and covers(each, facts))
    offered = (each for each in covering if each.discoverable) if named else covering
    shared = _Shared(snapshot, request, role_exists=role_exists)
    found = (shared.available(terms) for terms in offered)
    return tuple(sorted((each for each in found if each is not None), key=lambda each: each.order))


def named_offers(snapshot: Snapshot, request: Request, tables: Collection[TableId] | None) -> tuple[AvailableOffer, ...]:
    """Return the offers that the agent may know, each with its effect on `tables` alone, the smallest exposure first. None: on all tables
    of the offer. At most `MOST_NAMED`.

    An offer that its owner keeps secret is not evaluated, and each other one is without regard to `tables`: so the time tells of no secret
    offer, and not which tables exist. The snapshot keeps the answer: each role's answer names the offers beside it.
    """
    if not snapshot.offers:
        return ()
    key = of_person(replace(request, resources=None if tables is None else tuple(sorted(tables)), approval=None))
    found: tuple[AvailableOffer, ...] | None = snapshot.named_offers.get(key)
    if found is None:
        every = available_offers(snapshot, replace(request, resources=None), named=True)
        on_tables = every if tables is None else _on_tables(every, tables)
        if len(snapshot.named_offers) >= _MAX_KEPT:
            snapshot.named_offers.clear()
        found = snapshot.named_offers[key] = tuple(on_tables[:MOST_NAMED])
    return found


def _on_tables(offers: Iterable[AvailableOffer], tables: Collection[TableId]) -> tuple[AvailableOffer, ...]:
    kept = []
    for each in offers:
        profile = each.effect.profile
        shapes = tuple(shape for shape in profile.tables if shape.table in tables)
        if shapes:
            kept.append(replace(each, effect=replace(each.effect, profile=replace(profile, tables=shapes))))
    return tuple(sorted(kept, key=lambda each: each.order))


class _Shared:
    """One request, and what all offers for it share: two hundred offers read the same user."""

    def __init__(self, snapshot: Snapshot, request: Request, *, role_exists: bool) -> None:
        self._snapshot = snapshot
        self._request = request
        self._role_exists = role_exists
        self._tables = () if request.resources is None else (Narrowing(tables=frozenset(request.resources)),)
        self._by_purpose: dict[str | None, tuple[Ground | Denied | Pending, _Rules]] = {}

    def available(self, terms: OfferTerms) -> AvailableOffer | None:
        found = (self._with_purpose(each, terms) for each in _purposes(self._request, terms))
        return min((each for each in found if each is not None), key=lambda each: each.order, default=None)

    def _with_purpose(self, purpose: str | None, terms: OfferTerms) -> AvailableOffer | None:
        ground, rules = self._asked(purpose)
        if not isinstance(ground, Ground):
            return None
        rule, refusals = rules.approving(terms)
        if rule is None and not terms.required:
            return None
        effect = self._snapshot.effect_on(ground, Activation(terms.offer, self._tables))
        if not isinstance(effect, OfferEffect):
            return None
        if rule is not None:
            return AvailableOffer(terms, effect, ApprovedBy.AUTOMATIC, rule, purpose)
        return AvailableOffer(terms, effect, ApprovedBy.PEOPLE, None, purpose, refusals)

    def _asked(self, purpose: str | None) -> "tuple[Ground | Denied | Pending, _Rules]":
        found = self._by_purpose.get(purpose)
        if found is None:
            asked = replace(self._request, purpose=purpose, approval=None)
            ground = self._snapshot.offering(asked, role_exists=self._role_exists)
            found = self._by_purpose[purpose] = ground, _Rules(self._snapshot, asked)
        return found


class _Rules:
    """The facts of one request that rules read."""

    def __init__(self, snapshot: Snapshot, request: Request) -> None:
        person = snapshot.person(request)
        self._answers = Answers(person.attributes, snapshot.asking(request))
        self._unreadable = person.unreadable

    def approving(self, terms: OfferTerms) -> tuple[AutomaticRule | None, tuple[str, ...]]:
        """Return the first rule whose conditions hold, or None; and the reason why each rule before it does not approve. A rule that needs
        a precedent does not approve: people decide first. A rule that reads an attribute whose claim cannot be read does not approve."""
        refusals: list[str] = []
        for rule in terms.automatic:
            refusal = _refusal(rule, self._answers, self._unreadable)
            if not refusal:
                return rule, tuple(refusals)
            refusals.append(f"rule {rule.name}: {refusal}")
        return None, tuple(refusals)


def _refusal(rule: AutomaticRule, answers: Answers, unreadable: frozenset[str]) -> str:
    for condition in rule.conditions:
        unmet = "reads a claim that cannot be read" if condition.reads & unreadable else answers.unmet(condition)
        if unmet:
            return f"condition {condition.name} {unmet}"
    return "it needs a precedent, and people decide first" if rule.precedent is not None else ""


def _purposes(request: Request, terms: OfferTerms) -> Iterator[str | None]:
    if terms.purposes is None or request.purpose in terms.purposes:
        yield request.purpose
    else:
        yield from sorted(terms.purposes)
