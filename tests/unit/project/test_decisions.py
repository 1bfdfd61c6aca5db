"""Each decision has the same parts, is in the index, and names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
DECISIONS = dict(re.findall(r"^## (\d+\. [^\n]+)\n\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("title", DECISIONS)
def test_a_decision_has_alternatives_and_tests(title: str):
    text = DECISIONS[title]
    assert re.findall(r"^(?:\*\*(\w+)\.\*\*|\| (Rejected) \|)", text, re.MULTILINE) == [
        ("", "Rejected"),
        ("Tests", ""),
    ]
    assert re.search(r"`test_\w+`", text)


def test_the_index_lists_every_decision_in_order():
    listed = re.findall(r"^\| \[(\d+\. .+?)\]\(#[\w-]+\) \|", TEXT, re.MULTILINE)
    assert listed == list(DECISIONS)
    assert [int(title.partition(".")[0]) for title in listed] == list(range(1, len(listed) + 1))


def test_every_test_that_a_decision_names_exists():
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) >= len(DECISIONS)
    assert {name for name in named if f"def {name}(" not in tests} == set()
