"""What an attacker finds on Snowflake, and must find on the model, too. Each answers what is missing."""

from tests.support.snowflake.world import ALL, Attack, Named, World, tried

TRAITS: list[Named] = []


def _trait(trait: Attack) -> Attack:
    TRAITS.append(Named(trait.__name__, trait, ""))
    return trait


def _leaks(world: World, *statements: str) -> bool:
    """Whether the agent gets at rows when a policy asks for CURRENT_ROLE alone."""
    run = world.sessions.admin.run
    run("USE ROLE PROGRAMMER")
    run("ALTER ROW ACCESS POLICY RV.PUBLIC.ROWS_OF SET BODY -> CURRENT_ROLE() NOT IN ('VENDED_FR', 'VENDED_DE')")
    return len(tried(world.as_user("AGENT"), *statements, ALL)) == 3


@_trait
def secondary_roles_count(world: World) -> str:
    """The hole for which there is a marker."""
    return "" if _leaks(world, "USE ROLE PUBLIC", "USE SECONDARY ROLES ALL") else "a policy that asks for CURRENT_ROLE alone does not leak"


@_trait
def a_role_that_is_granted_counts_in_sessions_that_are_open(world: World) -> str:
    session = world.as_user("AGENT")
    world.vend("VENDED_US", "US")
    world.sessions.admin.run("GRANT ROLE VENDED_US TO USER AGENT")
    return "" if session.run("SELECT IS_ROLE_IN_SESSION('VENDED_US')") == [(True,)] else "it does not count"


@_trait
def what_public_may_everybody_may(world: World) -> str:
    run = world.sessions.admin.run
    for statement in ("CREATE DATABASE OPEN", "CREATE TABLE OPEN.PUBLIC.T AS SELECT 1 AS A", "GRANT USAGE ON DATABASE OPEN TO ROLE PUBLIC"):
        run(statement)
    run("GRANT USAGE ON SCHEMA OPEN.PUBLIC TO ROLE PUBLIC")
    run("GRANT SELECT ON TABLE OPEN.PUBLIC.T TO ROLE PUBLIC")
    return "" if tried(world.as_user("VENDED_FR"), "SELECT A FROM OPEN.PUBLIC.T") else "a vended role does not inherit PUBLIC"


@_trait
def policies_bind_administrators_and_owners(world: World) -> str:
    run = world.sessions.admin.run
    run("USE ROLE PROGRAMMER")
    run("ALTER ROW ACCESS POLICY RV.PUBLIC.ROWS_OF SET BODY -> FALSE")
    run("USE ROLE ACCOUNTADMIN")
    return "an administrator sees rows" if run(ALL) else ""


@_trait
def a_view_reads_with_its_owners_rights_and_the_policy_sees_its_owner(world: World) -> str:
    run = world.sessions.admin.run
    run("CREATE VIEW D.PUBLIC.SEEN AS SELECT ID FROM D.PUBLIC.PEOPLE")
    run("CREATE ROLE READER")
    run("GRANT USAGE ON DATABASE D TO ROLE READER")
    run("GRANT USAGE ON SCHEMA D.PUBLIC TO ROLE READER")
    run("GRANT SELECT ON VIEW D.PUBLIC.SEEN TO ROLE READER")
    run("USE ROLE PROGRAMMER")
    run("ALTER ROW ACCESS POLICY RV.PUBLIC.ROWS_OF SET BODY -> INVOKER_ROLE() = 'ACCOUNTADMIN' AND CURRENT_ROLE() = 'READER'")
    run("USE ROLE ACCOUNTADMIN")
    reader = world.sessions.open("R", world.sessions.user("R", "READER"), warehouse="W")
    return (
        "" if len(tried(reader, "SELECT ID FROM D.PUBLIC.SEEN")) == 3 and not tried(reader, ALL) else "the view does not read as its owner"
    )


@_trait
def a_session_that_is_nothing_but_public_is_nobodys_agent(world: World) -> str:
    """What PUBLIC may read is read around a policy that looks for the marker alone, by a vended user that puts its role aside."""
    run = world.sessions.admin.run
    run("GRANT USAGE ON DATABASE D TO ROLE PUBLIC")
    run("GRANT USAGE ON SCHEMA D.PUBLIC TO ROLE PUBLIC")
    run("GRANT SELECT ON TABLE D.PUBLIC.PEOPLE TO ROLE PUBLIC")
    return "" if len(tried(world.as_user("VENDED_FR"), "USE ROLE PUBLIC", ALL)) == 3 else "the marker is in the session, or PUBLIC is not"
