"""What people have in their accounts, and what becomes of an account: each is a clear error, and nothing is done by halves.

Where the operator asks an account, its DataPlatform says the same: see tests/operator/test_snowflake.py.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from rolevend.catalog import TableId
from rolevend.errors import PlatformBusy, PlatformUnavailable
from rolevend.plan import view_names
from rolevend.platforms.protocol import DropRequest, EndReason
from rolevend.platforms.snowflake import SnowflakeLogin, SnowflakePlatform
from rolevend.platforms.snowflake.install.installation import VERSION
from rolevend.platforms.snowflake.install.installer import installed_comment
from rolevend.platforms.snowflake.sql import qualified
from rolevend.platforms.snowflake.vend.keys import new_key, public_key
from rolevend.policy.mask import Constant
from tests.conformance.bench import CLUSTER, lease, own, profile, shape, vended
from tests.conformance.snowflake_bench import (
    DATABASE,
    WAREHOUSE,
    SnowflakeBench,
    SnowflakeSession,
    connected,
    installed,
    not_lent,
    suspended,
)
from tests.support.snowflake import Account, StandIn

NAMES = (
    "lower case",
    'with "quotes"',
    "semicolon; DROP DATABASE APP; --",
    "it's",
    "back\\slash",
    "dotted.name",
    "ünïcode 表",
    "$$",
    "1",
    " ",
    "/* no comment */",
    "Long ".ljust(255, "g"),
)
"""Of tables and columns, as Snowflake has them between quotes."""
SCHEMA = 'a "schema"; it\'s'


@pytest.fixture(scope="module")
def account() -> Iterator[SnowflakeBench]:
    with StandIn() as snowflake, installed(snowflake) as bench:
        yield bench


@pytest.fixture
def bench(account: SnowflakeBench) -> Iterator[SnowflakeBench]:
    yield account
    account.tidy()


def fresh(bench: SnowflakeBench, **changes: object) -> SnowflakePlatform:
    """A driver that has no session yet."""
    return bench.platform_of(CLUSTER, **changes)


def make_named(bench: SnowflakeBench, name: str) -> TableId:
    """A table of that name in SCHEMA, with a column of that name, which has a region, and one of another."""
    full, column = qualified(DATABASE, SCHEMA, name), qualified(name)
    bench.run(f'CREATE TABLE {full} ({column} VARCHAR, "secret" VARCHAR)')
    bench.run(f"INSERT INTO {full} VALUES ('EU', 'one'), ('US', 'two')")
    return TableId(SCHEMA, name)


def test_names_of_every_kind_are_governed_and_masked(bench: SnowflakeBench):
    schema = qualified(DATABASE, SCHEMA)
    bench.run(f"CREATE SCHEMA {schema}")
    for role, privilege in (("RV_PROGRAMMER", "SELECT"), ("RV_VENDOR", "REFERENCES")):
        bench.run(f"GRANT USAGE ON SCHEMA {schema} TO ROLE {role}")
        bench.run(f"GRANT {privilege} ON FUTURE TABLES IN SCHEMA {schema} TO ROLE {role}")
    places = [make_named(bench, name) for name in NAMES]
    found = bench.platform.catalog(frozenset({SCHEMA})).tables
    tables = [found[place] for place in places]
    views = view_names(table.id for table in tables)
    shapes = [shape(each, own(each, each.id.name, "regions"), masks={"secret": Constant("-")}, view=views[each.id]) for each in tables]

    made, credential = vended(bench.platform, profile(*shapes), regions=["EU"])

    session = bench.log_in(credential)
    seen = {each.id.name: session.run(f"SELECT * FROM {qualified(views[each.id])}") for each in tables}
    assert seen == {name: [("EU", "-")] for name in NAMES}
    narrowed = replace(lease(profile(*shapes), regions=["EU"]), profile=made.profile, resources=(tables[1].id,))
    login = bench.platform.credential(narrowed, lambda size: bytes(size))
    assert [each.error for each in bench.platform.vend([(narrowed, login)])] == [None]
    session = bench.log_in(login)
    assert [len(session.run(f"SELECT * FROM {qualified(views[each.id])}")) for each in tables[:3]] == [0, 1, 0]


def test_a_schema_that_vanished_has_no_tables_and_what_was_to_be_built_on_it_is_of_no_use(bench: SnowflakeBench):
    people = bench.people()
    wanted = profile(shape(people))
    bench.run(f"DROP SCHEMA {DATABASE}.{people.id.schema}")

    assert bench.platform.catalog(frozenset({people.id.schema})).tables == {}
    with pytest.raises(PlatformBusy, match="does not exist or not authorized"):
        bench.platform.ensure(wanted)

    made = lease(wanted)
    (answer,) = bench.platform.vend([(made, bench.platform.credential(made, lambda size: bytes(size)))])
    assert isinstance(answer.error, PlatformBusy)
    assert not bench.exists(made.role)


def test_a_schema_that_vanishes_under_a_role_ends_what_it_reads_and_the_role_ends_as_ever(bench: SnowflakeBench):
    people = bench.people()
    made, credential = vended(bench.platform, profile(shape(people)))
    session = bench.log_in(credential)
    bench.run(f"DROP SCHEMA {DATABASE}.{people.id.schema}")

    with pytest.raises(Exception, match="does not exist"):
        session.rows("SELECT * FROM people")
    assert [each.error for each in bench.platform.drop([DropRequest(made.role, made.uid, EndReason.RELEASED)])] == [None]
    assert not bench.exists(made.role)


def test_a_table_with_a_masking_policy_of_somebody_elses_is_not_governed_and_the_column_is_told(bench: SnowflakeBench):
    people = bench.people()
    policy = f"{DATABASE}.{people.id.schema}.THEIRS"
    bench.run(f"CREATE MASKING POLICY {policy} AS (V VARCHAR) RETURNS VARCHAR -> '***'")
    bench.run(f'ALTER TABLE {DATABASE}.{people.id.schema}."people" MODIFY COLUMN "ssn" SET MASKING POLICY {policy}')
    obstacle = bench.catalog_table(people.id).obstacle
    assert f"has a masking policy on column ssn of somebody else's ({policy})" in obstacle
    assert "take it off, and say in an AccessPolicy what it says" in obstacle


def test_standard_edition_is_told_before_anything_is_built():
    with StandIn(Account(edition="STANDARD")) as snowflake, installed(snowflake) as bench:
        with pytest.raises(PlatformUnavailable, match="need Enterprise Edition: nothing can be governed in this account"):
            bench.platform.facts()
        assert [row for row in bench.admin.run("SHOW ROLES") if row[1].startswith("RV_P_")] == []


def test_an_account_without_the_script_says_that_it_was_not_run(bench: SnowflakeBench):
    with StandIn() as snowflake:
        admin = administrator(snowflake)
        for role, login in (("RV_VENDOR", bench.vendor), ("RV_PROGRAMMER", bench.programmer)):
            admin.run(f"CREATE ROLE {role}")
            admin.run(f"CREATE USER {login.user} RSA_PUBLIC_KEY = '{public_key(login.private_key)}'")
            admin.run(f"GRANT ROLE {role} TO USER {login.user}")
        admin.close()
        platform = SnowflakePlatform(replace(bench.account, port=snowflake.port), CLUSTER, bench.vendor, bench.programmer)
        try:
            with pytest.raises(PlatformUnavailable, match="the script of rolevend platform plan was not run in this account"):
                platform.facts()
        finally:
            platform.close()


def test_another_version_of_the_script_vends_nothing_and_live_roles_end(bench: SnowflakeBench):
    lease, _ = vended(bench.platform, profile(shape(bench.people())))
    for version, way_out in ((VERSION + 1, "use a newer rolevend"), (VERSION - 1, "run it again")):
        bench.run(f"ALTER DATABASE ROLEVEND SET COMMENT = '{installed_comment().replace(str(VERSION), str(version))}'")

        unusable = fresh(bench).facts().unusable

        assert unusable is not None
        assert unusable.startswith(f"version {version} of rolevend's script was run in this account, and ")
        assert unusable.endswith(way_out)
    try:
        assert [each.error for each in fresh(bench).drop([DropRequest(lease.role, lease.uid, EndReason.RELEASED)])] == [None]
        assert not bench.exists(lease.role)
    finally:
        bench.run(f"ALTER DATABASE ROLEVEND SET COMMENT = '{installed_comment()}'")
    assert fresh(bench).facts().unusable is None


def administrator(snowflake: StandIn) -> SnowflakeSession:
    return SnowflakeSession(connected(snowflake, "ADMIN", snowflake.administrator.private, role="ACCOUNTADMIN"))


@pytest.mark.parametrize("without", [suspended, not_lent])
def test_without_a_warehouse_nothing_is_vended_and_the_field_is_named_and_with_it_the_same_vend_is_whole(
    bench: SnowflakeBench, without: Callable[[SnowflakeBench], AbstractContextManager[None]]
):
    people = bench.people()
    wanted = profile(shape(people))
    bench.platform.ensure(wanted)
    made = lease(wanted)
    credential = bench.platform.credential(made, lambda size: bytes(size))
    with without(bench):
        (answer,) = bench.platform.vend([(made, credential)])
        with pytest.raises(PlatformUnavailable, match=r"spec\.snowflake\.warehouse must name a warehouse"):
            bench.platform.catalog(frozenset({people.id.schema}))
        assert not bench.exists(made.role)
        assert bench.platform.live() == []

    assert isinstance(answer.error, PlatformUnavailable)
    assert "spec.snowflake.warehouse must name a warehouse that RV_VENDOR and RV_PROGRAMMER may use" in str(answer.error)
    assert [each.error for each in bench.platform.vend([(made, credential)])] == [None]
    assert len(bench.log_in(credential).rows("SELECT * FROM people")) == 6


def test_another_key_of_a_login_is_told_and_so_is_one_that_is_no_key(bench: SnowflakeBench):
    for changes in (
        {"vendor": SnowflakeLogin(bench.vendor.user, new_key())},
        {"programmer": SnowflakeLogin(bench.programmer.user, new_key())},
    ):
        with pytest.raises(PlatformUnavailable, match="the private key of the Secret must belong to the RSA_PUBLIC_KEY of the user"):
            fresh(bench, **changes).facts()


def test_a_key_that_is_replaced_is_noticed_when_the_session_ends_and_the_new_one_heals(bench: SnowflakeBench):
    platform, key = fresh(bench), new_key()
    platform.facts()
    bench.run(f"ALTER USER \"{bench.vendor.user}\" SET RSA_PUBLIC_KEY = '{public_key(key)}'")
    try:
        bench.snowflake.account.tokens.expire(masters=True)
        with pytest.raises(PlatformUnavailable, match="JWT token is invalid"):
            platform.facts()
        assert fresh(bench, vendor=SnowflakeLogin(bench.vendor.user, key)).facts().version
    finally:
        reopened(bench)
        bench.run(f"ALTER USER \"{bench.vendor.user}\" SET RSA_PUBLIC_KEY = '{public_key(bench.vendor.private_key)}'")
    assert platform.facts().version


def test_a_login_that_is_disabled_says_who_can_mend_it(bench: SnowflakeBench):
    bench.run(f'ALTER USER "{bench.vendor.user}" SET DISABLED = TRUE')
    try:
        with pytest.raises(PlatformUnavailable, match="an administrator has disabled the login"):
            fresh(bench).facts()
    finally:
        bench.run(f'ALTER USER "{bench.vendor.user}" SET DISABLED = FALSE')


def test_a_network_policy_that_does_not_let_us_in_is_named_and_heals(bench: SnowflakeBench):
    platform = fresh(bench)
    bench.snowflake.account.lets_nobody_in = True
    try:
        with pytest.raises(PlatformUnavailable, match=r"is not allowed to access Snowflake.*its network policy must let the operator in"):
            platform.facts()
    finally:
        bench.snowflake.account.lets_nobody_in = False
    assert platform.facts().version


def test_what_public_has_is_a_limitation_that_names_it(bench: SnowflakeBench):
    people = bench.people()
    assert bench.platform.facts().limitations == ()
    bench.run(f'GRANT SELECT ON TABLE {DATABASE}.{people.id.schema}."people" TO ROLE PUBLIC')
    bench.run(f"GRANT USAGE ON WAREHOUSE {WAREHOUSE} TO ROLE PUBLIC")

    (limitation,) = bench.platform.facts().limitations

    assert limitation.startswith("every vended role has what PUBLIC has: ")
    assert f"SELECT on TABLE {DATABASE}.{people.id.schema}" in limitation
    assert f"USAGE on WAREHOUSE {WAREHOUSE}" in limitation


def reopened(bench: SnowflakeBench) -> None:
    """The administrator's own session, after every token was called off."""
    bench.admin.close()
    bench.admin = administrator(bench.snowflake)
    bench.admin.run(f"USE WAREHOUSE {WAREHOUSE}")
