"""How the demo tells its story: no word is broken on a terminal, and elsewhere each line is one line."""

import io

import pytest

from demo.telling import Teller, wrapped
from tests.support.waiting import eventually

COLUMNS = ("for", "claim", "country", "amount", "full_name", "ssn", "birth_date", "note")
ROWS = (
    ("Anna", 1360, "DE", 24_623.33, "***er", "0147694c311…", "1969-01-01", "water in the kitchen; asked Clara for pictures"),
    ("", 1360, "DE", 24_623.33, "Clara Wagner", "963-64-0979", "1969-04-09", "a broken window; asked Lena for pictures"),
)
SENTENCE = (
    "of 2,000 claims Anna's role reads 672 and Bob's 518, none of them the same: row for row what the policies say of the seeded data"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(width: int, monkeypatch: pytest.MonkeyPatch, **how: bool) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    tell = Teller(terminal, **how)
    tell.act(1, "The agent finbot asks the same question for two people who have no account on the database")
    tell.seen(SENTENCE)
    tell.command("kubectl apply -f " + "x" * 100, "the owner of the data")
    tell.table(COLUMNS, ROWS, faint=[1])
    tell.rest()
    return terminal.getvalue()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_terminal_breaks_lines_between_words_and_commands_nowhere(width: int, monkeypatch: pytest.MonkeyPatch):
    text = told(width, monkeypatch)

    lines = text.splitlines()
    assert max(len(line) for line in lines if "kubectl" not in line) <= width
    command = f"   $ kubectl apply -f {'x' * 100}"
    assert (command in lines and "   # as the owner of the data" in lines) or f"{command}    # as the owner of the data" in lines
    for word in (*SENTENCE.split(), *COLUMNS, "24,623.33", "0147694c311…", "1969-04-09", "pictures"):
        assert word in text.replace("note:", "note").split() or word in text.split()
    assert " ".join(text.split()).count(SENTENCE) == 1


def test_what_does_not_fit_even_word_by_word_is_below_its_row_by_name(monkeypatch: pytest.MonkeyPatch):
    lines = told(80, monkeypatch).splitlines()

    row = next(number for number, line in enumerate(lines) if line.startswith("   Anna"))
    assert lines[row].split() == ["Anna", "1,360", "DE", "24,623.33", "***er", "0147694c311…", "1969-01-01"]
    assert lines[row + 1] == "     note: water in the kitchen; asked Clara for pictures"


def test_a_brief_story_is_its_acts_and_its_checked_facts(monkeypatch: pytest.MonkeyPatch):
    text = " ".join(told(120, monkeypatch, brief=True).split())

    assert SENTENCE in text
    assert "1. The agent finbot" in text
    assert "kubectl" not in text
    assert "Clara" not in text


def test_elsewhere_a_line_is_one_line():
    stream = io.StringIO()
    Teller(stream).seen(SENTENCE)

    assert stream.getvalue() == f"   ✓ {SENTENCE}\n"
    assert wrapped("   a b", 4) == ["   a", "     b"]


def test_a_terminal_shows_that_a_wait_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    tell = Teller(terminal, patience=0.05)
    tell.say("begun")

    eventually(lambda: terminal.getvalue().count("   …\n") >= 2)
    tell.rest()

    assert terminal.getvalue().startswith("   begun\n")
