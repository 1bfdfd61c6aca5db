"""The inbox: the order of requests, their number, and what is said of those that need no answer any more."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from rolevend.access_requests.states import RequestState
from rolevend.console.inbox import Requests
from rolevend.console.person import Person
from rolevend.console.rights import Act
from rolevend.kinds import AccessPolicy, AccessRequest, parse
from rolevend.model import ObjectName
from tests.support.manifests import changed, offer, valid

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
OLGA, NINA = Person("staff:olga"), Person("staff:nina")


class Rights:
    """All of Olga, and none of others."""

    async def may(self, person: Person, _act: Act) -> bool:
        return person == OLGA

    async def namespaces(self, person: Person, _verb: str, _resource: str, named: Sequence[str]) -> frozenset[str]:
        return frozenset(named) if person == OLGA else frozenset()


class Objects:
    def __init__(self, *requests: AccessRequest) -> None:
        self.all = requests
        self.offered = parse(AccessPolicy, offer())

    def requests(self) -> Sequence[AccessRequest]:
        return self.all

    def request(self, name: ObjectName) -> AccessRequest | None:
        return next((each for each in self.all if each.name == name.name), None)

    def offer(self, name: ObjectName) -> AccessPolicy | None:
        return self.offered if name.name == "open-ssn" else None

    def votes(self, _request: AccessRequest) -> tuple[()]:
        return ()


def request(name: str, minutes: float, state: str | None = "Pending", offered: str = "open-ssn") -> AccessRequest:
    body: Any = changed(valid("AccessRequest", name), "spec.offerRef.name", offered)
    body["metadata"] |= {"uid": name, "creationTimestamp": (NOW - timedelta(minutes=minutes)).isoformat()}
    body["status"] = {} if state is None else {"state": state, "stateSince": NOW.isoformat()}
    return parse(AccessRequest, body)


def requests(*listed: AccessRequest) -> Requests:
    return Requests(cast(Any, Objects(*listed)), cast(Any, Rights()))


def test_those_that_expire_first_are_first_and_the_number_is_of_those_that_wait():
    minutes = Objects().offered.spec.on_request.pending_seconds / 60  # type: ignore[union-attr]
    found = requests(
        request("later", 1),
        request("unknown", 30, offered="unseen"),
        request("soon", minutes - 1),
        request("over", 2, "Denied"),
        request("new", 0, None),
    )
    inbox = asyncio.run(found.inbox(OLGA, NOW))
    assert [each.name for each in inbox.mine][:2] == ["soon", "later"]
    assert [each.name for each in inbox.mine if each.is_soon_over] == ["soon"]
    assert [each.name for each in inbox.others] == ["over"]
    assert (asyncio.run(found.waiting(OLGA)), asyncio.run(found.waiting(NINA))) == (4, 0)


@pytest.mark.parametrize("state", RequestState)
def test_every_state_that_a_vote_does_not_change_is_explained(state: RequestState):
    view = asyncio.run(requests(request("ask", 5, state)).view(OLGA, ObjectName("agents", "ask"), NOW))
    assert view is not None
    if state is RequestState.PENDING:
        assert view.became is None
    else:
        assert view.became is not None
        assert view.became.startswith(f"{state} since 2026-11-30 12:00:00 UTC. ")
    assert not view.may_withdraw
    assert not view.is_open
