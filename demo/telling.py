"""Print the story: colours and tables on a terminal, plain lines elsewhere. No decisions.

On a terminal no word is broken: texts and cells are wrapped between words, except commands, which a person copies.
"""

import sys
import threading
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

Cells = Sequence[object]
_MARGIN = "   "
_GAP = "  "


class Teller:
    """Prints to `stream`, line by line."""

    def __init__(self, stream: TextIO, *, brief: bool = False, step: bool = False, patience: float = 3.0) -> None:
        """`brief` leaves out commands, SQL, tables and answers; `step` waits for Enter before each act but the first, on a terminal. After
        `patience` seconds without a line, a terminal shows that the story goes on."""
        self._patience_seconds = patience
        self._stream = stream
        self._console = _console(stream) if stream.isatty() else None
        self._after_gap = False
        self._brief = brief
        self._step = step
        self._watcher: threading.Timer | None = None

    def title(self, text: str) -> None:
        self._line(text, "bold")

    def act(self, number: int, text: str) -> None:
        if self._step and number > 1 and self._console is not None and sys.stdin.isatty():
            self.rest()
            self._console.input("\n[dim]Enter: the next act[/dim]")
        self._line("", "")
        self._line(f"{number}. {text}", "bold cyan")

    def say(self, text: str = "") -> None:
        if text and self._brief:
            return
        self._indented(text, "")

    def verbatim(self, text: str) -> None:
        """Print a line that a person copies."""
        self._indented(text, "", is_whole=True)

    def command(self, text: str, who: str = "") -> None:
        """Print a command of a person or an agent."""
        if self._brief:
            return
        line, comment = f"$ {text}", f"# as {who}" if who else ""
        if comment and self._console is not None and len(f"{_MARGIN}{line}    {comment}") > self._console.width:
            self._indented(comment, "yellow")
            comment = ""
        self._indented(f"{line}    {comment}".rstrip(), "yellow", is_whole=True)

    def sql(self, text: str) -> None:
        if not self._brief:
            self._indented(text, "blue")

    def seen(self, text: str) -> None:
        """Print a checked fact."""
        self._indented(f"✓ {text}", "green")

    def answered(self, what: str, message: str) -> None:
        """Print an attempt and the server's message."""
        if not self._brief:
            self._indented(f"• {what}", "")
            self._indented(f"  {message}", "yellow")

    def failed(self, text: str) -> None:
        self._line("", "")
        self._line(f"✗ {text}", "bold red")

    def rest(self) -> None:
        """Say no more of time that passes."""
        if self._watcher is not None:
            self._watcher.cancel()

    def table(self, columns: Sequence[str], rows: Sequence[Cells], *, faint: Sequence[int] = ()) -> None:
        """Print a table. `faint` are indexes of rows for comparison only."""
        if self._brief:
            return
        self.say()
        texts = [[_cell(value) for value in row] for row in rows]
        numeric = [all(isinstance(row[place], int | float) or _is_number(row[place]) for row in rows) for place in range(len(columns))]
        width = None if self._console is None else self._console.width - len(_MARGIN)
        head, *body = _laid_out(columns, texts, numeric, width)
        for line in head:
            self._indented(line, "bold", is_whole=True)
        for place, lines in enumerate(body):
            for line in lines:
                self._indented(line, "dim" if place in faint else "", is_whole=True)
        self.say()

    def _indented(self, text: str, style: str, *, is_whole: bool = False) -> None:
        for line in text.splitlines() or [""]:
            self._line(f"{_MARGIN}{line}".rstrip(), style, is_whole=is_whole)

    def _line(self, text: str, style: str, *, is_whole: bool = False) -> None:
        """Print a line, but never two empty lines in a row."""
        if not text and self._after_gap:
            return
        self.rest()
        self._after_gap = not text
        if self._console is None:
            print(text, file=self._stream, flush=True)
            return
        for part in [text] if is_whole else wrapped(text, self._console.width):
            self._console.print(part, style=style or None, markup=False, soft_wrap=True)
        self._watch()

    def _watch(self) -> None:
        self._watcher = threading.Timer(self._patience_seconds, self._go_on)
        self._watcher.daemon = True
        self._watcher.start()

    def _go_on(self) -> None:
        if self._console is not None:
            self._console.print(f"{_MARGIN}…", style="dim")
            self._watch()


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    return Console(file=stream, highlight=False)


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of one line, broken between words, the later ones indented by two more."""
    indentation = " " * (len(text) - len(text.lstrip()) + 2)
    return wrap(text, width, subsequent_indent=indentation, break_long_words=False, break_on_hyphens=False) or [""]


def _laid_out(columns: Sequence[str], texts: Sequence[Sequence[str]], numeric: Sequence[bool], width: int | None) -> list[list[str]]:
    """Return the lines of the head and of each row. Without a width each is one line. Columns that do not fit even with a word on each line
    are written below the others, by name."""
    table = [columns, *texts]
    natural = [max(len(row[place]) for row in table) for place in range(len(columns))]
    if width is None or sum(natural) + len(_GAP) * (len(natural) - 1) <= width:
        widths, kept = natural, len(columns)
    else:
        words = [max(len(word) for row in table for word in (row[place].split() or [""])) for place in range(len(columns))]
        least = [natural[place] if numeric[place] else words[place] for place in range(len(columns))]
        kept = len(columns)
        while kept > 1 and sum(least[:kept]) + len(_GAP) * (kept - 1) > width:
            kept -= 1
        widths = least[:kept]
        for _ in range(width - sum(widths) - len(_GAP) * (kept - 1)):
            narrowest = max(range(kept), key=lambda place: natural[place] - widths[place])
            widths[narrowest] += natural[narrowest] > widths[narrowest]
    head = [*_row(columns[:kept], widths, numeric), _GAP.join("-" * each for each in widths)]
    return [head, *([*_row(row[:kept], widths, numeric), *_below(columns[kept:], row[kept:], width)] for row in texts)]


def _row(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    columns = [wrap(cell, width, break_long_words=False, break_on_hyphens=False) or [""] for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for place in range(max(map(len, columns))):
        parts = [column[place] if place < len(column) else "" for column in columns]
        padded = (part.rjust(width) if right else part.ljust(width) for part, width, right in zip(parts, widths, numeric, strict=False))
        lines.append(_GAP.join(padded).rstrip())
    return lines


def _below(names: Sequence[str], cells: Sequence[str], width: int | None) -> list[str]:
    return [line for name, cell in zip(names, cells, strict=True) for line in wrapped(f"  {name}: {cell}", width or 80)]


def _is_number(value: object) -> bool:
    return hasattr(value, "as_integer_ratio")


def _cell(value: object) -> str:
    """Format a cell: thousands separators, NULL as a word."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value)
        case int():
            return f"{value:,}"
        case _ if _is_number(value):
            return f"{value:,.2f}"
        case _:
            return str(value)
