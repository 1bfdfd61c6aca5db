"""Rows for a person, as text or as Markdown. Nothing in a cell begins a line of its own or another cell."""

from collections.abc import Sequence
from typing import Literal

Form = Literal["text", "markdown"]


def rendered(head: Sequence[str], rows: Sequence[Sequence[str]], form: Form) -> str:
    cells = [[" ".join(cell.split()) or "-" for cell in row] for row in rows]
    if form == "markdown":
        lines = [head, ["---"] * len(head), *([cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in cells)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(len(row[place]) for row in [head, *cells]) for place in range(len(head))]
    lines = [[name.upper() for name in head], *cells]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def noted(told: str, notes: Sequence[str], form: Form) -> str:
    """What is told, and beneath it what it leaves out: never apart, so that nobody takes a part for the whole."""
    if not notes:
        return told
    return "\n".join(
        [told, *([""] if form == "markdown" else []), *(f"{'* ' if form == 'markdown' else ''}note: {each}" for each in notes)]
    )
