"""Roles, users and grants of the stand-in. It is a model of Snowflake, and not Snowflake."""

from tests.support.snowflake.using import Sessions


def test_roles_are_made_granted_shown_and_dropped(sessions: Sessions):
    run = sessions.admin.run
    run("CREATE ROLE PARENT COMMENT = 'uid=1'")
    run("CREATE ROLE CHILD")
    run("GRANT ROLE CHILD TO ROLE PARENT")
    assert [row[1:7] for row in run("SHOW GRANTS TO ROLE PARENT")] == [("USAGE", "ROLE", "CHILD", "ROLE", "PARENT", "false")]
    assert [row[1:4] for row in run("SHOW GRANTS OF ROLE CHILD")] == [("CHILD", "ROLE", "PARENT")]
    assert [(row[1], row[-1]) for row in run("SHOW ROLES LIKE 'parent'")] == [("PARENT", "uid=1")]
    run("DROP ROLE PARENT")
    assert run("SHOW GRANTS OF ROLE CHILD") == []
    assert sessions.admin.refused("SHOW GRANTS TO ROLE PARENT") == 2003
    assert run("DROP ROLE IF EXISTS PARENT") == [("Drop statement executed successfully (PARENT already dropped).",)]


def test_what_is_there_already_is_said_so(sessions: Sessions):
    sessions.admin.run("CREATE ROLE A")
    assert sessions.admin.refused("CREATE ROLE A") == 2002
    assert sessions.admin.run("CREATE ROLE IF NOT EXISTS A") == [("A already exists, statement succeeded.",)]


def test_names_keep_the_case_of_their_quotes(sessions: Sessions):
    name = '"vended ""Ä"" role"'
    sessions.admin.run(f"CREATE ROLE {name}")
    assert sessions.admin.run("SHOW ROLES LIKE 'vended%'")[0][1] == 'vended "Ä" role'
    assert sessions.admin.refused('CREATE ROLE "vended ""Ä"" role"') == 2002
    sessions.admin.run('CREATE ROLE "VENDED ""Ä"" ROLE"')


def test_a_role_with_create_role_may_grant_only_what_is_its_own(sessions: Sessions):
    """The vendor's rights: CREATE ROLE on the account, ownership of profiles, and no MANAGE GRANTS."""
    run = sessions.admin.run
    for statement in (
        "CREATE ROLE VENDOR",
        "CREATE ROLE PROFILE",
        "CREATE ROLE FOREIGN_ROLE",
        "GRANT CREATE ROLE ON ACCOUNT TO ROLE VENDOR",
    ):
        run(statement)
    run("GRANT OWNERSHIP ON ROLE PROFILE TO ROLE VENDOR")
    vendor = sessions.open("V", sessions.user("V", "VENDOR"))
    vendor.run("CREATE ROLE VENDED")
    vendor.run("GRANT ROLE PROFILE TO ROLE VENDED")
    assert vendor.refused("GRANT ROLE FOREIGN_ROLE TO ROLE VENDED") == 3001
    assert vendor.refused("GRANT ROLE SYSADMIN TO ROLE VENDED") == 3001
    assert vendor.refused("DROP ROLE FOREIGN_ROLE") == 3001
    assert vendor.refused("CREATE USER U") == 3001


def test_tables_take_rows_and_are_described(sessions: Sessions):
    run = sessions.admin.run
    for statement in ("CREATE WAREHOUSE W", "CREATE DATABASE D", "CREATE TABLE D.PUBLIC.T (A NUMBER NOT NULL, B VARCHAR(3), C VARIANT)"):
        run(statement)
    run("INSERT INTO D.PUBLIC.T SELECT 1, 'x', PARSE_JSON('{\"k\": [\"g1\"]}')")
    run("INSERT INTO D.PUBLIC.T (A) VALUES (2), (3)")
    assert run("SELECT A, B, C:k[0]::VARCHAR FROM D.PUBLIC.T ORDER BY A") == [(1, "x", "g1"), (2, None, None), (3, None, None)]
    assert [row[:2] for row in run("DESCRIBE TABLE D.PUBLIC.T")] == [("A", "NUMBER(38,0)"), ("B", "VARCHAR(3)"), ("C", "VARIANT")]
    assert run("DELETE FROM D.PUBLIC.T WHERE A > 1") == [(2,)]


