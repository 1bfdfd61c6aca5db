"""Drivers: one package per kind of platform, independent of each other. `protocol` is the driver contract."""
