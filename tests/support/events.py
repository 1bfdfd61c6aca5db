"""Builders of audit events: what decisions read, how roles end, and where events go in a test."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from rolevend.audit.events import AuditEvent
from rolevend.audit.role_events import End
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import SourceVersions
from rolevend.errors import Conflict
from rolevend.model import RoleName, Uid, Version
from rolevend.platforms.protocol import EndReason
from rolevend.policy.predicate import parse
from rolevend.policy.statement import Requirement
from tests.support import registered
from tests.support.policies import policy
from tests.support.registered import AGENT, ANNA, MINE, NOW, PERSON, WAREHOUSE, shapes

OTHERS = policy("others", users=(Requirement("department", frozenset({"hr"})),), row_filter=parse("country = user_attr('office')"))
UID = Uid("00000000-0000-4000-8000-000000000001")


def version(kind: str, name: str, generation: int = 1) -> Version:
    return Version(kind, name, Uid(f"uid of {name}"), generation)


SOURCES = SourceVersions(
    version("DataPlatform", "warehouse"),
    {MINE.id: version("AccessPolicy", str(MINE.id), 3), OTHERS.id: version("AccessPolicy", str(OTHERS.id))},
    (version("TagBinding", "domain/tags"),),
    "sha256:catalog",
)


def a_snapshot(**changes: Any) -> Snapshot:
    return registered.a_snapshot(
        **{
            "shapes": {WAREHOUSE: shapes(MINE, OTHERS)},
            "sources": {WAREHOUSE: SOURCES},
            "agents": {AGENT.name: replace(AGENT, version=version("Agent", "agents/finbot", 2))},
            "people": {ANNA: replace(PERSON, version=version("UserAttributes", "anna", 7))},
            **changes,
        }
    )


def end(reason: EndReason = EndReason.RELEASED, *, late: float = 2.5, role: str = "") -> End:
    name = role or "IMMUTA_VENDED_FINBOT_ANNA_42SKFT181Z8TKB28R3A49B8MN0"
    return End(RoleName(name), reason, NOW - timedelta(seconds=late), NOW, 0.25, 3, by="PolicyChanged")


class Trail:
    """Remembers; or fails so many times first."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.failures = 0

    async def record(self, event: AuditEvent) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("not now")
        self.events.append(event)


class Taken:
    async def claim(self, lease: object, user_handle: object, *, is_known: bool) -> None:
        raise Conflict("the handle is bob's")


class Free:
    async def claim(self, lease: object, user_handle: object, *, is_known: bool) -> None: ...
