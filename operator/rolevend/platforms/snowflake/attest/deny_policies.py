"""The deny policies on governed tables: a vended session sees their rows only through its views, also after a manual grant to the profile,
to PUBLIC or to the user. Roles of no agent read as before."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import LiteralString

from rolevend.platforms.attestation.checks import NotAsExpected
from rolevend.platforms.snowflake.attest.canaries import SnowflakeCanaries
from rolevend.platforms.snowflake.attest.check import trial
from rolevend.platforms.snowflake.attest.session import attempted, refusal, values
from rolevend.platforms.snowflake.connections import SnowflakeSession
from rolevend.platforms.snowflake.sql import Sql

_ALL: LiteralString = "SELECT ID FROM {guarded_table}"
_WAYS: Sequence[tuple[LiteralString, ...]] = (
    (),
    ("USE SECONDARY ROLES ALL",),
    ("USE ROLE PUBLIC", "USE SECONDARY ROLES NONE"),
    ("USE ROLE PUBLIC", "USE SECONDARY ROLES ALL"),
    ("ALTER USER {eve} SET DEFAULT_SECONDARY_ROLES = ('ALL')", "USE SECONDARY ROLES ALL", "USE ROLE PUBLIC"),
)
"""How a session may leave its role, or activate all roles of its user."""


def _behind_the_wall(canaries: SnowflakeCanaries, *more: tuple[LiteralString, ...]) -> str:
    for way in (*_WAYS, *more):
        session = canaries.log_in(canaries.eve)
        found = attempted(session, *map(canaries.filled, (*way, _ALL)))
        if found:
            return f"shows {len(found)} rows of a governed table" + (f" after {'; '.join(way)}" if way else "")
        views = {number for (number,) in attempted(session, canaries.filled("SELECT ID FROM {people}"))}
        if views - {0, 1}:
            return "shows more of the view"
    return ""


def _granted_to_the_profile(canaries: SnowflakeCanaries) -> str:
    """The manual grant is effective, and the deny policy hides every row."""
    if (error := refusal(canaries.session, canaries.filled(_ALL))) is not None:
        raise NotAsExpected(f"the table cannot be asked: {error}")
    return _behind_the_wall(canaries)


def _granted_to_public(canaries: SnowflakeCanaries) -> str:
    with canaries.open_to_public():
        return _behind_the_wall(canaries)


def _granted_to_the_user(canaries: SnowflakeCanaries) -> str:
    """Grant a privilege directly to the user."""
    granted: LiteralString = "SELECT ON TABLE {guarded_table}"
    if refusal(canaries.programmer, canaries.filled(f"GRANT {granted} TO USER {{eve}}")) is not None:
        return ""  # the account allows no such grants
    with ExitStack() as ends:
        ends.callback(canaries.programmer.rows, canaries.filled(f"REVOKE {granted} FROM USER {{eve}}"))
        for what in ("USAGE ON DATABASE {database}", "USAGE ON SCHEMA {schema}"):
            ends.enter_context(canaries.lent(f"GRANT {what} TO USER {{eve}}", f"REVOKE {what} FROM USER {{eve}}"))
        return _behind_the_wall(canaries)


def _granted_role(canaries: SnowflakeCanaries) -> str:
    """Grant a role of no profile, which reads the table, to the agent's user."""
    with canaries.lent("GRANT ROLE {bystander} TO USER {eve}", "REVOKE ROLE {bystander} FROM USER {eve}"):
        return _behind_the_wall(canaries, ("USE ROLE {bystander}",), ("USE ROLE {bystander}", "USE SECONDARY ROLES ALL"))


def _marked_bystander(canaries: SnowflakeCanaries) -> str:
    """A user that was not created for a vended role, such as an agent's own: only the marker identifies its session."""
    with _as_bystander(canaries) as ends:
        ends.enter_context(canaries.lent("GRANT ROLE {marker} TO ROLE {bystander}", "REVOKE ROLE {marker} FROM ROLE {bystander}"))
        session = _bystander(canaries)
        for way in ((), ("USE ROLE PUBLIC", "USE SECONDARY ROLES ALL")):
            found = attempted(session, *map(Sql, way), canaries.filled(_ALL))
            if found:
                return f"shows {len(found)} rows to a session that holds the marker" + (f" after {'; '.join(way)}" if way else "")
    return ""


