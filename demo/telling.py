"""Print the story: colours and tables on a terminal, plain lines elsewhere. No decisions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

Cells = Sequence[object]
_MARGIN = "   "


class Teller:
    """Prints to `stream`, line by line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._console = _console(stream) if stream.isatty() else None
        self._after_gap = False

    def title(self, text: str) -> None:
        self._line(text, "bold")

    def act(self, number: int, text: str) -> None:
        self._line("", "")
        self._line(f"{number}. {text}", "bold cyan")

    def say(self, text: str = "") -> None:
        self._indented(text, "")

    def command(self, text: str, who: str = "") -> None:
        """Print a command of a person or an agent."""
        self._indented(f"$ {text}" + (f"    # as {who}" if who else ""), "yellow")

    def sql(self, text: str) -> None:
        self._indented(text, "blue")

    def seen(self, text: str) -> None:
        """Print a checked fact."""
        self._indented(f"✓ {text}", "green")

    def answered(self, what: str, message: str) -> None:
        """Print an attempt and the server's message."""
        self._indented(f"• {what}", "")
        self._indented(f"  {message}", "yellow")

    def failed(self, text: str) -> None:
        self._line("", "")
        self._line(f"✗ {text}", "bold red")

    def table(self, columns: Sequence[str], rows: Sequence[Cells], *, faint: Sequence[int] = ()) -> None:
        """Print a table. `faint` are indexes of rows for comparison only."""
        self.say()
        texts = [[_cell(value) for value in row] for row in rows]
        numeric = [all(isinstance(row[place], int | float) or _is_number(row[place]) for row in rows) for place in range(len(columns))]
        if self._console is None:
            self._plain_table(columns, texts, numeric)
        else:
            self._after_gap = False
            _rich_table(self._console, columns, texts, numeric, frozenset(faint))
        self.say()

    def _plain_table(self, columns: Sequence[str], texts: Sequence[Sequence[str]], numeric: Sequence[bool]) -> None:
        widths = [max(len(row[place]) for row in (columns, *texts)) for place in range(len(columns))]

        def line(cells: Sequence[str]) -> str:
            padded = (cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(cells, widths, numeric, strict=True))
            return "  ".join(padded).rstrip()

        self._indented("\n".join((line(columns), "  ".join("-" * width for width in widths), *map(line, texts))), "")

    def _indented(self, text: str, style: str) -> None:
        for line in text.splitlines() or [""]:
            self._line(f"{_MARGIN}{line}".rstrip(), style)

    def _line(self, text: str, style: str) -> None:
        """Print a line, but never two empty lines in a row."""
        if not text and self._after_gap:
            return
        self._after_gap = not text
        if self._console is None:
            print(text, file=self._stream, flush=True)
        else:
            self._console.print(text, style=style or None, markup=False, soft_wrap=True)


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    return Console(file=stream, highlight=False)


def _rich_table(
    console: "Console", columns: Sequence[str], texts: Sequence[Sequence[str]], numeric: Sequence[bool], faint: frozenset[int]
) -> None:
    from rich import box
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name, right in zip(columns, numeric, strict=True):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for place, row in enumerate(texts):
        table.add_row(*(Text(cell) for cell in row), style="dim" if place in faint else None)
    console.print(Padding(table, (0, 0, 0, len(_MARGIN))))


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
