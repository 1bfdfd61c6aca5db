"""The real parts that every folder shares; in CI, no test is passed over in silence, and what fails has their own words."""

import contextlib
import gc
import os
import signal
from collections import Counter
from collections.abc import Generator, Iterable, Iterator

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer

from tests.support.distribution import ByInstallation, place_of
from tests.support.parts import binaries, postgres
from tests.support.tiers import FULL, LONG, by_tier

__all__ = ["binaries", "postgres"]

_LIVE = ("ROLEVEND_LIVE_SNOWFLAKE_MANIFEST", "ROLEVEND_LIVE_SNOWFLAKE_SECRETS")
"""Both name files: see docs/how-to/set-up-snowflake.md."""
_LAST_LINES, _LONGEST_LINE = 40, 300

# No test fails because the machine is slow.
settings.register_profile("rolevend", max_examples=by_tier(25, 100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rolevend")

# A shell starts what runs in the background deaf to Ctrl-C, and children inherit that: those whom we interrupt must hear us.
signal.signal(signal.SIGINT, signal.default_int_handler)


# Half a million objects live from the collection to the last test: the collector of garbage need not look at them again and again.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that this run does not ask for: repetitions outside of `make test-full`, tests that need root where the user is
    another, and tests that need an account of Snowflake where none is named. None of them is skipped: a skip means that a real part could
    not start."""
    _thin(items)
    unwanted = {
        "needs_root": os.geteuid() != 0,
        "full": not FULL,
        "long": not LONG,
        "live": not all(map(os.environ.get, _LIVE)),
    }
    left_out = [item for item in items if any(unwanted[name] and item.get_closest_marker(name) for name in unwanted)]
    config.hook.pytest_deselected(items=left_out)
    chosen = set(items) - set(left_out)
    items[:] = sorted((item for item in items if item in chosen), key=lambda item: place_of(item.nodeid))


def _thin(items: Iterable[pytest.Item]) -> None:
    """Mark the cases that the mark `thinned` leaves to another tier."""
    seen = Counter[str]()
    for item in items:
        for mark in item.iter_markers("thinned"):
            step, tier = mark.args
            name = item.nodeid.partition("[")[0]
            if seen[name] % step:
                item.add_marker(tier)
            seen[name] += 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByInstallation:
    config.option.loadscopereorder = False  # the order of collection is that of `place_of`
    return ByInstallation(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip is a failure where ROLEVEND_NO_SKIP is set: a real part that could not start must not look like success. What fails only now
    and then, and elsewhere, is understood from what the processes said: their logs are gone when it is read."""
    report = yield
    if report.failed:
        report.sections += _said_since(call.start, item)
    if report.skipped and os.environ.get("ROLEVEND_NO_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which ROLEVEND_NO_SKIP forbids: {report.longrepr}"
    return report


def _said_since(start: float, item: pytest.Item) -> Iterator[tuple[str, str]]:
    """The end of each log that a part of this test wrote to since `start`, in seconds since 1970, under its name."""
    factory = getattr(item, "funcargs", {}).get("tmp_path_factory")
    for log in sorted(factory.getbasetemp().rglob("*.log")) if factory else ():
        with contextlib.suppress(OSError):  # a part that ends takes its files with it
            if log.stat().st_mtime >= start:
                lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
                yield f"the end of {log.name}", "\n".join(line[:_LONGEST_LINE] for line in lines)
