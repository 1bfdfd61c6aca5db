"""What a vended role, and a stolen key of the vendor, try on an account that the driver's own script has prepared. On the stand-in."""

from collections.abc import Iterator

import pytest
from snowflake.connector import errors as vendor

from rolevend.plan import RoleLimits
from rolevend.platforms.protocol import KeyPairCredential
from tests.conformance.bench import own, profile, shape, vended
from tests.conformance.snowflake_bench import DATABASE, WAREHOUSE, SnowflakeBench, SnowflakeSession, installed
from tests.support.snowflake import StandIn


class Victim:
    """A role that reads the rows of EU, and another role of the same agent that reads those of US."""

    def __init__(self, bench: SnowflakeBench) -> None:
        people = bench.people()
        self.bench = bench
        self.table = f'{DATABASE}.{people.id.schema}."people"'
        wanted = profile(shape(people, own(people, "region", "regions")))
        _, self.credential = vended(bench.platform, wanted, regions=["EU"])
        _, self.other = vended(bench.platform, wanted, regions=["US"])
        assert isinstance(self.credential, KeyPairCredential)
        assert isinstance(self.other, KeyPairCredential)
        self.schema = f"ROLEVEND.{wanted.name.upper()}"
        self.session: SnowflakeSession = bench.log_in(self.credential)
        assert {row[1] for row in self.session.rows("SELECT * FROM people")} == {"EU"}


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    with StandIn() as snowflake, installed(snowflake) as bench:
        bench.run(f"GRANT USAGE ON DATABASE {DATABASE} TO ROLE PUBLIC")
        bench.run(f"GRANT USAGE ON WAREHOUSE {WAREHOUSE} TO ROLE PUBLIC")
        yield Victim(bench)
        bench.tidy()


def refused(session: SnowflakeSession, statement: str) -> None:
    with pytest.raises(vendor.Error) as error:
        session.run(statement)
    assert error.value.errno != 900001, f"the stand-in does not know the attack: {error.value}"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM {table}",
        "SELECT * FROM ROLEVEND.CONTROL.LEASE",
        "SELECT * FROM ROLEVEND.CONTROL.SALT",
        "INSERT INTO ROLEVEND.CONTROL.LEASE (ROLE, EVENT, CLUSTER, UID) VALUES ('x', 'VENDED', 'c', 'u')",
        'USE ROLE "{other}"',
        "USE ROLE RV_PROGRAMMER",
        'CREATE TABLE {schema}."copy" AS SELECT * FROM {schema}."people"',
        'CREATE TEMPORARY TABLE {schema}."copy" AS SELECT * FROM {schema}."people"',
        'CREATE VIEW {schema}."mine" AS SELECT * FROM {schema}."people"',
        'DROP VIEW {schema}."people"',
        "ALTER TABLE {table} DROP ALL ROW ACCESS POLICIES",
        'GRANT ROLE "{role}" TO ROLE PUBLIC',
        'GRANT SELECT ON VIEW {schema}."people" TO ROLE PUBLIC',
        'GRANT ROLE "{other}" TO USER "{role}"',
        'ALTER USER "{other}" SET DISABLED = TRUE',
        'DROP ROLE "{other}"',
        "CREATE ROLE MINE",
        "CREATE USER MINE",
    ],
)
def test_a_vended_role_is_refused(victim: Victim, statement: str):
    names = {"table": victim.table, "schema": victim.schema, "role": victim.credential.role, "other": victim.other.role}
    refused(victim.session, statement.format(**names))


@pytest.mark.parametrize(
    "first",
    [(), ("USE ROLE PUBLIC", "USE SECONDARY ROLES ALL"), ("USE ROLE PUBLIC", "USE SECONDARY ROLES NONE"), ("USE SECONDARY ROLES ALL",)],
    ids=" ".join,
)
def test_what_public_may_read_a_vended_user_does_not_see(victim: Victim, first: tuple[str, ...]):
    victim.bench.run(f"GRANT USAGE ON SCHEMA {victim.table.rpartition('.')[0]} TO ROLE PUBLIC")
    victim.bench.run(f"GRANT SELECT ON TABLE {victim.table} TO ROLE PUBLIC")
    session = victim.bench.log_in(victim.credential)
    for statement in first:
        try:
            session.run(statement)
        except vendor.Error:  # what is refused is no way in
            continue
    assert session.run(f"SELECT * FROM {victim.table}") == []
    try:
        seen = session.run(f'SELECT * FROM {victim.schema}."people"')
    except vendor.Error:
        seen = []
    assert {row[1] for row in seen} <= {"EU"}


def test_the_time_of_a_statement_is_a_default_that_a_session_can_raise_as_far_as_its_warehouse_lets_it(victim: Victim):
    wanted = profile(shape(victim.bench.people()))
    _, credential = vended(victim.bench.platform, wanted, limits=RoleLimits(transaction_seconds=1))
    session = victim.bench.log_in(credential)
    assert timed_out(session)

    session.run("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 600")
    assert not timed_out(session)

    victim.bench.run(f"ALTER WAREHOUSE {WAREHOUSE} SET STATEMENT_TIMEOUT_IN_SECONDS = 1")
    assert timed_out(session)
    victim.bench.run(f"ALTER WAREHOUSE {WAREHOUSE} UNSET STATEMENT_TIMEOUT_IN_SECONDS")


def timed_out(session: SnowflakeSession) -> bool:
    try:
        session.run("SELECT SYSTEM$WAIT(1.01)")
    except vendor.Error as error:
        return error.errno == 630
    return False


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM {table}",
        'SELECT * FROM {schema}."people"',
        "SELECT * FROM ROLEVEND.CONTROL.SALT",
        "UPDATE ROLEVEND.CONTROL.LEASE SET EVENT = 'VENDED'",
        "DELETE FROM ROLEVEND.CONTROL.LEASE",
        "INSERT INTO ROLEVEND.CONTROL.PROFILE (PROFILE, CLUSTER, TABLES) VALUES ('p', 'c', '[]')",
        "ALTER TABLE {table} DROP ALL ROW ACCESS POLICIES",
        "USE ROLE RV_PROGRAMMER",
        'REVOKE ROLE RV_MARKER FROM ROLE "{profile}"',
        "GRANT ROLE RV_PROGRAMMER TO ROLE RV_VENDOR",
        "ALTER TASK ROLEVEND.CONTROL.REAPER SUSPEND",
        "CREATE OR REPLACE PROCEDURE ROLEVEND.CONTROL.REAP() RETURNS INTEGER LANGUAGE SQL AS 'BEGIN RETURN 1; END'",
        "ALTER USER \"ROLEVEND_PROGRAMMER\" SET RSA_PUBLIC_KEY = 'x'",
    ],
)
def test_the_vendor_is_refused(victim: Victim, statement: str):
    """Other tests let PUBLIC read the table, and what PUBLIC has the vendor has, too."""
    bench = victim.bench
    bench.run(f"REVOKE SELECT ON TABLE {victim.table} FROM ROLE PUBLIC")
    session = bench.session(bench.vendor.user, bench.vendor.private_key, role="RV_VENDOR")
    refused(session, statement.format(table=victim.table, schema=victim.schema, profile=victim.schema.removeprefix("ROLEVEND.")))
