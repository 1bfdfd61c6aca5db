"""What the generators of the reference pages share: tables, code spans, and the texts below the members of a class."""

import ast
import inspect
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in row) + " |"


def code(text: object) -> str:
    return f"`{text}`"


def sql(statements: Iterable[str]) -> Sequence[str]:
    """Return a block of code."""
    return ["```sql", *statements, "```"]


def docstrings(kind: type) -> dict[str, str]:
    """Return the text below each member of a class, by the member's name."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    found = {}
    for member, text in pairwise(getattr(definition, "body", [])):
        target = member.target if isinstance(member, ast.AnnAssign) else member.targets[0] if isinstance(member, ast.Assign) else None
        if isinstance(target, ast.Name) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[target.id] = inspect.cleandoc(str(text.value.value))
    return found
