"""From entitlement to what a driver builds: a Profile (a shape, shared by every vend that has it) and a Lease (values and a clock)."""

from dataclasses import dataclass
from datetime import datetime

from rolevend.catalog import Family, TableId
from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, ProfileName, RoleName, Uid, User
from rolevend.policy.expression import Condition as Condition
from rolevend.policy.mask import Mask


@dataclass(frozen=True, slots=True)
class Cell:
    """What a column shows in rows for which one of `conditions` holds; without conditions in every row that is left."""

    conditions: tuple[Condition, ...]
    mask: Mask


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """The first of `cells` that applies decides (the weakest mask comes first); where none applies the cell is NULL."""

    name: str
    family: Family
    native_type: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class TableShape:
    """A row is visible if one of `rows` holds. Never empty; a condition without a predicate shows every row."""

    table: TableId
    view: str
    """The name under which the agent finds it, unique in the profile."""
    rows: tuple[Condition, ...]
    columns: tuple[ColumnShape, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """Content-addressed: the same tables, filters and masks on the same cluster always have the same name."""

    name: ProfileName
    tables: tuple[TableShape, ...]


@dataclass(frozen=True, slots=True)
class Lease:
    """One vended role's values and clock."""

    role: RoleName
    cluster: ClusterId
    uid: Uid
    profile: ProfileName
    agent: ObjectName
    agent_handle: AgentHandle
    user: User
    attributes: Attributes
    """Only those that the profile's conditions read."""
    expires_at: datetime
    """Aware, UTC; counted from the object's creation, so that a retry does not move it."""
