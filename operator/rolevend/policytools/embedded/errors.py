"""Errors of local parts, a branch of rolevend's error tree.

    Rejected
    └── BenchError
        ├── MissingProgram     a program is missing; the message names the ways to get it
        ├── BuildFailed        the programs could not be built; the message ends with the build's output
        ├── PartFailed         a part could not start, or ended by itself; the message ends with its log
        ├── Unusable           a folder or server that the user named cannot be used; the message says why
        └── GrantRefused       an identity provider refuses a token; the code is from RFC 6749 (oidc/refusal.py)

A retry helps with none of them. Unlike in other errors, the end of a log may follow the first line of a message.
"""

from rolevend.errors import Rejected


class BenchError(Rejected):
    """The base class of all errors of the starters."""


class MissingProgram(BenchError):
    """A program is missing."""


class BuildFailed(BenchError):
    """The programs could not be built."""


class PartFailed(BenchError):
    """A part could not start, or ended by itself."""


class Unusable(BenchError):
    """A folder or server cannot be used."""
