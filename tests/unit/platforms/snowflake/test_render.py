"""What is sent to Snowflake, word for word, and how its names and literals are written."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot.dialects.snowflake import Snowflake
from sqlglot.tokens import TokenType

from rolevend.catalog import Column, Family, Table, TableId
from rolevend.errors import InvalidInput
from rolevend.platforms.snowflake.build.policies import (
    SnowflakePolicy,
    fragment,
    masking_policies,
    row_policy,
    secure_view,
    set_masking_policy,
    set_row_policy,
    unset_masking_policy,
)
from rolevend.platforms.snowflake.control import profile_role
from rolevend.platforms.snowflake.sql import compose, identifier, literal, name, qualified
from rolevend.platforms.snowflake.types import column_type, family, simple_type
from tests.support.example_shapes import CUSTOMERS, PROFILES, condition, shaped
from tests.support.golden import golden
from tests.support.snowflake_bodies import PROFILE, on_snowflake


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_shown_with_these_words(profile: str):
    """Its views, with the walls of their tables; and what it adds to policies where a tool reads the tables themselves."""
    parts: list[tuple[str, str]] = []
    for shape in map(on_snowflake, PROFILES[profile]):
        columns = [Column(each.name, each.family, each.native_type) for each in shape.columns]
        wall = row_policy(shape.table, columns, {})
        parts += [
            (f"the wall of {shape.table}", wall.create),
            ("on the table", set_row_policy(shape.table, wall, database="PROD")),
            ("the view", secure_view(PROFILE, shape, database="PROD").create),
        ]
        added = {PROFILE: fragment(PROFILE, shape, columns)}
        policy = row_policy(shape.table, columns, added)
        for mask in masking_policies(shape.table, columns, added):
            parts.append(("a mask, where a tool reads the table", mask.create))
            parts.append(("on the table", set_masking_policy(shape.table, mask, database="PROD")))
        if policy != wall:
            parts.append(("its rows, where a tool reads the table", policy.create))
            parts.append(("on the table", set_row_policy(shape.table, policy, database="PROD", instead_of=wall.name)))
        parts += [("what is stricter for tools", f"-- {each}") for each in added[PROFILE].stricter]
    golden(f"snowflake_{profile}.sql", "\n\n".join(f"-- {title}\n{text}" for title, text in parts) + "\n")


def test_a_mask_is_exchanged_and_taken_away_in_one_statement_each():
    shape = on_snowflake(PROFILES["one_grant"][0])
    columns = [Column(each.name, each.family, each.native_type) for each in shape.columns]
    mask = masking_policies(shape.table, columns, {PROFILE: fragment(PROFILE, shape, columns)})[0]
    exchanged = set_masking_policy(shape.table, mask, database="PROD", replacing=True)
    assert exchanged == f"{set_masking_policy(shape.table, mask, database='PROD')} FORCE"
    unset = unset_masking_policy(shape.table, "email", database="PROD")
    assert unset == 'ALTER TABLE "PROD"."raw"."customers" MODIFY COLUMN "email" UNSET MASKING POLICY'


def test_policies_of_several_columns_are_set_on_all_of_them_in_order():
    several, table = SnowflakePolicy("RV_X_1", "", ("a", 'b"', "c")), TableId("s", "t")
    assert set_row_policy(table, several, database="D") == (
        'ALTER TABLE "D"."s"."t" ADD ROW ACCESS POLICY "ROLEVEND"."CONTROL"."RV_X_1" ON ("a", "b""", "c")'
    )
    assert set_masking_policy(table, several, database="D") == (
        'ALTER TABLE "D"."s"."t" MODIFY COLUMN "a" SET MASKING POLICY "ROLEVEND"."CONTROL"."RV_X_1" USING ("a", "b""", "c")'
    )


def test_rendering_again_gives_the_same_words_and_another_body_has_another_name():
    shape = on_snowflake(PROFILES["one_grant"][0])
    columns = [Column(each.name, each.family, each.native_type) for each in shape.columns]
    parts = {PROFILE: fragment(PROFILE, shape, columns)}
    assert row_policy(shape.table, columns, parts) == row_policy(shape.table, list(columns), dict(parts))
    assert row_policy(shape.table, columns, parts).name != row_policy(shape.table, columns, {}).name
    assert secure_view(PROFILE, shape, database="PROD") == secure_view(PROFILE, shape, database="PROD")


def test_a_view_is_known_by_the_name_that_it_is_made_under():
    view = secure_view(PROFILE, replace(on_snowflake(PROFILES["one_grant"][0]), view="app__customers"), database="PROD")
    assert view.name == "app__customers"
    assert f".{identifier(view.name)} COPY GRANTS AS" in view.create


