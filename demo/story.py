"""Run `python -m demo`: set up, tell the story, and clean up, also after an error."""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import cast

from demo import acts, asking_for_more, endings, meeting, over_http, tryout, two_platforms
from demo.acts import Scene
from demo.checks import CheckFailed
from demo.sabotage import Sabotage
from demo.stage import Stage
from demo.telling import Teller
from demo.witness import Witness
from rolevend.policytools.embedded.errors import PartFailed
from rolevend.policytools.embedded.progress import progress_for

UNDISTURBED = {"PLATFORM_POLL_SECONDS": "3600"}
"""For `--break`: delays the operator's polling, which would fix or end the fault before the check."""
_BEGINNING_AT: Mapping[Sabotage | None, Callable[[Scene], None]] = {
    "guardrail": meeting.meet,
    "expiry": endings.let_time_pass,
    "approval": asking_for_more.ask_for_more,
    "crm-view": two_platforms.ask_on_both,
    "crm-role": two_platforms.ask_on_both,
}
"""Acts that need no earlier ones: with such a fault the earlier ones are skipped."""


def run(tell: Teller, *, dev: bool, broken: str | None, claims: int) -> int:
    """Return the exit status: 0 if all checks passed, 1 if one failed. Raises errors that a person must fix first."""
    tell.rest()
    started = time.monotonic()
    alone = tryout.only_one() if dev else nullcontext()
    with _ended_by_signals(), alone, Stage(claims, progress_for(), UNDISTURBED if broken else None) as stage:
        if dev:
            with progress_for().step("starting a model of Snowflake, and installing rolevend there"):
                stage.add_crm()
            return tryout.wait(stage, tell)
        try:
            with Witness(stage.superuser, stage.evidence.statements) as witness:
                tell_all(Scene(stage, tell, witness, cast("Sabotage | None", broken)), started)
        except CheckFailed as failure:
            tell.failed(_with_log(str(failure), stage))
            return 1
    return 0


def tell_all(scene: Scene, started: float) -> None:
    """Tell the story, or with `--break` the act that must fail. Raises `CheckFailed`."""
    tell_acts(scene, started, _BEGINNING_AT.get(scene.broken, _all_acts))


def tell_acts(scene: Scene, started: float, told: Callable[[Scene], None]) -> None:
    """Tell acts. Raises `CheckFailed`, also if a fault was injected and no check detected it."""
    up = time.monotonic()
    told(scene)
    if scene.broken is not None:
        raise CheckFailed(f"--break {scene.broken} is noticed", "a check that fails", "every check passed")
    now = time.monotonic()
    tell = scene.tell
    tell.say()
    tell.title(f"All of it was checked against the database. {up - started:.0f} s to start, {now - up:.0f} s to tell.")
    tell.table(("measured here", "seconds"), [(what, f"{seconds:.2f}") for what, seconds in scene.times.items()])
    tell.say()
    tell.say("Try it by hand: make dev        See a check fail: make demo ARGS='--break mask'")


def _all_acts(scene: Scene) -> None:
    anna, bob = acts.ask_for_two(scene)
    acts.try_to_leave(scene, anna, bob)
    meeting.meet(scene)
    endings.let_time_pass(scene)
    endings.release(scene, anna)
    endings.change_policy(scene, bob)
    endings.ask_who(scene, anna)
    over_http.ask_over_http(scene)
    two_platforms.ask_on_both(scene)
    asking_for_more.ask_for_more(scene)


def _with_log(message: str, stage: Stage) -> str:
    """Append the end of the operator's log if the operator has ended."""
    try:
        stage.operator.process.check()
    except PartFailed as ended:
        return f"{message}\n{ended}"
    return message


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Handle SIGTERM and SIGHUP like Ctrl-C, with cleanup."""

    def end(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
