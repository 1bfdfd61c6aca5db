"""The login of a user grows old between the question and the answer: the answer is refused, and nothing is recorded."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rolevend.access_requests.request import LoginFacts
from rolevend.access_requests.terms import NeededProof
from rolevend.api.confirm.login import Visitor
from rolevend.api.confirm.service import Answer, ConfirmService, LoginTooWeak
from rolevend.api.problems import Problem
from rolevend.kinds import API_VERSION, AccessRequest, parse
from rolevend.model import ObjectName, User

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
LONGEST = 900
DIGEST = f"sha256:{'0' * 64}"
REQUEST = parse(
    AccessRequest,
    {
        "apiVersion": API_VERSION,
        "kind": "AccessRequest",
        "metadata": {"name": "ar", "namespace": "agents", "uid": "1", "resourceVersion": "1", "creationTimestamp": "2026-11-29T11:59:00Z"},
        "spec": {
            "agentRef": {"name": "finbot"},
            "user": {"issuer": "https://idp.example.org", "subject": "anna"},
            "platformRef": {"name": "warehouse"},
            "offerRef": {"namespace": "owners", "name": "ssn"},
            "expirationSeconds": 600,
        },
        "status": {"offer": {"uid": "2", "generation": 1, "digest": DIGEST, "display": "SSNs"}},
    },
)


class Written:
    """Stands for the store and the recorder, and keeps what is written."""

    def __init__(self) -> None:
        self.writes: list[object] = []

    async def write_status(self, request: AccessRequest, status: object) -> None:
        self.writes.append((request.name, status))

    async def access(self, event: object) -> None:
        self.writes.append(event)


def answer(written: Written, login: LoginFacts, proof: NeededProof | None, *, generation: int = 1) -> None:
    offers = {ObjectName("owners", "ssn"): SimpleNamespace(uid="2", generation=generation, proof=proof)}
    snapshots = SimpleNamespace(snapshot=SimpleNamespace(offers=offers))
    links = SimpleNamespace(page=lambda *_: "a page", now=lambda: NOW)
    parts = (written, snapshots, links, written, None, None)
    service = ConfirmService(*cast("tuple[Any, Any, Any, Any, Any, Any]", parts))
    visitor = Visitor(User("https://idp.example.org", "anna"), "session", "idp", "token", login)
    asyncio.run(service.answer(REQUEST, visitor, Answer(True, DIGEST, "a dispute"), "request-1"))


@pytest.mark.parametrize("proof", [None, NeededProof(), NeededProof(LONGEST), NeededProof(LONGEST, ("mfa",))])
def test_a_login_that_suffices_is_recorded(proof: NeededProof | None):
    written = Written()

    answer(written, LoginFacts(NOW - timedelta(seconds=LONGEST), "mfa"), proof)

    assert len(written.writes) == 2


@pytest.mark.parametrize(
    ("login", "proof"),
    [
        (LoginFacts(NOW - timedelta(seconds=LONGEST + 1)), NeededProof(LONGEST)),
        (LoginFacts(None), NeededProof(LONGEST)),
        (LoginFacts(NOW, "pwd"), NeededProof(acr=("mfa", "hwk"))),
        (LoginFacts(NOW), NeededProof(acr=("mfa",))),
    ],
)
def test_a_login_that_does_not_suffice_records_nothing(login: LoginFacts, proof: NeededProof):
    written = Written()

    with pytest.raises(LoginTooWeak, match="the offer asks for a login"):
        answer(written, login, proof)

    assert written.writes == []


def test_a_process_that_read_another_version_of_the_offer_records_nothing():
    written = Written()

    with pytest.raises(Problem, match="reload this page"):
        answer(written, LoginFacts(NOW, "pwd"), None, generation=0)

    assert written.writes == []
