"""What a test takes says where it runs: a `Bench` on every platform, a `PostgresBench` on PostgreSQL alone. Folders hold to that."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ON_EVERY_PLATFORM = re.compile(r"^(?:    )?def test_\w+\([^)]*\bbench: Bench\b", re.MULTILINE)
BY_A_FIXTURE = re.compile(r"^def \w+\([^)]*\bbench: Bench\b", re.MULTILINE)


@pytest.mark.parametrize("path", sorted(HERE.glob("test_*.py")), ids=lambda path: path.name)
def test_each_file_of_the_suite_has_tests_for_every_platform(path: Path):
    assert path.samefile(__file__) or ON_EVERY_PLATFORM.search(path.read_text()), "what is PostgreSQL's own belongs into postgres/"


@pytest.mark.parametrize("path", sorted((HERE / "postgres").glob("test_*.py")), ids=lambda path: path.name)
def test_what_is_postgresqls_own_runs_there_alone(path: Path):
    text = path.read_text()
    assert not ON_EVERY_PLATFORM.search(text)
    assert not BY_A_FIXTURE.search(text), "what holds for every platform belongs into the folder above"
