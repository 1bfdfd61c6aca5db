"""Why a local part is not there: a branch of rolevend's one tree of errors.

    Rejected
    └── BenchError
        ├── MissingProgram     no way was found to get a program; the message names the ways there are
        ├── BuildFailed        the programs could not be built; the message ends with what the builder said
        ├── PartFailed         a part could not start, or ended by itself; the message ends with its log
        ├── Unusable           what the person named (a folder, a server) cannot be used; the message says why
        └── GrantRefused       an identity provider gives no token for what it was asked; the code is RFC 6749's (oidc/refusal.py)

Trying again helps with none of them. Unlike elsewhere a message may go on after its first line, with the end of a log.
"""

from rolevend.errors import Rejected


class BenchError(Rejected):
    """The root of everything that the starters raise on purpose."""


class MissingProgram(BenchError):
    """No way was found to get a program."""


class BuildFailed(BenchError):
    """The programs could not be built."""


class PartFailed(BenchError):
    """A part could not start, or ended by itself."""


class Unusable(BenchError):
    """What the person named cannot be used."""
