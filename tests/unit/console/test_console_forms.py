"""A form approves no table that its person did not choose."""

import pytest

from rolevend.approvals.narrowing import MOST_MASKS
from rolevend.console.forms import narrowing_of
from rolevend.errors import InvalidInput
from rolevend.kinds.vended_role import TableName

PEOPLE, PAYMENTS = (TableName(schema_name="claims", table=name) for name in ("people", "payments"))
NAMED = {"claims.people": PEOPLE, "claims.payments": PAYMENTS}


def test_all_tables_are_no_narrowing_and_some_are_one():
    both = {"table.1": "claims.people", "table.2": "claims.payments"}
    assert narrowing_of(both, NAMED).tables is None
    assert narrowing_of({"table.2": "claims.payments"}, NAMED).tables == (PAYMENTS,)


@pytest.mark.parametrize(
    ("form", "named", "said"),
    [
        ({}, NAMED, "choose at least one"),
        ({"tables": "claims.people"}, NAMED, "choose at least one"),
        ({"table.1": "claims.secrets"}, NAMED, "claims.secrets is not requested"),
        ({"table.1": "claims.people"}, {}, "open the page again"),
    ],
    ids=["none", "written where they are chosen", "another one", "the offer is not shown any more"],
)
def test_a_choice_that_is_not_sure_is_refused(form: dict[str, str], named: dict[str, TableName], said: str):
    with pytest.raises(InvalidInput, match=said):
        narrowing_of(form, named)


def test_where_none_are_named_a_person_writes_them():
    assert narrowing_of({"tables": "claims.people"}, {}).tables == (PEOPLE,)
    assert narrowing_of({"tables": " "}, {}).tables is None


def test_more_masks_than_a_vote_has_are_refused_before_they_are_read():
    assert len(narrowing_of({"masks": "ssn=Hash\n\n" * MOST_MASKS}, {}).masks) == MOST_MASKS
    with pytest.raises(InvalidInput, match="that are 9,000 masks; write at most 16"):
        narrowing_of({"masks": "no mask\n" * 9_000}, {})
