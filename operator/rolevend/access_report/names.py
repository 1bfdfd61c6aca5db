"""Names that a person misspelled. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from rolevend.access_ledger.selection import Selection
from rolevend.access_report.target import TABLE, AccessTarget
from rolevend.catalog import TableId
from rolevend.errors import InvalidInput
from rolevend.policy.vocabulary import closest
from rolevend.policytools.folder import Catalogs


@dataclass(slots=True)
class KnownNames:
    """The names in objects, catalogs and audit events. `complete` has the options whose possible names are all known."""

    tables: set[str] = field(default_factory=set)
    """Quoted."""
    users: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    purposes: set[str] = field(default_factory=set)
    platforms: set[str] = field(default_factory=set)
    complete: set[str] = field(default_factory=set)

    def add_user(self, issuer: str, subject: str, handle: str | None) -> None:
        self.users.update(each for each in (subject, f"{subject} ({issuer})", handle) if each)

    def add_agent(self, name: str, handle: str | None) -> None:
        self.agents.update(each for each in (name, name.rpartition("/")[2], handle) if each)


def check_names(
    known: KnownNames, target: AccessTarget | None, catalogs: Catalogs, selection: Selection, purpose: str | None, platform: str | None
) -> list[str]:
    """Return notes on names that nothing knows. Raises InvalidInput for a name that cannot exist, or that looks like another one."""
    notes = []
    for field_name, kind, name, names in (
        ("--platform", "DataPlatform", platform, known.platforms),
        (TABLE, "table", None if target is None else target.table.quoted, known.tables),
        ("--user", "user", selection.user, known.users),
        ("--agent", "Agent", selection.agent, known.agents),
        ("--purpose", "purpose", purpose, known.purposes),
    ):
        if name is None or name in names:
            continue
        hint = (_meant(target, catalogs) if field_name == TABLE and target is not None else "") or closest(name, names)
        if hint or field_name in known.complete:
            raise InvalidInput(field_name, f"no {kind} {name} is known{hint}")
        notes.append(f"no {kind} {name} is known here; it may exist")
    if target is not None:
        _check_column(target, catalogs)
    return notes


def _check_column(target: AccessTarget, catalogs: Catalogs) -> None:
    tables = [catalog.tables[target.table] for catalog in catalogs.values() if target.table in catalog.tables]
    columns = {column.name for table in tables for column in table.columns}
    if target.column is not None and columns and target.column not in columns:
        raise InvalidInput(TABLE, f"table {target.table.quoted} has no column {target.column}{closest(target.column, columns)}")


def _meant(target: AccessTarget, catalogs: Catalogs) -> str:
    """Return the suggestion for `TABLE.COLUMN` without the schema."""
    table, column = target.table.schema, target.table.name
    found = [
        AccessTarget(name, column)
        for catalog in catalogs.values()
        for name in _named(table, catalog.tables)
        if catalog.tables[name].column(column) is not None
    ]
    return f"; did you mean {found[0]}?" if found and target.column is None else ""


def _named(table: str, names: Iterable[TableId]) -> list[TableId]:
    return [each for each in names if each.name == table]
