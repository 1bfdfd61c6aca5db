"""Who sees anything at all: attacks on the lease and the wall, tried on the texts, and the switches without which they would work."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rolevend.catalog import Column, Family, Table, TableId
from rolevend.errors import Conflict, InvalidInput
from rolevend.model import Attributes, ProfileName
from rolevend.naming import PREFIX
from rolevend.plan import Cell, ColumnShape, Condition, TableShape
from rolevend.platforms.snowflake.build.policies import SnowflakePolicy, dumped, fragment, loaded, masking_policies, row_policy, secure_view
from rolevend.platforms.snowflake.control import MARKER, OWNER
from rolevend.policy.expression import AttributeMembership, ColumnReference
from rolevend.policy.mask import Clear, Hash, Mask, Nullify, Partial
from tests.support.snowflake_bodies import PROFILE, ROLE, Account, vended
from tests.support.snowflake_dialect import Session

TEXT, NUMBER = "VARCHAR(16777216)", "NUMBER(38,0)"
TABLE = Table(
    TableId("SALES", "CUSTOMERS"),
    (Column("ID", Family.INTEGER, NUMBER), Column("REGION", Family.TEXT, TEXT), Column("SSN", Family.TEXT, TEXT)),
)
ROWS = [{"ID": 1, "REGION": "EU", "SSN": "900-01-0001"}, {"ID": 2, "REGION": "US", "SSN": "900-01-0002"}]
OTHER = ProfileName("rv_p_0000000000000000000000000000beef")
STRANGER = "IMMUTA_VENDED_FINBOT_X1_3FXWQ4H5S8CK9RN2V6Y0ZTBDGN"
EUROPE = Attributes.of([("regions", ["EU"])])
MINE = Condition(("regions",), AttributeMembership(ColumnReference("REGION", Family.TEXT, TEXT), "regions"))
MASKED = [(1, "EU", "***0001")]
ANALYST = Session("ANALYST", frozenset({"ANALYST", "PUBLIC"}))


def shape(rows: tuple[Condition, ...] = (MINE,), **masks: Mask | tuple[Cell, ...]) -> TableShape:
    def cells(name: str) -> tuple[Cell, ...]:
        mask = masks.get(name, Partial(4) if name == "SSN" else Clear())
        return mask if isinstance(mask, tuple) else (Cell((), mask),)

    columns = tuple(ColumnShape(each.name, each.family, each.native_type, cells(each.name)) for each in TABLE.columns)
    return TableShape(TABLE.id, "CUSTOMERS", rows, columns)


@pytest.fixture
def account() -> Iterator[Account]:
    made = Account()
    made.table(TABLE, ROWS)
    yield made
    made.close()


Edit = Callable[[str], str]


def as_it_is(text: str) -> str:
    return text


class Asked:
    """The view, and the table behind a tool, as a session sees them; both must answer alike."""

    def __init__(self, account: Account, edit: Edit = as_it_is) -> None:
        self.account = account
        self._view = edit(secure_view(PROFILE, shape(), database="PROD").create)
        parts = {each: fragment(each, shape(), TABLE.columns) for each in (PROFILE, OTHER)}
        self._row = _edited(row_policy(TABLE.id, TABLE.columns, parts), edit)
        self._masks = [_edited(each, edit) for each in masking_policies(TABLE.id, TABLE.columns, parts)]

    def view(self, session: Session) -> list[tuple[object, ...]]:
        return self.account.view(self._view, session.through_view())

    def table(self, session: Session) -> list[tuple[object, ...]]:
        return self.account.governed(TABLE, self._row, self._masks, session)


def _edited(policy: SnowflakePolicy, edit: Edit) -> SnowflakePolicy:
    return replace(policy, create=edit(policy.create))


def a_lease_shows_its_rows_through_its_masks(asked: Asked) -> None:
    asked.account.lease(EUROPE)
    assert asked.view(vended()) == asked.table(vended()) == MASKED


def a_vend_that_was_repeated_is_one_lease(asked: Asked) -> None:
    asked.account.lease(EUROPE)
    asked.account.lease(EUROPE, seconds=9000)
    assert asked.view(vended()) == asked.table(vended()) == MASKED


def without_a_lease_nothing_is_shown(asked: Asked) -> None:
    assert asked.view(vended()) == asked.table(vended()) == []


def an_expired_lease_shows_nothing(asked: Asked) -> None:
    asked.account.lease(EUROPE, seconds=-1)
    assert asked.view(vended()) == asked.table(vended()) == []


def the_first_of_two_ends_counts(asked: Asked) -> None:
    asked.account.lease(EUROPE, seconds=-1)
    asked.account.lease(EUROPE, seconds=9000)
    assert asked.view(vended()) == asked.table(vended()) == []


def a_lease_that_was_ended_shows_nothing(asked: Asked) -> None:
    asked.account.lease(EUROPE)
    asked.account.lease(EUROPE, event="Revoked")
    assert asked.view(vended()) == asked.table(vended()) == []


def somebody_elses_lease_shows_nothing(asked: Asked) -> None:
    asked.account.lease(EUROPE, role=STRANGER)
    assert asked.view(vended()) == asked.table(vended()) == []


def a_lease_of_another_profile_opens_no_view_of_this_one(asked: Asked) -> None:
    """With both profiles' privileges in one session, such as by secondary roles."""
    asked.account.lease(EUROPE, profile=OTHER)
    assert asked.view(vended(ROLE, PROFILE, OTHER.upper())) == []


