"""Builds the Kubernetes programs from source with Go, where nothing but package registries can be reached.

The module in `go/` names the programs (its ``tool`` directives) and, with go.sum, every byte that goes into them.
Knows nothing about caches and locks: that is `binaries`.
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
    "-gcflags=all=-dwarf=false",  # debug information, which the linker would drop: a seventh of the compiler's work
)
_MEMORY = {"GOGC": "off", "GOMEMLIMIT": "1GiB"}
"""Of each compiler: it ends before collecting garbage pays, which is another seventh of its work."""
_SOURCES = '{{if .Stale}}{{.ImportPath}}\t{{.Dir}}\t{{join .GoFiles "\\t"}}{{end}}'
_SECONDS_OF_DOWNLOAD = 25.0
_BYTES_PER_SECOND = 115_000
"""Of source, that one core compiles."""
_LINKING = 2_000_000
"""What it takes to link a program, in bytes of source."""
_POLL = 0.2


class Module:
    """What the Go module of the programs says about itself."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        text = (folder / "go.mod").read_text()
        self.folder = folder
        self.go = go_version(_only(r"^go (\S+)$", text))
        kubernetes = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", text, re.MULTILINE)
        self.kubernetes = kubernetes[1] if kubernetes else None
        """Its version, where the programs are made of it."""
        tools = _only(r"^tool ([^(\s]+$|\(\n.*?^\))", text).strip("()").split()  # one tool stands without parentheses
        self.packages: Mapping[str, str] = {package.rpartition("/")[2]: package for package in tools}
        lock = folder / "released.lock"
        self.released = lock if lock.is_file() else None
        """Names the package with programs that need not be built; see `released`."""

    @property
    def linker_flags(self) -> str:
        """Stamps the version, without which kopf and helm take the cluster for 0.0."""
        if self.kubernetes is None:
            return "-s -w"
        major, minor, *_ = self.kubernetes.removeprefix("v").split(".")
        stamps = {"gitVersion": self.kubernetes, "gitMajor": major, "gitMinor": minor}
        return " ".join(("-s -w", *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamps.items())))

    @property
    def fingerprint(self) -> str:
        """Different for whatever gives different programs: versions, platform, flags."""
        parts = [text.encode() for text in (platform.system(), platform.machine(), *_FLAGS, self.linker_flags)]
        for file in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            parts += [file.relative_to(self.folder).as_posix().encode(), file.read_bytes()]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def build(module: Module, programs: Sequence[str], into: Path, cache: Path, progress: StepProgress) -> None:
    """Build `programs` of the module into the folder `into`; a Go toolchain that had to be fetched stays in `cache`.

    `MissingProgram` where no Go is to be had, `BuildFailed` where it fails; `into` then holds a part of them.
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
    """Download a Go toolchain, if need be, and the sources of `programs`.

    `MissingProgram` where no Go is to be had, `BuildFailed` where it fails.
    """
    _download(find_go(module.go, cache, os.environ, progress), module, programs, progress)


def _download(go: Path, module: Module, programs: Sequence[str], progress: StepProgress) -> Mapping[str, int]:
    """Return the size of each package that is still to be compiled, in bytes of source."""
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
    """Short enough to leave room on a line."""
    if len(programs) > 3:
        return f"{len(programs)} Kubernetes programs"
    *others, last = programs
    return f"{', '.join(others)} and {last}" if others else last


def _run(
    go: Path, module: Module, arguments: Sequence[str], tell: Callable[[str], None], environ: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Run `go VERB …` in the module, and tell each line that it says until it ends well."""
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
    """The person's own (proxies, module proxy, caches), less what would change the programs."""
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
    """What the group of `pattern` matches in go.mod, which we ship."""
    match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    if match is None:
        raise ValueError(f"go.mod has nothing like {pattern}")
    return match[1]
