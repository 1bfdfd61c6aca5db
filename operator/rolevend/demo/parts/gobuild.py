"""Builds the Kubernetes programs from source with Go, where nothing but package registries can be reached.

The module in `go/` names the programs (its ``tool`` directives) and, with go.sum, every byte that goes into them.
Knows nothing about caches and locks: that is `binaries`.
"""

import hashlib
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rolevend.demo.parts.errors import BuildFailed
from rolevend.demo.parts.process import Process, Program
from rolevend.demo.parts.progress import Progress, Step
from rolevend.demo.parts.toolchain import WAYS_OUT, find_go, go_version

_FOLDER = Path(__file__).parent / "go"
_FLAGS = ("-trimpath", "-buildvcs=false")
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


def build(module: Module, programs: Sequence[str], into: Path, cache: Path, progress: Progress) -> None:
    """Build `programs` of the module into the folder `into`; a Go toolchain that had to be fetched stays in `cache`.

    `MissingProgram` where no Go is to be had, `BuildFailed` where it fails; `into` then holds a part of them.
    """
    go = find_go(module.go, cache, os.environ, progress)
    packages = [module.packages[program] for program in programs]
    environment = _environment(os.environ, into)

    @contextmanager
    def running(log: Path, verb: str, *arguments: str) -> Iterator[Process]:
        process = Program("go", (str(go), verb, "-C", str(module.folder), *arguments), log, environment).start()
        try:
            yield process
        finally:
            process.kill()

    def tell_with_ready(step: Step, total: int) -> Callable[[str, int], None]:
        def tell(package: str, done: int) -> None:
            ready = ", ".join(program for program in programs if (into / program).exists())
            step.update(f"{f'{ready} ready; ' if ready else ''}{package}", done=done, total=total)

        return tell

    with TemporaryDirectory(prefix="rolevend-go-") as scratch:
        logs = Path(scratch)
        with (
            progress.step(f"downloading the sources of {_title(programs)}") as step,
            running(logs / "list.log", "list", "-deps", *packages) as process,
        ):
            total = _follow(process, lambda what, _: step.update(what))
        with (
            progress.step(f"building {_title(programs)} (once, about five minutes)") as step,
            running(logs / "install.log", "install", "-v", *_FLAGS, f"-ldflags={module.linker_flags}", *packages) as process,
        ):
            _follow(process, tell_with_ready(step, total))


def _title(programs: Sequence[str]) -> str:
    """Short enough to leave room on a line."""
    return " and ".join(programs) if len(programs) <= 3 else f"{len(programs)} Kubernetes programs"


def _follow(process: Process, tell: Callable[[str, int], None]) -> int:
    """Tell each line, and how many packages there were, until Go ends well; the number of packages."""
    packages = 0
    with process.program.log.open(errors="replace") as lines:
        ended = False
        while not ended:
            ended = process.wait(_POLL)
            for line in lines:
                packages += not line.startswith("go: ")
                tell(line.strip().removeprefix("go: "), packages)
    if process.exit_code != 0:
        raise BuildFailed(f"Go could not build the Kubernetes programs ({process.describe_exit()}); {WAYS_OUT}\n{process.log_tail()}")
    return packages


def _environment(environ: Mapping[str, str], into: Path) -> dict[str, str]:
    """The person's own (proxies, module proxy, caches), less what would change the programs."""
    ours = {
        "CGO_ENABLED": "0",  # static programs, and no C compiler needed
        "GO111MODULE": "on",
        "GOBIN": str(into),
        "GOFLAGS": "-mod=readonly",  # go.mod and go.sum decide, and may lie in a read-only installation
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    kept = {name: value for name, value in environ.items() if name not in {"GOOS", "GOARCH", "GOROOT", "GOEXPERIMENT"}}
    return {**kept, **ours}


def _only(pattern: str, text: str) -> str:
    """What the group of `pattern` matches in go.mod, which we ship."""
    match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    if match is None:
        raise ValueError(f"go.mod has nothing like {pattern}")
    return match[1]
