"""One DataPlatform is the ledger of used tokens. Another claim changes nothing, and trouble with the ledger is no way around it."""

from dataclasses import replace
from typing import Any

import pytest

from rolevend.decision.snapshot_inputs import Ledger, LedgerMode
from rolevend.kinds import DataPlatform, parse, shell
from rolevend.model import PlatformName
from rolevend.platform_runtime.state import SERVER_CHANGED
from rolevend.snapshot.builder import SnapshotBuild
from rolevend.snapshot.conditions.ledger import LedgerClaim, ledger_conditions, unreadable_claim
from tests.support.manifests import MISSING, Body
from tests.support.painted import CRM, OBJECTS, STATES, WAREHOUSE, answering, judged, message, paint, raw, said

WAS = {"type": "Ledger", "status": "True", "reason": "Enabled", "message": "", "lastTransitionTime": "2026-11-24T11:00:00Z"}
SNOWFLAKE = {"account": "myorg-account1", "database": "SALES", "warehouse": "AGENTS_WH"}


def claiming(name: str, mode: str, age: int = 0, *conditions: Body, **metadata: object) -> DataPlatform:
    body = raw("DataPlatform", name, "", ("spec.postgres.ledger", mode), ("status", {"conditions": list(conditions)}), age=age, **metadata)
    return parse(DataPlatform, body)


def painted(*platforms: DataPlatform, **more: Any) -> SnapshotBuild:
    return paint(replace(OBJECTS, platforms=platforms), **more)


def test_without_a_claim_kubernetes_keeps_the_records_and_no_condition_is_added():
    built = paint()

    assert built.snapshot.ledger is None
    assert "Ledger" not in {each.type for each in judged(built, WAREHOUSE).findings}


@pytest.mark.parametrize("mode", ["Joining", "Enabled"])
def test_the_one_that_claims_it_is_the_ledger_and_its_condition_says_how(mode: str):
    built = painted(claiming(WAREHOUSE, mode), claiming(CRM, "Disabled", age=60))

    assert built.snapshot.ledger == Ledger(WAREHOUSE, LedgerMode(mode))
    assert said(built, WAREHOUSE, "Ledger") == ("True", mode)
    assert said(built, WAREHOUSE, "Ready") == ("True", "Connected")


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("mode", ["Joining", "Enabled"])
def test_of_two_the_older_one_is_the_ledger_and_the_other_one_says_so(mode: str, newest_first: bool):
    platforms = [claiming(CRM, "Joining", age=60), claiming(WAREHOUSE, mode)]

    built = painted(*(platforms[::-1] if newest_first else platforms))

    assert built.snapshot.ledger == Ledger(CRM, LedgerMode.JOINING)
    assert said(built, CRM, "Ledger") == ("True", "Joining")
    assert said(built, WAREHOUSE, "Ledger") == ("False", "Conflict")
    assert message(built, WAREHOUSE, "Ledger").startswith("spec.postgres.ledger: DataPlatform crm is the ledger already")
    assert said(built, WAREHOUSE, "Ready") == ("True", "Connected"), "roles are vended there anyway"


def test_of_two_made_in_the_same_second_the_first_by_name_is_the_ledger():
    assert painted(claiming(WAREHOUSE, "Enabled"), claiming(CRM, "Enabled")).snapshot.ledger == Ledger(CRM, LedgerMode.ENABLED)


@pytest.mark.parametrize("mode", ["Joining", "Enabled"])
def test_an_older_platform_that_claims_it_later_does_not_take_it(mode: str):
    """Its database knows none of the tokens that were used meanwhile."""
    built = painted(claiming(WAREHOUSE, "Enabled", 0, WAS), claiming(CRM, mode, age=60))

    assert built.snapshot.ledger == Ledger(WAREHOUSE, LedgerMode.ENABLED)
    assert said(built, CRM, "Ledger") == ("False", "Conflict")


