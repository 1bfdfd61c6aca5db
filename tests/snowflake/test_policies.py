"""Policies and tags of the stand-in: what may be attached to what, and what is said else. It is a model, and not Snowflake."""

from collections.abc import Iterator

import pytest
from snowflake.connector import errors

from tests.support.snowflake import Account, StandIn
from tests.support.snowflake.using import Sessions

_SET_UP = (
    "CREATE WAREHOUSE W",
    "CREATE DATABASE D",
    "CREATE TABLE D.PUBLIC.T (A NUMBER, B VARCHAR, C VARCHAR)",
    "INSERT INTO D.PUBLIC.T VALUES (1, 'b', 'c')",
    "CREATE ROW ACCESS POLICY D.PUBLIC.R AS (b VARCHAR) RETURNS BOOLEAN -> b = 'b'",
    "CREATE MASKING POLICY D.PUBLIC.M AS (v VARCHAR) RETURNS VARCHAR -> '***'",
    "CREATE MASKING POLICY D.PUBLIC.M2 AS (v VARCHAR, other VARCHAR) RETURNS VARCHAR -> CASE WHEN other = 'b' THEN v END",
    "CREATE TAG D.PUBLIC.GEO",
)


@pytest.fixture
def governed(sessions: Sessions) -> Sessions:
    for statement in _SET_UP:
        sessions.admin.run(statement)
    return sessions


def test_a_table_takes_one_row_access_policy(governed: Sessions):
    governed.admin.run("ALTER TABLE D.PUBLIC.T ADD ROW ACCESS POLICY D.PUBLIC.R ON (B)")
    with pytest.raises(errors.ProgrammingError, match=r"already has a ROW_ACCESS_POLICY\. Only one ROW_ACCESS_POLICY is allowed at a time"):
        governed.admin.run("ALTER TABLE D.PUBLIC.T ADD ROW ACCESS POLICY D.PUBLIC.R ON (B)")
    governed.admin.run("ALTER TABLE D.PUBLIC.T DROP ROW ACCESS POLICY D.PUBLIC.R, ADD ROW ACCESS POLICY D.PUBLIC.R ON (C)")
    assert governed.admin.run("SELECT * FROM D.PUBLIC.T") == []


def test_a_mask_that_is_set_again_changes_nothing_and_another_one_needs_force(governed: Sessions):
    for _ in range(2):
        governed.admin.run("ALTER TABLE D.PUBLIC.T MODIFY COLUMN B SET MASKING POLICY D.PUBLIC.M")
    assert governed.admin.run("SELECT B FROM D.PUBLIC.T") == [("***",)]
    assert governed.admin.refused("ALTER TABLE D.PUBLIC.T MODIFY COLUMN B SET MASKING POLICY D.PUBLIC.M2 USING (B, C)") == 3530
    governed.admin.run("ALTER TABLE D.PUBLIC.T MODIFY COLUMN B SET MASKING POLICY D.PUBLIC.M2 USING (B, C) FORCE")
    assert governed.admin.run("SELECT B FROM D.PUBLIC.T") == [(None,)]


def test_a_masked_column_is_no_argument_and_an_argument_is_not_masked(governed: Sessions):
    governed.admin.run("ALTER TABLE D.PUBLIC.T MODIFY COLUMN B SET MASKING POLICY D.PUBLIC.M")
    with pytest.raises(
        errors.ProgrammingError, match="Column 'B' cannot be used as policy argument because it is masked by another policy"
    ):
        governed.admin.run("ALTER TABLE D.PUBLIC.T ADD ROW ACCESS POLICY D.PUBLIC.R ON (B)")
    governed.admin.run("ALTER TABLE D.PUBLIC.T ADD ROW ACCESS POLICY D.PUBLIC.R ON (C)")
    assert governed.admin.refused("ALTER TABLE D.PUBLIC.T MODIFY COLUMN C SET MASKING POLICY D.PUBLIC.M") == 3533


def test_a_policy_in_use_is_neither_dropped_nor_its_column(governed: Sessions):
    governed.admin.run("ALTER TABLE D.PUBLIC.T ADD ROW ACCESS POLICY D.PUBLIC.R ON (B)")
    assert governed.admin.refused("DROP ROW ACCESS POLICY D.PUBLIC.R") == 3557
    assert governed.admin.refused("ALTER TABLE D.PUBLIC.T DROP COLUMN B") == 3534
    governed.admin.run("ALTER TABLE D.PUBLIC.T DROP ALL ROW ACCESS POLICIES")
    governed.admin.run("DROP ROW ACCESS POLICY D.PUBLIC.R")


