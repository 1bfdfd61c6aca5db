"""Which tests run in one process, one after the other: those that share an installation, which takes seconds to start."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from xdist.scheduler import LoadScopeScheduling

ROOT: Final = Path(__file__).parents[2]
INSTALLATIONS: Final[Mapping[str, int]] = {
    "tests/operator": 2,
    "tests/api": 2,
    "tests/conformance/postgres": 1,
    "tests/conformance": 1,
    "tests/snowflake": 1,
    "tests/operator/admission": 1,
    "tests/client": 1,
    "tests/client_typescript": 1,
    "tests/clients_matrix": 1,
}
"""How often the installation of a folder is started. The longest come first, so that no process is alone at the end; after these, every
file may run in any process."""
_FIRST: Final = list(INSTALLATIONS)
ONE_AT_A_TIME: Final = frozenset(
    f"tests/e2e/test_{each}.py" for each in ("console_tutorial", "demo", "dev_tutorials", "readme", "role_tutorial")
)
"""Files whose tests run `make dev`, or read its `dev.env`, which one demo in a checkout has. They take long, and begin first."""


def place_of(nodeid: str) -> tuple[int, str]:
    """Return the sort key of a test: groups of installations first, each together. The second part is the name of its group."""
    return _place_of_file(nodeid.partition("::")[0])


@cache
def _place_of_file(file: str) -> tuple[int, str]:
    if file in ONE_AT_A_TIME:
        return -1, "make dev"
    folder, _, name = file.rpartition("/")
    if folder not in INSTALLATIONS:
        return len(_FIRST), file
    files = sorted(each.name for each in (ROOT / folder).glob("test_*.py"))
    return _FIRST.index(folder), f"{folder} {files.index(name) % INSTALLATIONS[folder]}"


class ByInstallation(LoadScopeScheduling):
    """Gives each process a whole group at a time, in the order of `place_of`."""

    def _split_scope(self, nodeid: str) -> str:
        return place_of(nodeid)[1]
