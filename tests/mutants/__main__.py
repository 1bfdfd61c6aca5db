"""Every mutant of the code that decides what is shown must die by a fast test, or be listed as equivalent with the reason.

    make mutants                     # all of them
    make mutants ARGS=lowering       # those whose module, function or lines have the word in them

mutmut makes the mutants. Its own runner cannot run them: it takes a module's name from its path, and `operator/` is a source root that
is no package. So the tests are collected once, with every mutant already in the modules; and for each mutant a fork runs those tests
that call its function, the quickest first, until one fails.
"""

import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.mutants import switch
from tests.mutants.making import ROOT, Mutant, Mutated, equivalents, listing

MODULES = (
    "rolevend.policy.request_context",
    "rolevend.policy.condition",
    "rolevend.policy.table_fit",
    "rolevend.policy.policy_compiler",
    "rolevend.policy.mask",
    "rolevend.policy.requirement",
    "rolevend.policy.guardrail_compiler",
    "rolevend.policy.refusal",
    "rolevend.policy.decision",
    "rolevend.policy.lowering",
    "rolevend.policy.table_policy",
    "rolevend.platforms.postgres.build.masks",
    "rolevend.platforms.postgres.build.predicate",
    "rolevend.platforms.postgres.build.render",
    "rolevend.platforms.snowflake.values",
    "rolevend.platforms.snowflake.build.masks",
    "rolevend.platforms.snowflake.build.policies",
    "rolevend.platforms.snowflake.build.predicate",
    "rolevend.platforms.snowflake.build.views",
    "rolevend.plan",
    "rolevend.decision.admission",
)
ALONE = {"rolevend.plan": ("contains", "_carries"), "rolevend.decision.admission": ("_combination", "_widest")}
"""Of these modules nothing else decides what is shown."""
TESTS = tuple(
    f"tests/unit/{name}.py"
    for name in (
        "decision/test_snapshot",
        "decision/test_stricter_for_tools",
        "platforms/postgres/test_masks",
        "platforms/postgres/test_render",
        "platforms/snowflake/test_exchange",
        "platforms/snowflake/test_leases",
        "platforms/snowflake/test_masks",
        "platforms/snowflake/test_oracle",
        "platforms/snowflake/test_predicates",
        "platforms/snowflake/test_refusals",
        "platforms/snowflake/test_render",
        "platforms/snowflake/test_tools",
        "platforms/snowflake/test_values",
        "platforms/snowflake/test_words",
        "policy/test_column_limits",
        "policy/test_combination",
        "policy/test_condition",
        "policy/test_decision",
        "policy/test_denials",
        "policy/test_explanation",
        "policy/test_guardrail_compiler",
        "policy/test_guardrails",
        "policy/test_index",
        "policy/test_index_against_loops",
        "policy/test_mask",
        "policy/test_per_cell",
        "policy/test_requirement",
        "test_plan",
    )
)
SECONDS, TIMES = 20, 10
"""So long a test may compute, and so many times as long as without a mutant beside: one that is not done by then would run for ever, and
that is found, too."""
BYTES = 2 * 2**30
"""Of memory, likewise: one that fills a list for ever ends before the machine does."""
DEAD = 3
"""How the process ends in which a test failed. What ends otherwise has shown nothing."""


