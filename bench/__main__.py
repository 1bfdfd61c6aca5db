"""Every measurement, and what they come to: `python -m bench [--quick]`. Fails if a budget is missed."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.lines import OVER

PARTS = (
    "bench.index",
    "bench.tokens",
    "bench.snapshot",
    "bench.command",
    "bench.ledger",
    "bench.driver",
    "bench.snowflake",
    "bench.questions",
    "bench.masks",
    "bench.managed",
    "bench.openbao",
    "bench.api",
    "bench.operator",
    "bench.ending",
    "bench.asking",
    "bench.narrowing",
    "bench.suspending",
    "bench.scale",
    "bench.recorded",
    "bench.console",
    "bench.pushing",
    "bench.sessions",
    "bench.soak",
)
"""Those that take seconds first."""


@dataclass(frozen=True)
class Part:
    name: str
    seconds: float
    over: Sequence[str]
    """Lines."""
    status: int

    @property
    def verdict(self) -> str:
        if self.over:
            return f"{len(self.over)} over budget"
        return "within its budgets" if self.status == 0 else f"failed with status {self.status}"


def main() -> None:
    parts = [run((sys.executable, "-m", name, *sys.argv[1:]), name) for name in PARTS]
    print("\n" + summary(parts), flush=True)
    if any(part.status for part in parts):
        sys.exit(1)


def run(command: Sequence[str], name: str) -> Part:
    """Run a part in its own process, so that it cannot slow the next one, and print its output."""
    started, over = time.monotonic(), []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith(OVER):
                over.append(line.rstrip())
    return Part(name, time.monotonic() - started, over, process.returncode)


def summary(parts: Sequence[Part]) -> str:
    """How long each part took and what it comes to, and once more the lines that were over their budgets."""
    rows = [f"{part.name:<20} {part.seconds / 60:5.1f} min   {part.verdict}" for part in parts]
    rows.append(f"{'all':<20} {sum(part.seconds for part in parts) / 60:5.1f} min")
    return "\n".join(["Summary", *rows, *(line for part in parts for line in part.over)])


if __name__ == "__main__":
    main()
