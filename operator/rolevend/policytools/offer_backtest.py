"""Denied requests of the past that could have been asked for: offers grant nothing by themselves, so a replay only counts them."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from rolevend.decision.offers import ApprovedBy, AvailableOffer, available_offers
from rolevend.decision.snapshot import Snapshot
from rolevend.model import ObjectName
from rolevend.policy.refusal import Reason
from rolevend.policytools.decisions import Requester
from rolevend.text_table import Form, rendered

DENIED_BY_POLICIES: Final = frozenset({*Reason, "ResourceNotGranted"})
"""The reasons of denials that an approval can change."""


@dataclass(slots=True)
class OfferUse:
    """The denied requests that one offer would have covered."""

    automatically: int = 0
    by_people: int = 0

    def add(self, how: ApprovedBy, decisions: int) -> None:
        if how is ApprovedBy.AUTOMATIC:
            self.automatically += decisions
        else:
            self.by_people += decisions


@dataclass(slots=True)
class ByAsking:
    denied: int = 0
    """Decisions that denied a request, and that the policies of the files deny, too."""
    total: OfferUse = field(default_factory=OfferUse)
    """Each request counts once: automatically, if some offer is."""
    offers: dict[ObjectName, OfferUse] = field(default_factory=dict)

    def add(self, decisions: int, available: Iterable[AvailableOffer]) -> None:
        self.denied += decisions
        found = {each.terms.offer: each.how for each in available}
        for offer, how in found.items():
            self.offers.setdefault(offer, OfferUse()).add(how, decisions)
        if found:
            self.total.add(ApprovedBy.AUTOMATIC if ApprovedBy.AUTOMATIC in found.values() else ApprovedBy.PEOPLE, decisions)


def offers_for(snapshot: Snapshot, who: Requester, requested: Iterable[str] | None, granted: Container[str]) -> list[AvailableOffer] | None:
    """Return the offers that show some requested table that is not granted; None if every requested table is granted now. `requested` None:
    any table."""
    missing = None if requested is None else {each for each in requested if each not in granted}
    if missing is not None and not missing:
        return None
    available = available_offers(snapshot, who.request, role_exists=True)
    return [each for each in available if missing is None or any(str(table.table) in missing for table in each.effect.profile.tables)]


HEAD: Final = ("Offer", "Automatically", "By people")


def as_text(found: ByAsking, form: Form) -> list[str]:
    """Return a section, or nothing if no denied request could have been asked for."""
    if not found.offers:
        return []
    total, could = found.total, found.total.automatically + found.total.by_people
    requests = "request" if found.denied == 1 else "requests"
    counts = f"{total.automatically} automatically, {total.by_people} by people"
    rows = [(str(offer), str(each.automatically), str(each.by_people)) for offer, each in sorted(found.offers.items())]
    return [f"{could} of {found.denied} denied {requests} could have been asked for: {counts}", rendered(HEAD, rows, form)]


def as_json(found: ByAsking) -> dict[str, Any]:
    offers = [
        {"offer": str(offer), "automatically": each.automatically, "byPeople": each.by_people}
        for offer, each in sorted(found.offers.items())
    ]
    return {"denied": found.denied, "automatically": found.total.automatically, "byPeople": found.total.by_people, "offers": offers}
