"""A small account that is governed as the design says, for attacks on it: two vended roles of one agent, for France and for Germany."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from snowflake.connector import errors
from tests.support.snowflake.account import Account
from tests.support.snowflake.using import Session, Sessions
from tests.support.snowflake.wire import KeyPair, StandIn

_SET_UP = """
CREATE WAREHOUSE W;
CREATE DATABASE D;
CREATE TABLE D.PUBLIC.PEOPLE (ID NUMBER, COUNTRY VARCHAR, SSN VARCHAR);
CREATE DATABASE RV;
CREATE TABLE RV.PUBLIC.LEASE (ROLE VARCHAR, COUNTRY VARCHAR, EXPIRES_AT TIMESTAMP_TZ);
CREATE ROLE RV_MARKER;
CREATE ROLE PROGRAMMER;
CREATE ROLE VENDOR;
CREATE ROLE PROFILE;
GRANT ROLE RV_MARKER TO ROLE PROFILE;
GRANT CREATE ROLE ON ACCOUNT TO ROLE VENDOR;
GRANT CREATE USER ON ACCOUNT TO ROLE VENDOR;
GRANT USAGE ON DATABASE RV TO ROLE PROGRAMMER;
GRANT USAGE, CREATE ROW ACCESS POLICY, CREATE MASKING POLICY ON SCHEMA RV.PUBLIC TO ROLE PROGRAMMER;
GRANT SELECT ON TABLE RV.PUBLIC.LEASE TO ROLE PROGRAMMER;
GRANT APPLY ROW ACCESS POLICY ON ACCOUNT TO ROLE PROGRAMMER;
GRANT APPLY MASKING POLICY ON ACCOUNT TO ROLE PROGRAMMER;
GRANT USAGE ON WAREHOUSE W TO ROLE PUBLIC;
GRANT USAGE ON DATABASE D TO ROLE PROFILE;
GRANT USAGE ON SCHEMA D.PUBLIC TO ROLE PROFILE;
GRANT SELECT ON TABLE D.PUBLIC.PEOPLE TO ROLE PROFILE;
GRANT ROLE PROGRAMMER TO USER ADMIN;
GRANT OWNERSHIP ON ROLE PROFILE TO ROLE VENDOR COPY CURRENT GRANTS;
INSERT INTO D.PUBLIC.PEOPLE VALUES (1, 'FR', 'ssn-1'), (2, 'DE', 'ssn-2'), (3, 'US', 'ssn-3');
USE ROLE PROGRAMMER;
CREATE ROW ACCESS POLICY RV.PUBLIC.ROWS_OF AS (country VARCHAR) RETURNS BOOLEAN ->
  NOT IS_ROLE_IN_SESSION('RV_MARKER')
  OR country = (SELECT MIN(l.COUNTRY) FROM RV.PUBLIC.LEASE l WHERE l.ROLE = CURRENT_ROLE() AND l.EXPIRES_AT > CURRENT_TIMESTAMP());
CREATE MASKING POLICY RV.PUBLIC.HIDDEN AS (v VARCHAR) RETURNS VARCHAR -> CASE WHEN NOT IS_ROLE_IN_SESSION('RV_MARKER') THEN v END;
USE ROLE PROGRAMMER;
ALTER TABLE D.PUBLIC.PEOPLE ADD ROW ACCESS POLICY RV.PUBLIC.ROWS_OF ON (COUNTRY);
ALTER TABLE D.PUBLIC.PEOPLE MODIFY COLUMN SSN SET MASKING POLICY RV.PUBLIC.HIDDEN;
USE ROLE ACCOUNTADMIN;
"""
ALL = "SELECT ID, SSN FROM D.PUBLIC.PEOPLE ORDER BY ID"


class World:
    """Two vended roles of one agent, one for France and one for Germany, each with a user of its own, and an agent user with both."""

    def __init__(self, stand_in: StandIn, sessions: Sessions) -> None:
        self.stand_in = stand_in
        self.sessions = sessions
        self.keys: dict[str, KeyPair] = {}
        statements = [text for text in _SET_UP.strip().split(";\n") if text.strip()]
        for statement in statements:
            sessions.admin.run(statement)
        for role, country in (("VENDED_FR", "FR"), ("VENDED_DE", "DE")):
            self.vend(role, country)
        self.keys["AGENT"] = sessions.user("AGENT", "VENDED_FR", DEFAULT_WAREHOUSE="W")
        sessions.admin.run("GRANT ROLE VENDED_DE TO USER AGENT")

    def vend(self, role: str, country: str, *, seconds: float = 900) -> None:
        admin = self.sessions.admin
        expires = (self.stand_in.account.clock() + timedelta(seconds=seconds)).isoformat()
        admin.run("USE WAREHOUSE W")
        admin.run(f"CREATE ROLE {role}")
        admin.run(f"GRANT ROLE PROFILE TO ROLE {role}")
        admin.run(f"INSERT INTO RV.PUBLIC.LEASE SELECT '{role}', '{country}', TO_TIMESTAMP_TZ('{expires}')")
        self.keys[role] = self.sessions.user(role, role, TYPE="SERVICE_AGENT", DEFAULT_SECONDARY_ROLES="()", DEFAULT_WAREHOUSE="W")

    def as_user(self, user: str, **more: Any) -> Session:
        return self.sessions.open(user, self.keys[user], warehouse="W", **more)


@contextmanager
def world(account: Account | None = None) -> Iterator[World]:
    with StandIn(account) as stand_in, Sessions(stand_in) as sessions:
        yield World(stand_in, sessions)


Attack = Callable[[World], str]


@dataclass(frozen=True, slots=True)
class Named:
    """`page` is where the documents say that it must fail."""

    name: str
    attack: Attack
    page: str


def tried(session: Session, *statements: str) -> list[tuple[Any, ...]]:
    """What the last one answers; no row where any is refused."""
    rows: list[tuple[Any, ...]] = []
    for statement in statements:
        try:
            rows = session.run(statement)
        except errors.Error as error:
            if error.errno in (900001, 100132, 904, 1003):
                raise  # the model, and not the account, gave up
            return []
    return rows


def beyond(rows: list[tuple[Any, ...]], *allowed: int) -> str:
    """Rows of others, and numbers in clear."""
    others = [row for row in rows if row[0] not in allowed]
    clear = [row for row in rows if len(row) > 1 and row[1] is not None]
    return f"rows {others}, in clear {clear}" if others or clear else ""
