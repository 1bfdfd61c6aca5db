"""Children are watched, logged, and never outlive us."""

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rolevend.policytools.embedded.errors import PartFailed
from rolevend.policytools.embedded.process import Process, Program, SystemUser

FOREVER = "exec sleep 600"
PATIENCE = 120
"""Seconds."""


def shell(script: str, log: Path, account: SystemUser | None = None) -> Program:
    return Program("example", ("/bin/sh", "-c", script), log, {"PATH": os.defpath}, account)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def says(process: Process, text: str) -> None:
    process.wait_until(lambda: text in process.log_tail(), timeout=PATIENCE)


def ends(pidfd: int) -> bool:
    end = select.poll()
    end.register(pidfd, select.POLLIN)
    ended = bool(end.poll(PATIENCE * 1000))
    os.close(pidfd)
    return ended


def test_a_child_ends_when_its_parent_is_killed(log: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from rolevend.policytools.embedded.process import Program\n"
        "log = Path(sys.argv[1])\n"
        "child = Program('example', ('/bin/sh', '-c', 'echo up; exec sleep 600'), log, {'PATH': '/usr/bin:/bin'}).start()\n"
        "child.wait_until(lambda: 'up' in child.log_tail(), 120)\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, str(log)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    assert ends(child)


def test_a_child_outlives_the_thread_that_started_it(log: Path) -> None:
    started: list[Process] = []
    thread = threading.Thread(target=lambda: started.append(shell(f"echo up; {FOREVER}", log).start()))
    thread.start()
    thread.join()
    (child,) = started
    says(child, "up")
    assert not child.wait(0.1)
    child.kill()


def test_a_program_that_fails_says_why(log: Path) -> None:
    with pytest.raises(PartFailed, match=r"(?s)example failed with exit code 3.*no such luck.*log: /"):
        shell("echo no such luck; exit 3", log).run(timeout=PATIENCE)


def test_a_program_that_ends_before_it_is_ready_says_why(log: Path) -> None:
    process = shell("echo no such luck", log).start()
    with pytest.raises(PartFailed, match=r"(?s)ended by itself with exit code 0.*no such luck"):
        process.wait_until(lambda: False, timeout=PATIENCE)
    process.kill()


def test_a_program_that_is_not_ready_in_time_is_an_error(log: Path) -> None:
    process = shell(FOREVER, log).start()
    with pytest.raises(PartFailed, match="not ready within"):
        process.wait_until(lambda: False, timeout=0.05)
    process.kill()


def test_a_program_that_is_not_there_says_so(log: Path) -> None:
    with pytest.raises(PartFailed, match="cannot run /no/such/program: No such file"):
        Program("example", ("/no/such/program",), log).run(timeout=PATIENCE)


def test_only_the_latest_run_is_told(log: Path) -> None:
    shell("echo first", log).run(timeout=PATIENCE)
    process = shell("echo second", log).start()
    assert process.wait(PATIENCE)
    process.kill()
    assert process.log_tail() == "second"
    assert log.read_text() == "first\nsecond\n"


def test_stopping_asks_first(log: Path) -> None:
    process = shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done", log).start()
    says(process, "up")
    assert process.stop(grace=PATIENCE)
    assert process.exit_code == 0
    assert process.log_tail().endswith("bye")


def test_stopping_does_not_wait_for_ever(log: Path) -> None:
    process = shell("trap '' TERM; echo up; while :; do sleep 0.01; done", log).start()
    says(process, "up")
    assert not process.stop(grace=0.05)
    assert process.exit_code == -signal.SIGKILL


def test_killing_takes_children_that_left_the_group(log: Path) -> None:
    process = shell(f"setsid sh -c 'echo $$; {FOREVER}' & wait", log).start()
    process.wait_until(lambda: process.log_tail().strip().isdigit(), timeout=PATIENCE)
    child = os.pidfd_open(int(process.log_tail()))
    process.kill()
    assert ends(child)


def test_killing_again_is_no_error(log: Path) -> None:
    process = shell(FOREVER, log).start()
    process.kill()
    process.kill()
    process.stop()
    assert not process.running


def test_nothing_of_our_environment_is_passed_on(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATA", "/somewhere")
    shell('echo "<$PGDATA>"', log).run(timeout=PATIENCE)
    assert log.read_text() == "<>\n"


def test_signals_that_python_ignores_are_not_ignored_by_the_program(log: Path) -> None:
    shell("grep SigIgn /proc/self/status", log).run(timeout=PATIENCE)
    ignored = int(log.read_text().split()[1], 16)
    assert not [number for number in (signal.SIGPIPE, signal.SIGXFSZ) if ignored >> (number - 1) & 1]


def test_only_we_can_read_a_log(log: Path) -> None:
    shell("true", log).run(timeout=PATIENCE)
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.needs_root
def test_a_program_can_run_as_another_user_without_our_groups(log: Path) -> None:
    shell("id -u; id -G", log, account=SystemUser("nobody", 65534, 65534)).run(timeout=PATIENCE)
    assert log.read_text().split() == ["65534", "65534"]
