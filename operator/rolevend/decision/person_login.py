"""The login of people on rolevend's own page. A value."""

from dataclasses import dataclass

CALLBACK = "/confirm/callback"
"""The path to which an issuer sends people back."""


@dataclass(frozen=True, slots=True)
class PersonLogin:
    """Of the people of one issuer."""

    url: str
    """The address of the API in browsers, without a path."""
    client_id: str
    secret: tuple[str, str] | None = None
    """The name of a Secret in the operator's namespace, and the key in it; None: a public client."""

    @property
    def redirect_uri(self) -> str:
        return f"{self.url}{CALLBACK}"
