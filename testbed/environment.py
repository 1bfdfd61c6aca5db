"""Set up the virtual environment of a checkout, from a hash-locked requirements file, for ``make``.

The person's Python runs ``python -m testbed.environment FOLDER LOCK [--sources]`` before anything is installed: so this module needs only
the standard library. ``--sources`` downloads the sources of the Kubernetes programs concurrently, because pip uses one core and leaves the
network idle.
"""

import argparse
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rolevend.policytools.embedded.errors import BenchError, Unusable
from rolevend.policytools.embedded.progress import StepProgress, progress_for
from testbed.binaries import download_sources

_OURS = (".", "clients/python")
_SECONDS = 5.0
_SECONDS_PER_PACKAGE = 0.35


def set_up(folder: Path, lock: Path, progress: StepProgress) -> None:
    """Create or update the environment in `folder`, with the packages of `lock` and the editable packages of the checkout.

    Other packages stay. Raises `Unusable` with pip's message.
    """
    python = folder / "bin" / "python"
    pip = (python, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet", "--no-compile")
    packages = sum("==" in line for line in lock.read_text().splitlines())
    if not python.exists():
        with progress.step(f"making {folder}", _SECONDS):
            _run(sys.executable, "-I", "-m", "venv", folder, hint="; on Debian and Ubuntu: apt install python3-venv")
    with progress.step(f"installing {packages} Python packages", packages * _SECONDS_PER_PACKAGE):
        _run(*pip, "--require-hashes", "--requirement", lock)
        _run(*pip, "--no-deps", "--no-build-isolation", *(part for path in _OURS for part in ("--editable", path)))


def main(arguments: Sequence[str]) -> int:
    """Run and return the exit status."""
    parser = argparse.ArgumentParser(prog="environment", description="Set up a virtual environment of this checkout.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--sources", action="store_true", help="download the sources of the Kubernetes programs meanwhile")
    chosen = parser.parse_args(arguments)
    progress = progress_for()
    sources = threading.Thread(
        target=_download_sources, name="rolevend-sources", daemon=True
    )  # a daemon: an interrupt of pip does not wait for it
    try:
        if chosen.sources:
            sources.start()
        set_up(chosen.folder, chosen.lock, progress)
        if sources.is_alive():
            with progress.step("downloading the sources of the Kubernetes programs"):
                sources.join()
    except BenchError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _download_sources() -> None:
    with suppress(BenchError, OSError):  # `obtain` reports what is missing
        download_sources()


def _run(*command: str | Path, hint: str = "") -> None:
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603 - a list, no shell
    if answer.returncode != 0:
        raise Unusable(f"{' '.join(map(str, command))} failed{hint}\n{answer.stdout.strip()}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
