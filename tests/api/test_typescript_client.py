"""The TypeScript client against the API itself, by its own tests."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from testbed import node
from tests.client_typescript.running import Vitest
from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.requesting import ApiRequester
from tests.support.site import WAREHOUSE
from tests.support.waiting import eventually


@pytest.fixture
def requester(proven: Proven, doors: Doors) -> ApiRequester:
    return ApiRequester(Caller(proven, doors.first)).ready({"discoverable": True})


@pytest.mark.long
def test_it_vends_queries_asks_and_releases(requester: ApiRequester):
    """A person approves what its model requests."""
    caller = requester.caller
    proven = caller.proven
    site = {
        "url": caller.api.url,
        "agentToken": caller.token,
        "platform": WAREHOUSE,
        "anna": [proven.token() for _ in range(40)],
        "bob": [],
        "eve": proven.token(tenant="another"),
        "expired": proven.token(seconds=-600),
    }
    node.install_modules()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(Vitest().run, "test/api", site=site)
        (request,) = eventually(lambda: running.done() or caller.call("GET", "/access/v1/requests").json()["items"])
        requester.offers.vote(requester.offers.found(request["id"]))
        running.result()
    assert eventually(lambda: proven.tenant.roles() == set())
