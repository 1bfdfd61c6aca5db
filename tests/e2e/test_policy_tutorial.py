"""The tutorial for owners of data, followed to the letter: from an empty folder to a change that is tested."""

from pathlib import Path

import pytest

from tests.support.pages import ROOT, Typed, Written, run, steps, with_rolevend

PAGE = ROOT / "docs" / "tutorial" / "first-policy.md"


@pytest.mark.long
def test_whoever_follows_the_tutorial_sees_what_it_shows(tmp_path: Path):
    path, folder = with_rolevend(tmp_path / "bin"), tmp_path / "policies"
    folder.mkdir()
    found = list(steps(PAGE))
    assert sum(isinstance(step, Typed) for step in found) > 10
    for step in found:
        if isinstance(step, Written):
            (folder / step.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / step.file).write_text(step.text)
        else:
            assert run(step.command, folder, path) == step.answer, step.command


def test_every_file_that_it_shows_is_written():
    assert PAGE.read_text().count("```yaml\n") == sum(isinstance(step, Written) for step in steps(PAGE))
