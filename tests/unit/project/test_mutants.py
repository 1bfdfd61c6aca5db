"""The list of mutants that nobody can tell from the original. Whether they live, `make mutants` tells."""

import tomllib
from importlib import import_module
from inspect import getsource
from operator import attrgetter
from pathlib import Path

import pytest

LISTED = tomllib.loads((Path(__file__).parents[2] / "mutants" / "equivalent.toml").read_text(encoding="utf-8"))["mutant"]


@pytest.mark.parametrize("entry", LISTED, ids=lambda entry: f"{entry['in']}: {entry['now']}")
def test_an_equivalent_mutant_is_of_code_that_is_there_and_says_why(entry: dict[str, str]):
    module, _, function = entry["in"].partition(":")
    lines = [line.strip() for line in getsource(attrgetter(function)(import_module(module))).splitlines()]

    assert entry.keys() == {"in", "was", "now", "reason"}
    assert all(line in lines for line in entry["was"].splitlines())
    assert entry["was"] != entry["now"]
    assert len(entry["reason"]) > 20


def test_no_mutant_is_listed_twice():
    assert len({(each["in"], each["was"], each["now"]) for each in LISTED}) == len(LISTED)
