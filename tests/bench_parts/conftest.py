"""Until `tests/conftest.py` shares them with everybody."""

from tests.support.parts import binaries, control_plane, postgres

__all__ = ["binaries", "control_plane", "postgres"]
