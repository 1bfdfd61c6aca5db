"""Access that users could get by asking, before and after a change of policies. Nobody has it without an approval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rolevend.audit.access_diff import Direction
from rolevend.decision.offers import ApprovedBy, AvailableOffer, available_offers
from rolevend.decision.snapshot import Snapshot
from rolevend.model import Attributes, ObjectName
from rolevend.plan import TableShape
from rolevend.policytools.decisions import Requester
from rolevend.policytools.offer_text import BY
from rolevend.policytools.outcomes import ALWAYS, When, when_columns
from rolevend.policytools.shape_comparer import ShapeComparer
from rolevend.text_table import Form, rendered

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
    when: When = ALWAYS


def offer_differences(before: Snapshot, after: Snapshot, who: Requester, comparer: ShapeComparer) -> Iterator[OfferDifference]:
    """Yield the differences by offer: first how it is approved and for how long, then its tables."""
    old, new = (
        {each.terms.offer: each for each in available_offers(snapshot, who.request, role_exists=True)} for snapshot in (before, after)
    )
    for offer in sorted(old.keys() | new.keys()):
        one, other = old.get(offer), new.get(offer)
        how = {**old, **new}[offer].how
        for direction, what, name, was, is_now in (*_terms(one, other), *_tables(one, other, comparer)):
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


def _tables(old: AvailableOffer | None, new: AvailableOffer | None, comparer: ShapeComparer) -> Iterator[_Row]:
    was, is_now = (Attributes() if each is None else each.effect.attributes for each in (old, new))
    for each in comparer.changes(_shown(old), _shown(new), was, is_now):
        yield each.direction, each.what, each.name, each.before, each.after


def _shown(offer: AvailableOffer | None) -> tuple[TableShape, ...]:
    return () if offer is None else offer.effect.profile.tables


_ABOUT: Final = ("User", "Agent", "Platform", "Offer")
_CHANGE: Final = ("Change", "What", "Before", "After")


def as_text(differences: Sequence[OfferDifference], form: Form) -> list[str]:
    """Return a section for each way of approval that has differences."""
    sections = []
    for how in ApprovedBy:
        found = [each for each in differences if each.how is how]
        columns = when_columns(each.when for each in found)
        rows = [_row(each, tuple(column.text(each.when) for column in columns)) for each in found]
        title = f"could get by asking ({BY[how]}):"
        if rows:
            table = rendered((*_ABOUT, *(column.name for column in columns), *_CHANGE), rows, form)
            sections.append(f"**{title}**\n\n{table}" if form == "markdown" else f"{title}\n{table}")
    return sections


def _row(each: OfferDifference, when: tuple[str, ...]) -> tuple[str, ...]:
    about = (each.who.user.subject, str(each.who.agent).removeprefix("/"), each.who.platform, str(each.offer))
    name = each.what if each.name == str(each.offer) else each.name
    return (*about, *when, each.direction, name, each.before or "", each.after or "")


def as_json(differences: Sequence[OfferDifference]) -> list[dict[str, Any]]:
    return [
        {
            "issuer": each.who.user.issuer,
            "subject": each.who.user.subject,
            "agent": str(each.who.agent).removeprefix("/"),
            "platform": each.who.platform,
            "offer": str(each.offer),
            **each.when.json,
            "how": each.how.value,
            "change": each.direction,
            "what": each.what,
            "name": each.name,
            "before": each.before,
            "after": each.after,
        }
        for each in differences
    ]
