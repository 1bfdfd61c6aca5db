"""What the stand-in takes for granted is listed: each check, and each number that a refusal has."""

import re
from dataclasses import fields
from pathlib import Path

from rolevend.platforms.snowflake.attest import TRIALS, UNTRIED
from tests.support import snowflake
from tests.support.snowflake.switches import Switches

_FOLDER = Path(snowflake.__file__).parent
_TEXT = (_FOLDER / "ASSUMPTIONS.md").read_text()
_ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in _TEXT.splitlines() if re.match(r"\| [A-Z]\d+ \|", line)]
_OF_THE_MODEL = {"900001"}
_EVERYDAY = {
    *("000603", "000707", "000709", "000900", "000904", "001003", "001008", "001044", "001430", "001789", "002027", "002037", "002141"),
    *("003010", "090105", "100038", "100132", "391432"),
}
"""Of statements that are wrong in themselves, or of what is not there: nothing of ours depends on these numbers."""


def test_each_check_stands_among_the_assumptions():
    listed = {row[-1].strip(" |") for row in _ROWS}
    assert {field.name for field in fields(Switches)} <= listed


def test_each_assumption_has_a_number_of_its_own_and_a_source():
    assert len({row[0] for row in _ROWS}) == len(_ROWS)
    assert all(len(row) >= 3 and row[2] for row in _ROWS)


def test_an_attestation_looks_at_each_assumption_or_says_why_it_does_not():
    """Also at those that the argument why nothing leaks rests on."""
    argument = _FOLDER / "ARGUMENT.md"
    assumed = {row[0].strip("| ") for row in _ROWS} | set(re.findall(r"^\| (E\d+) \|", argument.read_text(), re.MULTILINE))
    tried = {assumption for trial in TRIALS for assumption in trial.assumptions}
    untried = {assumption for each in UNTRIED for assumption in each.assumptions}
    assert assumed == tried | untried
    assert tried & untried == set()


def test_each_number_of_a_refusal_is_listed():
    said = {number for path in _FOLDER.glob("*.py") for number in re.findall(r'"(\d{6})"', path.read_text())}
    listed = set(re.findall(r"\b\d{6}\b", _TEXT))
    assert said - listed - _OF_THE_MODEL - _EVERYDAY == set()


def test_each_module_says_what_it_is_for():
    for path in _FOLDER.glob("*.py"):
        assert path.read_text().startswith('"""'), path.name
        assert len(path.read_text().splitlines()) < 300, path.name
    assert "not Snowflake" in (snowflake.__doc__ or "")
