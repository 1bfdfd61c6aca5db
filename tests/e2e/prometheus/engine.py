"""Prometheus' own engine, which says what an expression finds in series that are made up. Built from its Go module, once."""

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rolevend.policytools.embedded.progress import StepProgress
from testbed.binaries import obtain
from testbed.gobuild import Module
from tests.support.waiting import PROGRAM

STEP: Final = 30
"""Seconds between two scrapes, and between two looks at an alert: what the chart asks for."""
START: Final = 1_800_000_000
"""Of the first scrape, in seconds since 1970."""
_MODULE = Path(__file__).parent / "go"
_PROGRAM = "evaluate"

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Series:
    labels: Labels
    values: Sequence[float | None]
    """One a step; None: nothing was scraped."""


class Engine:
    def __init__(self, progress: StepProgress) -> None:
        self._program = obtain([_PROGRAM], module=Module(_MODULE), progress=progress)[_PROGRAM]

    def evaluate(self, expression: str, series: Iterable[Series], steps: int) -> list[list[Labels]]:
        """The labels of all that it finds, at each step."""
        asked = {
            "Expression": expression,
            "Start": START,
            "Step": STEP,
            "Steps": steps,
            "Series": [{"Labels": dict(each.labels), "Values": list(each.values)} for each in series],
        }
        done = subprocess.run([self._program], input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=PROGRAM)
        assert done.returncode == 0, f"{expression}: {done.stderr}"
        return [[each["labels"] for each in step] for step in json.loads(done.stdout)]
