"""Attacks on a small account that is governed as the design says: each a question that must be answered with a refusal, or with no row.

An attack returns what it got hold of, in words; nothing is good. A trait is what an attacker finds on Snowflake, and must find on the
model, too: a model without it would let a policy pass that leaks. It returns what is missing. `tests/snowflake/test_attacks.py` runs them
on the model as it is meant, and `test_switches.py` on models in which one check is broken: there each must have something to say.
"""

import http.client
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import jwt
from cryptography.hazmat.primitives.serialization import load_der_private_key

from snowflake.connector import errors
from tests.support.snowflake.login import fingerprint
from tests.support.snowflake.using import Session, connect
from tests.support.snowflake.wire import KeyPair
from tests.support.snowflake.world import ALL, Attack, Named, World, beyond, tried

ATTACKS: list[Named] = []


def _attack(page: str) -> Callable[[Attack], Attack]:
    def noted(attack: Attack) -> Attack:
        ATTACKS.append(Named(attack.__name__, attack, page))
        return attack

    return noted


@_attack("design: per-cell rule")
def rows_and_masks_of_the_own_role(world: World) -> str:
    """No attack: what a vended role sees is its row, masked. More is too much."""
    rows = tried(world.as_user("VENDED_FR"), ALL)
    return beyond(rows, 1) if rows else "the role does not see its own row"


@_attack("snowflake.md, Who passes through")
def public_as_primary_with_all_secondary_roles(world: World) -> str:
    return beyond(tried(world.as_user("AGENT"), "USE ROLE PUBLIC", "USE SECONDARY ROLES ALL", ALL))


@_attack("snowflake.md, Principals")
def use_role_of_another_vend(world: World) -> str:
    return beyond(tried(world.as_user("VENDED_FR"), "USE ROLE VENDED_DE", ALL))


@_attack("snowflake.md, Principals")
def use_role_of_an_administrator(world: World) -> str:
    return beyond(tried(world.as_user("VENDED_FR"), "USE ROLE ACCOUNTADMIN", ALL))


@_attack("snowflake.md, Principals")
def log_in_as_an_administrator_with_the_own_key(world: World) -> str:
    try:
        session = Session(connect(world.stand_in, "ADMIN", world.keys["VENDED_FR"], warehouse="W"))
    except errors.Error:
        return ""
    rows = session.run(ALL)
    session.connection.close()
    return beyond(rows)


@_attack("snowflake.md, Who passes through")
def the_profile_itself_as_the_role(world: World) -> str:
    return beyond(tried(world.as_user("VENDED_FR"), "USE ROLE PROFILE", ALL))


@_attack("snowflake.md, Second wall")
def a_session_policy_that_is_turned_around(world: World) -> str:
    """The agent's user may set its own default to ALL; a session policy says that there are none, all the same."""
    run = world.sessions.admin.run
    run("CREATE SESSION POLICY RV.PUBLIC.NONE_SECONDARY ALLOWED_SECONDARY_ROLES = ()")
    run("ALTER USER AGENT SET SESSION POLICY RV.PUBLIC.NONE_SECONDARY")
    session = world.as_user("AGENT")
    rows = tried(
        session,
        "ALTER USER AGENT SET DEFAULT_SECONDARY_ROLES = ('ALL')",
        "USE SECONDARY ROLES ALL",
        "USE ROLE PUBLIC",
        "SELECT 1, SSN FROM D.PUBLIC.PEOPLE",
    )
    return "it reads the table" if rows or tried(session, "SELECT IS_ROLE_IN_SESSION('VENDED_DE')") == [(True,)] else ""


@_attack("snowflake.md, Traps")
def a_copy_of_the_table(world: World) -> str:
    """What is copied is what is seen, and there is no place for it."""
    world.sessions.admin.run("CREATE DATABASE PLAYGROUND")
    world.sessions.admin.run("GRANT USAGE, CREATE SCHEMA ON DATABASE PLAYGROUND TO ROLE VENDED_FR")
    session = world.as_user("VENDED_FR")
    copied = tried(
        session,
        "CREATE SCHEMA PLAYGROUND.S",
        "CREATE TABLE PLAYGROUND.S.COPY AS SELECT * FROM D.PUBLIC.PEOPLE",
        "SELECT ID, SSN FROM PLAYGROUND.S.COPY",
    )
    return beyond(copied, 1)


@_attack("snowflake.md, Traps")
def a_table_of_its_own_beside_the_governed_one(world: World) -> str:
    return (
        "it made a table" if tried(world.as_user("VENDED_FR"), "CREATE TABLE D.PUBLIC.MINE (A NUMBER)", "SHOW TABLES LIKE 'MINE'") else ""
    )


