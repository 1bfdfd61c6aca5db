"""Where the time of a call goes is told of this call alone, also where many run at once and where one fails."""

import asyncio
import json
import logging
import secrets
from collections.abc import Iterator

import pytest
from prometheus_client import Histogram

from rolevend.api.middleware import Message, Receive, Scope, Send, Tracing
from rolevend.telemetry.logs import configure
from rolevend.telemetry.metrics import Metrics
from rolevend.telemetry.timing import VendStep, observe, of_a_call, timed


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    """The root logger, put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def counts(histogram: Histogram) -> dict[str, float]:
    samples = [sample for family in histogram.collect() for sample in family.samples]
    return {sample.labels["step"]: sample.value for sample in samples if sample.name.endswith("_count")}


def test_a_step_that_comes_twice_is_one_and_takes_as_long_as_both():
    with of_a_call() as taken:
        with timed(VendStep.DECIDE):
            pass
        first = taken[VendStep.DECIDE]
        with timed(VendStep.DECIDE):
            pass

    assert list(taken) == [VendStep.DECIDE]
    assert taken[VendStep.DECIDE] > first > 0


def test_a_step_that_fails_is_told():
    with of_a_call() as taken, pytest.raises(ValueError, match="no"), timed(VendStep.MAKE_ROLE):
        raise ValueError("no")

    assert list(taken) == [VendStep.MAKE_ROLE]


async def test_calls_at_once_tell_each_of_its_own_steps_also_of_those_in_tasks():
    met = asyncio.Barrier(len(VendStep))

    async def work(step: VendStep) -> None:
        with timed(step):
            await met.wait()

    async def call(step: VendStep) -> list[VendStep]:
        with of_a_call() as taken:
            await asyncio.create_task(work(step))
        return list(taken)

    assert await asyncio.gather(*map(call, VendStep)) == [[step] for step in VendStep]


def test_what_is_done_outside_of_a_call_is_nobodys():
    metrics = Metrics()

    with timed(VendStep.DECIDE):
        pass
    observe(metrics.vend_step_seconds)

    assert counts(metrics.vend_step_seconds) == {}


def test_a_histogram_is_told_of_the_steps_that_there_were():
    metrics = Metrics()

    with of_a_call():
        for step in (VendStep.CHECK_USER, VendStep.DECIDE, VendStep.DECIDE):
            with timed(step):
                pass
        observe(metrics.vend_step_seconds)

    assert counts(metrics.vend_step_seconds) == {"CheckUser": 1, "Decide": 1}


@pytest.mark.parametrize("fails", [False, True])
async def test_the_line_of_a_call_says_how_long_its_steps_took(capsys: pytest.CaptureFixture[str], fails: bool):
    async def application(_scope: Scope, _receive: Receive, _send: Send) -> None:
        with timed(VendStep.CHECK_AGENT):
            if fails:
                raise ConnectionError

    async def nothing(*_: Message) -> Message:
        return {}

    configure("INFO")
    scope = {"type": "http", "method": "GET", "path": "/v1/vended-roles", "headers": []}
    try:
        await Tracing(application, secrets.token_bytes)(scope, nothing, nothing)
    except ConnectionError:
        assert fails

    line = json.loads(capsys.readouterr().err)
    assert list(line["steps"]) == ["CheckAgent"]
    assert 0 <= line["steps"]["CheckAgent"] <= line["seconds"]