class Hunt:
    """Takes the place of pytest's loop over the tests."""

    def __init__(self, mutants: Sequence[Mutant]) -> None:
        self._mutants = mutants
        self.survivors: list[Mutant] = []
        self.unjudged: list[Mutant] = []
        """Neither lived nor died: their process ended in another way."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        session.config.pluginmanager.unregister(name="terminalreporter")  # of thousands of small runs nobody reads dots
        callers = _callers(session)
        running: dict[int, Mutant] = {}
        for number, mutant in enumerate(self._mutants, 1):
            if len(running) == len(os.sched_getaffinity(0)):
                self._end_one(running)
            running[_forked(lambda mutant=mutant: _survives(mutant, callers.get(mutant.host, []), session))] = mutant
            if sys.stderr.isatty():
                print(f"\r{number} of {len(self._mutants)}, {len(self.survivors)} survived", end="", file=sys.stderr)
        while running:
            self._end_one(running)
        return True

    def _end_one(self, running: dict[int, Mutant]) -> None:
        pid, status = os.wait()
        mutant = running.pop(pid)
        if status == 0:
            self.survivors.append(mutant)
            print(f"\nsurvived: {mutant}", flush=True)
        elif os.waitstatus_to_exitcode(status) not in (DEAD, -signal.SIGPROF):
            self.unjudged.append(mutant)


Test = tuple[float, pytest.Item]
"""With the seconds that it takes."""


def _callers(session: pytest.Session) -> dict[tuple[str, str], list[Test]]:
    """The tests that call each function, the quickest first. In a fork, so that no cache is warm when a mutant runs."""
    with tempfile.NamedTemporaryFile() as file:
        os.waitpid(_forked(lambda: _record(session, Path(file.name))), 0)
        recorded = json.loads(Path(file.name).read_text(encoding="utf-8"))
    if not isinstance(recorded, list):
        pytest.exit(f"{recorded} fails without any mutant", 1)
    callers: dict[tuple[str, str], list[Test]] = {}
    for seconds, place, functions in sorted(recorded):
        for module, name in functions:
            callers.setdefault((module, name), []).append((seconds, session.items[place]))
    return callers


def _record(session: pytest.Session, file: Path) -> bool:
    recorded = []
    for place, item in enumerate(session.items):
        called, start = switch.record(), time.process_time()
        if not _passes(item, session):
            file.write_text(json.dumps(item.nodeid), encoding="utf-8")
            return False
        recorded.append((time.process_time() - start, place, sorted(called)))
    file.write_text(json.dumps(recorded), encoding="utf-8")
    return True


def _survives(mutant: Mutant, tests: Sequence[Test], session: pytest.Session) -> bool:
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    switch.choose(mutant.module, mutant.name)
    for seconds, item in tests:
        signal.setitimer(signal.ITIMER_PROF, SECONDS + TIMES * seconds)
        try:
            if not _passes(item, session):
                return False
        except MemoryError:  # also while a failure is written down
            return False
    return True


def _passes(item: pytest.Item, session: pytest.Session) -> bool:
    session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    return not session.testsfailed


def _forked(work: Callable[[], bool]) -> int:
    """The process that does `work`, silently; it ends with 0 where that is true, and with DEAD where it is false."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        status = 0 if work() else DEAD
    finally:
        os._exit(status)


def _judged(mutants: Sequence[Mutant], survivors: Sequence[Mutant], *, whole: bool) -> Iterator[str]:
    """What is wrong."""
    listed = equivalents()
    yield from (f"survived, and is not listed: {mutant}" for mutant in sorted(survivors) if listing(mutant) not in listed)
    dead = {listing(mutant) for mutant in mutants} - {listing(mutant) for mutant in survivors}
    yield from (f"is listed as equivalent, and dies: {each}" for each in listed if each in dead)
    if whole:
        known = {listing(mutant) for mutant in mutants}
        yield from (f"is listed as equivalent, and is no mutant any more: {each}" for each in listed if each not in known)


def main(words: Sequence[str]) -> int:
    os.chdir(ROOT)
    mutated = Mutated(MODULES)
    sys.meta_path.insert(0, mutated)
    decisive = (each for each in mutated.mutants if each.function in ALONE.get(each.module, (each.function,)))
    mutants = [each for each in decisive if all(word in str(each) for word in words)]
    # Deterministic, so that who survives does not change from run to run; no more examples than a mutant needs that is worth its name; and
    # a machine that is busy kills nobody.
    settings.register_profile(
        "mutants",
        max_examples=25,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("mutants")
    hunt = Hunt(mutants)
    quiet = ["-qq", "--no-header", "--no-summary", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    code = pytest.main([*quiet, *TESTS], plugins=[hunt])
    wrong = [*_judged(mutants, hunt.survivors, whole=not words), *(f"neither lived nor died: {each}" for each in hunt.unjudged)]
    print("\n".join(["", *wrong, f"{len(mutants)} mutants, {len(hunt.survivors)} survived, {len(wrong)} things are wrong"]))
    return 1 if wrong or code else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