def test_what_was_the_ledger_says_that_it_is_not_any_more():
    built = painted(claiming(WAREHOUSE, "Disabled", 0, WAS))

    assert built.snapshot.ledger is None
    assert said(built, WAREHOUSE, "Ledger") == ("False", "Disabled")


TROUBLE = {
    "not accepted": {"states": {**STATES, WAREHOUSE: replace(answering("another"), problem=(SERVER_CHANGED, "another server answers"))}},
    "a conflict": {"states": {WAREHOUSE: answering("one"), CRM: answering("one")}},
    "unreachable": {"states": {**STATES, WAREHOUSE: replace(STATES[WAREHOUSE], problem=("PlatformUnavailable", "no route"))}},
    "never reached": {"states": {CRM: STATES[CRM]}},
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE.keys())
def test_a_ledger_in_trouble_remains_the_ledger(trouble: Any):
    built = painted(claiming(CRM, "Disabled", age=60), claiming(WAREHOUSE, "Enabled"), **trouble)

    assert built.snapshot.ledger == Ledger(WAREHOUSE, LedgerMode.ENABLED)


def test_a_ledger_that_is_being_deleted_remains_the_ledger_and_says_what_it_waits_for():
    doomed = claiming(WAREHOUSE, "Enabled", deletionTimestamp="2026-11-24T12:00:00Z", finalizers=["rolevend.dev/finalizer"])

    built = painted(doomed)

    assert built.snapshot.ledger == Ledger(WAREHOUSE, LedgerMode.ENABLED)
    assert message(built, WAREHOUSE, "Ledger").endswith("the deletion of this DataPlatform waits until spec.postgres.ledger is Joining")


def unreadable(*changes: tuple[str, object], was: bool = False) -> LedgerClaim | None:
    status = ("status", {"conditions": [WAS] if was else []})
    body = raw("DataPlatform", WAREHOUSE, "", ("spec.unknownField", 7), status, *changes)
    return unreadable_claim(shell(DataPlatform, body), body)


@pytest.mark.parametrize(
    ("changes", "was", "mode"),
    [
        ([("spec.postgres.ledger", "Enabled")], False, LedgerMode.ENABLED),
        ([("spec.postgres.ledger", "Joining"), ("spec.postgres.host", 7)], False, LedgerMode.JOINING),
        ([("spec.postgres.ledger", "Elsewhere")], False, LedgerMode.UNKNOWN),
        ([("spec.postgres.ledger", ["Enabled"])], False, LedgerMode.UNKNOWN),
        ([("spec.postgres", "?")], True, LedgerMode.UNKNOWN),
        ([("spec", "?")], True, LedgerMode.UNKNOWN),
    ],
)
def test_an_unreadable_platform_remains_the_ledger_and_of_an_unknown_mode_no_token_is_redeemed(
    changes: list[tuple[str, object]], was: bool, mode: LedgerMode
):
    claim = unreadable(*changes, was=was)

    assert claim is not None
    assert paint(replace(OBJECTS, unreadable_claims=[claim])).snapshot.ledger == Ledger(PlatformName("warehouse"), mode)


@pytest.mark.parametrize(
    ("changes", "was"),
    [
        ([], True),
        ([("spec.postgres.ledger", "Disabled")], True),
        ([("spec.postgres", MISSING), ("spec.snowflake", SNOWFLAKE)], False),
        ([("spec.postgres", "?")], False),
        ([("spec", MISSING)], False),
    ],
)
def test_an_unreadable_platform_that_was_never_the_ledger_is_none(changes: list[tuple[str, object]], was: bool):
    assert unreadable(*changes, was=was) is None


def test_an_unreadable_ledger_is_named_to_another_one_that_claims_it():
    claim = unreadable(("spec.postgres.ledger", "Enabled"), was=True)
    assert claim is not None

    (condition,) = ledger_conditions(claiming(CRM, "Enabled"), claim.ledger)

    assert (condition.status, condition.reason) == ("False", "Conflict")
    assert "DataPlatform warehouse is the ledger already" in condition.message
