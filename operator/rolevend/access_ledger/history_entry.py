"""One entry of the ledger from Snowflake's query history. Pure."""

from collections import Counter
from collections.abc import Iterator

from rolevend.access_ledger.entry import LedgerEntry, Ran, Touched, entry_of
from rolevend.access_ledger.grants import AuditedRole
from rolevend.access_ledger.relations import NamedTables, TableFinder
from rolevend.model import ProfileName
from rolevend.platforms.snowflake.account_history import MAX_TEXT, HistoryStatement
from rolevend.platforms.snowflake.control import DATABASE, profile_role


def joined_history(statement: HistoryStatement, role: AuditedRole | None, finder: TableFinder) -> LedgerEntry:
    if statement.named is not None:
        touched, named = Touched(tuple(_observed(statement, role)), "observed"), None
    else:
        named = finder.find(statement.text)
        touched = _parsed(named, role)
    ran = Ran(
        id=statement.id,
        time=statement.began,
        role=statement.role,
        source="Snowflake",
        command=statement.command or (named.command if named else None),
        refused=statement.refused,
    )
    return entry_of(statement, ran, role, touched, MAX_TEXT)


def _parsed(named: NamedTables, role: AuditedRole | None) -> Touched:
    tables = dict.fromkeys(_as_granted(tuple(each.split(".")), role) or each for each in named.names)
    return Touched(tuple(tables), "parsed" if named.understood else "unknown")


def _observed(statement: HistoryStatement, role: AuditedRole | None) -> Iterator[str]:
    """Yield the tables: one behind a view of the role's profile as `schema.table`, another one with its database."""
    named = statement.named or ()
    granted = dict.fromkeys(table for each in named if (table := _as_granted(each, role)) is not None)
    yield from granted
    read = [each for each in statement.read if each[0] != DATABASE]
    spelled = Counter(".".join(each[1:]) for each in read)
    for each in read:
        table = ".".join(each[1:])
        if table not in granted or spelled[table] > 1:
            yield ".".join(each)


def _as_granted(name: tuple[str, ...], role: AuditedRole | None) -> str | None:
    """Return the table of a view of the role's profile, or None. A name without a schema may be such a view."""
    if role is None or role.tables is None:
        return None
    *places, view = name
    own = [DATABASE, profile_role(ProfileName(role.profile))] if role.profile is not None else []
    return role.tables.by_view.get(view) if places == own[len(own) - len(places) :] else None
