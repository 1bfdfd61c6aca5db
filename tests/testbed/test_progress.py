"""A waiting person is told what is going on and how long it takes, but not too much."""

import io
import threading

import pytest

from rolevend.policytools.embedded.progress import Lines, Live, State, progress_for


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
    assert stream.getvalue().endswith("building etcd … failed, 0 s\n")


def test_a_long_step_is_repeated_with_what_happens_now() -> None:
    stream = Listener("building etcd … 70%, 0 s of about 10 s, raft")
    with Lines(stream, every=0.001, clock=Clock()).step("building etcd", 100.0) as step:
        step.update("raft", fraction=0.7)
        assert stream.heard.wait(30)


def test_a_step_tells_at_its_beginning_how_long_it_usually_takes() -> None:
    stream = io.StringIO()
    with Lines(stream, clock=Clock()).step("building etcd", 290.0):
        assert stream.getvalue() == "building etcd … about 5 min\n"


@pytest.mark.parametrize(
    ("elapsed", "fraction", "total"),
    [
        (10.0, None, 100.0),  # nothing better is known
        (10.0, 0.1, 100.0),  # as fast as expected
        (50.0, 0.5, 100.0),
        (100.0, 0.5, 175.0),  # half as fast: between what was expected and what the speed so far says
        (190.0, 0.95, 199.8),  # near the end the speed so far decides
        (200.0, 1.0, 200.0),
    ],
)
def test_the_estimate_goes_from_what_was_expected_to_the_speed_so_far(elapsed: float, fraction: float | None, total: float) -> None:
    clock = Clock()
    state = State("building etcd", 100.0, clock)
    state.update("raft", fraction=fraction)
    clock.now = elapsed
    assert state.total is not None
    assert state.total == pytest.approx(total, rel=0.01)


def test_what_takes_longer_than_expected_is_not_hidden() -> None:
    clock = Clock()
    state = State("installing packages", 40.0, clock)
    clock.now = 30.0
    assert state.time == "30 s of about 40 s"
    clock.now = 75.0
    assert state.time == "1 min 15 s, longer than the usual 40 s"


def test_a_log_gets_plain_lines() -> None:
    assert isinstance(progress_for(io.StringIO()), Lines)


def test_a_terminal_gets_a_live_line_and_keeps_the_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    progress = progress_for(stream)
    assert isinstance(progress, Live)
    with progress.step("building etcd") as step:
        step.update("[raft]", fraction=0.7)
    assert "building etcd" in stream.getvalue().splitlines()[-1]


def test_a_line_on_a_terminal_is_never_wider_than_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = Listener("…")
    with Live(stream, every=0.001, clock=Clock()).step("building etcd", 100.0) as step:
        step.update("k8s.io/apiserver/pkg/admission/plugin/policy/validating", fraction=0.7)
        assert stream.heard.wait(30)
    assert all(len(line) < 40 for line in stream.getvalue().rpartition("\r")[0].split("\r\x1b[2K"))


def test_a_terminal_that_cannot_redraw_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress_for(Terminal()), Lines)


def test_a_terminal_sees_what_failed() -> None:
    stream = Terminal()
    with pytest.raises(RuntimeError), Live(stream).step("building etcd"):
        raise RuntimeError
    assert "✗" in stream.getvalue().splitlines()[-1]