def test_no_value_of_a_user_is_in_a_text():
    """Leases hold them: a text is the same for everybody."""
    text = secure_view(PROFILE, on_snowflake(PROFILES["one_grant"][0]), database="PROD").create
    assert "'regions'" in text
    assert profile_role(PROFILE) in text


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=255)


@given(NAMES)
def test_an_identifier_is_one_name_whatever_is_in_it(text: str):
    (token,) = Snowflake().tokenize(identifier(text))
    assert (token.token_type, token.text) == (TokenType.IDENTIFIER, text)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_literal_is_one_text_whatever_is_in_it(text: str):
    (token,) = Snowflake().tokenize(literal(text))
    assert (token.token_type, token.text) == (TokenType.STRING, text)


def test_a_backslash_and_a_quote_stand_twice_in_a_literal():
    assert literal("it's \\ \\'") == r"'it''s \\ \\'''"
    assert identifier('say "x"') == '"say ""x"""'
    assert qualified("A", 'b"c', "d.e") == '"A"."b""c"."d.e"'


@pytest.mark.parametrize("text", ["", "x" * 256, "a\0b", "\ud800"])
def test_what_is_no_identifier_is_refused(text: str):
    with pytest.raises(InvalidInput):
        identifier(text)


def test_a_name_of_255_characters_is_one():
    assert len(identifier("é" * 255)) == 257


@pytest.mark.parametrize("text", ["", "rv_p_1", "1A", 'A"B', "A B", "A-B", "Ä", "A" * 256])
def test_names_of_ours_have_a_language_of_their_own(text: str):
    with pytest.raises(InvalidInput):
        name(text)
    assert name("RV_P_3F$") == '"RV_P_3F$"'


@pytest.mark.parametrize("text", ["a\0", "\udfff"])
def test_what_is_no_text_is_refused(text: str):
    with pytest.raises(InvalidInput):
        literal(text)


def test_braces_in_a_part_mean_nothing():
    assert compose("SELECT {x}", x=literal("{x} {} {0.__class__}")) == "SELECT '{x} {} {0.__class__}'"


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ("NUMBER(38,0)", Family.INTEGER),
        ("NUMBER(10,2)", Family.NUMERIC),
        ("NUMBER", Family.INTEGER),
        ("FLOAT", Family.FLOAT),
        ("VARCHAR(16777216)", Family.TEXT),
        ("BOOLEAN", Family.BOOLEAN),
        ("DATE", Family.DATE),
        ("TIMESTAMP_NTZ(9)", Family.TIMESTAMP),
        ("TIMESTAMP_LTZ(3)", Family.TIMESTAMP_TZ),
        ("TIMESTAMP_TZ(9)", Family.TIMESTAMP_TZ),
        ("BINARY(8388608)", Family.OTHER),
        ("TIME(9)", Family.OTHER),
        ("VARIANT", Family.OTHER),
        ("OBJECT", Family.OTHER),
        ("ARRAY", Family.OTHER),
        ("GEOGRAPHY", Family.OTHER),
        ("VECTOR(FLOAT, 256)", Family.OTHER),
        ('OBJECT("x); DROP" NUMBER(38,0))', Family.OTHER),
    ],
)
def test_a_type_has_this_family(native: str, expected: Family):
    assert family(native) is expected


def test_a_text_with_a_collation_of_its_own_has_none():
    """It compares as that likes: 'de' may be 'DE'."""
    assert family("VARCHAR(10)", collated=True) is Family.OTHER


@pytest.mark.parametrize("native", ["VECTOR(FLOAT, 256)", "varchar", "VARCHAR(5); DROP TABLE x", "", "MAP(VARCHAR, NUMBER)"])
def test_what_is_no_simple_type_is_never_written(native: str):
    assert column_type(native) is None
    with pytest.raises(InvalidInput):
        simple_type(native)


def test_a_column_of_an_odd_type_is_null_in_a_view_and_closes_the_table_to_tools():
    table = Table(TableId("raw", "customers"), (*CUSTOMERS.columns[:2], Column("v", Family.OTHER, "VECTOR(FLOAT, 3)")))
    shape = shaped(table, (condition(None),), {"v": ()})
    shape = replace(shape, columns=(*map(on_snowflake, shape.columns[:2]), shape.columns[2]))
    view = secure_view(PROFILE, shape, database="PROD").create
    assert 'CASE WHEN FALSE THEN t."v" END AS "v"' in view
    part = fragment(PROFILE, shape, [Column(each.name, each.family, each.native_type) for each in shape.columns])
    assert part.row == "FALSE"
    assert part.stricter == (
        "raw.customers shows no row to tools: column v is VECTOR(FLOAT, 3), which no masking policy can be written for",
    )