def rows_that_contradict_each_other_are_no_lease(asked: Asked) -> None:
    asked.account.lease(EUROPE)
    asked.account.lease(Attributes.of([("regions", ["US"])]))
    assert asked.view(vended()) == asked.table(vended()) == []


def a_lease_that_is_narrowed_and_is_not_is_no_lease(asked: Asked) -> None:
    asked.account.lease(EUROPE, resources=[TABLE.id])
    asked.account.lease(EUROPE)
    assert asked.view(vended()) == asked.table(vended()) == []


def a_lease_that_is_narrowed_to_other_tables_shows_nothing(asked: Asked) -> None:
    asked.account.lease(EUROPE, resources=[TableId("SALES", "ORDERS")])
    assert asked.view(vended()) == asked.table(vended()) == []


def a_lease_that_is_narrowed_to_this_table_shows_it(asked: Asked) -> None:
    asked.account.lease(EUROPE, resources=[TABLE.id, TableId("SALES", "ORDERS")])
    assert asked.view(vended()) == asked.table(vended()) == MASKED


def an_attribute_that_the_lease_lacks_closes_the_condition(asked: Asked) -> None:
    asked.account.lease()
    assert asked.view(vended()) == asked.table(vended()) == []


def another_primary_role_with_the_profile_beside_it_shows_nothing(asked: Asked) -> None:
    """USE ROLE PUBLIC; USE SECONDARY ROLES ALL keeps the profile's privileges."""
    asked.account.lease(EUROPE)
    hidden = Session("PUBLIC", vended().roles)
    assert asked.view(hidden) == asked.table(hidden) == []


def a_vended_user_that_puts_its_role_aside_sees_nothing(asked: Asked) -> None:
    """USE ROLE PUBLIC; USE SECONDARY ROLES NONE leaves what PUBLIC may read, and no marker."""
    asked.account.lease(EUROPE)
    bare = Session("PUBLIC", frozenset({"PUBLIC"}), user=ROLE)
    assert asked.table(bare) == []
    assert asked.table(replace(bare, user=None)) == asked.table(ANALYST)


def a_session_without_a_profile_is_not_concerned(asked: Asked) -> None:
    asked.account.lease(EUROPE)
    assert asked.table(ANALYST) == [(1, "EU", "900-01-0001"), (2, "US", "900-01-0002")]


def somebody_elses_view_is_no_way_around_the_wall(asked: Asked) -> None:
    """Nor a procedure with its owner's rights."""
    around = replace(vended(), invoker="ANALYST")
    assert asked.table(around) == []


def views_of_ours_see_the_table_as_it_is(asked: Asked) -> None:
    assert [row[2] for row in asked.table(vended().through_view())] == ["900-01-0001", "900-01-0002"]


CHECKS = (
    a_lease_shows_its_rows_through_its_masks,
    a_vend_that_was_repeated_is_one_lease,
    without_a_lease_nothing_is_shown,
    an_expired_lease_shows_nothing,
    the_first_of_two_ends_counts,
    a_lease_that_was_ended_shows_nothing,
    somebody_elses_lease_shows_nothing,
    a_lease_of_another_profile_opens_no_view_of_this_one,
    rows_that_contradict_each_other_are_no_lease,
    a_lease_that_is_narrowed_and_is_not_is_no_lease,
    a_lease_that_is_narrowed_to_other_tables_shows_nothing,
    a_lease_that_is_narrowed_to_this_table_shows_it,
    an_attribute_that_the_lease_lacks_closes_the_condition,
    another_primary_role_with_the_profile_beside_it_shows_nothing,
    a_vended_user_that_puts_its_role_aside_sees_nothing,
    a_session_without_a_profile_is_not_concerned,
    somebody_elses_view_is_no_way_around_the_wall,
    views_of_ours_see_the_table_as_it_is,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda each: each.__name__)
