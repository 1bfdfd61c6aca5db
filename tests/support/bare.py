"""rolevend as the base install has it: a process in which no package can be imported that an extra brings."""

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from functools import cache

from tests.support.waiting import PROGRAM

_CODE = """
import sys

class Blocking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

BLOCKED = set(sys.argv.pop(1).split())
sys.meta_path.insert(0, Blocking())
sys.argv[0] = "rolevend"
from rolevend.cli import main
main()
"""


def brought_by(*extras: str) -> frozenset[str]:
    """The names under which what these extras bring is imported."""
    distributions = set()
    for requirement in importlib.metadata.requires("rolevend") or ():
        wanted = re.fullmatch(r"([\w.-]+).*; extra == '(\w+)'", requirement)
        if wanted is not None and wanted[2] in extras:
            distributions.add(_normal(wanted[1]))
    return frozenset(module for module, found in _installed().items() if distributions & found)


@cache
def _installed() -> dict[str, set[str]]:
    """The distributions that bring a module, by its name. It reads the files of each of them."""
    return {module: set(map(_normal, found)) for module, found in importlib.metadata.packages_distributions().items()}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def run_without(
    blocked: Collection[str], *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _CODE, " ".join(sorted(blocked)), *arguments]
    return subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=PROGRAM,
        stdin=subprocess.DEVNULL,
    )
