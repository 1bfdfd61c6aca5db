"""A provider's no, in the words of RFC 6749: the server answers with it, and the client raises it."""

from rolevend.policytools.embedded.errors import BenchError


class GrantRefused(BenchError):
    """A provider gives nothing for what it was asked."""

    def __init__(self, code: str, description: str) -> None:
        """`code` is one that RFC 6749, 8693 or 8707 defines; `description` holds no secret and no token."""
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
