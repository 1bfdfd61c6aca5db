"""Programs with the TypeScript client that are killed, crash, exit or abort: no role is left, and the exit status is the usual one."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from testbed import node
from tests.client.answers import role
from tests.client.speaking import SpeakingServer
from tests.client.warehouse import Warehouse
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.usefixtures("built")
SITE = {"agentToken": "agents-own", "platform": "warehouse"}


@contextmanager
def program(name: str, *arguments: str, url: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    site = {**SITE, "url": url}
    process = subprocess.Popen(
        [str(node.node()), f"test/programs/{name}.mjs", *arguments],
        cwd=node.PACKAGE,
        env=node.environment() | {"ROLEVEND_TEST_SITE": json.dumps(site)} | more,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("end", "number", "code", "printed"),
    [
        ("wait", signal.SIGTERM, -signal.SIGTERM, "RoleEnded\n"),
        ("wait", signal.SIGINT, -signal.SIGINT, "RoleEnded\n"),
        ("own", signal.SIGTERM, 0, "own\nRoleEnded\nunwound\n"),
        ("early", signal.SIGTERM, 0, "own\nRoleEnded\nunwound\n"),
        ("abort", None, 0, "RoleEnded\n"),
        ("exit", None, 3, ""),
        ("crash", None, 1, ""),
        ("rejection", None, 1, ""),
    ],
)
def test_no_role_is_left(warehouse: Warehouse, end: str, number: int | None, code: int, printed: str):
    with program("holding", end, url=warehouse.api.url) as process:
        assert process.stdout.readline() == "ready 2\n", process.stderr.read()
        if number is not None:
            process.send_signal(number)
        output, errors = process.communicate("go on\n", timeout=DEADLINE)
    assert (process.returncode, output) == (code, printed), errors
    assert ("of the program" in errors) == (end in {"crash", "rejection"})
    assert {lease.role for lease in warehouse.leases.values() if warehouse.exists(lease.role)} == set()


def test_without_the_option_a_signal_ends_the_process_as_before(warehouse: Warehouse):
    with program("holding", "unasked", url=warehouse.api.url) as process:
        assert process.stdout.readline() == "ready 2\n", process.stderr.read()
        process.terminate()
        process.communicate(timeout=DEADLINE)
    assert process.returncode == -signal.SIGTERM
    (left,) = warehouse.api.live
    warehouse.drop(left)
    warehouse.api.asked.append(f"DELETE {left}")


def test_a_signal_during_a_vend_gives_its_role_back():
    """The API has made the role, and its answer is late."""
    asked, late = threading.Event(), threading.Event()

    def vend(_: object) -> tuple[int, dict]:
        asked.set()
        assert late.wait(DEADLINE)
        return 201, role(id="late")

    with SpeakingServer(vend) as api:
        with program("vending", url=api.url) as process:
            assert asked.wait(DEADLINE)
            process.terminate()
            late.set()
            _, errors = process.communicate(timeout=DEADLINE)
        assert process.returncode == -signal.SIGTERM, errors
        assert api.asked[-1] == "DELETE late"
        assert api.live == set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_program_that_vends_again_and_again_ends_by_a_signal_and_leaves_no_role(number: signal.Signals):
    numbers = count()
    with SpeakingServer(lambda _: (201, role(id=f"role-{next(numbers)}", expirationTimestamp="2126-11-24T13:15:00Z"))) as api:
        with program("returning", url=api.url) as process:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            process.send_signal(number)
            _, errors = process.communicate(timeout=DEADLINE)
        assert process.returncode == -number, errors
        assert api.live == set()
        assert api.asked.count("POST") == 2
