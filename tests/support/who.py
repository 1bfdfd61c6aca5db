"""`rolevend who`, as somebody asks it of a site."""

import json
import subprocess
import sys
from typing import Any

from tests.support.site import Site
from tests.support.waiting import PROGRAM


def who(site: Site, role: str, *arguments: str) -> dict[str, Any]:
    """What it answers, with its notes."""
    command = [sys.executable, "-m", "rolevend", "who", role, "-o", "json", *arguments]
    done = subprocess.run(command, env=site.control_plane.environment(), capture_output=True, text=True, check=True, timeout=PROGRAM)
    return {**json.loads(done.stdout), "notes": done.stderr}