def _reads_as_before(canaries: SnowflakeCanaries) -> str:
    with _as_bystander(canaries):
        found = len(values(_bystander(canaries), canaries.filled(_ALL)))
    return "" if found == 6 else f"shows {found} of 6 rows to who is no agent"


def _marker_in_session(canaries: SnowflakeCanaries) -> str:
    held = values(canaries.session, canaries.filled("SELECT IS_ROLE_IN_SESSION({marker_text})"))
    return "" if held == [(True,)] else "is not seen, though the profile of the session's role holds it"


def _public_is_inherited(canaries: SnowflakeCanaries) -> str:
    with canaries.open_to_public():
        found = values(canaries.log_in(canaries.eve), canaries.filled("SELECT NOTE FROM {ungoverned_table}"))
    return "" if found == [(canaries.token,)] else "does not hold"


def _secondary_roles(canaries: SnowflakeCanaries) -> str:
    """The reason for the marker: secondary roles count, with the roles that they inherit."""
    with _as_bystander(canaries):
        session = _bystander(canaries)
        found = attempted(
            session, Sql("USE ROLE PUBLIC"), Sql("USE SECONDARY ROLES ALL"), canaries.filled("SELECT 1 AS A FROM {ungoverned_table}")
        )
        return "" if found else "do not count"


def _fresh_secondary_roles(canaries: SnowflakeCanaries) -> str:
    """In a session that was opened before the role is granted."""
    session = canaries.log_in_as(canaries.programmer_login, role="PUBLIC")
    session.rows(Sql("USE SECONDARY ROLES ALL"))
    with _as_bystander(canaries):
        held = values(session, canaries.filled("SELECT IS_ROLE_IN_SESSION({bystander_text})"))
    return "" if held == [(True,)] else "are not looked up again for a statement"


def _turned_on(canaries: SnowflakeCanaries) -> str:
    """The session policy overrides what a user sets for itself."""
    with canaries.lent("GRANT ROLE {bystander} TO USER {eve}", "REVOKE ROLE {bystander} FROM USER {eve}"):
        session = canaries.log_in(canaries.eve)
        for statement in (canaries.filled("ALTER USER {eve} SET DEFAULT_SECONDARY_ROLES = ('ALL')"), Sql("USE SECONDARY ROLES ALL")):
            refusal(session, statement)
        fresh = canaries.log_in(canaries.eve)
        held = [values(each, canaries.filled("SELECT IS_ROLE_IN_SESSION({bystander_text})")) for each in (session, fresh)]
    return "" if held == [[(False,)]] * 2 else "has a role that is not its primary one"


def _as_bystander(canaries: SnowflakeCanaries) -> ExitStack:
    """Grant the bystander's role to the programmer's user, which is no agent's, and revoke it afterwards."""
    ends = ExitStack()
    ends.enter_context(canaries.lent("GRANT ROLE {bystander} TO USER {programmer}", "REVOKE ROLE {bystander} FROM USER {programmer}"))
    return ends


def _bystander(canaries: SnowflakeCanaries) -> SnowflakeSession:
    session = canaries.log_in_as(canaries.programmer_login, role=canaries.environment.bystander)
    session.rows(Sql("USE SECONDARY ROLES NONE"))
    return session


TRIALS = (
    trial("read a table that is granted to its profile", _granted_to_the_profile, "P1", "P5", "E2"),
    trial("read a table that is granted to everybody", _granted_to_public, "R8", "E3"),
    trial("read a table that is granted to its user", _granted_to_the_user, "R10", "R21"),
    trial("read a table by another role that its user is granted", _granted_role, "R3", "R20", "E3"),
    trial("read a table with the marker, by a user that is not ours", _marked_bystander, "R4", "R7", "E2"),
    trial("turn secondary roles on", _turned_on, "R19", "R20"),
    trial("who is no agent reads a governed table as before", _reads_as_before, "P1", leaks=False),
    trial("the marker is seen through the roles that hold it", _marker_in_session, "R7", leaks=False),
    trial("what PUBLIC may every vended role may", _public_is_inherited, "R8", leaks=False),
    trial("secondary roles count", _secondary_roles, "R4", leaks=False),
    trial("secondary roles that are all of a user's", _fresh_secondary_roles, "R5", leaks=False),
)