def test_rows_need_a_warehouse_and_grants_do_not(sessions: Sessions):
    run = sessions.admin.run
    for statement in (
        "CREATE DATABASE D",
        "CREATE TABLE D.PUBLIC.T (A NUMBER)",
        "CREATE ROLE R",
        "GRANT SELECT ON TABLE D.PUBLIC.T TO ROLE R",
    ):
        run(statement)
    assert sessions.admin.refused("INSERT INTO D.PUBLIC.T VALUES (1)") == 606
    assert sessions.admin.refused("SELECT * FROM D.PUBLIC.T") == 606
    run("CREATE WAREHOUSE W")
    run("INSERT INTO D.PUBLIC.T VALUES (1)")


def test_what_one_may_not_know_of_is_said_to_be_not_there(sessions: Sessions):
    sessions.admin.run("CREATE DATABASE D")
    sessions.admin.run("CREATE TABLE D.PUBLIC.T (A NUMBER)")
    nobody = sessions.open("N", sessions.user("N", "PUBLIC"))
    assert nobody.refused("SELECT * FROM D.PUBLIC.T") == 2003
    assert nobody.refused("SELECT * FROM D.PUBLIC.NOT_THERE") == 2003


def test_what_a_dropped_role_owned_goes_to_the_role_that_drops_it(sessions: Sessions):
    run = sessions.admin.run
    for statement in ("CREATE DATABASE D", "CREATE TABLE D.PUBLIC.T (A NUMBER)", "CREATE ROLE OWNER"):
        run(statement)
    run("GRANT OWNERSHIP ON TABLE D.PUBLIC.T TO ROLE OWNER")
    assert [row[1:4] for row in run("SHOW GRANTS TO ROLE OWNER")] == [("OWNERSHIP", "TABLE", "D.PUBLIC.T")]
    run("DROP ROLE OWNER")
    assert ("OWNERSHIP", "ACCOUNTADMIN") in [(row[1], row[5]) for row in run("SHOW GRANTS ON TABLE D.PUBLIC.T")]


def test_the_current_role_cannot_be_dropped(sessions: Sessions):
    sessions.admin.run("CREATE ROLE A")
    sessions.admin.run("GRANT OWNERSHIP ON ROLE A TO ROLE A")
    own = sessions.open("U", sessions.user("U", "A"))
    assert own.refused("DROP ROLE A") == 3643


def test_what_a_dropped_role_granted_is_revoked(sessions: Sessions):
    run = sessions.admin.run
    for statement in ("CREATE DATABASE D", "CREATE ROLE GRANTOR", "CREATE ROLE OTHER", "GRANT ROLE GRANTOR TO USER ADMIN"):
        run(statement)
    run("GRANT USAGE ON DATABASE D TO ROLE GRANTOR WITH GRANT OPTION")
    run("USE ROLE GRANTOR")
    run("GRANT USAGE ON DATABASE D TO ROLE OTHER")
    run("USE ROLE ACCOUNTADMIN")
    assert len(run("SHOW GRANTS TO ROLE OTHER")) == 1
    run("DROP ROLE GRANTOR")
    assert run("SHOW GRANTS TO ROLE OTHER") == []


def test_ownership_goes_over_only_with_a_word_on_the_grants_that_hang_on_it(sessions: Sessions):
    run = sessions.admin.run
    for statement in ("CREATE DATABASE D", "CREATE TABLE D.PUBLIC.T (A NUMBER)", "CREATE ROLE A", "CREATE ROLE B"):
        run(statement)
    run("GRANT SELECT ON TABLE D.PUBLIC.T TO ROLE A")
    assert sessions.admin.refused("GRANT OWNERSHIP ON TABLE D.PUBLIC.T TO ROLE B") == 3124
    run("GRANT OWNERSHIP ON TABLE D.PUBLIC.T TO ROLE B COPY CURRENT GRANTS")
    assert len(run("SHOW GRANTS ON TABLE D.PUBLIC.T")) == 2