def test_what_a_session_sees(account: Account, check: Callable[[Asked], None]):
    check(Asked(account))


SWITCHES: dict[str, tuple[str, str]] = {
    "the lease does not expire": ("MIN(v.EXPIRES_AT) > CURRENT_TIMESTAMP()", "TRUE"),
    "the last end counts": ("MIN(v.EXPIRES_AT)", "MAX(v.EXPIRES_AT)"),
    "an end is no end": ("COUNT_IF(v.EVENT = 'VENDED') = COUNT(*)", "TRUE"),
    "anybody's lease": ("v.ROLE = CURRENT_ROLE()", "TRUE"),
    "any profile's lease": (f"MIN(v.PROFILE) = '{PROFILE.upper()}' AND MAX(v.PROFILE) = '{PROFILE.upper()}'", "TRUE"),
    "the first attributes count": ("MIN(v.ATTRS) = MAX(v.ATTRS)", "TRUE"),
    "one narrowed row narrows all": ("MIN(COALESCE(v.TABLES, '')) = MAX(COALESCE(v.TABLES, ''))", "TRUE"),
    "no lease is narrowed": ("MIN(v.TABLES) IS NULL OR", "TRUE OR"),
    "every lease is narrowed": ("MIN(v.TABLES) IS NULL OR", "FALSE OR"),
    "who has the marker passes": (f"NOT IS_ROLE_IN_SESSION('{MARKER}')", f"IS_ROLE_IN_SESSION('{MARKER}')"),
    "everybody passes": (f"NOT IS_ROLE_IN_SESSION('{MARKER}')", "TRUE"),
    "nobody passes": (f"NOT IS_ROLE_IN_SESSION('{MARKER}')", "FALSE"),
    "the primary role decides who passes": (f"NOT IS_ROLE_IN_SESSION('{MARKER}')", f"CURRENT_ROLE() <> '{ROLE}'"),
    "whoever puts the role aside passes": (f"NOT STARTSWITH(COALESCE(CURRENT_USER(), ''), '{PREFIX}')", "TRUE"),
    "no user passes": (f"NOT STARTSWITH(COALESCE(CURRENT_USER(), ''), '{PREFIX}')", "FALSE"),
    "who has no name does not pass": ("COALESCE(CURRENT_USER(), '')", "CURRENT_USER()"),
    "any view passes": (f"INVOKER_ROLE() = '{OWNER}'", "TRUE"),
    "no view passes": (f"INVOKER_ROLE() = '{OWNER}'", "FALSE"),
    "OR for AND before the rows": (")\n    AND ", ")\n    OR "),
    "OR for AND before a condition": ("IS NOT NULL AND CASE", "IS NOT NULL OR CASE"),
    "the rows are not filtered": ('ARRAY_CONTAINS(t."REGION"::VARIANT, l.A1)', "TRUE"),
}


@pytest.mark.thinned(4, "full")
@pytest.mark.parametrize("switch", SWITCHES)
def test_each_switch_is_noticed(account: Account, switch: str):
    """A text that is changed in one place fails one of the checks at least."""
    before, after = SWITCHES[switch]
    changed: list[str] = []

    def edit(text: str) -> str:
        changed.extend([text] if before in text else [])
        return text.replace(before, after)

    asked = Asked(account, edit)
    assert changed, "the switch changes nothing"
    assert any(_fails(check, asked) for check in CHECKS)


def _fails(check: Callable[[Asked], None], asked: Asked) -> bool:
    asked.account.forget()
    try:
        check(asked)
    except AssertionError:
        return True
    return False


def test_without_fragments_a_row_policy_is_the_wall_and_tables_share_it(account: Account):
    wall = row_policy(TABLE.id, TABLE.columns, {})
    other = row_policy(TableId("HR", "people"), (Column("n", Family.INTEGER, NUMBER),), {})
    assert (wall.name, wall.create) == (other.name, other.create)
    assert (wall.arguments, other.arguments) == (("ID",), ("n",))
    account.lease(EUROPE)
    assert account.governed(TABLE, wall, (), vended()) == []
    assert len(account.governed(TABLE, wall, (), vended().through_view())) == len(account.governed(TABLE, wall, (), ANALYST)) == 2


