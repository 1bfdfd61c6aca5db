"""A wall clock that one process alone has, and a test sets. The clocks that nobody sets run on in it as everywhere."""

from collections.abc import Mapping
from pathlib import Path

import libfaketime  # type: ignore[import-untyped]


class WallClock:
    """Of a process with `preload` in its environment."""

    def __init__(self, directory: Path) -> None:
        self._offset = directory / "wall-clock"
        self.jump(0)

    @property
    def preload(self) -> Mapping[str, str]:
        return {**libfaketime.get_reload_information()[1], "FAKETIME_TIMESTAMP_FILE": str(self._offset)}

    def jump(self, hours: float) -> None:
        """From now on it is this far ahead of everybody else's, or behind."""
        new = self._offset.with_suffix(".new")
        new.write_text(f"{hours * 3600:+.0f}\n")
        new.rename(self._offset)
