"""The entries that a person asks for. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # `rolevend access` selects without the packages that read logs
    from rolevend.access_ledger.entry import LedgerEntry


class ActingPair(Protocol):
    """The agent and the user of a role or an entry."""

    @property
    def agent(self) -> str | None: ...
    @property
    def agent_handle(self) -> str | None: ...
    @property
    def user_issuer(self) -> str | None: ...
    @property
    def user_subject(self) -> str | None: ...
    @property
    def user_handle(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A criterion that is None selects every entry."""

    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
    user: str | None = None
    """Subject, `subject (issuer)`, or handle."""
    agent: str | None = None
    """`namespace/name`, name, or handle."""
    table: str | None = None
    """`schema.table` or `table`."""

    def in_time(self, time: datetime) -> bool:
        return (self.since is None or time >= self.since) and (self.until is None or time < self.until)

    def of_people(self, acting: ActingPair) -> bool:
        if self.agent is not None and self.agent not in (acting.agent, (acting.agent or "").rpartition("/")[2], acting.agent_handle):
            return False
        user = f"{acting.user_subject} ({acting.user_issuer})"
        return self.user is None or self.user in (acting.user_subject, user, acting.user_handle)

    def of_table(self, entry: "LedgerEntry") -> bool:
        if self.table is None:
            return True
        return any(each == self.table or each.endswith(f".{self.table}") for each in entry.tables)
