"""Log people in at the identity provider of the console."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from rolevend.console.person import Person, PersonMapping
from rolevend.errors import IdentityProviderUnavailable, InvalidInput, Rejected
from rolevend.identity.login_attempts import LoginAttempts
from rolevend.identity.login_client import LoginClient, OwnClient
from rolevend.identity.proven import LoginWanted, Party
from rolevend.identity.provider import Provider
from rolevend.identity.token_check import TokenCheck
from rolevend.settings import PREFIX, ConsoleSettings

CALLBACK: Final = "/callback"


class LoginOver(Rejected):
    """The login was not begun in this browser, or too long ago."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    person: Person
    issued_at: datetime | None
    """When the identity provider issued the ID token; None: it does not state that."""


@dataclass(frozen=True, slots=True)
class RedeemedLogin:
    """A login that the browser completed."""

    login: LoggedIn
    path: str
    """Of `begin`."""
    access_token: str | None = field(repr=False)
    """Of the person, for this client."""


@dataclass(frozen=True, slots=True)
class ConsoleClient:
    """A client of the console at its identity provider."""

    provider: str
    """Name of the IdentityProvider."""
    url: str
    """The address of the console in browsers."""
    client_id: str
    secret_file: Path | None = field(default=None, repr=False)
    callback: str = CALLBACK
    wishes: Mapping[str, str] = field(default_factory=dict)
    """More parameters of each login."""
    secret_setting: str = f"{PREFIX}CONSOLE_CLIENT_SECRET_FILE"

    @classmethod
    def of(cls, settings: ConsoleSettings) -> "ConsoleClient":
        """Raises InvalidInput, which names the setting."""
        needed = {
            "url": settings.console_url,
            "identity_provider": settings.console_identity_provider,
            "client_id": settings.console_client_id,
        }
        for name, value in needed.items():
            if not value:
                raise InvalidInput(f"{PREFIX}CONSOLE_{name.upper()}", "must be set")
        return cls(
            settings.console_identity_provider, settings.console_url, settings.console_client_id, settings.console_client_secret_file
        )

    def own(self) -> OwnClient:
        """Read the secret, which may have changed. Raises InvalidInput without the path of the file, because people see the message before
        they are logged in."""
        secret = None
        if self.secret_file is not None:
            try:
                secret = self.secret_file.read_text().strip()
            except (OSError, UnicodeError) as error:
                cause = error.strerror if isinstance(error, OSError) else "it is no text"
                raise InvalidInput(self.secret_setting, f"the file cannot be read: {cause}") from error
        return OwnClient(self.client_id, f"{self.url}{self.callback}", secret)


class ConsoleLogins:
    def __init__(
        self,
        client: ConsoleClient,
        provider: Callable[[], Provider | None],
        logins: LoginClient,
        check: TokenCheck,
        attempts: LoginAttempts,
        mapping: PersonMapping,
    ) -> None:
        """`provider` returns the identity provider as it is now, if it is known."""
        self._client = client
        self._provider = provider
        self._logins = logins
        self._check = check
        self._attempts = attempts
        self._mapping = mapping

    async def begin(self, path: str, *, again: bool) -> tuple[str, str]:
        """Return the URL at which the person logs in, and the cookie for the way back to `path`. `again`: even if the person is logged in
        there, perhaps as somebody else. Raises errors of the issuer."""
        provider = self._known()
        attempt, cookie = self._attempts.begin(path, provider.issuer)
        wishes = {**self._client.wishes, **({"prompt": "login"} if again else {})}
        return await self._logins.authorization_url(provider, self._client.own(), attempt, wishes), cookie

    async def finish(self, cookie: str | None, query: Mapping[str, str]) -> RedeemedLogin:
        """Return the person, and the path to go on with. Raises LoginOver, Rejected, TokenRefused, and errors of the issuer."""
        begun = self._attempts.resume(cookie, query.get("state"))
        provider = self._known()
        if begun is None or begun.issuer != provider.issuer or query.get("iss", begun.issuer) != begun.issuer:  # RFC 9207
            raise LoginOver("the login was not begun in this browser, or too long ago")
        if (code := query.get("code")) is None:
            raise LoginOver("the identity provider did not log you in")
        own = self._client.own()
        tokens = await self._logins.tokens(provider, own, code, begun.attempt.verifier)
        wanted = LoginWanted(Party(provider.issuer, own.client_id), begun.attempt.nonce, self._mapping.claims)
        proven = await self._check.login(tokens.id_token, wanted)
        person = self._mapping.person(proven.claims)
        named = replace(person, issuer=proven.user.issuer, subjects=person.subjects | {proven.user.subject})
        return RedeemedLogin(LoggedIn(named, proven.token.issued_at), begun.path, tokens.access_token)

    async def own_token(self, wishes: Mapping[str, str]) -> str:
        """Return an access token of the client itself. Raises InvalidInput, TokenRefused, and errors of the issuer."""
        return await self._logins.own_token(self._known(), self._client.own(), wishes)

    def _known(self) -> Provider:
        provider = self._provider()
        if provider is None:
            raise IdentityProviderUnavailable(f"IdentityProvider {self._client.provider} is not known here, or its keys were not read")
        return provider
