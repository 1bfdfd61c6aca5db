"""The duration of each step of a call, for its log line and, if it vends, for a histogram.

A context variable assigns a step to the call that runs it. Outside of a call nothing is measured.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum

from prometheus_client import Histogram


class VendStep(StrEnum):
    """The steps of a vend, in the order of their first start. Repeated steps are added up."""

    CHECK_AGENT = "CheckAgent"
    """Check the agent's own token, by its issuer's keys and, for a ServiceAccount, by the cluster."""
    CHECK_USER = "CheckUser"
    """Check the user's token."""
    DECIDE = "Decide"
    """Decide, at each time."""
    CREATE_OBJECT = "CreateObject"
    """Create the VendedRole in the Kubernetes API."""
    TAKE_TOKEN = "TakeToken"  # noqa: S105 - a step
    """Record in the cluster that the user's token is for this role alone."""
    RECORD = "Record"
    """Write the records of the handles, the audit event, and the intent in the object's status."""
    AWAIT_PROFILE = "AwaitProfile"
    """Wait until the operator has built a missing profile. Vends with an existing profile have no such step."""
    MAKE_ROLE = "MakeRole"
    """Create the role on the platform, including the time in the queue."""
    WRITE_READY = "WriteReady"
    """Write to the object's status that the role can log in."""


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
