"""Texts for the model: short, bounded, and with the next step. Does not depend on LangChain or MCP."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from textwrap import indent
from typing import Any

from rolevend_client import access_messages
from rolevend_client.errors import Denied
from rolevend_client.open_role import OpenRole
from rolevend_client.values import Column, Join, Table

OVER = "this run is over, and its role with it"
_LONGEST_CELL = 1000
_LONGEST_NAME = 100
_LONGEST_LIST = 20_000
"""Characters of a list of tables. A longer one has no comments, or only the names of tables."""
_SQLSTATES = {
    "42501": "the role may not do that; it reads what list_tables shows",
    "42P01": "the role sees no such table; list_tables shows those that it reads, and the explanation of one table the offers that show it",
    "42703": "the role sees no such column; list_tables shows those that it reads",
    "42883": "the role may call no such function",
    "25006": "the role only reads",
    "57014": "it took too long; ask for less at once",
    "53400": "it asked for too much at once; ask for less, or for an aggregate",
    "53300": "the role has too many sessions",
    "57P01": "the role has ended; nothing more can be asked in this run",
    "28P01": "the role has ended; nothing more can be asked in this run",
    "28000": "the role has ended; nothing more can be asked in this run",
}
_ENDED = frozenset({"57P01", "28P01", "28000"})
_SNOWFLAKE_CODES = {
    904: "the role sees no such column; list_tables shows those that it reads, spelled as Snowflake finds them between double quotes",
    2003: "the role sees no such table; list_tables shows those that it reads, spelled as Snowflake finds them between double quotes",
    2140: "the role may call no such function",
    3001: "the role may not do that; it reads what list_tables shows",
    604: "it took too long; ask for less at once",
    630: "it took too long; ask for less at once",
}
_GONE = range(390100, 390500)
"""The codes with which Snowflake refuses a login or session that is no longer valid."""
_NO_ROWS = "No rows came of that statement; ask with one that gives rows, such as SELECT."
_LOST = "The session was lost, as it is when the role ends; if it is lost again, nothing more can be asked in this run."


Names = Mapping[tuple[str, str], str]
"""The name that a role finds each table under, by schema and table."""
_Said = Callable[[str, Table, Names], str]


def denied(denial: Denied) -> str:
    """Return the text for a role that was not vended."""
    if denial.missing.offers:
        return access_messages.denied(denial)
    missing = f" The smallest missing piece: {denial.missing}." if denial.missing.sentence else ""
    return f"Access was denied ({denial.code}): {denial.detail}.{missing} Another statement does not change that; tell the person."


def refused(error: Any) -> str:
    """Return the text for a statement that PostgreSQL refused: the database's own message, and the next step."""
    if type(error).__name__ == "ProgrammingError":  # raised by the driver; an error of the database has a subclass for its code
        return _NO_ROWS
    said = error.diag.message_primary or str(error).rpartition("FATAL:")[2].strip() or type(error).__name__
    hint = f" Hint: {error.diag.message_hint}" if error.diag.message_hint else ""
    return " ".join(f"The database refused ({error.sqlstate or type(error).__name__}): {said}.{hint} {_way_on(error)}".split())


def role_has_ended(error: Any) -> bool:
    """True if PostgreSQL says that the role has ended."""
    return error.sqlstate in _ENDED


def role_has_ended_on_snowflake(error: Any) -> bool:
    """True if Snowflake says that the login or the session is no longer valid."""
    return error.errno in _GONE


def is_lost(error: Any) -> bool:
    """True if the Snowflake session has ended or may have ended."""
    return error.errno in _GONE or type(error).__name__ in {"OperationalError", "InterfaceError", "DatabaseError"}


def refused_by_snowflake(error: Any) -> str:
    """Return the text for a statement that Snowflake refused."""
    code = error.errno if isinstance(error.errno, int) and error.errno > 0 else None
    said = str(error.raw_msg or error).strip() or type(error).__name__
    if code in _GONE:
        way = _SQLSTATES["57P01"]
    elif code in _SNOWFLAKE_CODES:
        way = _SNOWFLAKE_CODES[code]
    else:
        way = _LOST if is_lost(error) else ""
    name = type(error).__name__ if code is None else f"{code:06d}"
    return " ".join(
        f"The database refused ({name}): {said.rstrip('.')}. {way[:1].upper()}{way[1:].rstrip('.')}{'.' if way else ''}".split()
    )


def no_such_platform(role: OpenRole, wanted: str | None) -> str:
    names = ", ".join(each.name for each in role.platforms)
    absent = next((each for each in role.left_out if each.platform == wanted), None)
    if absent is not None:
        return f"There is no role on {wanted} ({absent.reason}): {absent.message}. It is on {names}."
    return f"Name the platform to ask: one of {names}." if wanted is None else f"There is no platform {wanted} here; name one of {names}."


def no_such_table(wanted: str, platforms: Sequence[str]) -> str:
    """Return the text for a table on none or several of the role's platforms."""
    if platforms:
        return f"The role reads a table of this name on {', '.join(platforms)}: name the platform."
    return f"The role reads no table {quoted(wanted)}; list_tables shows those that it reads."


def _way_on(error: Any) -> str:
    if error.sqlstate:
        way = _SQLSTATES.get(error.sqlstate, "")
        return f"{way[:1].upper()}{way[1:]}." if way else ""
    return _LOST


def table(rows: Iterable[tuple[Any, ...]], names: Callable[[], list[str]], most_rows: int, most_characters: int) -> str:
    """Return CSV with a header, and a last line that says if rows were left out. Fetches at most one of those rows.

    `names` is called after the first row was fetched.
    """
    iterator = iter(rows)
    text, shown = "", 0
    head = ""
    for row in islice(iterator, most_rows):
        head = head or _csv(names())
        line = _csv([_cell(value) for value in row])
        if len(head) + len(text) + len(line) > most_characters:
            return f"{head}{text}(more rows were left out after {shown}: the answer is long; ask for fewer columns or an aggregate)"
        text, shown = text + line, shown + 1
    head = head or _csv(names())  # without a row, the loop did not write the header
    if next(iterator, None) is not None:
        return f"{head}{text}(more rows were left out after {shown}: ask for an aggregate, or with a narrower condition)"
    return f"{head}{text}({shown} row{'' if shown == 1 else 's'})"


def tables(role: OpenRole) -> str:
    """Return the tables that the role reads, under the names that it finds them by."""
    lines = _within(role, commented, comments=seen, columns=_named)
    lines += _functions(role)
    if role.explanation.tables_left_out:
        lines.append(f"({role.explanation.tables_left_out} more tables are not listed here)")
    lines += _offers(role)
    lines += [f"There is no role on {each.platform} ({each.reason}): {each.message}." for each in role.left_out]
    return "\n".join(lines) or "The role reads no table."


def described(role: OpenRole, platform: str, name: str) -> str:
    """Return one table of `tables`, with all of its comments."""
    named = role.explanation.named(platform)
    return commented(name, named[name], names_of(named))


def granted(role: OpenRole, platform: str, name: str) -> str:
    """Return one table with all of its comments, and the policies that grant it."""
    policies = ", ".join(role.explanation.named(platform)[name].policies) or "nobody named"
    return f"{described(role, platform, name)}\nGranted by {policies}."


def explained(role: OpenRole) -> str:
    """Return for whom the role is, until when, and which policies grant each table."""
    vended, places = role.vended, ", ".join(each.name for each in role.platforms)
    purpose = f", for the purpose {vended.purpose}" if vended.purpose else ""
    until = f", until {role.expires_at.isoformat()}" if role.expires_at else ""
    agent = f"{vended.agent.namespace}/{vended.agent.name}"
    lines = [f"Role {role.name} on {places}, for {vended.user.subject} through agent {agent}{purpose}{until}."]

    def granted_by(said: _Said) -> _Said:
        return lambda name, each, names: f"{said(name, each, names)}; granted by {', '.join(each.policies) or 'nobody named'}"

    lines += _within(role, granted_by(seen), columns=granted_by(_named))
    return "\n".join(lines + _functions(role) + _offers(role))


def _within(role: OpenRole, said: _Said, **shorter: _Said) -> list[str]:
    """Return the text of each table; if that is long, without the parts that the names in `shorter` say."""
    lines = _by_platform(role, said)
    for left_out, less in shorter.items():
        if sum(map(len, lines)) > _LONGEST_LIST:
            note = f"({left_out} are left out, because the list is long: describe_table shows those of one table)"
            lines = [*_by_platform(role, less), note]
    return lines


def _by_platform(role: OpenRole, said: _Said) -> list[str]:
    """Return the text of each table, under a line with its platform and its type. A single PostgreSQL needs no such line."""
    if [each.type for each in role.platforms] == ["PostgreSQL"]:
        return _said(role, role.platform.name, said)
    lines = []
    for platform in role.platforms:
        lines.append(f"on platform {platform.name} ({platform.type}):")
        lines += [indent(each, "  ") for each in _said(role, platform.name, said)]
    return lines


def _said(role: OpenRole, platform: str, said: _Said) -> list[str]:
    named = role.explanation.named(platform)
    names = names_of(named)
    return [said(name, each, names) for name, each in named.items()]


def names_of(named: Mapping[str, Table]) -> Names:
    return {(each.schema, each.table): name for name, each in named.items()}


def _functions(role: OpenRole) -> list[str]:
    return [_line(f"functions: {', '.join(role.explanation.functions)}")] if role.explanation.functions else []


def _offers(role: OpenRole) -> list[str]:
    offers = role.explanation.offers
    return [f"More can be requested: {access_messages.offered(offers)}"] if offers else []


def commented(name: str, table: Table, names: Names) -> str:
    """Return the line of `seen`, and a line for each comment."""
    lines = [seen(name, table, names)]
    lines += [f"  comment: {_quoted(table.comment)}"] if table.comment else []
    lines += [_line(f"  comment on {each.name}: {_quoted(each.comment)}") for each in table.columns if each.comment]
    return "\n".join(lines)


def seen(name: str, table: Table, names: Names) -> str:
    """Return one line: the columns with their types and masks, the visible rows, and the keys."""
    rows = f"; only rows where {visible}" if (visible := visible_rows(table)) else ""
    key = f"; key {', '.join(table.primary_key)}" if table.primary_key else ""
    joins = "".join(f"; joins {_join(name, each, names)}" for each in table.joins)
    less = f"; functions see less of it: {'; '.join(table.stricter_for_tools)}" if table.stricter_for_tools else ""
    return _line(f"{name}: {', '.join(map(_shown, table.columns))}{rows}{key}{joins}{less}")


def _named(name: str, table: Table, names: Names) -> str:  # noqa: ARG001 - as the others
    return _line(f"{name}: {len(table.columns)} columns")


def visible_rows(table: Table) -> str:
    """Return the condition of the visible rows; empty: every row is visible."""
    if table.rows:
        return table.rows
    conditions = [" or ".join(f"({each})" for each in table.row_filters)] if table.row_filters else []
    if len(table.row_filters) > 1 and table.restrictions:
        conditions = [f"({conditions[0]})"]
    conditions += [f"({each})" for each in table.restrictions]
    return " and ".join(conditions)


def _join(name: str, join: Join, names: Names) -> str:
    other = names.get((join.schema, join.table), f"{join.schema}.{join.table}")
    return " and ".join(f"{name}.{here} = {other}.{there}" for here, there in zip(join.columns, join.references, strict=True))


def _shown(column: Column) -> str:
    typed = f"{column.name} {column.type}" if column.type else column.name
    if not column.clear:
        return f"{typed} (masked: {column.mask_meaning or column.mask or column.shown})"
    return f"{typed} (one of {', '.join(map(_quoted, column.values))})" if column.values else typed


def _line(text: str) -> str:
    """Return the text on one line: owners name tables, columns, types and functions, and may use any character."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _quoted(words: str) -> str:
    """Return words of an owner so that they cannot be taken for ours."""
    return f'"{" ".join(words.split()).replace(chr(34), chr(39))}"'


def quoted(name: str) -> str:
    """Return the beginning of a name that a model gave, quoted."""
    return _quoted(name[:_LONGEST_NAME])


def _cell(value: Any) -> str:
    text = "NULL" if value is None else str(value)
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"


def _csv(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue() if cells else ""
