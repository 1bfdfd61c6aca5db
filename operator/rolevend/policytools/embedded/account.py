"""The system user that a server which refuses to run as root runs as."""

import os
import pwd
from pathlib import Path

from rolevend.policytools.embedded.errors import Unusable
from rolevend.policytools.embedded.process import SystemUser

_CANDIDATES = ("postgres", "nobody")


def unprivileged_account() -> SystemUser | None:
    """None where we are unprivileged ourselves; else a user that exists (initdb insists on a name), made by nobody for us."""
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
    """Whether `account` may pass through every folder above `path`."""
    if account is None:
        return True
    return all(_may_pass(folder, account) for folder in path.resolve().parents)


def _may_pass(folder: Path, account: SystemUser) -> bool:
    entry = folder.stat()
    shift = 6 if entry.st_uid == account.uid else 3 if entry.st_gid == account.gid else 0
    return bool(entry.st_mode >> shift & 0o1)
