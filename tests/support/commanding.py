"""`rolevend` as a person types it, in this process: a start of its own takes one to two seconds of a core, most of them for imports."""

import subprocess
from collections.abc import Mapping
from functools import partial
from typing import Any

from click.testing import CliRunner

from rolevend.cli import cli, main


def rolevend(environment: Mapping[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with all that `main` does around it; `environment` is added to that of this process. Not for threads."""
    typed: Any = partial(cli, words, prog_name="rolevend")
    with CliRunner().isolation(env=environment) as (said, complained, _):
        try:
            main(typed)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return subprocess.CompletedProcess(words, code, said.getvalue().decode(), complained.getvalue().decode())
