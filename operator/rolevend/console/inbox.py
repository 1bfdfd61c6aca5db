"""The access requests that a person may see, and those that they may decide."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rolevend.approvals import details, listing, narrowing, wording
from rolevend.approvals.details import RequestDetails
from rolevend.approvals.offer_text import Fact
from rolevend.console.objects import WatchedObjects
from rolevend.console.person import Person
from rolevend.console.rights import Act, Rights
from rolevend.kinds import AccessDecision, AccessRequest
from rolevend.kinds.vended_role import TableName
from rolevend.model import ObjectName

_REQUESTS: Final = "accessrequests"
_MOST_SHOWN: Final = 200
_MOST_CHOICES: Final = 40
_SPANS: Final = (300, 600, 1_800, 3_600, 14_400)
"""In seconds."""


@dataclass(frozen=True, slots=True)
class RequestRow:
    namespace: str
    name: str
    state: str
    agent: str
    user: str
    proof: str
    display: str
    offer: str
    span: str
    age: str
    left: str | None
    words: str
    """Of the agent, quoted."""


@dataclass(frozen=True, slots=True)
class Inbox:
    mine: Sequence[RequestRow]
    """Those that wait, and that the person may decide."""
    others: Sequence[RequestRow]
    left_out: int
    """Others that are not shown."""


@dataclass(frozen=True, slots=True)
class RequestView:
    """One request, for a person who may see it."""

    found: RequestDetails
    may_decide: bool
    is_open: bool
    """True if a vote can change it."""
    mine: AccessDecision | None
    """The vote of the person, which they can withdraw."""

    @property
    def title(self) -> str:
        spec = self.found.request.spec
        return f"{self.found.request.namespace}/{wording.name(spec.agent_ref.name)} asks for {wording.name(spec.user.subject)}"

    @property
    def headline(self) -> str:
        return details.headline(self.found)

    @property
    def tables(self) -> Mapping[str, TableName]:
        """The tables to choose from, by their texts: several, and no more than a form shows; else none, and a person writes them."""
        named = narrowing.named_tables(self.found)
        return {wording.table(each): each for each in named} if 1 < len(named) <= _MOST_CHOICES else {}

    @property
    def spans(self) -> Sequence[str]:
        """Shorter times to suggest."""
        longest = self.found.longest_seconds
        return [wording.span(each) for each in _SPANS if each < longest] + [wording.span(longest)]

    @property
    def facts(self) -> Sequence[Fact]:
        return tuple(details.request_facts(self.found))

    @property
    def offer(self) -> Sequence[Fact]:
        return tuple(details.offer_facts(self.found))

    @property
    def votes(self) -> Sequence[Fact]:
        return tuple(details.vote_facts(self.found))

    @property
    def lately(self) -> Sequence[Fact]:
        return tuple(details.lately_facts(self.found))


class Requests:
    def __init__(self, objects: WatchedObjects, rights: Rights) -> None:
        self._objects = objects
        self._rights = rights

    async def inbox(self, person: Person, now: datetime) -> Inbox:
        """Raises ClusterUnavailable."""
        visible = await self._visible(person)
        mine: list[AccessRequest] = []
        others: list[AccessRequest] = []
        for each in listing.in_order(visible):
            waits = each.status.state in (None, "Pending") and await self._may_decide(person, each)
            (mine if waits else others).append(each)
        return Inbox(self._rows(mine, now), self._rows(others[:_MOST_SHOWN], now), max(0, len(others) - _MOST_SHOWN))

    async def view(self, person: Person, name: ObjectName, now: datetime) -> RequestView | None:
        """Return the request, or None: the same for one that does not exist and one that the person may not see."""
        may = await self._rights.namespaces(person, "get", _REQUESTS, [name.namespace])  # first, so that nobody learns by the time it takes
        request = self._objects.request(name)
        if request is None or not may:
            return None
        offer = ObjectName(request.spec.offer_ref.namespace, request.spec.offer_ref.name)
        notes = []
        shown_offer = self._objects.offer(offer)
        if shown_offer is not None and not await self._rights.may(person, Act("get", "accesspolicies", offer.namespace, offer.name)):
            shown_offer = None
            notes.append(f"you may not read AccessPolicy {offer}")
        votes = self._objects.votes(request)
        shown_votes = votes if await self._rights.may(person, Act("list", "accessdecisions", offer.namespace)) else None
        found = RequestDetails(request, shown_offer, shown_votes, tuple(await self._visible(person)), now, tuple(notes))
        is_open = request.status.state == "Pending" and request.status.offer is not None
        mine = next((each for each in votes if each.spec.by == person.username), None)
        return RequestView(found, await self._may_decide(person, request), is_open, mine)

    async def _visible(self, person: Person) -> list[AccessRequest]:
        requests = list(self._objects.requests())
        allowed = await self._rights.namespaces(person, "list", _REQUESTS, (each.namespace for each in requests))
        return [each for each in requests if each.namespace in allowed]

    async def _may_decide(self, person: Person, request: AccessRequest) -> bool:
        offer = request.spec.offer_ref
        if person.is_user(request.spec.user.subject):
            return False
        return await self._rights.may(person, Act("approve", "accesspolicies", offer.namespace, offer.name)) and await self._rights.may(
            person, Act("create", "accessdecisions", offer.namespace)
        )

    def _rows(self, requests: Iterable[AccessRequest], now: datetime) -> list[RequestRow]:
        return [self._row(each, now) for each in requests]

    def _row(self, request: AccessRequest, now: datetime) -> RequestRow:
        spec, seen = request.spec, request.status.offer
        offer = ObjectName(spec.offer_ref.namespace, spec.offer_ref.name)
        left = listing.seconds_left(request, self._objects.offer(offer), now)
        return RequestRow(
            namespace=request.namespace,
            name=request.name,
            state=request.status.state or "New",
            agent=spec.agent_ref.name,
            user=spec.user.subject,
            proof=wording.proof(request),
            display="" if seen is None else seen.display,
            offer=str(offer),
            span=wording.span(spec.expiration_seconds),
            age=wording.about(wording.age(request, now).total_seconds()),
            left=None if left is None else wording.about(left),
            words=wording.justification(spec.justification, 120),
        )
