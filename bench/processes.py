"""Processor time of processes with their children, from /proc."""

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

QUIET = 0.1
"""Processors that all processes together use at most when they have no work but their own timers."""
_LOOK = 0.4
_LONGEST = 5.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Processes:
    """Trees of processes, by name."""

    def __init__(self, roots: Mapping[str, Sequence[int]]) -> None:
        """`roots` are the process ids of their first processes."""
        self._roots = dict(roots)

    def seconds(self) -> dict[str, float]:
        """Return the processor time of each tree until now. A child that has ended counts for the process that waited for it."""
        children, used = defaultdict(list), {}
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                children[int(fields[1])].append(int(process.name))
                used[int(process.name)] = sum(map(int, fields[11:15])) / _TICKS

        def tree(root: int) -> float:
            return used.get(root, 0.0) + sum(map(tree, children[root]))

        return {name: sum(map(tree, roots)) for name, roots in self._roots.items()}

    def settle(self) -> None:
        """Wait until they are idle, for some seconds at most: until then they work for calls that were answered."""
        deadline = time.monotonic() + _LONGEST
        before = sum(self.seconds().values())
        while time.monotonic() < deadline:
            time.sleep(_LOOK)
            now = sum(self.seconds().values())
            if now - before < QUIET * _LOOK:
                return
            before = now


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return the difference by name."""
    return {name: seconds - before[name] for name, seconds in after.items()}
