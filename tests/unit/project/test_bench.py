"""What a measurement says of itself, and what `make bench` says in the end."""

import subprocess
import sys

import pytest

import bench.lines
from bench.__main__ import Part, run, summary
from bench.lines import USUAL, Line, absolute, reported, settled, table
from bench.load import Sent
from bench.openbao import Budget, Measured
from bench.processes import Processes
from bench.rounds import ratios, rounds_compared

WITHIN, OVER = Line("a vend", "7 ms", "<= 8 ms", within=True), Line("a vend", "9 ms", "<= 8 ms", within=False)


def test_a_table_fails_with_the_lines_that_are_over_and_prints_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        table("Vends", [OVER, reported("a drop", "3 ms"), WITHIN])
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed if line] == ["Vends", "OVER", "-", "ok"]


def test_a_table_of_what_nobody_judges_passes() -> None:
    table("Vends", [reported("a drop", "3 ms"), OVER.judged_if(meaningful=False), WITHIN])


def test_what_is_too_small_for_a_verdict_names_the_budget_and_has_none() -> None:
    line = OVER.judged_if(meaningful=False)
    assert line.within is None
    assert line.budget == "reported; in full <= 8 ms"
    assert OVER.judged_if(meaningful=True) == OVER


def test_what_nobody_could_hold_here_says_why_and_has_no_verdict() -> None:
    line = OVER.out_of_reach("the bare write")
    assert line.within is None
    assert line.budget == "reported; the bare write alone is beyond <= 8 ms"


@pytest.mark.parametrize(("floor", "verdict"), [(1.0, False), (2.0, None)])
def test_a_budget_that_the_record_in_kubernetes_alone_misses_is_judged_with_a_ledger(floor: float, verdict: bool | None) -> None:
    budget = Budget("p50 <= 1.5x", lambda _rate, middle, _worst: middle <= 1.5)
    ours, theirs = ([Sent([seconds] * 4, lasted=seconds)] for seconds in (3.0, 1.0))

    *_, line = rounds_compared("API", "issue", ours, theirs, budget, Measured([floor] * 4, floor))

    assert line.within is verdict
    assert line.budget == ("p50 <= 1.5x" if verdict is False else "reported; judged with a ledger: p50 <= 1.5x")


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    ours, theirs = ([Sent([seconds] * 10, lasted=10 * seconds) for seconds in rounds] for rounds in ((2, 3, 40), (4, 3, 4)))

    assert ratios(ours, theirs) == (1.0, 1.0, 1.0)


def test_processor_time_counts_a_process_with_its_children_also_those_that_ended() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    script = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\nprint(flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = Processes({"parent": [process.pid]}).seconds()
        assert process.stdin is not None
        process.stdin.close()

    assert found["parent"] >= 0.2


def test_a_measurement_is_made_again_only_while_it_is_over_its_budget() -> None:
    found = iter([OVER, WITHIN, OVER])
    assert settled(lambda: next(found)).measured == "7 ms, try 2 of 3"
    assert next(found) == OVER
    assert settled(lambda: OVER).measured == "9 ms, the last of 3 tries"
    once = iter([reported("a drop", "3 ms")])
    assert settled(lambda: next(once)).measured == "3 ms"


@pytest.mark.parametrize(("machine", "taken", "verdict"), [(1.0, 0.9, True), (1.0, 1.0, False), (2.0, 1.9, True), (2.0, 2.0, False)])
def test_a_budget_in_absolute_time_grows_with_how_slow_the_machine_is(
    monkeypatch: pytest.MonkeyPatch, machine: float, taken: float, verdict: bool
) -> None:
    monkeypatch.setattr(bench.lines, "plain", lambda: machine * USUAL)
    line = settled(lambda: absolute("a vend", "9 ms", "<= 8 ms", taken))
    assert line.within is verdict
    assert line.budget == ("<= 8 ms" if taken < 1 else f"<= 8 ms, {machine:.2f}x here")


def test_no_other_budget_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.lines, "plain", lambda: 100 * USUAL)
    assert settled(lambda: OVER).within is False


def test_a_part_is_printed_on_and_its_lines_that_are_over_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    script = f"print('a title'); print({str(OVER)!r}); raise SystemExit(1)"
    part = run((sys.executable, "-c", script), "bench.vends")
    assert (part.over, part.status) == ([str(OVER)], 1)
    assert capsys.readouterr().out == f"a title\n{OVER}\n"


def test_the_summary_says_how_long_each_part_took_and_what_was_over() -> None:
    parts = [Part("bench.a", 90, [], 0), Part("bench.b", 30, [str(OVER)], 1), Part("bench.c", 0, [], -9)]
    assert summary(parts).splitlines() == [
        "Summary",
        "bench.a                1.5 min   within its budgets",
        "bench.b                0.5 min   1 over budget",
        "bench.c                0.0 min   failed with status -9",
        "all                    2.0 min",
        str(OVER),
    ]
