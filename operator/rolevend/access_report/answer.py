"""The answers: roles that read a table, and people and agents who could. Values."""

import enum
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from rolevend.access_report.target import AccessTarget
from rolevend.audit.evidence import TableAccess
from rolevend.catalog import TableId
from rolevend.decision.offers import ApprovedBy
from rolevend.model import ObjectName
from rolevend.plan import Profile
from rolevend.policy.index import Index
from rolevend.policytools.outcomes import When


class Basis(enum.StrEnum):
    """The source of the access of a role."""

    DECISION = "Decision"
    """The objects and the catalog. They give exactly the profile of the role."""
    AUDIT_EVENT = "Audit"
    """The audit event `granted` of the role."""
    STATUS = "Status"
    """The status of the VendedRole, which lists the table. Rows and masks are not known."""
    UNKNOWN = "Unknown"
    """The status of the VendedRole does not list all tables of the role, or the event had no room for them: the role may read the table,
    or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingNames:
    """The agent and the user, as people name them."""

    agent: str
    """`namespace/name`."""
    agent_handle: str | None = None
    user_issuer: str
    user_subject: str
    user_handle: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAccess:
    """A role that reads the table, or may."""

    acting: ActingNames
    object: str | None
    """The VendedRole: `namespace/name`."""
    role: str | None
    """None: the operator has not named it yet."""
    platform: str
    state: str
    """`Live`, `Pending` (nothing can log in yet), `Ending` or `Ended`."""
    basis: Basis
    purpose: str | None = None
    proof: str | None = None
    policies: tuple[str, ...] | None = None
    """With `Basis.DECISION` those that grant the table; with an event those that cover the user or the agent. None: not known."""
    approval: str | None = None
    begin: datetime | None = None
    end: datetime | None = None
    """When it ended, or expires."""
    access: TableAccess | None = None
    rows: str | None = None
    """The visible rows in words; empty: every row. None: only `access` may state them."""
    tools: tuple[str, ...] = ()
    """Tools of the role that read the table, or show a copy of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleAccess:
    """A user who could read the table through an agent that exists."""

    acting: ActingNames
    is_stranger: bool
    """True if the user stands for people whom no UserAttributes names."""
    platform: str
    proof: str
    """`Asserted`, or `Token` if the agent needs a token of the user."""
    when: When
    how: ApprovedBy | None
    """None: at once, by policies. Otherwise: by asking."""
    policies: tuple[str, ...]
    access: TableAccess
    rows: str
    """The visible rows in words; empty: every row."""

    @property
    def order(self) -> tuple[object, ...]:
        names = self.acting
        return self.is_stranger, names.user_subject, names.user_issuer, names.agent, self.platform, self.how or "", self.policies


def tools_on(profile: Profile, table: TableId) -> tuple[str, ...]:
    """Return the tools of a profile that read the table, or show a copy of a column."""
    return tuple(str(each) for each in profile.tools if table in each.tables)


def policies_on(index: Index, names: Collection[ObjectName], target: AccessTarget) -> tuple[str, ...]:
    """Return those of these policies, which grant the table, that grant the column."""
    place = next((place for place, each in enumerate(index.tables) if each.id == target.table), None)
    if place is None or target.column is None:
        return tuple(map(str, names))
    granting = {
        each.id
        for each in (*index.policies, *index.offers)
        if each.id in names and target.column in dict(each.grant(index.tables[place]).masks)
    }
    return tuple(str(each) for each in names if each in granting)


def distinct(notes: Iterable[str]) -> Iterator[str]:
    yield from dict.fromkeys(notes)
