"""How long each step of a call took, for its line in the log and, if it vends, for a histogram.

A step belongs to the call that runs it, wherever in the code that is: nothing is handed along, and outside of a call nothing is kept.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum

from prometheus_client import Histogram


class VendStep(StrEnum):
    """The steps of a vend, in the order of their first time. Repeated steps are added up."""

    CHECK_AGENT = "CheckAgent"
    """The agent's own token, by its issuer's keys and, for a ServiceAccount, by the cluster."""
    CHECK_USER = "CheckUser"
    """The user's token."""
    DECIDE = "Decide"
    """The decision, each time."""
    CREATE_OBJECT = "CreateObject"
    """The VendedRole, by the Kubernetes API."""
    TAKE_TOKEN = "TakeToken"  # noqa: S105 - a step
    """The record, in the cluster, that the user's token is for this role alone."""
    RECORD = "Record"
    """Whom the handles stand for, the audit event, and the intent in the object's status."""
    AWAIT_PROFILE = "AwaitProfile"
    """The operator builds what is not built yet. Warm profiles have no such step."""
    MAKE_ROLE = "MakeRole"
    """The role itself, on the platform; the wait for its turn included."""
    WRITE_READY = "WriteReady"
    """That it can log in, in the object's status."""


Taken = dict[VendStep, float]
"""Seconds, by step."""

_taken: ContextVar[Taken | None] = ContextVar("taken", default=None)


@contextmanager
def of_a_call() -> Iterator[Taken]:
    """Collect the steps inside, also of tasks that begin inside."""
    taken: Taken = {}
    token = _taken.set(taken)
    try:
        yield taken
    finally:
        _taken.reset(token)


@contextmanager
def timed(step: VendStep) -> Iterator[None]:
    """Measure the code inside as this step, whether or not it succeeds."""
    taken = _taken.get()
    started = time.perf_counter()
    try:
        yield
    finally:
        if taken is not None:
            taken[step] = taken.get(step, 0.0) + time.perf_counter() - started


def observe(histogram: Histogram) -> None:
    """Observe the steps of this call so far."""
    for step, seconds in (_taken.get() or {}).items():
        histogram.labels(step.value).observe(seconds)
