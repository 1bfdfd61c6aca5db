"""Assumptions of the driver about Snowflake's own policies, on tables behind a tool."""

import threading
from collections.abc import Collection
from typing import Final, LiteralString

from rolevend.platforms.attestation import common_checks as common
from rolevend.platforms.attestation.checks import NotAsExpected
from rolevend.platforms.snowflake import control
from rolevend.platforms.snowflake.attest.canaries import SnowflakeCanaries
from rolevend.platforms.snowflake.attest.check import Trial, trial
from rolevend.platforms.snowflake.attest.session import refusal, refused, values
from rolevend.platforms.snowflake.connections import SnowflakeSession
from rolevend.platforms.snowflake.failures import OTHER_ROW_POLICY, POLICY_IN_USE
from rolevend.platforms.snowflake.sql import compose

_SWAPS: Final = 6
_SWAP: Final[tuple[LiteralString, ...]] = (
    "ALTER TABLE {policed} DROP ROW ACCESS POLICY {rows_of}, ADD ROW ACCESS POLICY {rows_as_well} ON (ID)",
    "ALTER TABLE {policed} DROP ROW ACCESS POLICY {rows_as_well}, ADD ROW ACCESS POLICY {rows_of} ON (ID)",
)


def _seen(canaries: SnowflakeCanaries, session: SnowflakeSession) -> list[int]:
    rows = values(session, compose("SELECT ID FROM {} ORDER BY ID", canaries.policed))
    return [int(number) for (number,) in rows]


def _filters(canaries: SnowflakeCanaries) -> str:
    """The body of the policy reads the leases, which the session cannot read."""
    return common.exactly(_seen(canaries, canaries.session), [0, 1])


def _binds_the_owner(canaries: SnowflakeCanaries) -> str:
    seen = _seen(canaries, canaries.programmer)
    return f"does not: {len(seen)} rows are shown to the owner of the table" if seen else ""


def _masks(canaries: SnowflakeCanaries) -> str:
    shown = [value for (value,) in values(canaries.session, compose("SELECT SSN FROM {}", canaries.policed))]
    found = values(canaries.session, compose("SELECT ID FROM {} WHERE STARTSWITH(SSN, 'ssn')", canaries.policed))
    return "shows what it masks" if any(value is not None for value in shown) or found else ""


def _deletes(canaries: SnowflakeCanaries) -> str:
    """The owner sees no row, and so deletes none."""
    canaries.programmer.rows(compose("DELETE FROM {}", canaries.policed))
    return "" if _seen(canaries, canaries.session) == [0, 1] else "deletes rows that are not seen"


def _copies(canaries: SnowflakeCanaries) -> str:
    programmer, policed = canaries.programmer, canaries.policed
    programmer.rows(compose("CREATE TABLE {} AS SELECT * FROM {}", canaries.words["mine"], policed))
    try:
        copied = values(programmer, canaries.filled("SELECT * FROM {mine}"))
    finally:
        programmer.rows(canaries.filled("DROP TABLE {mine}"))
    return f"copies {len(copied)} rows that are not seen" if copied else ""


def _temporary(canaries: SnowflakeCanaries) -> str:
    held = canaries.environment.table("HELD")
    canaries.programmer.rows(compose("CREATE TEMPORARY TABLE {} AS SELECT 1 AS A", held))
    try:
        another = canaries.log_in_as(canaries.programmer_login, role=control.OWNER)
        return refused(another, compose("SELECT A FROM {}", held))
    finally:
        canaries.programmer.rows(compose("DROP TABLE {}", held))


def _exchanged(canaries: SnowflakeCanaries) -> str:
    """Exchange it several times while a session reads."""
    canaries.session.rows(compose("SELECT ID FROM {}", canaries.policed))
    over = threading.Event()

    def look() -> int:
        most = 0
        while not over.is_set():
            most = max(most, len(_seen(canaries, canaries.session)))
        return most

    looking = canaries.threads.submit(look)
    try:
        for _ in range(_SWAPS):
            for statement in _SWAP:
                canaries.programmer.rows(canaries.filled(statement))
    finally:
        over.set()
    most = looking.result()
    return "" if most <= 2 else f"shows {most} rows for a moment, and may show 2"


def _is_refused(what: str, statement: LiteralString, codes: Collection[int], *assumptions: str) -> Trial:
    """Return a trial of a statement of the owner that Snowflake must refuse."""

    def test(canaries: SnowflakeCanaries) -> str:
        _ = canaries.policed
        return refused(canaries.programmer, canaries.filled(statement), codes)

    return trial(what, test, *assumptions, leaks=False)


