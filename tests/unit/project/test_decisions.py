"""Each decision has the same five sections, is in the index, fits on a screen, and names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "decisions"
PAGES = sorted(set(FOLDER.glob("*.md")) - {FOLDER / "README.md"})
SECTIONS = ["Context", "Decision", "Rejected", "Consequences", "See"]
SCREEN = 50
"""Lines."""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_decision_has_five_sections_on_one_screen(path: Path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert len(text.splitlines()) <= SCREEN


def test_the_index_lists_every_decision_in_order():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[(\d+\. .+?)\]\(([\w-]+\.md)\) \|", text, re.MULTILINE)
    titles = {path.name: path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for path in PAGES}
    assert {name: title for title, name in listed} == titles
    assert [int(title.partition(".")[0]) for title, _ in listed] == list(range(1, len(PAGES) + 1))


def test_every_test_that_a_decision_names_exists():
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = {name for path in PAGES for name in re.findall(r"`(test_\w+)`", path.read_text(encoding="utf-8"))}
    assert len(named) >= len(PAGES)
    assert {name for name in named if f"def {name}(" not in tests} == set()
