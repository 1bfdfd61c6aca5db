"""Build the Kubernetes programs from source with Go, where only package registries are reachable.

The module in `go/` names the programs (its ``tool`` directives) and, with go.sum, all their sources. Caches and locks are in `binaries`.
"""

import hashlib
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from rolevend.policytools.embedded.errors import BuildFailed
from rolevend.policytools.embedded.process import Program
from rolevend.policytools.embedded.progress import StepProgress
from testbed.toolchain import WAYS_OUT, find_go, go_version

_FOLDER = Path(__file__).parent / "go"
_FLAGS = (
    "-trimpath",
    "-buildvcs=false",
    "-gcflags=all=-dwarf=false",  # no debug information, which the linker drops: saves a seventh of the compiler's work
)
_MEMORY = {"GOGC": "off", "GOMEMLIMIT": "1GiB"}
"""For each compiler: it ends before garbage collection pays, which saves another seventh of its work."""
_SOURCES = '{{if .Stale}}{{.ImportPath}}\t{{.Dir}}\t{{join .GoFiles "\\t"}}{{end}}'
_SECONDS_OF_DOWNLOAD = 25.0
_BYTES_PER_SECOND = 115_000
"""The bytes of source that one core compiles per second."""
_LINKING = 2_000_000
"""The cost of linking a program, in bytes of source."""
_POLL = 0.2


class Module:
    """The Go module of the programs."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        text = (folder / "go.mod").read_text()
        self.folder = folder
        self.go = go_version(_only(r"^go (\S+)$", text))
        kubernetes = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", text, re.MULTILINE)
        self.kubernetes = kubernetes[1] if kubernetes else None
        """The version of Kubernetes, if the module has it."""
        tools = _only(r"^tool ([^(\s]+$|\(\n.*?^\))", text).strip("()").split()  # a single tool has no parentheses
        self.packages: Mapping[str, str] = {package.rpartition("/")[2]: package for package in tools}
        lock = folder / "released.lock"
        self.released = lock if lock.is_file() else None
        """The lock of a package with released programs; see `released`."""

    @property
    def linker_flags(self) -> str:
        """Flags that set the version; without them kopf and helm read the cluster's version as 0.0."""
        if self.kubernetes is None:
            return "-s -w"
        major, minor, *_ = self.kubernetes.removeprefix("v").split(".")
        stamps = {"gitVersion": self.kubernetes, "gitMajor": major, "gitMinor": minor}
        return " ".join(("-s -w", *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamps.items())))

    @property
    def fingerprint(self) -> str:
        """A digest of all inputs of the programs: versions, platform, flags."""
        parts = [text.encode() for text in (platform.system(), platform.machine(), *_FLAGS, self.linker_flags)]
        for file in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            parts += [file.relative_to(self.folder).as_posix().encode(), file.read_bytes()]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def build(module: Module, programs: Sequence[str], into: Path, cache: Path, progress: StepProgress) -> None:
    """Build `programs` of the module into the folder `into`; a fetched Go toolchain stays in `cache`.

    Raises `MissingProgram` if Go is not available, `BuildFailed` if a build fails; `into` is then incomplete.
    """
    go = find_go(module.go, cache, os.environ, progress)
    sizes = _download(go, module, programs, progress)
    total = sum(sizes.values()) + _LINKING * len(programs)
    done = 0

    def tell(package: str) -> None:
        nonlocal done
        done += sizes.get(package, 0)
        linked = sum((into / program).exists() for program in programs)
        step.update(package or "linking", fraction=(done + linked * _LINKING) / total)

    expected = total / _BYTES_PER_SECOND / len(os.sched_getaffinity(0))
    with progress.step(f"building {_title(programs)}", expected) as step:
        flags = (*_FLAGS, f"-ldflags={module.linker_flags}")
        _run(go, module, ("install", "-v", *flags, *_packages(module, programs)), tell, {"GOBIN": str(into)})


def download(module: Module, programs: Sequence[str], cache: Path, progress: StepProgress) -> None:
    """Download the sources of `programs`, and a Go toolchain if needed.

    Raises `MissingProgram` if Go is not available, `BuildFailed` if a download fails.
    """
    _download(find_go(module.go, cache, os.environ, progress), module, programs, progress)


def _download(go: Path, module: Module, programs: Sequence[str], progress: StepProgress) -> Mapping[str, int]:
    """Return the size of each package to compile, in bytes of source."""
    sizes = {}

    def read(line: str) -> None:
        package, *source = line.split("\t")
        if source:
            folder, *files = source
            sizes[package] = sum((Path(folder) / file).stat().st_size for file in files)
        else:
            step.update(line)

    with progress.step(f"downloading the sources of {_title(programs)}", _SECONDS_OF_DOWNLOAD) as step:
        _run(go, module, ("list", "-deps", *_FLAGS, f"-f={_SOURCES}", *_packages(module, programs)), read)
    return sizes


def _packages(module: Module, programs: Sequence[str]) -> list[str]:
    return [module.packages[program] for program in programs]


def _title(programs: Sequence[str]) -> str:
    """Return a title that fits on a line."""
    if len(programs) > 3:
        return f"{len(programs)} Kubernetes programs"
    *others, last = programs
    return f"{', '.join(others)} and {last}" if others else last


def _run(
    go: Path, module: Module, arguments: Sequence[str], tell: Callable[[str], None], environ: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Run `go VERB …` in the module, and pass on each line of output."""
    verb, *rest = arguments
    with TemporaryDirectory(prefix="rolevend-go-") as scratch:
        log = Path(scratch) / f"{verb}.log"
        command = (str(go), verb, "-C", str(module.folder), *rest)
        process = Program("go", command, log, {**_environment(os.environ), **environ}).start()
        try:
            with log.open(errors="replace") as lines:
                ended = False
                while not ended:
                    ended = process.wait(_POLL)
                    for line in lines:
                        tell(line.strip().removeprefix("go: "))
            if process.exit_code != 0:
                raise BuildFailed(f"Go could not build the programs ({process.describe_exit()}); {WAYS_OUT}\n{process.log_tail()}")
        finally:
            process.kill()


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the current environment (proxies, module proxy, caches), without variables that would change the programs."""
    ours = {
        "CGO_ENABLED": "0",  # static programs, and no C compiler needed
        "GO111MODULE": "on",
        "GOFLAGS": "-mod=readonly",  # go.mod and go.sum decide, and may lie in a read-only installation
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        **_MEMORY,
    }
    kept = {name: value for name, value in environ.items() if name not in {"GOOS", "GOARCH", "GOROOT", "GOEXPERIMENT"}}
    return {**kept, **ours}


def _only(pattern: str, text: str) -> str:
    """Return the group of `pattern` in go.mod, which is part of this package."""
    match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    if match is None:
        raise ValueError(f"go.mod has nothing like {pattern}")
    return match[1]
