"""The tutorial for who sees it for the first time, followed to the letter: every command of the second terminal, in one shell."""

import re

import pytest

from testbed.binaries import Binaries
from tests.e2e.command import rolevend, shows
from tests.e2e.test_readme import run
from tests.support.pages import ROOT, Typed, steps

PAGE = ROOT / "docs" / "tutorial" / "first-role.md"
REFUSED = 4
"""The commands of its fourth section, which try to leave."""
_OF_ONE_RUN = re.compile(r"\b[0-9A-Z]{26}\b|(?<=_)[0-9A-Z]{26}\b|\b\d{4}-\d\d-\d\dT\S+Z|\b[0-9a-f]{8}(?:-[0-9a-f]{4,12}){4}|\b\d+s$")
"""A uid, in a name and by itself, a moment and an age: no two runs have the same."""


@pytest.mark.long
def test_whoever_follows_the_tutorial_sees_what_it_shows(binaries: Binaries) -> None:
    text = PAGE.read_text(encoding="utf-8")
    first, *found = [step for step in steps(PAGE) if isinstance(step, Typed)]
    assert first.command == "make dev"
    assert len(found) > 12
    tried = {step.command for step in found if step.command in text.partition("\n## 4. ")[2].partition("\n## 5. ")[0]}
    assert len(tried) == REFUSED
    with rolevend("--dev", "--claims", "1000", program="demo") as dev:
        printed = dev.read_until("Ctrl-C here").partition("in a shell of your own:\n")[2].strip()
        pasted = [line.strip() for line in printed.partition("\n\n")[0].splitlines()]
        assert [line.partition(" ")[0] for line in pasted] == ["cd", "."]
        assert "or `. ./dev.env` in a shell of your own" in text

        answers = run([*pasted, *(step.command for step in found)])[len(pasted) :]

        assert len(answers) == len(found)
        for step, (status, output) in zip(found, answers, strict=True):
            assert (status != 0) == (step.command in tried), (step.command, output)
            for line in step.answer.splitlines():
                assert line == "…" or shows(output, _OF_ONE_RUN.sub("…", line)), (step.command, line, output)
        assert dev.interrupt() == 0, dev.output
        assert dev.remains() == []
