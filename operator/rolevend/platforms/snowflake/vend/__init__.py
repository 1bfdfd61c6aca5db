"""Vend a role, with its own user or key."""