@_attack("snowflake.md, Traps")
def a_temporary_table_of_another_session(world: World) -> str:
    run = world.sessions.admin.run
    run("CREATE DATABASE PLAYGROUND")
    run("CREATE TEMPORARY TABLE PLAYGROUND.PUBLIC.HELD AS SELECT * FROM D.PUBLIC.PEOPLE")
    run("GRANT USAGE ON DATABASE PLAYGROUND TO ROLE VENDED_FR")
    run("GRANT USAGE ON SCHEMA PLAYGROUND.PUBLIC TO ROLE VENDED_FR")
    run("GRANT SELECT ON TABLE PLAYGROUND.PUBLIC.HELD TO ROLE VENDED_FR")
    return beyond(tried(world.as_user("VENDED_FR"), "SELECT ID, SSN FROM PLAYGROUND.PUBLIC.HELD"))


@_attack("snowflake.md, Traps")
def the_policy_dropped_from_the_table(world: World) -> str:
    session = world.as_user("VENDED_FR")
    for statement in (
        "ALTER TABLE D.PUBLIC.PEOPLE DROP ALL ROW ACCESS POLICIES",
        "ALTER TABLE D.PUBLIC.PEOPLE DROP ROW ACCESS POLICY RV.PUBLIC.ROWS_OF",
        "ALTER TABLE D.PUBLIC.PEOPLE MODIFY COLUMN SSN UNSET MASKING POLICY",
        "DROP ROW ACCESS POLICY RV.PUBLIC.ROWS_OF",
    ):
        tried(session, statement)
    return beyond(tried(session, ALL), 1)


@_attack("snowflake.md, Traps")
def the_body_of_the_policy_changed(world: World) -> str:
    session = world.as_user("VENDED_FR")
    world.sessions.admin.run("GRANT USAGE ON DATABASE RV TO ROLE VENDED_FR")
    world.sessions.admin.run("GRANT USAGE ON SCHEMA RV.PUBLIC TO ROLE VENDED_FR")
    world.sessions.admin.run("GRANT APPLY ON ROW ACCESS POLICY RV.PUBLIC.ROWS_OF TO ROLE VENDED_FR")
    tried(session, "ALTER ROW ACCESS POLICY RV.PUBLIC.ROWS_OF SET BODY -> TRUE")
    return beyond(tried(session, ALL), 1)


@_attack("snowflake.md, Traps")
def ownership_of_the_table_taken(world: World) -> str:
    session = world.as_user("VENDED_FR")
    tried(session, "GRANT OWNERSHIP ON TABLE D.PUBLIC.PEOPLE TO ROLE VENDED_FR REVOKE CURRENT GRANTS")
    return "it owns the table" if "VENDED_FR" in str(world.sessions.admin.run("SHOW GRANTS ON TABLE D.PUBLIC.PEOPLE")) else ""


@_attack("snowflake.md, Traps")
def a_role_granted_to_oneself(world: World) -> str:
    session = world.as_user("VENDED_FR")
    tried(session, "GRANT ROLE VENDED_DE TO USER VENDED_FR")
    return beyond(tried(session, "USE ROLE VENDED_DE", ALL))


@_attack("snowflake.md, Traps")
def a_privilege_granted_to_oneself(world: World) -> str:
    session = world.as_user("VENDED_FR")
    tried(session, "GRANT SELECT ON TABLE RV.PUBLIC.LEASE TO ROLE VENDED_FR")
    return "it holds SELECT on the leases" if "LEASE" in str(world.sessions.admin.run("SHOW GRANTS TO ROLE VENDED_FR")) else ""


@_attack("snowflake.md, The design")
def the_lease_table_read(world: World) -> str:
    return "it reads leases" if tried(world.as_user("VENDED_FR"), "SELECT ROLE FROM RV.PUBLIC.LEASE") else ""


@_attack("snowflake.md, The design")
def a_lease_for_oneself(world: World) -> str:
    session = world.as_user("VENDED_FR")
    tried(session, "INSERT INTO RV.PUBLIC.LEASE SELECT 'VENDED_FR', 'DE', TO_TIMESTAMP_TZ('2999-01-01T00:00:00+00:00')")
    return "it wrote a lease" if len(world.sessions.admin.run("SELECT * FROM RV.PUBLIC.LEASE WHERE ROLE = 'VENDED_FR'")) > 1 else ""


@_attack("snowflake.md, The design")
def rows_after_the_lease_is_over(world: World) -> str:
    later = datetime.now(UTC) + timedelta(minutes=20)
    session = world.as_user("VENDED_FR")
    world.stand_in.account.clock = lambda: later
    return beyond(tried(session, ALL))


@_attack("snowflake.md, Drop")
def a_session_of_a_user_that_is_disabled(world: World) -> str:
    session = world.as_user("VENDED_FR")
    world.sessions.admin.run("ALTER USER VENDED_FR SET DISABLED = TRUE")
    held = tried(session, "SELECT 1")
    try:
        connect(world.stand_in, "VENDED_FR", world.keys["VENDED_FR"]).close()
    except errors.Error:
        return "its session lives on" if held else ""
    return "it logs in"


