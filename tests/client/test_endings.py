"""Programs that are ended by a signal, or end without the end of a block: a role of theirs is released, and the rest is as it was."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from rolevend_client import Rolevend
from rolevend_client.active_roles import ActiveRoles
from tests.client.answers import PASSWORD, role
from tests.client.speaking import SpeakingServer
from tests.support.waiting import DEADLINE

CLIENT = Path(__file__).parents[2] / "clients" / "python"
SYNC = """
    import signal, sys, threading, time
    from rolevend_client import Rolevend

    def ready():
        print("ready", flush=True)
        return sys.stdin.readline()

    client = Rolevend.from_environment()
"""


@pytest.fixture
def api() -> Iterator[SpeakingServer]:
    numbers = count()
    with SpeakingServer(lambda body: (201, role(id=f"role-{next(numbers)}"))) as server:
        yield server


@contextmanager
def program(api: SpeakingServer, tmp_path: Path, text: str) -> Iterator[subprocess.Popen[str]]:
    """Runs `text`; it is there once it has said that it is ready."""
    token = tmp_path / "token"
    token.write_text("agents-own")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(CLIENT), *filter(None, sys.path)]),
        "ROLEVEND_URL": api.url,
        "ROLEVEND_TOKEN_FILE": str(token),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SYNC) + textwrap.dedent(text)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], number: int | None) -> tuple[int, str, str]:
    """How it ended after the signal, or, of None, after it went on."""
    if number is not None:
        process.send_signal(number)
    output, errors = process.communicate(input=None if number is not None else "go on\n", timeout=DEADLINE)
    return process.returncode, output, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name)
def test_a_program_that_is_ended_by_a_signal_releases_and_unwinds(api: SpeakingServer, tmp_path: Path, number: signal.Signals):
    text = """
    try:
        with client.vend("a.b.c", platform="warehouse"):
            ready()
    finally:
        print("unwound")
    """
    with program(api, tmp_path, text) as process:
        code, output, errors = ended(process, number)
    assert api.asked == ["POST", "DELETE role-0"]
    assert output == "unwound\n"
    assert code == (-number if number is signal.SIGINT else 128 + number)
    assert PASSWORD not in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_program_on_asyncio_does_so_too(api: SpeakingServer, tmp_path: Path, number: signal.Signals):
    text = """
    import asyncio
    from rolevend_client import AsyncRolevend

    async def main():
        async with AsyncRolevend.from_environment().vend("a.b.c", platform="warehouse"):
            print("ready", flush=True)
            await asyncio.sleep(60)

    asyncio.run(main())
    """
    with program(api, tmp_path, text) as process:
        code, _, _ = ended(process, number)
    assert code != 0
    assert api.asked == ["POST", "DELETE role-0"]


def test_a_handler_of_the_programs_own_is_left_alone(api: SpeakingServer, tmp_path: Path):
    """It lets the work finish; the role is there until then."""
    text = """
    import os
    seen = []
    own = lambda number, frame: seen.append(number)
    signal.signal(signal.SIGTERM, own)
    with client.vend("a.b.c", platform="warehouse"):
        assert signal.getsignal(signal.SIGTERM) is own
        ready()
        os.kill(os.getpid(), signal.SIGTERM)
        print(seen == [signal.SIGTERM])
    assert signal.getsignal(signal.SIGTERM) is own
    """
    with program(api, tmp_path, text) as process:
        code, output, errors = ended(process, None)
    assert code == 0, errors
    assert output == "True\n"
    assert api.asked == ["POST", "DELETE role-0"]


def test_handlers_are_as_before_afterwards(api: SpeakingServer, tmp_path: Path):
    """Also those that the program sets while a role is open, and those that it ignores."""
    text = """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    with client.vend("a.b.c", platform="warehouse"):
        with client.vend("a.b.c", platform="warehouse"):
            assert signal.getsignal(signal.SIGTERM) not in before
        assert signal.getsignal(signal.SIGTERM) not in before
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert before == [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    own = lambda number, frame: None
    with client.vend("a.b.c", platform="warehouse"):
        signal.signal(signal.SIGTERM, own)
    assert signal.getsignal(signal.SIGTERM) is own
    ready()
    """
    with program(api, tmp_path, text) as process:
        code, _, errors = ended(process, None)
    assert code == 0, errors
    assert api.live == set()


def test_a_role_of_another_thread_is_released_at_the_exit(api: SpeakingServer, tmp_path: Path):
    text = """
    opened = threading.Event()

    def work():
        with client.vend("a.b.c", platform="warehouse"):
            opened.set()
            threading.Event().wait()

    threading.Thread(target=work, daemon=True).start()
    opened.wait()
    ready()
    """
    with program(api, tmp_path, text) as process:
        code, _, errors = ended(process, None)
    assert code == 0, errors
    assert api.asked == ["POST", "DELETE role-0"]


def test_a_block_that_is_never_left_ends_with_the_interpreter(api: SpeakingServer, tmp_path: Path):
    text = """
    vending = client.vend("a.b.c", platform="warehouse")
    role = vending.__enter__()
    ready()
    """
    with program(api, tmp_path, text) as process:
        ended(process, None)
    assert api.asked == ["POST", "DELETE role-0"]


def test_many_roles_do_not_hold_up_the_exit_while_the_api_is_away():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Rolevend(f"http://127.0.0.1:{silent.getsockname()[1]}", token="agents-own").settings
        roles = ActiveRoles()
        for number in range(1_000):
            roles.add(f"role-{number}", settings)
        began = time.monotonic()
        roles.release_all(seconds=0.2)
        assert time.monotonic() - began < DEADLINE
        assert "role-999" not in roles


def test_a_child_has_none_of_its_parents_roles(api: SpeakingServer, tmp_path: Path):
    text = """
    import os
    with client.vend("a.b.c", platform="warehouse"):
        child = os.fork()
        if not child:
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        ready()
        print("still open")
    """
    with program(api, tmp_path, text) as process:
        assert api.asked == ["POST"]
        code, output, errors = ended(process, None)
    assert (code, output) == (0, "still open\n"), errors
    assert api.asked == ["POST", "DELETE role-0"]


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("where", ["the main thread", "another thread"])
def test_a_session_that_is_ended_by_a_signal_leaves_no_role(api: SpeakingServer, tmp_path: Path, number: signal.Signals, where: str):
    """Its role may be of another thread: that of a tool, for example."""
    text = """
    from concurrent.futures import ThreadPoolExecutor
    with client.session(lambda: "a.b.c", platform="warehouse") as session:
        WORK
        ready()
    """.replace("WORK", "session.role()" if where == "the main thread" else "ThreadPoolExecutor(1).submit(session.role).result()")
    with program(api, tmp_path, text) as process:
        code, _, _ = ended(process, number)
    assert code == (-number if number is signal.SIGINT else 128 + number)
    assert api.asked == ["POST", "DELETE role-0"]


def test_a_session_on_asyncio_that_is_ended_by_a_signal_leaves_no_role(api: SpeakingServer, tmp_path: Path):
    text = """
    import asyncio
    from rolevend_client import AsyncRolevend

    async def main():
        async with AsyncRolevend.from_environment().session(lambda: "a.b.c", platform="warehouse") as session:
            await session.role()
            print("ready", flush=True)
            await asyncio.sleep(60)

    asyncio.run(main())
    """
    with program(api, tmp_path, text) as process:
        code, _, _ = ended(process, signal.SIGTERM)
    assert code != 0
    assert api.asked == ["POST", "DELETE role-0"]


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize("crash", ["raise OSError", "sys.exit(3)", "del session, block"])
def test_a_session_that_is_never_left_ends_with_the_interpreter(api: SpeakingServer, tmp_path: Path, crash: str):
    text = f"""
    block = client.session(lambda: "a.b.c", platform="warehouse")
    session = block.__enter__()
    session.role()
    ready()
    {crash}
    """
    with program(api, tmp_path, text) as process:
        ended(process, None)
    assert api.asked == ["POST", "DELETE role-0"]
