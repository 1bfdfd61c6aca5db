"""The person of a session, as Kubernetes knows them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rolevend.errors import InvalidInput, Rejected
from rolevend.settings import PREFIX, ConsoleSettings

_OF_KUBERNETES: Final = "system:"
_LONGEST: Final = 256
_SUBJECT: Final = "sub"
_VERIFIED: Final = "email_verified"


@dataclass(frozen=True, slots=True)
class Person:
    username: str
    groups: tuple[str, ...] = ()
    subjects: frozenset[str] = frozenset()
    """The names of the person at the identity provider."""
    issuer: str = ""
    """Of the identity provider."""

    def is_user(self, subject: str) -> bool:
        """True if an agent that acts for this subject, of any issuer, may act for this person."""
        return subject in self.subjects


@dataclass(frozen=True, slots=True)
class PersonMapping:
    """How the claims of an ID token become a user and groups of Kubernetes."""

    user_claim: str
    user_prefix: str
    groups_claim: str
    groups_prefix: str
    groups: frozenset[str]
    """With their prefix. Other groups are ignored."""

    @classmethod
    def of(cls, settings: ConsoleSettings) -> "PersonMapping":
        """Raises InvalidInput, which names the setting."""
        known = frozenset(filter(None, (each.strip() for each in settings.console_groups.split(","))))
        if reserved := sorted(each for each in known if each.startswith(_OF_KUBERNETES)):
            raise InvalidInput(f"{PREFIX}CONSOLE_GROUPS", f"{reserved[0]} is a group of Kubernetes itself; name groups of people")
        return cls(
            settings.console_user_claim,
            settings.console_user_prefix,
            settings.console_groups_claim,
            settings.console_groups_prefix,
            known,
        )

    @property
    def claims(self) -> tuple[str, ...]:
        return self.user_claim, self.groups_claim, _SUBJECT, _VERIFIED

    def person(self, claims: Mapping[str, object]) -> Person:
        """Raises Rejected if the token does not name a person."""
        name = claims.get(self.user_claim)
        if not isinstance(name, str) or not name or name != name.strip():
            raise Rejected(f"your login has no claim {self.user_claim}, which names you here; tell your administrator")
        if self.user_claim == "email" and claims.get(_VERIFIED, True) is not True:  # as the API server does
            raise Rejected("your identity provider has not verified your email address, which names you here")
        username = f"{self.user_prefix}{name}"
        if len(username) > _LONGEST or not username.isprintable() or username.startswith(_OF_KUBERNETES):
            raise Rejected(f"your login names you by a text that cannot be a user here, in the claim {self.user_claim}")
        groups = self.groups.intersection(self._groups(claims.get(self.groups_claim)))
        subjects = {each for each in (name, claims.get(_SUBJECT)) if isinstance(each, str)}
        return Person(username, tuple(sorted(groups)), frozenset(subjects))

    def _groups(self, claimed: object) -> list[str]:
        texts = claimed if isinstance(claimed, list) else [claimed]
        return [f"{self.groups_prefix}{each}" for each in texts if isinstance(each, str)]
