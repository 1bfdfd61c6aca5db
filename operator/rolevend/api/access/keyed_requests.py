"""Requests for offers under an Idempotency-Key: a repeated call finds the objects of the first one, whatever became of them."""

import hashlib
from base64 import b32encode
from dataclasses import dataclass
from typing import Final

from rolevend.access_requests.coalescing import PREFIX
from rolevend.api.repository import ANOTHER_BODY, ANOTHER_OWNER, key_conflict
from rolevend.decision.admission import Agent
from rolevend.decision.outcome import Delivery
from rolevend.kinds import AccessRequest
from rolevend.kinds.shared import CALL
from rolevend.model import ObjectName, User
from rolevend.naming import length_prefixed

KEY: Final = "Idempotency-Key"
KEY_PATTERN: Final = "^[!-~]{1,128}$"
_LENGTH: Final = 26


@dataclass(frozen=True, slots=True)
class CallKey:
    """The key of a call that makes one or several requests."""

    key: str
    content: str
    """The members of the call, without a token."""

    def at(self, number: int, agent: Agent, user: User) -> "RequestKey":
        """Return the key of one of them. The name of its object is the same in every replica."""
        content = length_prefixed("access request", agent.name.namespace, agent.name.name, self.key, str(number))
        name = f"{PREFIX}{b32encode(hashlib.sha256(content).digest()).decode().lower()[:_LENGTH]}"
        digest = hashlib.sha256(length_prefixed(self.content, user.issuer, user.subject)).hexdigest()
        return RequestKey(ObjectName(agent.name.namespace, name), f"sha256:{digest}", agent.name)


@dataclass(frozen=True, slots=True)
class RequestKey:
    name: ObjectName
    digest: str
    agent: ObjectName

    def require_same(self, found: AccessRequest) -> None:
        """Raises Problem unless an earlier call of this agent with the same members made it."""
        if found.spec.delivery != Delivery.RESPONSE.value or found.spec.agent_ref.name != self.agent.name:
            raise key_conflict(ANOTHER_OWNER)
        if found.metadata.annotations.get(CALL) != self.digest:
            raise key_conflict(ANOTHER_BODY)
