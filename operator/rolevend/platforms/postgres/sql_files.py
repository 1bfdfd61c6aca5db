"""Read the SQL files of this package, and split them into statements."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

from psycopg import sql

from rolevend.platforms.protocol import InstallMode

_PIECES = re.compile(
    r"--[^\n]*|/\*.*?\*/"  # comments
    r"|\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$"  # dollar quotes
    r"|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\""  # strings and identifiers
    r"|;",
    re.DOTALL,
)
_OTHER_PERCENT = re.compile(r"%(?!\([a-z_]+\)s)")
_VARIABLE = re.compile(r':"([a-z_]+)"')


@cache
def query(name: str, *, folder: str = "query") -> sql.SQL:
    """Return `sql/<folder>/<name>.sql` with `%(name)s` parameters. psycopg needs parameters, even if empty ({})."""
    return sql.SQL(_OTHER_PERCENT.sub("%%", _read(folder, f"{name}.sql")))


def installation(mode: InstallMode, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the statements of `sql/install/*.sql` in order, each with its preceding comment.

    `:"name"` is the variable as an identifier, as in psql. `name.superuser.sql` and `name.managed.sql` apply to that mode only, and
    `name.observer.sql` only with a variable of that name.
    """
    folder = files("rolevend.platforms.postgres") / "sql" / "install"
    for name in sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql")):
        _, *only, _ = name.split(".")
        if not {mode.value.lower(), *variables}.issuperset(only):
            continue
        for comment, statement in statements(_read("install", name)):
            yield comment, _VARIABLE.sub(lambda found: sql.Identifier(variables[found[1]]).as_string(), statement)


def statements(text: str) -> Iterator[tuple[str, str]]:
    """Yield (preceding comment, statement without semicolon) of a script."""
    start = 0
    for piece in _PIECES.finditer(text):
        if piece[0] == ";":
            yield _split(text[start : piece.start()])
            start = piece.end()


def _split(text: str) -> tuple[str, str]:
    lines = text.strip().splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip() and not line.startswith("--")), len(lines))
    # A file heading, separated by an empty line, is not part of the statement's comment.
    paragraph = "\n".join(lines[:first]).split("\n\n")[-1]
    return " ".join(line.removeprefix("--").strip() for line in paragraph.splitlines()).strip(), "\n".join(lines[first:]).strip()


def _read(folder: str, name: str) -> str:
    return (files("rolevend.platforms.postgres") / "sql" / folder / name).read_text(encoding="utf-8")
