"""Drivers: one package per kind of platform, independent of each other; `base` is the protocol and its promises."""
