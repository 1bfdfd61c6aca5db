"""A provider's refusal in terms of RFC 6749: the server answers with it, and the client raises it."""

from rolevend.policytools.embedded.errors import BenchError


class GrantRefused(BenchError):
    """A provider refuses a request."""

    def __init__(self, code: str, description: str) -> None:
        """`code` is defined in RFC 6749, 8693 or 8707; `description` must not contain a secret or token."""
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
