"""How long a person waits for the command, and a pull request for `rolevend policy check` of a thousand files.

`python -m bench.command [--quick]`, from the repository's root.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.lines import Line, absolute, quick, settled, table, timed
from rolevend.catalog import Family
from rolevend.kinds.catalog_file import catalog_text
from tests.support.as_code import WAREHOUSE, analysts, platform, write
from tests.support.policies import catalog, column
from tests.support.policies import table as made

_FULL, _QUICK, _TABLES = 1_000, 100, 100
"""Files and tables."""
_BUDGET, _AT_ONCE = 3.0, 0.3
"""Seconds: for the check, and until the command is there."""
_STARTS = (("import rolevend", ("-c", "import rolevend")), ("rolevend --help", ("-m", "rolevend", "--help")))
_MASKS = [{"name": f"m{number}", "columns": {"matchNames": [f"note_{number}"]}, "type": "Nullify"} for number in range(5)]


def main() -> None:
    files = _QUICK if quick() else _FULL
    table("The command", [*(settled(lambda what=what: _start(*what)) for what in _STARTS), settled(lambda: _check(files))])


def _start(what: str, arguments: Sequence[str]) -> Line:
    """A process of its own, from its start to its end."""
    seconds = min(_run(arguments) for _ in range(5))
    return absolute(f"{what}, best of 5", f"{seconds:.2f} s", f"< {_AT_ONCE:g} s", seconds / _AT_ONCE)


def _check(files: int) -> Line:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, files)
        seconds = _run(("-m", "rolevend", "policy", "check", str(folder / "policies"), "--catalog", str(folder / "catalog.json")))
    what = f"policy check of {files:,} files with {_TABLES} tables"
    return absolute(what, f"{seconds:.2f} s", f"< {_BUDGET:g} s", seconds / _BUDGET).judged_if(files == _FULL)


def _run(arguments: Sequence[str]) -> float:
    return timed(lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True))


def _write(folder: Path, files: int) -> None:
    columns = (column("id", Family.INTEGER), column("country"), *(column(f"note_{number}") for number in range(18)))
    held = catalog(*(made(f"claims.table_{number}", *columns) for number in range(_TABLES)))
    write(folder, "catalog.json", catalog_text(WAREHOUSE, held, "json"))
    write(folder, "policies/platform.yaml", platform())
    for number in range(files - 1):
        names = ("spec.tables.matchNames", [{"schema": "claims", "name": f"table_{number % _TABLES}"}])
        policy = analysts(names, ("spec.masks", _MASKS), name=f"policy-{number}")
        write(folder, f"policies/domain-{number % 20}/{number}.yaml", policy)


if __name__ == "__main__":
    main()
