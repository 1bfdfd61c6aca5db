"""What the suite needs of a platform that runs: tables to govern, roles to use, and somebody who changes things by hand.

`Bench` is what another driver's bench has to offer. A test that takes one runs on every platform.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from rolevend.catalog import Table, TableId
from rolevend.model import ClusterId, ProfileName
from rolevend.plan import Lease
from rolevend.platforms.protocol import Credential, Platform

Rows = Sequence[Sequence[Any]]


class Session(Protocol):
    """One login of an agent."""

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The answer; any exception where the platform refuses."""

    def close(self) -> None: ...


class Bench(Protocol):
    """One platform of some kind, with the driver under test for CLUSTER."""

    platform: Platform
    crowd: int
    """Roles that are more than the driver makes or ends in one go."""
    forever: str
    """A statement that ends by itself after minutes."""
    beyond: Collection[str]
    """Names of masks' cases that no column of this platform can have."""
    otherwise: Mapping[str, object]
    """By the name of such a case: what is shown here instead."""

    more_values: Mapping[str, Sequence[object]]
    """By the column of `good_predicates`: values that this platform has beyond those."""
    odd_filters: Collection[str]
    """Texts of `good_predicates` that this platform's own SQL reads as something else."""

    def platform_of(self, cluster: ClusterId, **changes: Any) -> Platform:
        """The same platform, as another cluster's operator sees it."""

    def schema(self, name: str = "") -> str:
        """A new one, whose name ends with `name`."""

    def table(self, columns: Sequence[tuple[str, str]], rows: Rows = (), *, name: str = "items", schema: str = "") -> Table:
        """A new table (name, type) with `rows`, as the driver's catalog knows it. Types may be PostgreSQL's that `native` has."""

    def people(self) -> Table:
        """A new table `people` with the columns id, region, email and ssn: ids 0 to 5 in EU, EU, US, US, APAC and nowhere."""

    def drop_table(self, place: TableId) -> None: ...

    def native(self, kind: str) -> str | None:
        """What one of PostgreSQL's types is here; None where there is nothing like it."""

    def catalog_table(self, place: TableId) -> Table:
        """As the driver's catalog knows it now."""

    def log_in(self, credential: Credential) -> Session:
        """Any exception where the login is refused."""

    def unsettle(self, session: Session) -> None:
        """Sets what a session may set for itself and what must not matter."""

    def shows_nothing(self, session: Session, statement: str) -> bool:
        """Whether the role is kept from the table, since its lease is over or narrowed to others."""

    def exists(self, role: str) -> bool: ...

    def expire(self, lease: Lease) -> None:
        """By the platform's clock its time has been over for two seconds."""

    def sweep(self) -> None:
        """The platform's own scheduler looks, without the operator."""

    def unguard(self, place: TableId) -> None:
        """By hand somebody takes away what keeps rows of the table apart."""

    def guard(self, place: TableId) -> None:
        """Undoes `unguard`, by hand."""

    def found(self, place: TableId, condition: str) -> list[int]:
        """The ids of rows that the database itself finds with a condition in PostgreSQL's words, in UTC, in order."""

    def salt(self) -> bytes:
        """Of the mask Hash."""

    def as_here(self, table: Table) -> Table:
        """The same table in this platform's types, without columns that it has no type for."""

    def stands(self, profile: ProfileName) -> bool:
        """Whether there is anything of it: its role, or the schema of its views."""

    def belongings(self, cluster: ClusterId) -> list[object]:
        """All that the platform knows of what is this cluster's."""
