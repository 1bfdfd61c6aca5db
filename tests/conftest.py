"""The real parts, shared by every test that needs them."""

from tests.support.parts import binaries, control_plane, postgres

__all__ = ["binaries", "control_plane", "postgres"]
