"""The part `signals` of the kind IdentityProvider: whose security events end roles. And the marks of the objects that signals made."""

from collections.abc import Mapping
from typing import Final

from rolevend.kinds.part import Part
from rolevend.kinds.shared import MANAGED_BY
from rolevend.kinds.text import Issuer, PlainText

SIGNAL_MANAGER: Final = "rolevend-signals"
"""The value of the label `app.kubernetes.io/managed-by` of UserAttributes that signals made. They stop their user, and describe nobody."""
SIGNAL_ANNOTATION: Final = "rolevend.dev/signals"
"""The last signal about the user, and the state of the account, as JSON. Written by the API only."""


def is_made_by_signals(labels: Mapping[str, str]) -> bool:
    """True if the object with these labels only stops its user, and describes nobody."""
    return labels.get(MANAGED_BY) == SIGNAL_MANAGER


class Signals(Part):
    """The issuer sends security event tokens (RFC 8417, 8935; SSF, CAEP and RISC 1.0) to `/ssf/v1/events` of the HTTP API. They end the
    sessions of a user, or suspend the user."""

    audience: PlainText
    """The audience of the stream at the transmitter: the `aud` of a security event token must have it. Choose one that no other receiver
    has."""
    user_issuer: Issuer | None = None
    """The issuer of the tokens of the users whom the events are about, if it is another one than `issuer`: then this object is for the
    transmitter, and that of the users has no `signals`. Without it: `issuer`."""