@_attack("snowflake.md, Drop")
def a_session_of_a_role_that_is_dropped(world: World) -> str:
    session = world.as_user("AGENT")
    session.run("USE SECONDARY ROLES NONE")
    world.sessions.admin.run("DROP ROLE VENDED_FR")
    return beyond(tried(session, ALL))


@_attack("snowflake.md, Drop")
def what_a_dropped_role_owned(world: World) -> str:
    """It goes to whoever drops the role, so nobody who has the old role's name again gets it."""
    run = world.sessions.admin.run
    run("GRANT OWNERSHIP ON TABLE D.PUBLIC.PEOPLE TO ROLE VENDED_FR REVOKE CURRENT GRANTS")
    run("DROP ROLE VENDED_FR")
    return "nobody, or the dropped role, owns the table" if "VENDED_FR" in str(run("SHOW GRANTS ON TABLE D.PUBLIC.PEOPLE")) else ""


@_attack("snowflake.md, Who passes through")
def an_update_of_rows_that_are_not_seen(world: World) -> str:
    world.sessions.admin.run("GRANT UPDATE, DELETE ON TABLE D.PUBLIC.PEOPLE TO ROLE VENDED_FR")
    session = world.as_user("VENDED_FR")
    changed = tried(session, "DELETE FROM D.PUBLIC.PEOPLE WHERE ID > 1") or [(0,)]
    return f"it deleted {changed[0][0]} rows of others" if changed[0][0] else ""


@_attack("snowflake.md, The vendor")
def the_vendor_reads_and_grants_beyond_its_own(world: World) -> str:
    """The vendor's credential, stolen: it reads nothing, and grants profiles alone."""
    key = world.sessions.user("THIEF", "VENDOR")
    thief = world.sessions.open("THIEF", key, warehouse="W")
    if tried(thief, ALL):
        return "it reads a governed table"
    tried(thief, "GRANT ROLE PROGRAMMER TO ROLE VENDOR")
    tried(thief, "GRANT ROLE ACCOUNTADMIN TO ROLE VENDOR")
    return "it has another role" if len(world.sessions.admin.run("SHOW GRANTS TO ROLE VENDOR")) > 3 else ""


def _forged(world: World, user: str, signed_by: KeyPair, public: str, *, seconds: int = 60) -> str:
    """Whether a token that says it is `user`, with the fingerprint of `public`, is let in."""
    now = datetime.now(UTC)
    subject = f"{world.stand_in.account.name}.{user}"
    claims = {
        "iss": f"{subject}.{fingerprint(public)}",
        "sub": subject,
        "iat": now + timedelta(seconds=seconds - 120),
        "exp": now + timedelta(seconds=seconds),
    }
    token = jwt.encode(claims, load_der_private_key(signed_by.private, None), algorithm="RS256")  # type: ignore[arg-type]
    content = {"ACCOUNT_NAME": world.stand_in.account.name, "LOGIN_NAME": user, "AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": token}
    connection = http.client.HTTPConnection("127.0.0.1", world.stand_in.port)
    try:
        connection.request("POST", "/session/v1/login-request?roleName=PUBLIC", json.dumps({"data": content}))
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return f"it is let in as {user}" if answer["success"] else ""


@_attack("snowflake.md, The connector")
def a_token_that_somebody_else_signed(world: World) -> str:
    return _forged(world, "ADMIN", world.keys["VENDED_FR"], world.stand_in.administrator.public)


@_attack("snowflake.md, The connector")
def a_token_of_an_hour_ago(world: World) -> str:
    key = world.keys["VENDED_FR"]
    return _forged(world, "VENDED_FR", key, key.public, seconds=-3600)


@_attack("snowflake.md, Traps")
def a_privilege_granted_to_the_user_itself(world: World) -> str:
    """It counts with all secondary roles alone, and then the marker is in the session, too."""
    world.sessions.admin.run("GRANT SELECT ON TABLE D.PUBLIC.PEOPLE TO USER VENDED_FR")
    session = world.as_user("VENDED_FR")
    return beyond(tried(session, "USE ROLE PUBLIC", ALL)) or beyond(tried(session, "USE SECONDARY ROLES ALL", ALL))


@_attack("snowflake.md, Second wall")
def a_user_after_its_days(world: World) -> str:
    """DAYS_TO_EXPIRY locks a user out that nobody dropped."""
    key = world.sessions.user("FORGOTTEN", "PUBLIC", DAYS_TO_EXPIRY="2")
    later = datetime.now(UTC) + timedelta(days=3)
    world.stand_in.account.clock = lambda: later
    try:
        connect(world.stand_in, "FORGOTTEN", key).close()
    except errors.Error:
        return ""
    return "it logs in"
