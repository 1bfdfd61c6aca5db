"""The access requests that a person may see, and those that they may decide."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rolevend.access_requests.states import RequestState
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
_SOON_SECONDS: Final = 120
_BECAME: Final = {
    "Approved": "The agent can use the approval now.",
    "Used": "The agent uses the approval.",
    "Spent": "The agent has used the approval up.",
    "Denied": "Nobody can approve it any more.",
    "Expired": "Nobody decided in time. The agent has to ask again.",
    "Cancelled": "It was withdrawn, and needs no answer.",
    "Lapsed": "The agent did not use the approval in time, and has to ask again.",
    "Revoked": "The approval was taken back. The roles that used it end.",
    "Superseded": "The offer, its data or the user changed, so nobody can approve it any more. The agent has to ask again.",
}


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
    is_soon_over: bool
    """True if it expires within minutes, and nobody decided."""
    words: str
    """Of the agent, quoted."""


@dataclass(frozen=True, slots=True)
class Inbox:
    mine: Sequence[RequestRow]
    """Those that wait, and that the person may decide. Those that expire first are first."""
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
    """The vote of the person."""

    @property
    def may_withdraw(self) -> bool:
        """True if something may rest on the vote of the person."""
        state = self.found.request.status.state
        return self.mine is not None and not (state is not None and RequestState(state).is_final)

    @property
    def became(self) -> str | None:
        """A request that was decided, or needs no answer any more: since when, and what that means."""
        status = self.found.request.status
        if status.state not in _BECAME:
            return None
        since = "" if status.state_since is None else f" since {wording.moment(status.state_since)}"
        return f"{status.state}{since}. {_BECAME[status.state]}"

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
        return self.choices if len(self.choices) > 1 else {}

    @property
    def choices(self) -> Mapping[str, TableName]:
        """The same, also if there is only one."""
        return self.named_tables if len(self.named_tables) <= _MOST_CHOICES else {}

    @property
    def named_tables(self) -> Mapping[str, TableName]:
        """All tables of the request, by their texts. Empty: patterns or tags select them."""
        return {wording.table(each): each for each in narrowing.named_tables(self.found)}

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
        mine: list[AccessRequest] = []
        others: list[AccessRequest] = []
        for each in listing.in_order(await self._visible(person)):
            (mine if await self._waits(person, each) else others).append(each)
        mine.sort(key=lambda each: self._ends_in(each, now))
        return Inbox(self._rows(mine, now), self._rows(others[:_MOST_SHOWN], now), max(0, len(others) - _MOST_SHOWN))

    async def waiting(self, person: Person) -> int:
        """Return the number of requests that wait for the person. Raises ClusterUnavailable."""
        waiting = [each for each in await self._visible(person) if await self._waits(person, each)]
        return len(waiting)

    async def may_see(self, person: Person, name: ObjectName) -> bool:
        """Return True if the person may see a request of this name, if there is one. Raises ClusterUnavailable."""
        return bool(await self._rights.namespaces(person, "get", _REQUESTS, [name.namespace]))

    async def view(self, person: Person, name: ObjectName, now: datetime) -> RequestView | None:
        """Return the request, or None: the same for one that does not exist and one that the person may not see."""
        may = await self.may_see(person, name)  # first, so that nobody learns by the time it takes
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

    async def _waits(self, person: Person, request: AccessRequest) -> bool:
        """True if the request waits for the person."""
        return request.status.state in (None, "Pending") and await self._may_decide(person, request)

    def _ends_in(self, request: AccessRequest, now: datetime) -> float:
        left = self._seconds_left(request, now)
        return math.inf if left is None else left

    def _seconds_left(self, request: AccessRequest, now: datetime) -> int | None:
        offer = request.spec.offer_ref
        return listing.seconds_left(request, self._objects.offer(ObjectName(offer.namespace, offer.name)), now)

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
        left = self._seconds_left(request, now)
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
            is_soon_over=request.status.state == "Pending" and left is not None and left < _SOON_SECONDS,
            words=wording.justification(spec.justification, 120),
        )
