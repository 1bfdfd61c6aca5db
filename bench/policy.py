"""How long a pull request waits: `rolevend policy check` of a thousand files, as a person runs it."""

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.lines import Line, settled, table, timed
from rolevend.catalog import Family
from rolevend.resources.catalog_file import catalog_text
from tests.support.as_code import WAREHOUSE, analysts, platform, write
from tests.support.policies import catalog, column
from tests.support.policies import table as made

_FILES, _TABLES = 1_000, 100
_BUDGET = 3.0
_MASKS = [{"name": f"m{number}", "columns": {"matchNames": [f"note_{number}"]}, "type": "Nullify"} for number in range(5)]


def main() -> None:
    table("Policy as code", [settled(_check)])


def _check() -> Line:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder)
        command = [sys.executable, "-m", "rolevend", "policy", "check", str(folder / "policies"), "--catalog", str(folder / "catalog.json")]
        seconds = timed(lambda: subprocess.run(command, check=True, capture_output=True))
    return Line(f"policy check of {_FILES:,} files with {_TABLES} tables", f"{seconds:.2f} s", f"< {_BUDGET:g} s", seconds < _BUDGET)


def _write(folder: Path) -> None:
    columns = (column("id", Family.INTEGER), column("country"), *(column(f"note_{number}") for number in range(18)))
    held = catalog(*(made(f"claims.table_{number}", *columns) for number in range(_TABLES)))
    write(folder, "catalog.json", catalog_text(WAREHOUSE, held, "json"))
    write(folder, "policies/platform.yaml", platform())
    for number in range(_FILES - 1):
        names = ("spec.tables.matchNames", [{"schema": "claims", "name": f"table_{number % _TABLES}"}])
        policy = analysts(names, ("spec.masks", _MASKS), name=f"policy-{number}")
        write(folder, f"policies/domain-{number % 20}/{number}.yaml", policy)


if __name__ == "__main__":
    main()