def test_a_policy_for_another_type_is_refused(governed: Sessions):
    assert governed.admin.refused("ALTER TABLE D.PUBLIC.T ADD ROW ACCESS POLICY D.PUBLIC.R ON (A)") == 2027
    assert governed.admin.refused("ALTER TABLE D.PUBLIC.T MODIFY COLUMN A SET MASKING POLICY D.PUBLIC.M") == 2027


def test_a_body_whose_sub_select_uses_a_column_of_the_row_is_refused(governed: Sessions):
    body = "EXISTS (SELECT 1 FROM D.PUBLIC.T t WHERE NOT b = 'b')"
    assert governed.admin.refused(f"CREATE ROW ACCESS POLICY D.PUBLIC.X AS (b VARCHAR) RETURNS BOOLEAN -> {body}") == 2031


def test_references_of_policies_and_tags_are_listed(governed: Sessions):
    run = governed.admin.run
    run("ALTER TABLE D.PUBLIC.T ADD ROW ACCESS POLICY D.PUBLIC.R ON (C)")
    run("ALTER TABLE D.PUBLIC.T MODIFY COLUMN B SET MASKING POLICY D.PUBLIC.M")
    run("ALTER TABLE D.PUBLIC.T SET TAG D.PUBLIC.GEO = 'table'")
    run("ALTER TABLE D.PUBLIC.T MODIFY COLUMN B SET TAG D.PUBLIC.GEO = 'country'")
    table = "REF_ENTITY_NAME => 'D.PUBLIC.T', REF_ENTITY_DOMAIN => 'table'"
    policies = f"SELECT POLICY_NAME, POLICY_KIND, REF_COLUMN_NAME FROM TABLE(D.INFORMATION_SCHEMA.POLICY_REFERENCES({table})) ORDER BY 1"
    assert run(policies) == [("M", "MASKING_POLICY", "B"), ("R", "ROW_ACCESS_POLICY", None)]
    columns = "SELECT COLUMN_NAME, TAG_VALUE FROM TABLE(D.INFORMATION_SCHEMA.TAG_REFERENCES_ALL_COLUMNS('D.PUBLIC.T', 'table'))"
    assert run(columns) == [("B", "country")]
    assert ("table", None) in run("SELECT TAG_VALUE, COLUMN_NAME FROM SNOWFLAKE.ACCOUNT_USAGE.TAG_REFERENCES")


def test_the_text_of_a_secure_view_is_for_its_owner_alone(governed: Sessions):
    run = governed.admin.run
    run("CREATE SECURE VIEW D.PUBLIC.V AS SELECT A FROM D.PUBLIC.T")
    for statement in ("CREATE ROLE R", "GRANT USAGE ON DATABASE D TO ROLE R", "GRANT USAGE ON SCHEMA D.PUBLIC TO ROLE R"):
        run(statement)
    run("GRANT SELECT ON VIEW D.PUBLIC.V TO ROLE R")
    run("GRANT USAGE ON WAREHOUSE W TO ROLE R")
    reader = governed.open("U", governed.user("U", "R"), warehouse="W")
    assert reader.run("SELECT * FROM D.PUBLIC.V") == [(1,)]
    assert "SELECT A" in str(run("SHOW VIEWS IN SCHEMA D.PUBLIC"))
    assert "SELECT A" not in str(reader.run("SHOW VIEWS IN SCHEMA D.PUBLIC"))


@pytest.fixture
def standard() -> Iterator[Sessions]:
    with StandIn(Account(edition="STANDARD")) as stand_in, Sessions(stand_in) as sessions:
        yield sessions


def test_standard_edition_has_no_policies(standard: Sessions):
    standard.admin.run("CREATE DATABASE D")
    with pytest.raises(errors.ProgrammingError, match="Unsupported feature 'ROW ACCESS POLICY'"):
        standard.admin.run("CREATE ROW ACCESS POLICY D.PUBLIC.R AS (b VARCHAR) RETURNS BOOLEAN -> TRUE")
