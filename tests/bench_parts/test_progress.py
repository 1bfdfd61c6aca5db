"""A waiting person is told what is going on, but not too much."""

import io
import threading

import pytest

from rolevend.demo.parts.progress import Lines, Live, progress_for


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Listener(io.StringIO):
    """Knows when a text was written."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self.heard = threading.Event()

    def flush(self) -> None:
        if self._text in self.getvalue():
            self.heard.set()


def test_a_long_step_tells_its_beginning_and_its_end() -> None:
    stream, clock = io.StringIO(), Clock()
    with Lines(stream, clock=clock).step("building etcd"):
        clock.now = 75.0
    assert stream.getvalue().splitlines() == ["building etcd …", "building etcd … done, 1 min 15 s"]


def test_a_short_step_tells_only_its_beginning() -> None:
    stream, clock = io.StringIO(), Clock()
    with Lines(stream, clock=clock).step("starting etcd"):
        clock.now = 0.5
    assert stream.getvalue() == "starting etcd …\n"


def test_a_step_that_fails_says_so() -> None:
    stream = io.StringIO()
    with pytest.raises(RuntimeError), Lines(stream, clock=Clock()).step("building etcd"):
        raise RuntimeError
    assert stream.getvalue().endswith("building etcd … failed, 0.0 s\n")


def test_a_long_step_is_repeated_with_what_happens_now() -> None:
    stream = Listener("building etcd … 7 of 9: raft, 0.0 s")
    with Lines(stream, every=0.001, clock=Clock()).step("building etcd") as step:
        step.update("raft", done=7, total=9)
        assert stream.heard.wait(30)


def test_a_log_gets_plain_lines() -> None:
    assert isinstance(progress_for(io.StringIO()), Lines)


def test_a_terminal_gets_a_live_line_and_keeps_the_outcome() -> None:
    stream = Terminal()
    progress = progress_for(stream)
    assert isinstance(progress, Live)
    with progress.step("building etcd") as step:
        step.update("[raft]", done=7)
    assert "building etcd" in stream.getvalue().splitlines()[-1]


def test_a_terminal_sees_what_failed() -> None:
    stream = Terminal()
    with pytest.raises(RuntimeError), Live(stream).step("building etcd"):
        raise RuntimeError
    assert "✗" in stream.getvalue().splitlines()[-1]
