"""What keeps rows of a table apart on Snowflake: a wall on the table, and a secure view of it in each profile's schema. Pure.

**Agents read secure views**, `ROLEVEND.<profile>.<view>`, and have no privilege on tables. One view says the per-cell rule exactly, as on
PostgreSQL. Policies on the table itself cannot, since there is one row access policy for each table and one masking policy for each
column, for all profiles at once, and a column is in the signature of one of the two only:

* a mask that depends on the row reads the columns that the row filter reads, so the two policies would share them;
* a column that one profile masks could be filtered by in no other one;
* a column that is added to the table later would be shown in clear, and what no policy grants would be, too, unless it is masked;
* what is longer than the column could not be shown in its place;
* each new profile would write a shared body anew, under live roles.

**The wall** is the table's row access policy (`row_policy` without fragments): a session that holds any profile sees no row, except through
views of ours. So it does not matter what PUBLIC may read, or what somebody grants by hand. It never changes, and tables share it.

**Tables behind a tool**, such as those of a semantic view, are read by their own names, so a profile with that tool is granted SELECT on
them, and adds a `TableFragment` to the table's row policy and to its masking policies. What those cannot say gets the stricter form, never
the weaker one, and `fallbacks` says so. Fragments that cannot be in force together are a `Conflict`: whoever comes later is refused, and
what live roles see stays as it is.

Policies and views are named by what they say, and are never altered: another body is another policy, and a table goes from one to the other
in one statement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rolevend.catalog import Column, TableId
from rolevend.model import ProfileName
from rolevend.plan import TableShape


@dataclass(frozen=True, slots=True)
class Shown:
    """What a profile shows of a column of the table itself."""

    text: str
    reads: tuple[str, ...] = ()
    """The other columns that `text` names."""


@dataclass(frozen=True, slots=True)
class TableFragment:
    """What one profile adds to the policies of a table that a tool of it reads by its own name. Closed SQL, of this profile alone."""

    row: str
    """True for the rows that it shows; it asks for the lease itself."""
    reads: tuple[str, ...]
    """The columns that `row` names, sorted."""
    columns: Mapping[str, Shown]
    """Those that are not shown in clear, and those that are not granted."""
    fallbacks: tuple[str, ...] = ()
    """What is stricter than the rule, and why, one sentence each; empty where it is exact."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A row access policy or a masking policy. Its name is a digest of what it says."""

    name: str
    """Within ROLEVEND.CONTROL."""
    create: str
    """One statement, which does nothing where it is there."""
    arguments: tuple[str, ...]
    """The table's columns that it is set on, in order; the first one of a masking policy is what it masks."""


@dataclass(frozen=True, slots=True)
class View:
    """One table as a profile shows it."""

    name: str
    create: str
    """One statement, which may run again."""
    fallbacks: tuple[str, ...] = ()
    """Masks that a column's type on this platform cannot carry, so that it shows NULL, one sentence each."""


def secure_view(profile: ProfileName, table: TableShape, *, database: str) -> View:
    """The view of `table`, which is in `database`. Raises InvalidInput where its names cannot be told apart."""
    raise NotImplementedError


def fragment(profile: ProfileName, table: TableShape, columns: Sequence[Column], *, database: str) -> TableFragment:
    """For a table that a tool reads; `columns` are all that it has, granted or not."""
    raise NotImplementedError


def row_policy(table: TableId, columns: Sequence[Column], fragments: Mapping[ProfileName, TableFragment]) -> Policy:
    """The one row access policy of a table: the wall, and the rows of `fragments`. `Conflict` where those cannot be in force together."""
    raise NotImplementedError


def masking_policies(table: TableId, columns: Sequence[Column], fragments: Mapping[ProfileName, TableFragment]) -> tuple[Policy, ...]:
    """One for each column that one of `fragments` masks, in the table's order. `Conflict` as for `row_policy`."""
    raise NotImplementedError


def set_row_policy(table: TableId, policy: Policy, *, database: str, instead_of: str | None = None) -> str:
    """One statement, so that the table is never without; `instead_of` is the policy of ours that it has."""
    raise NotImplementedError


def set_masking_policies(table: TableId, policies: Sequence[Policy], *, database: str) -> str:
    """One statement; those that are set already stay."""
    raise NotImplementedError
