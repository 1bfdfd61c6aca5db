"""An entry of Snowflake's query history: which tables it says that a statement touched, and how."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rolevend.access_ledger.entry import LedgerEntry
from rolevend.access_ledger.grants import AuditedRoles
from rolevend.access_ledger.history_entry import joined_history
from rolevend.access_ledger.history_position import HistoryPosition, history_position_of
from rolevend.access_ledger.relations import SNOWFLAKE, TableFinder
from rolevend.access_ledger.selection import Selection
from rolevend.access_ledger.unused import TableUse
from rolevend.platforms.snowflake.account_history import MAX_TEXT, HistoryPlace, HistoryStatement, statements_since
from tests.support.pglogs import ROLE, granted

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
VIEW, TABLE, LEASE = "ROLEVEND.RV_P_1.people", "PROD.claims.people", "ROLEVEND.CONTROL.LEASE"


def objects(*names: str, domain: str = "Table") -> str:
    return json.dumps([{"objectDomain": domain, "objectName": ".".join(f'"{part}"' for part in name.split("."))} for name in names])


def row(**values: Any) -> dict[str, Any]:
    known = {"query_id": "1", "query_text": "SELECT 1", "query_type": "SELECT", "user_name": ROLE, "role_name": ROLE, "database_name": None}
    more = {"session_id": 7, "query_tag": "", "error_code": None, "error_message": None, "start_time": NOW, "end_time": NOW}
    rest = {"total_elapsed_time": 5, "direct_objects_accessed": None, "base_objects_accessed": None}
    return known | more | rest | values


class Answers:
    """A session that answers pages of rows."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self._rows = list(rows)

    def rows(self, _statement: str) -> list[dict[str, Any]]:
        found, self._rows = self._rows, []
        return found


def statements(*rows: dict[str, Any]) -> list[HistoryStatement]:
    return [each for page in statements_since(Answers(*rows), HistoryPlace(NOW)) for each in page]  # type: ignore[arg-type]


def entry(**values: Any) -> LedgerEntry:
    roles = AuditedRoles()
    roles.learn(granted())
    (statement,) = statements(row(**values))
    return joined_history(statement, roles.get(statement.role), TableFinder(SNOWFLAKE))


@pytest.mark.parametrize(
    ("named", "read", "tables"),
    [
        ((VIEW,), (TABLE, LEASE), ["claims.people"]),
        ((VIEW, "OTHER.claims.people"), (TABLE, LEASE, "OTHER.claims.people"), ["OTHER.claims.people", TABLE, "claims.people"]),
        (("OTHER.claims.people",), ("OTHER.claims.people",), ["OTHER.claims.people"]),
        (("PROD.SEM.SALES",), (TABLE,), [TABLE]),
        (("ROLEVEND.RV_P_2.people",), (TABLE, LEASE), [TABLE]),
        ((LEASE,), (LEASE,), []),
    ],
)
def test_a_table_that_the_role_was_not_granted_is_told_with_its_database(named: tuple[str, ...], read: tuple[str, ...], tables: list[str]):
    found = entry(direct_objects_accessed=objects(*named), base_objects_accessed=objects(*read))

    assert sorted(found.tables) == tables
    assert found.tables_from == "observed"


def test_a_text_that_was_cut_may_read_more_than_it_names():
    cut = entry(query_text=f"SELECT 1 --{'x' * MAX_TEXT}"[:MAX_TEXT])

    assert (cut.truncated, cut.tables_from) == (True, "unknown")
    assert entry(query_text="SELECT 1").tables_from == "parsed"


def test_functions_and_objects_without_a_whole_name_are_no_tables():
    assert entry(direct_objects_accessed="[]", base_objects_accessed=objects(TABLE, domain="Function")).tables == ()
    assert entry(direct_objects_accessed="[]", base_objects_accessed='[{"objectDomain": "Table"}, 3, {"objectName": "A.B.C"}]').tables == ()
    assert entry(direct_objects_accessed="[]", base_objects_accessed=objects(TABLE, domain="External table")).tables == (TABLE,)


def test_objects_of_one_statement_in_several_rows_are_one_entry():
    first = row(direct_objects_accessed=objects(VIEW), base_objects_accessed=objects(TABLE))
    second = row(direct_objects_accessed=objects("X.Y.Z"), base_objects_accessed=objects("X.Y.Z"))
    (found,) = statements(first, second)

    assert found.named == (("ROLEVEND", "RV_P_1", "people"), ("X", "Y", "Z"))
    assert found.read == (("PROD", "claims", "people"), ("X", "Y", "Z"))


@pytest.mark.parametrize(
    ("code", "kind", "refused"),
    [(2003, "UNKNOWN", True), (1003, "SELECT", True), (2003, "CALL", False), (100038, "SELECT", False), (None, "SELECT", False)],
)
def test_a_statement_counts_as_refused_only_if_nothing_of_it_ran(code: int | None, kind: str, refused: bool):
    assert entry(error_code=code, error_message="no", query_type=kind).refused is refused


def test_the_user_counts_whatever_role_the_session_took_and_otherwise_the_role():
    assert statements(row(role_name="PUBLIC"))[0].role == ROLE
    assert statements(row(user_name="AGENT"))[0].role == ROLE


def test_a_read_with_its_database_is_found_by_name_and_is_a_use_of_the_grant():
    found = entry(direct_objects_accessed=objects("PROD.SEM.SALES"), base_objects_accessed=objects(TABLE))
    roles = AuditedRoles()
    roles.learn(granted())
    use = TableUse()
    use.take(found)

    assert [name for name in ("people", "claims.people", TABLE, "aims.people", "x") if Selection(table=name).of_table(found)] == [
        "people",
        "claims.people",
        TABLE,
    ]
    assert [each.table for each in use.unused_grants(roles)] == ["claims.claims"]


def test_a_position_forgets_what_is_settled_and_comes_back_from_its_state():
    position = HistoryPosition(NOW)
    for minute in range(10):
        position.add(NOW + timedelta(minutes=minute), f"query {minute}")
    position.settle(NOW + timedelta(minutes=5))
    position.settle(NOW)
    back = history_position_of(json.loads(json.dumps(position.as_json())), "state", NOW)

    assert back.floor == NOW + timedelta(minutes=5)
    assert [minute for minute in range(10) if back.has(NOW + timedelta(minutes=minute), f"query {minute}")] == [5, 6, 7, 8, 9]
    assert not back.has(NOW + timedelta(minutes=5), "query 6")
