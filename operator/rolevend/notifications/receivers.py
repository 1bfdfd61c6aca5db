"""The configured receivers. The operator's administrator names them and their URLs; the owner of an offer only chooses among them.

A folder has the file `receivers.yaml`, and for each receiver a folder of its name with the files of its Secret: `url`, `key` (the secrets
that sign; one a line) and perhaps `ca.crt`. The files are read again for each call, so a new Secret needs no restart.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import Field

from rolevend.errors import InvalidInput
from rolevend.identity.provider import is_loopback, is_plain
from rolevend.kinds.on_request import MOST_RECEIVERS
from rolevend.kinds.parse import parse_part
from rolevend.kinds.part import Distinct, KeyedBy, Part, Rule
from rolevend.kinds.text import Label
from rolevend.notifications.signature import WebhookKey, keys_in

FILE: Final = "receivers.yaml"
_MOST_CONFIGURED: Final = 32
_MOST_BYTES: Final = 1 << 20
_LONGEST_URL: Final = 2048
_NOT_ALLOWED: Final = "must be one https:// URL without user and fragment; http:// is for this host alone"


class Format(enum.StrEnum):
    STANDARD_WEBHOOKS = "StandardWebhooks"
    SLACK = "Slack"


class Occasion(enum.StrEnum):
    """The event that a notification is about."""

    PENDING = "Pending"
    DECIDED = "Decided"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The place of a receiver, as its files have it now."""

    url: str
    keys: tuple[WebhookKey, ...] = ()
    """Each signs; (): nothing is signed."""
    authorities: str | None = None
    """Certificates in PEM; None: the public ones."""


@dataclass(frozen=True, slots=True)
class Receiver:
    name: str
    format: Format
    hears_decisions: bool
    """True if it is also notified when no decision is needed any more."""
    folder: Path

    def endpoint(self) -> Endpoint:
        """Read the files. Raises InvalidInput, which names the file and never shows its content."""
        url = self._read("url").strip()
        if not is_allowed(url):
            raise InvalidInput(str(self.folder / "url"), _NOT_ALLOWED)
        keys = keys_in(self._read("key"), str(self.folder / "key")) if self.format is Format.STANDARD_WEBHOOKS else ()
        authorities = self._read("ca.crt") if (self.folder / "ca.crt").exists() else None
        return Endpoint(url, keys, authorities)

    def _read(self, name: str) -> str:
        file = self.folder / name
        try:
            with file.open("rb") as opened:
                return opened.read(_MOST_BYTES).decode()
        except (OSError, UnicodeDecodeError) as error:
            cause = (error.strerror if isinstance(error, OSError) else None) or "it is no text in UTF-8"
            raise InvalidInput(str(file), f"cannot be read: {cause}; put it into the Secret of receiver {self.name}") from error


@dataclass(frozen=True, slots=True)
class Receivers:
    by_name: dict[str, Receiver]
    default: tuple[str, ...] = ()
    """Those that are notified of offers without `notify`."""

    def names(self, notify: Iterable[str]) -> tuple[str, ...]:
        """Return the names of the receivers of an offer, also unknown ones."""
        return tuple(notify) or self.default


class ConfiguredReceiver(Part):
    name: Label
    format: Literal["StandardWebhooks", "Slack"] = "StandardWebhooks"
    decisions: bool = False


class ReceiversFile(Part):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.default.all(name, self.receivers.exists(each, each.name == name))",
            message="default must name receivers of this file; add the receiver, or remove its name",
            holds=lambda file: {each.name for each in file.receivers} >= set(file.default),
            field="default",
        ),
    )

    receivers: Annotated[tuple[ConfiguredReceiver, ...], Field(max_length=_MOST_CONFIGURED), KeyedBy(("name",))]
    default: Annotated[tuple[Label, ...], Field(max_length=MOST_RECEIVERS), Distinct()] = ()


def read_receivers(folder: Path) -> Receivers:
    """Read the configuration, and every receiver's files once. Raises InvalidInput, which names the file and the field."""
    file = folder / FILE
    try:
        spelled = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(str(file), f"cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(str(file), "is no YAML") from error
    if not isinstance(spelled, dict):
        raise InvalidInput(str(file), "must be an object with the member receivers")
    try:
        parsed = parse_part(ReceiversFile, spelled)
    except InvalidInput as error:
        raise InvalidInput(f"{file}: {error.field}", error.message) from error
    found = Receivers({each.name: _receiver(each, folder) for each in parsed.receivers}, parsed.default)
    for each in found.by_name.values():
        each.endpoint()
    return found


def _receiver(spelled: ConfiguredReceiver, folder: Path) -> Receiver:
    return Receiver(spelled.name, Format(spelled.format), spelled.decisions, folder / spelled.name)


def is_allowed(url: str) -> bool:
    """True for https:// URLs, and for http:// on this host. A query is part of many URLs of webhooks."""
    if not is_plain(url, _LONGEST_URL) or " " in url or "#" in url:
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
