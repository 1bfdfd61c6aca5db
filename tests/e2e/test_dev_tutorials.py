"""Two tutorials on `make dev`, followed to the letter: every command of the second terminal, in one shell."""

import pytest

from testbed.binaries import Binaries
from tests.e2e.command import rolevend, shows
from tests.e2e.test_readme import run
from tests.support.pages import ROOT, Typed, steps

PAGES = ("let-an-agent-ask.md", "after-an-incident.md")
ERRORS = ("ERROR:", "Error from server")


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES)
def test_whoever_follows_the_tutorial_sees_what_it_shows(binaries: Binaries, page: str) -> None:
    first, *found = [step for step in steps(ROOT / "docs" / "tutorial" / page) if isinstance(step, Typed)]
    assert first.command == "make dev"
    assert len(found) > 20
    with rolevend("--dev", "--claims", "1000", program="demo") as dev:
        printed = dev.read_until("Ctrl-C here").partition("in a shell of your own:\n")[2].strip()
        pasted = [line.strip() for line in printed.partition("\n\n")[0].splitlines()]

        answers = run([*pasted, *(step.command for step in found)])[len(pasted) :]

        assert len(answers) == len(found)
        for step, (status, output) in zip(found, answers, strict=True):
            assert (status != 0) == step.answer.startswith(ERRORS), (step.command, output)
            for line in step.answer.splitlines():
                assert line == "…" or shows(output, line), (step.command, line, output)
        assert dev.interrupt() == 0, dev.output
        assert dev.remains() == []