def _type_of_arguments(canaries: SnowflakeCanaries) -> str:
    """Refused with any number."""
    _ = canaries.policed
    error = refusal(canaries.programmer, canaries.filled("ALTER TABLE {ungoverned_table} ADD ROW ACCESS POLICY {rows_of} ON (NOTE)"))
    if error is None:
        canaries.programmer.rows(canaries.filled("ALTER TABLE {ungoverned_table} DROP ALL ROW ACCESS POLICIES"))
        return "a policy of numbers is set on a text"
    return ""


def _masked_argument(canaries: SnowflakeCanaries) -> str:
    """On a table with a mask and no row access policy."""
    programmer, table = canaries.programmer, canaries.environment.table("MASKED")
    _ = canaries.policed
    programmer.rows(compose("CREATE TABLE {} (NOTE VARCHAR)", table))
    try:
        programmer.rows(compose("ALTER TABLE {} MODIFY COLUMN NOTE SET MASKING POLICY {}", table, canaries.words["hidden"]))
        rows = canaries.environment.table("ROWS_BY_NOTE")
        programmer.rows(compose("CREATE ROW ACCESS POLICY {} AS (V VARCHAR) RETURNS BOOLEAN -> V = 'x'", rows))
        return refused(programmer, compose("ALTER TABLE {} ADD ROW ACCESS POLICY {} ON (NOTE)", table, rows), {3532})
    finally:
        refusal(programmer, compose("ALTER TABLE {} MODIFY COLUMN NOTE UNSET MASKING POLICY", table))
        programmer.rows(compose("DROP TABLE {}", table))


def _same_mask_again(canaries: SnowflakeCanaries) -> str:
    programmer, policed = canaries.programmer, canaries.policed
    programmer.rows(compose("ALTER TABLE {} MODIFY COLUMN SSN SET MASKING POLICY {}", policed, canaries.words["hidden"]))
    another = canaries.environment.table("HIDDEN_AS_WELL")
    programmer.rows(compose("CREATE MASKING POLICY {} AS (V VARCHAR) RETURNS VARCHAR -> NULL", another))
    replaced = compose("ALTER TABLE {} MODIFY COLUMN SSN SET MASKING POLICY {}", policed, another)
    seen = refused(programmer, replaced, {3530})
    programmer.rows(compose("{} FORCE", replaced))
    programmer.rows(compose("ALTER TABLE {} MODIFY COLUMN SSN SET MASKING POLICY {} FORCE", policed, canaries.words["hidden"]))
    return seen


def _taken_off(what: str, statement: LiteralString) -> Trial:
    """Return a trial of a statement that removes a policy from a table that eve may read."""

    def test(canaries: SnowflakeCanaries) -> str:
        if not _seen(canaries, canaries.session):
            raise NotAsExpected("shows no row of a table with a policy of the plain kind")
        return refused(canaries.session, canaries.filled(statement))

    return trial(what, test, "P8")


TRIALS = (
    trial("a row access policy filters by what its owner may read", _filters, "P1", "P4", "E1", "E7"),
    trial("a policy binds the owner of the table", _binds_the_owner, "P3"),
    trial("a masking policy masks, in conditions too", _masks, "P2"),
    trial("delete rows that a policy hides", _deletes, "P1"),
    trial("copy rows that a policy hides", _copies, "P17"),
    trial("read a temporary table of another session", _temporary, "P18"),
    trial("a row access policy is exchanged in one statement", _exchanged, "P19", "E21"),
    _taken_off("take a row access policy off", "ALTER TABLE {policed} DROP ROW ACCESS POLICY {rows_of}"),
    _taken_off("take every row access policy off", "ALTER TABLE {policed} DROP ALL ROW ACCESS POLICIES"),
    _taken_off("take a masking policy off", "ALTER TABLE {policed} MODIFY COLUMN SSN UNSET MASKING POLICY"),
    _taken_off("take the place of a masking policy", "ALTER TABLE {policed} MODIFY COLUMN SSN SET MASKING POLICY {hidden} FORCE"),
    trial("a masking policy again, and another one", _same_mask_again, "P10", leaks=False),
    trial("a row access policy on a column that is masked", _masked_argument, "P11", leaks=False),
    trial("a policy of another type", _type_of_arguments, "P14", leaks=False),
    _is_refused(
        "a second row access policy", "ALTER TABLE {policed} ADD ROW ACCESS POLICY {rows_as_well} ON (ID)", {OTHER_ROW_POLICY}, "P9"
    ),
    _is_refused("drop a policy that is in use", "DROP ROW ACCESS POLICY {rows_of}", {POLICY_IN_USE}, "P12"),
    _is_refused("drop a column that a policy reads", "ALTER TABLE {policed} DROP COLUMN ID", {3534}, "P13"),
)
