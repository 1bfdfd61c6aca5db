"""`rolevend who`, as somebody asks it of a site."""

import json
from typing import Any

from tests.support.commanding import rolevend
from tests.support.site import Site


def who(site: Site, role: str, *arguments: str) -> dict[str, Any]:
    """What it answers, with its notes."""
    done = rolevend(site.control_plane.environment(), "who", role, "-o", "json", *arguments)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "notes": done.stderr}
