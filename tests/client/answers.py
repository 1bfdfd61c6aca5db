"""What the API says, as `docs/reference` has it, for tests that are about the client alone."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from rolevend_client import AsyncRolevend, Rolevend

URL = "https://rolevend.example.org"
PASSWORD = "correct/horse:battery@staple?"
TOKEN = "agents-own-token"
USER_TOKEN = "header.payload.signature"

Answering = Callable[[httpx.Request], httpx.Response]

TABLE = {
    "schema": "claims",
    "table": "payments",
    "view": "payments",
    "rowFilters": ["country IN ('DE')"],
    "columns": [{"name": "iban", "shown": "Masked", "mask": "Hash"}, {"name": "amount", "shown": "Clear"}],
    "policies": ["domain-claims/analysts"],
}
EXPLANATION = {"tables": [TABLE], "tablesLeftOut": 0, "functions": ["sem.total(integer)"]}
CREDENTIAL = {
    "username": "IMMUTA_VENDED_FINBOT_E10442_0HJ9X",
    "password": PASSWORD,
    "host": "db.example.org",
    "port": 5432,
    "dbname": "claims",
    "schema": "rv_p_1",
    "sslmode": "verify-full",
    "uri": "postgresql://…",
}


def role(**changes: Any) -> dict[str, Any]:
    """As a vend answers."""
    platform = {"name": "warehouse", "type": "PostgreSQL", "tableCount": 1, "credential": {**CREDENTIAL, **changes.pop("credential", {})}}
    return {
        "id": "finbot-0f3a",
        "roleName": CREDENTIAL["username"],
        "state": "Live",
        "expirationTimestamp": "2026-11-24T13:15:00Z",
        "agent": {"namespace": "agents", "name": "finbot"},
        "user": {"issuer": "https://idp.example.org", "subject": "anna", "handle": "E10442", "proof": "Token"},
        "purpose": "fraud-review",
        "platforms": [platform],
        "explanation": EXPLANATION,
        "links": {"self": "/v1/vended-roles/finbot-0f3a"},
        **changes,
    }


def problem(status: int, code: str, detail: str = "", headers: Mapping[str, str] | None = None, **members: Any) -> httpx.Response:
    said = {"type": f"urn:rolevend:problem:{code}", "title": code, "status": status, "code": code, "detail": detail, **members}
    kind = {"content-type": "application/problem+json", **(headers or {})}
    return httpx.Response(status, content=json.dumps(said), headers=kind)


OFFER = {
    "name": "domain-claims/fraud-ssn-clear",
    "platform": "warehouse",
    "display": "SSNs of open claims in clear, for fraud review",
    "how": "People",
    "upToSeconds": 600,
    "shows": "claims.payments: iban, ssn, some rows",
    "purpose": "fraud-review",
}
MISSING = {
    "tables": [{"schema": "claims", "table": "payments"}],
    "offers": [OFFER],
    "sentence": "table claims.payments; offer domain-claims/fraud-ssn-clear can be requested",
}
APPROVAL = {"claimUntil": "2026-11-24T14:15:00Z", "expirationSeconds": 600, "approvedBy": ["alice@example.org"]}


def denied_with_an_offer() -> httpx.Response:
    return problem(403, "NoPolicy", "nothing is granted", missing=MISSING)


def requested(state: str = "Pending", status: int = 200, **changes: Any) -> httpx.Response:
    """As a request for the offer, and each look at it, is answered."""
    document = {
        "id": "ar-3f7k2m",
        "state": state,
        "reason": {"Pending": "PeopleDecide", "Denied": "DeniedByPerson"}.get(state, "ApprovedByPeople"),
        "message": {"Pending": "one person must approve", "Denied": "bob@example.org says no: ask the fraud team"}.get(state, "approved"),
        "offer": {"name": OFFER["name"], "display": OFFER["display"], "digest": "sha256:00"},
        "expirationSeconds": 600,
        **({"approval": APPROVAL} if state == "Approved" else {}),
        **changes,
    }
    return httpx.Response(status, json=document)


class Api:
    """Answers what the test says, one answer after the other, and remembers what it was asked; a release always works."""

    def __init__(self, *answers: httpx.Response | Exception | Answering) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.slept: list[float] = []
        self.now = 0.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.method == "DELETE" and not self.answers:
            return httpx.Response(204)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        said = answer(request) if callable(answer) else answer
        return httpx.Response(said.status_code, headers=said.headers, content=said.content)  # one that was read once is used up

    @property
    def lines(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.asked]

    def body(self, number: int = 0) -> Any:
        return json.loads(self.asked[number].content)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def client(self, **settings: Any) -> Rolevend:
        given = {"token": lambda: TOKEN, "transport": httpx.MockTransport(self), "sleep": self.sleep, "clock": lambda: self.now, **settings}
        return Rolevend(URL, **given)

    def async_client(self, **settings: Any) -> AsyncRolevend:
        given = {"token": lambda: TOKEN, "transport": httpx.MockTransport(self), "sleep": self.asleep, "clock": lambda: self.now}
        return AsyncRolevend(URL, **{**given, **settings})


def vended(**changes: Any) -> httpx.Response:
    return httpx.Response(201, json=role(**changes), headers={"Location": "/v1/vended-roles/finbot-0f3a"})