def test_a_profile_without_the_tool_sees_nothing_of_the_table(account: Account):
    parts = {PROFILE: fragment(PROFILE, shape(), TABLE.columns)}
    masks = masking_policies(TABLE.id, TABLE.columns, parts)
    account.lease(EUROPE, profile=OTHER)
    without = vended(ROLE, OTHER)
    assert account.governed(TABLE, row_policy(TABLE.id, TABLE.columns, parts), masks, without) == []
    everything = replace(row_policy(TABLE.id, TABLE.columns, {}), create="… ->\nTRUE")
    assert [row[2] for row in account.governed(TABLE, everything, masks, without)] == [None, None]


def test_a_profile_that_shows_a_column_in_clear_does_so_beside_one_that_masks_it(account: Account):
    parts = {
        PROFILE: fragment(PROFILE, shape(), TABLE.columns),
        OTHER: fragment(OTHER, shape((Condition((), None),), SSN=Clear()), TABLE.columns),
    }
    row, masks = row_policy(TABLE.id, TABLE.columns, parts), masking_policies(TABLE.id, TABLE.columns, parts)
    account.lease(EUROPE)
    account.lease(role=STRANGER, profile=OTHER)
    assert account.governed(TABLE, row, masks, vended()) == MASKED
    assert [each[2] for each in account.governed(TABLE, row, masks, vended(STRANGER, OTHER))] == ["900-01-0001", "900-01-0002"]


def test_fragments_that_cannot_be_in_force_together_are_refused():
    """One filters by a column that the other one masks."""
    parts = {
        PROFILE: fragment(PROFILE, shape(), TABLE.columns),
        OTHER: fragment(OTHER, shape((Condition((), None),), REGION=Hash()), TABLE.columns),
    }
    for build in (row_policy, masking_policies):
        with pytest.raises(Conflict, match=r"column REGION of SALES\.CUSTOMERS is filtered by and masked"):
            build(TABLE.id, TABLE.columns, parts)


def test_a_column_that_is_not_granted_is_masked_for_tools():
    part = fragment(PROFILE, replace(shape(), columns=shape().columns[:2]), TABLE.columns)
    assert part.columns["SSN"].text == "NULL::VARCHAR(16777216)"
    assert part.stricter == ()


def test_a_table_whose_filter_reads_what_is_masked_shows_no_row_to_tools():
    part = fragment(PROFILE, shape(REGION=Nullify()), TABLE.columns)
    assert part.row == "FALSE"
    assert part.stricter == ("SALES.CUSTOMERS shows no row to tools: its rows are filtered by REGION, which is masked or not granted",)


def test_a_mask_that_depends_on_a_filtered_column_is_the_stricter_one_for_tools():
    part = fragment(PROFILE, shape(SSN=(Cell((MINE,), Partial(4)), Cell((), Hash()))), TABLE.columns)
    assert part.columns["SSN"].text.startswith("SHA2(")
    assert part.stricter == (
        "column SSN of SALES.CUSTOMERS shows tools Hash in every row: what it shows depends on REGION,"
        " which is filtered by or masked itself",
    )


def test_a_mask_that_depends_on_a_column_that_nobody_filters_by_is_exact(account: Account):
    cells = (Cell((MINE,), Clear()), Cell((), Partial(4)))
    part = {PROFILE: fragment(PROFILE, shape((Condition((), None),), SSN=cells), TABLE.columns)}
    assert part[PROFILE].stricter == ()
    account.lease(EUROPE)
    row, masks = row_policy(TABLE.id, TABLE.columns, part), masking_policies(TABLE.id, TABLE.columns, part)
    assert account.governed(TABLE, row, masks, vended()) == [(1, "EU", "900-01-0001"), (2, "US", "***0002")]
    assert [each.arguments for each in masks] == [("SSN", "REGION")]
    assert f'AS ("SSN" {TEXT}, "REGION" {TEXT}) RETURNS {TEXT} ->' in masks[0].create


def test_a_fragment_is_kept_as_a_text():
    part = fragment(PROFILE, shape(SSN=(Cell((MINE,), Partial(4)), Cell((), Hash()))), TABLE.columns)
    assert loaded(dumped(part)) == part


def test_columns_that_differ_in_case_alone_are_refused():
    """Under QUOTED_IDENTIFIERS_IGNORE_CASE, which a session may set, they would be one."""
    twice = replace(shape(), columns=(*shape().columns, replace(shape().columns[2], name="ssn")))
    with pytest.raises(InvalidInput, match="but for their case"):
        secure_view(PROFILE, twice, database="PROD")
