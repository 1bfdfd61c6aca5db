"""Access that users could get by asking, before and after a change of policies. Nobody has it without an approval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rolevend.audit.access_diff import Direction, compare
from rolevend.audit.evidence import TableAccess, tables_of
from rolevend.decision.offers import ApprovedBy, AvailableOffer, available_offers
from rolevend.decision.snapshot import Snapshot
from rolevend.model import ObjectName
from rolevend.policytools.decisions import Requester
from rolevend.policytools.offer_text import BY
from rolevend.policytools.report import Form, rendered

APPROVAL: Final = "approval"
LIFETIME: Final = "lifetime"


@dataclass(frozen=True, slots=True)
class OfferDifference:
    who: Requester
    offer: ObjectName
    how: ApprovedBy
    """How it is approved after the change, or if it is gone, before."""
    direction: Direction
    what: str
    """APPROVAL, LIFETIME of the role, or as in `Change`."""
    name: str
    """The offer, or as in `Change`."""
    before: str | None
    after: str | None


def offer_differences(before: Snapshot, after: Snapshot, who: Requester) -> Iterator[OfferDifference]:
    """Yield the differences by offer: first how it is approved and for how long, then its tables."""
    old, new = (
        {each.terms.offer: each for each in available_offers(snapshot, who.request, role_exists=True)} for snapshot in (before, after)
    )
    for offer in sorted(old.keys() | new.keys()):
        one, other = old.get(offer), new.get(offer)
        how = {**old, **new}[offer].how
        for direction, what, name, was, is_now in (*_terms(one, other), *_tables(one, other)):
            yield OfferDifference(who, offer, how, direction, what, name, was, is_now)


_Row = tuple[Direction, str, str, str | None, str | None]


def _terms(old: AvailableOffer | None, new: AvailableOffer | None) -> Iterator[_Row]:
    if old is None or new is None:
        return
    name = str(new.terms.offer)
    if old.how is not new.how:
        direction = Direction.GAINS if new.how is ApprovedBy.AUTOMATIC else Direction.LOSES
        yield direction, APPROVAL, name, BY[old.how], BY[new.how]
    if old.longest_seconds != new.longest_seconds:
        direction = Direction.GAINS if new.longest_seconds > old.longest_seconds else Direction.LOSES
        yield direction, LIFETIME, name, f"{old.longest_seconds} seconds", f"{new.longest_seconds} seconds"


def _tables(old: AvailableOffer | None, new: AvailableOffer | None) -> Iterator[_Row]:
    for each in compare(_shown(old), _shown(new)):
        yield each.direction, each.what, each.name, each.before, each.after


def _shown(offer: AvailableOffer | None) -> tuple[TableAccess, ...]:
    return () if offer is None else tables_of(offer.effect.profile.tables)


HEAD: Final = ("User", "Agent", "Platform", "Offer", "Change", "What", "Before", "After")


def as_text(differences: Sequence[OfferDifference], form: Form) -> list[str]:
    """Return a section for each way of approval that has differences."""
    sections = []
    for how in ApprovedBy:
        rows = [_row(each) for each in differences if each.how is how]
        title = f"could get by asking ({BY[how]}):"
        if rows:
            sections.append(
                f"**{title}**\n\n{rendered(HEAD, rows, form)}" if form == "markdown" else f"{title}\n{rendered(HEAD, rows, form)}"
            )
    return sections


def _row(each: OfferDifference) -> tuple[str, ...]:
    about = (each.who.user.subject, str(each.who.agent).removeprefix("/"), each.who.platform, str(each.offer))
    name = each.what if each.name == str(each.offer) else each.name
    return (*about, each.direction, name, each.before or "", each.after or "")


def as_json(differences: Sequence[OfferDifference]) -> list[dict[str, str | None]]:
    return [
        {
            "issuer": each.who.user.issuer,
            "subject": each.who.user.subject,
            "agent": str(each.who.agent).removeprefix("/"),
            "platform": each.who.platform,
            "offer": str(each.offer),
            "how": each.how.value,
            "change": each.direction,
            "what": each.what,
            "name": each.name,
            "before": each.before,
            "after": each.after,
        }
        for each in differences
    ]
