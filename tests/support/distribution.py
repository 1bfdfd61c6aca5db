"""Which tests run in one process, one after the other: those that share an installation, which takes seconds to start."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from xdist.scheduler import LoadScopeScheduling

ROOT: Final = Path(__file__).parents[2]
INSTALLATIONS: Final[Mapping[str, int]] = {
    "tests/operator": 3,
    "tests/api": 1,
    "tests/conformance/postgres": 1,
    "tests/conformance": 1,
    "tests/snowflake": 1,
    "tests/operator/admission": 1,
    "tests/client": 1,
}
"""How often the installation of a folder is started. The longest come first, so that no process is alone at the end; after these, every
file may run in any process."""
_FIRST: Final = list(INSTALLATIONS)


def group_of(nodeid: str) -> str:
    """Return the name of the group that a test runs with."""
    file = nodeid.partition("::")[0]
    folder = file.rpartition("/")[0]
    if folder not in INSTALLATIONS:
        return file
    files = sorted(each.name for each in (ROOT / folder).glob("test_*.py"))
    return f"{folder} {files.index(file.rpartition('/')[2]) % INSTALLATIONS[folder]}"


def place_of(nodeid: str) -> tuple[int, str]:
    """Return the sort key of a test: groups of installations first, each together."""
    group = group_of(nodeid)
    folder = group.partition(" ")[0]
    return (_FIRST.index(folder) if folder in INSTALLATIONS else len(_FIRST), group)


class ByInstallation(LoadScopeScheduling):
    """Gives each process a whole group at a time, in the order of `place_of`."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
