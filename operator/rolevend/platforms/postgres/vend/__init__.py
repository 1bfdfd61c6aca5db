"""Vend a role: one call of a database function."""
