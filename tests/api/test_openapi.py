"""The document at `/openapi.json` is what the API does: valid, whole, and true of whatever is made up from it."""

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import BaseModel
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, CheckFunction, load_all_checks

import rolevend.api.access.schemas
import rolevend.api.authzen.schemas
import rolevend.api.authzen.tasks
import rolevend.api.schemas
from rolevend.api.problems import MEDIA_TYPE
from rolevend.api.routes import application
from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.site import WAREHOUSE, Body, Site
from tests.support.tenancy import Tenant
from tests.support.tiers import by_tier
from tests.support.waiting import DEADLINE

load_all_checks()
CONFORMING: Final[list[CheckFunction]] = CHECKS.get_by_names(
    ["status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance"]
)
CALLS: Final = {
    ("POST", "/v1/vended-roles"): {"201", "400", "401", "403", "404", "409", "413", "422", "429", "503"},
    ("GET", "/v1/vended-roles"): {"200", "400", "401", "403", "503"},
    ("GET", "/v1/vended-roles/{id}"): {"200", "400", "401", "403", "404", "422", "503"},
    ("DELETE", "/v1/vended-roles/{id}"): {"204", "202", "400", "401", "403", "404", "422", "503"},
    ("GET", "/v1/platforms"): {"200", "400", "401", "403", "503"},
    ("POST", "/v1/decisions"): {"200", "400", "401", "403", "413", "422", "429", "503"},
    ("POST", "/access/v1/evaluation"): {"200", "400", "401", "403", "413", "422", "429", "503"},
    ("POST", "/access/v1/requests"): {"201", "202", "400", "401", "403", "409", "413", "422", "429", "503"},
    ("GET", "/access/v1/requests"): {"200", "400", "401", "403", "503"},
    ("GET", "/access/v1/requests/{id}"): {"200", "400", "401", "403", "404", "422", "429", "503"},
    ("DELETE", "/access/v1/requests/{id}"): {"204", "400", "401", "403", "404", "422", "503"},
    ("POST", "/access/v1/tasks"): {"201", "202", "400", "401", "403", "409", "410", "413", "422", "429", "503"},
    ("GET", "/access/v1/tasks/{id}"): {"200", "400", "401", "403", "404", "422", "429", "503"},
    ("POST", "/access/v1/tasks/{id}/cancel"): {"200", "400", "401", "403", "404", "409", "422", "503"},
}
"""Every call, with the least that it must be known to answer."""
LISTS: Final = {("GET", "/v1/vended-roles"), ("GET", "/v1/platforms"), ("GET", "/access/v1/requests")}
BOUNDED = settings(
    max_examples=by_tier(6, 40),
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def caller(site: Site, doors: Doors) -> Iterator[Caller]:
    tenant = Tenant(site)
    caller = Caller(Proven(tenant).ready_to_ask(), doors.first).known()
    yield caller
    for role in caller.call("GET", "/v1/vended-roles").json()["items"]:
        caller.release(role)
    tenant.leave()


@pytest.fixture(scope="module")
def document() -> Body:
    """As the code writes it, without anything that runs."""
    nothing: Any = None
    return dict(application(nothing, nothing, nothing, nothing, nothing).openapi())


MADE_UP = [
    *((method, path, GenerationMode.POSITIVE) for method, path in CALLS),
    *((method, path, GenerationMode.NEGATIVE) for method, path in CALLS if (method, path) not in LISTS),
]
"""As the document says, and otherwise; a list takes nothing that could be wrong."""


def operation(document: Body, method: str, path: str) -> Any:
    return schemathesis.openapi.from_dict(document)[path][method]


def made_up(document: Body, method: str, path: str, mode: GenerationMode) -> Any:
    return operation(document, method, path).as_strategy(generation_mode=mode)


def test_a_replica_serves_it_to_everybody(doors: Doors, document: Body):
    answer = httpx.get(f"{doors.first.url}/openapi.json", trust_env=False, timeout=DEADLINE)

    assert answer.status_code == 200
    assert answer.json() == document


def test_it_is_valid_and_names_every_call_and_every_way_to_fail(document: Body):
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()

    told = {
        (method.upper(), path): set(each["responses"]) for path, methods in document["paths"].items() for method, each in methods.items()
    }
    assert set(told) == set(CALLS)
    assert {call: CALLS[call] - statuses for call, statuses in told.items() if CALLS[call] - statuses} == {}
    for methods in document["paths"].values():
        for each in methods.values():
            assert each["security"] == [{"agent": []}]
            for status, response in each["responses"].items():
                assert {"X-Request-Id", "traceparent"} <= set(response["headers"])
                if status >= "400":
                    assert list(response["content"]) == [MEDIA_TYPE]
    assert "x-kubernetes" not in str(document)


def test_its_examples_are_what_the_code_reads_and_writes(document: Body):
    modules = (rolevend.api.schemas, rolevend.api.access.schemas, rolevend.api.authzen.schemas, rolevend.api.authzen.tasks)
    models: dict[str, type[BaseModel]] = {name: each for module in modules for name, each in vars(module).items() if isinstance(each, type)}
    seen = 0
    for methods in document["paths"].values():
        for each in methods.values():
            for content in (each.get("requestBody", {}), *each["responses"].values()):
                for said in content.get("content", {}).values():
                    model = models[said["schema"]["$ref"].rpartition("/")[2]]
                    read = model.model_validate(said["example"])
                    assert set(read.model_dump(by_alias=True, exclude_unset=True)) == set(said["example"])
                    seen += 1
    assert seen > 40


def conforms(case: Case, caller: Caller) -> int:
    """The status of the answer."""
    answer = case.call(base_url=caller.api.url, headers={"Authorization": f"Bearer {caller.token}"}, timeout=DEADLINE)
    assert answer.status_code < 500 or (answer.status_code == 503 and answer.json()["code"] != "InternalError"), answer.text
    case.validate_response(answer, checks=CONFORMING)
    return int(answer.status_code)


@pytest.mark.thinned(2, "long")
@pytest.mark.parametrize(("method", "path", "mode"), MADE_UP, ids=[f"{method} {path} {mode.value}" for method, path, mode in MADE_UP])
def test_whatever_is_made_up_from_it_gets_an_answer_that_it_describes(
    document: Body, caller: Caller, method: str, path: str, mode: GenerationMode
):
    @BOUNDED
    @given(made_up(document, method, path, mode))
    def each(case: Case) -> None:
        conforms(case, caller)

    each()


@pytest.mark.parametrize(("path", "granted"), [("/v1/vended-roles", 201), ("/v1/decisions", 200)], ids=["vend", "decide"])
def test_so_does_whatever_is_asked_for_a_person_who_is_proven(document: Body, caller: Caller, path: str, granted: int):
    """Made up but for the token and the platform, so that it comes as far as the decision."""

    @settings(BOUNDED, max_examples=by_tier(10, 30))
    @given(made_up(document, "POST", path, GenerationMode.POSITIVE))
    def each(case: Case) -> None:
        said = {member: value for member, value in case.body.items() if member != "user"}
        case.body = {**said, "userToken": caller.proven.token(), "platforms": [WAREHOUSE]}
        seen.add(conforms(case, caller))

    seen: set[int] = set()
    each()
    assert granted in seen
