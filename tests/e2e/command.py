"""`rolevend` as a person runs it: a process with a terminal's signals, a deadline, and a folder of its own for what it leaves behind."""

import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEADLINE = 900.0
"""A whole demo takes 20 seconds on two idle cores."""


@dataclass
class Command:
    """A running `rolevend …`. Standard output and standard error are one text, as a person sees them."""

    process: subprocess.Popen[bytes]
    scratch: Path
    output: str = ""
    _deadline: float = field(default_factory=lambda: time.monotonic() + DEADLINE)

    def read_until(self, text: str) -> str:
        """Everything said so far, once it holds `text`."""
        while text not in self.output:
            assert self._read(), f"it ended, and never said {text!r}:\n{self.output}"
        return self.output

    def end(self) -> int:
        """The exit status, once it has ended by itself."""
        while self._read():
            pass
        return self.process.wait(max(1.0, self._deadline - time.monotonic()))

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> int:
        """What Ctrl-C does; the exit status."""
        self.process.send_signal(number)
        return self.end()

    def remains(self) -> list[str]:
        """Files that it left, and processes that work on them."""
        files = [path.name for path in self.scratch.iterdir()]
        return files + [line for _, line in self._parts()]

    def kill(self, program: str) -> None:
        """One of its parts, as the kernel does that has no memory left."""
        (pid,) = {pid for pid, line in self._parts() if Path(line.split(" ")[0]).name == program}
        os.kill(pid, signal.SIGKILL)

    def _parts(self) -> list[tuple[int, str]]:
        return [(pid, line) for pid, line in _command_lines() if str(self.scratch) in line]

    def _read(self) -> bool:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            assert ready.select(max(0.0, self._deadline - time.monotonic())), f"no end in sight:\n{self.output}"
        said = os.read(self.process.stdout.fileno(), 65_536)
        self.output += said.decode()
        return bool(said)


@contextmanager
def rolevend(*arguments: str, program: str = "rolevend") -> Iterator[Command]:
    """Killed on the way out if it still runs; it takes its children along."""
    with tempfile.TemporaryDirectory(prefix="rolevend-e2e-") as scratch:
        Path(scratch).chmod(0o711)  # the user that PostgreSQL runs as passes through
        with subprocess.Popen(
            [sys.executable, "-m", program, *arguments],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": scratch, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                yield Command(process, Path(scratch))
            finally:
                process.kill()


def squeezed(text: str) -> str:
    """One space wherever there is any room: columns are as wide as what they hold."""
    return " ".join(text.split())


def shows(output: list[str], pattern: str) -> bool:
    """Whether a line of `output` is `pattern`, where `…` stands for anything."""
    expression = re.compile(".*".join(re.escape(part) for part in squeezed(pattern).split("…")))
    return any(expression.fullmatch(squeezed(line)) for line in output)


def _command_lines() -> Iterator[tuple[int, str]]:
    """Of every process, with its number."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield int(path.parent.name), path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended meanwhile
            continue


def section(title: str) -> str:
    _, _, rest = README.partition(f"\n## {title}\n")
    assert rest, f"README has no section {title!r}"
    return rest.partition("\n## ")[0]


def fences(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
