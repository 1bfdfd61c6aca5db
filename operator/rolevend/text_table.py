"""Tables as text or Markdown. A cell cannot begin a new line or another cell. Pure."""

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
