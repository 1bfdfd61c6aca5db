"""Pages of the documentation, run as somebody reads them: files are written, commands are typed, and answers are those of the page."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Written:
    """A block of YAML whose first line names its file."""

    file: str
    text: str


@dataclass(frozen=True)
class Typed:
    """A command, and what the page shows below it."""

    command: str
    """With the lines that go on with it, and those that it reads from the page."""
    answer: str


_TYPED = re.compile(r"^\$ ((?:.*<<'?(\w+)'?\n(?:.*\n)*?\2)|(?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def steps(page: Path) -> Iterator[Written | Typed]:
    """In the order of the page."""
    for language, body in re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        if language == "console":
            yield from (Typed(found[1], found[3]) for found in _TYPED.finditer(body))
        elif language == "yaml" and (found := re.match(r"# (\S+\.yaml)\n", body)):
            yield Written(found[1], body[found.end() :])


def with_rolevend(folder: Path) -> str:
    """A search path on which `rolevend` is this one."""
    folder.mkdir()
    program = folder / "rolevend"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT / "operator"} exec {sys.executable} -m rolevend "$@"\n')
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def run(command: str, folder: Path, path: str) -> str:
    """What a person sees of it on standard output. Commits need no name here."""
    git = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **git, "PATH": path}
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout
