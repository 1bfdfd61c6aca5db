"""Entries as lines of a table. Pure. Control characters are escaped and a statement is one line, so that it cannot imitate another line."""

from rolevend.access_ledger.entry import LedgerEntry, time_text
from rolevend.access_ledger.unused import UnusedGrant, UnusedPolicyTable
from rolevend.platforms.statement import plain

_STATEMENT = 120
HEADER = f"{'TIME':<24}  {'AGENT':<24}  {'USER':<24}  {'TABLES':<32}  {'TOOK':>11}  {'ROLE':<58}  STATEMENT"
_MARKS = {"observed": "", "parsed": "*", "unknown": "?"}
LEGEND = "*: the text names these tables, and the server did not observe them. ?: the text may read others"


def row(entry: LedgerEntry) -> str:
    took = "failed" if entry.error else "" if entry.duration_ms is None else f"{entry.duration_ms:.3f} ms"
    tables = ", ".join(entry.tables) + _MARKS[entry.tables_from]
    agent = entry.agent or f"unknown ({entry.agent_handle or '-'})"
    user = entry.user_subject or f"unknown ({entry.user_handle or '-'})"
    text = " ".join(entry.statement.split())
    shown = text if len(text) <= _STATEMENT else f"{text[: _STATEMENT - 1]}…"
    cells = f"{plain(agent):<24}  {plain(user):<24}  {plain(tables):<32}  {took:>11}  {plain(entry.role):<58}"
    return f"{time_text(entry.time):<24}  {cells}  {plain(shown)}".rstrip()


def unused_row(item: UnusedGrant | UnusedPolicyTable) -> str:
    mark = "" if item.certain else "  (perhaps: the tables of a statement are not known)"
    match item:
        case UnusedGrant(role, table):
            since = time_text(role.granted_at) if role.granted_at is not None else "-"
            return f"grant   {plain(table):<32}  {plain(role.agent):<24}  {plain(role.user_subject):<24}  {since}  {plain(role.role)}{mark}"
        case UnusedPolicyTable(policy, table, roles):
            return f"policy  {plain(table):<32}  {plain(policy):<50}  {roles} roles{mark}"
