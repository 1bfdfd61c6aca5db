"""The document at `/openapi.json`: the routes as FastAPI describes them, with problems, headers and examples added."""

from typing import Any, Final

from fastapi import FastAPI

from rolevend.api.access.schemas import OFFER_EXAMPLE, REQUEST_EXAMPLE
from rolevend.api.authzen.evaluation import EVALUATION_EXAMPLE
from rolevend.api.authzen.tasks import SUBMISSION_EXAMPLE
from rolevend.api.problems import MEDIA_TYPE, TITLES
from rolevend.api.schemas import EXAMPLE, PROOFS

Schema = dict[str, Any]

_OF_KUBERNETES: Final = "x-kubernetes-"
_PROBLEM: Final = "#/components/schemas/ProblemShown"
_CODES: Final = {
    400: "MalformedBody",
    401: "TokenExpired",
    403: "NoPolicy",
    404: "NotFound",
    409: "IdempotencyConflict",
    410: "ExpiredDenial",
    413: "TooLong",
    422: "InvalidInput",
    429: "TooManyRoles",
    503: "PlatformUnavailable",
}
"""The example code of each status."""
_EVERY_ANSWER: Final = {
    "X-Request-Id": {"description": "The caller's, where it is 1 to 128 visible characters, or a new one", "schema": {"type": "string"}},
    "traceparent": {"description": "A step in the caller's trace (W3C), or in a new one", "schema": {"type": "string"}},
}
_BY_STATUS: Final = {
    "201": {"Location": {"description": "Where the role or the request is", "schema": {"type": "string"}}},
    "401": {"WWW-Authenticate": {"description": "`Bearer`, and the code of the problem", "schema": {"type": "string"}}},
    "429": {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}},
    "503": {"Retry-After": {"description": "Seconds to wait, where that is known", "schema": {"type": "integer"}}},
}
_ROLE: Final[Schema] = {
    "id": "finbot-0f3a5b7c9d1e4f60a1b2c3d4e5f60718",
    "roleName": "IMMUTA_VENDED_FINBOT_E10442_0HJ9XKQ3M5N7P1R2S4T6V8W0YZ",
    "state": "Live",
    "expirationTimestamp": "2026-11-24T13:15:00Z",
    "agent": {"namespace": "agents", "name": "finbot"},
    "user": {"issuer": "https://idp.example.org", "subject": "anna", "handle": "E10442", "proof": "Token"},
    "purpose": "fraud-review",
    "platforms": [{"name": "warehouse", "type": "PostgreSQL", "tableCount": 1}],
    "links": {"self": "/v1/vended-roles/finbot-0f3a5b7c9d1e4f60a1b2c3d4e5f60718"},
}
_EXPLANATION: Final[Schema] = {
    "tables": [
        {
            "schema": "claims",
            "table": "payments",
            "view": "payments",
            "comment": "What was paid for a claim",
            "rows": "country in (AT, DE)",
            "rowFilters": ["\"country\" IN (user_attr('countries'))"],
            "restrictions": [],
            "columns": [
                {"name": "claim_id", "type": "bigint", "shown": "Clear"},
                {"name": "state", "type": "text", "shown": "Clear", "comment": "Of the payment", "values": ["open", "done"]},
                {
                    "name": "iban",
                    "type": "text",
                    "shown": "Masked",
                    "mask": "Hash",
                    "maskMeaning": "a hash under a secret, equal for equal values",
                },
            ],
            "joins": [{"columns": ["claim_id"], "schema": "claims", "table": "claims", "references": ["claim_id"]}],
            "policies": ["domain-claims/analysts"],
        }
    ],
    "tablesLeftOut": 0,
    "functions": ["sem.total(integer)"],
}
_CREDENTIAL: Final[Schema] = {
    "username": _ROLE["roleName"],
    "password": "returned once",
    "host": "warehouse.example.org",
    "port": 5432,
    "dbname": "claims",
    "schema": "rv_p_5b1f0c2e9a7d4f6388c1e0a2b4d6f8a0",
    "sslmode": "verify-full",
    "uri": "postgresql://IMMUTA_VENDED_FINBOT_E10442_0HJ9XKQ3M5N7P1R2S4T6V8W0YZ:returned%20once@warehouse.example.org:5432/claims?sslmode=verify-full",
}
_PENDING: Final[Schema] = {
    **{member: value for member, value in REQUEST_EXAMPLE.items() if member != "approval"},
    "state": "Pending",
    "reason": "PeopleDecide",
    "message": "people decide, 0 of 1 needed approvals",
}
_TASK: Final[Schema] = {
    "id": REQUEST_EXAMPLE["id"],
    "status": "approved",
    "status_endpoint": f"https://rolevend.example.org/access/v1/tasks/{REQUEST_EXAMPLE['id']}",
    "display": {"title": "SSNs of open claims in clear, for fraud review", "description": REQUEST_EXAMPLE["message"]},
}
_DONE: Final[Schema] = {
    "task": _TASK,
    "result": {
        "mode": "reevaluate",
        "approval": {
            "id": REQUEST_EXAMPLE["id"],
            "approved_at": "2026-11-24T13:15:00Z",
            "approved_until": "2026-11-24T14:15:00Z",
        },
    },
}
_WAITING: Final[Schema] = {
    "task": {**_TASK, "status": "pending", "links": {"cancel": f"{_TASK['status_endpoint']}/cancel"}},
}
_QUESTIONS: Final = {"requestAccess": OFFER_EXAMPLE, "evaluate": EVALUATION_EXAMPLE, "submitTask": SUBMISSION_EXAMPLE}
"""The example bodies by operation id, where it is not that of a vend."""
_ANSWERS: Final[dict[tuple[str, str], Schema]] = {
    ("vend", "201"): {**_ROLE, "platforms": [{**_ROLE["platforms"][0], "credential": _CREDENTIAL}], "explanation": _EXPLANATION},
    ("list", "200"): {"items": [_ROLE]},
    ("get", "200"): _ROLE,
    ("release", "202"): {**_ROLE, "state": "Ending"},
    ("listPlatforms", "200"): {"items": [{"name": "crm", "type": "PostgreSQL"}, {"name": "warehouse", "type": "PostgreSQL"}]},
    ("decide", "200"): {"granted": True, "explanation": _EXPLANATION},
    ("requestAccess", "201"): REQUEST_EXAMPLE,
    ("evaluate", "200"): {"decision": True, "context": {"reason": "PolicyGrants", "shown": "Masked"}},
    ("requestAccess", "202"): _PENDING,
    ("submitTask", "201"): _DONE,
    ("submitTask", "202"): _WAITING,
    ("getTask", "200"): _DONE,
    ("cancelTask", "200"): {"task": {**_TASK, "status": "cancelled"}},
    ("listAccessRequests", "200"): {"items": [REQUEST_EXAMPLE]},
    ("getAccessRequest", "200"): REQUEST_EXAMPLE,
}
"""By operation id and status."""


def describe(app: FastAPI) -> None:
    """Make `/openapi.json` return this document."""
    plain = app.openapi

    def whole() -> Schema:
        if app.openapi_schema is None:
            document = _without_kubernetes(plain())
            for path in document["paths"].values():
                for operation in path.values():
                    _complete(operation)
            for name in ("VendRequest", "OfferRequest"):
                question = document["components"]["schemas"][name]
                question["oneOf"] = [{"required": [proof], "not": {"required": [other]}} for proof, other in (PROOFS, PROOFS[::-1])]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = whole  # type: ignore[method-assign]  # as FastAPI's documentation has it


def _complete(operation: Schema) -> None:
    if "requestBody" in operation:
        operation["requestBody"]["content"]["application/json"]["example"] = _QUESTIONS.get(operation["operationId"], EXAMPLE)
    for status, response in operation["responses"].items():
        response["headers"] = {**_EVERY_ANSWER, **_BY_STATUS.get(status, {})}
        if int(status) in _CODES:
            response["content"] = {MEDIA_TYPE: {"schema": {"$ref": _PROBLEM}, "example": _problem(int(status))}}
        elif (example := _ANSWERS.get((operation["operationId"], status))) is not None:
            response["content"]["application/json"]["example"] = example


def _problem(status: int) -> Schema:
    code = _CODES[status]
    problem = {"type": f"urn:rolevend:problem:{code}", "title": TITLES[status], "status": status, "code": code}
    return {**problem, "detail": "what was attempted, and the way out", "requestId": "4bf92f3577b34da6a3ce929d0e0e4736"}


def _is_of_kubernetes(key: str, value: Any) -> bool:
    return key.startswith(_OF_KUBERNETES) or (key == "pattern" and isinstance(value, str) and r"\p{" in value)


def _without_kubernetes(part: Any) -> Any:
    """Return the schema without the Kubernetes extensions of shared parts, and without patterns that many readers of JSON Schema refuse."""
    match part:
        case dict():
            return {key: _without_kubernetes(value) for key, value in part.items() if not _is_of_kubernetes(str(key), value)}
        case list():
            return [_without_kubernetes(each) for each in part]
        case _:
            return part
