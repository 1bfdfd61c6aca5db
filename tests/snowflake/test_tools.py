"""Tools of agents in an account, by using roles that have them: on the stand-in, which is a model of Snowflake."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from snowflake.connector import errors as vendor

from rolevend.catalog import Catalog, TableId, Tool, ToolId, ToolKind
from rolevend.errors import Conflict, PlatformBusy
from rolevend.model import ClusterId, ProfileName
from rolevend.plan import Profile, TableShape
from rolevend.platforms.protocol import Credential
from rolevend.platforms.snowflake import SnowflakeLimits
from rolevend.policy.mask import Mask, Nullify, Partial
from tests.conformance.bench import CLUSTER, OTHER_CLUSTER, equal, lease, own, profile, shape, vend, vended
from tests.conformance.snowflake_bench import DATABASE, WAREHOUSE, SnowflakeBench, installed
from tests.conformance.snowflake_tools import (
    AS_CALLER,
    AS_OWNER,
    BEFORE,
    CORTEX,
    EXTRA,
    GOVERNED,
    PEOPLE,
    PRICES,
    TOOLS,
    search,
    semantic,
)
from tests.support.snowflake import StandIn

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def account() -> Iterator[SnowflakeBench]:
    with StandIn() as snowflake, installed(snowflake, BEFORE, TOOLS) as bench:
        yield bench


@pytest.fixture
def bench(account: SnowflakeBench) -> Iterator[SnowflakeBench]:
    yield account
    account.tidy()
    account.platform.collect(frozenset(), datetime.now(UTC) + timedelta(hours=1))


def catalog(bench: SnowflakeBench, *tools: ToolId) -> Catalog:
    return bench.platform.catalog(frozenset({GOVERNED}), tools=frozenset(tools or TOOLS))


def tool(bench: SnowflakeBench, wanted: ToolId) -> Tool:
    (found,) = catalog(bench, wanted).tools
    return found


def of_people(bench: SnowflakeBench, *, masks: dict[str, Mask] | None = None, text: str | None = None) -> TableShape:
    """The rows of the user's regions, or those of the region `text`."""
    table = catalog(bench).tables[PEOPLE]
    return shape(table, equal(table, "REGION", text) if text else own(table, "REGION", "regions"), masks=masks)


def with_tools(of: Profile, *tools: Tool) -> Profile:
    return replace(of, tools=tools)


def people(bench: SnowflakeBench, credential: Credential, columns: str = "ID") -> list[tuple[object, ...]]:
    """What it sees under the table's own name; [] where it is refused."""
    session = bench.log_in(credential)
    try:
        return sorted(session.run(f"SELECT {columns} FROM {DATABASE}.{GOVERNED}.PEOPLE"))
    except vendor.ProgrammingError:
        return []


class TestWhatIsThere:
    def test_is_told_with_what_is_behind_it(self, bench: SnowflakeBench):
        found = {each.id: each for each in catalog(bench).tools}

        assert found[EXTRA] == Tool(EXTRA)
        assert found[CORTEX] == Tool(CORTEX)
        assert found[AS_CALLER] == Tool(AS_CALLER)
        assert found[semantic("CLAIMS")] == Tool(semantic("CLAIMS"), reads=(PEOPLE, PRICES))
        assert found[search("FIND_PRICES")] == Tool(search("FIND_PRICES"), copies=((PRICES, "ID"), (PRICES, "PRICE")))

    @pytest.mark.parametrize(
        ("wanted", "why"),
        [
            (AS_OWNER, "acts with the rights of its owner, whom no policy binds: make it with EXECUTE AS CALLER"),
            (search("FIND_SOME"), "has another query than SELECT a, b FROM database.schema.table, so its columns are unknown"),
            (semantic("SAMPLES"), "holds sample values, which no policy masks: make it without"),
            (semantic("ELSEWHERE"), "reads OTHER.PUBLIC.T, which is not in database APP"),
            (semantic("OUTSIDE"), "reads OPEN.THINGS, which is not a table that the operator may read"),
        ],
        ids=str,
    )
    def test_has_an_obstacle_where_it_reads_around_policies(self, bench: SnowflakeBench, wanted: ToolId, why: str):
        assert tool(bench, wanted).obstacle == why

    def test_has_an_obstacle_where_policies_would_take_it_for_one_of_our_views(self, bench: SnowflakeBench):
        of_ours = f"{DATABASE}.SEM.OURS"
        bench.run(f"CREATE OR REPLACE SEMANTIC VIEW {of_ours} TABLES ({DATABASE}.{GOVERNED}.PEOPLE) METRICS (PEOPLE.N AS 1)")
        bench.run(f"GRANT SELECT ON SEMANTIC VIEW {of_ours} TO ROLE RV_PROGRAMMER WITH GRANT OPTION")
        assert tool(bench, semantic("OURS")).obstacle == ""

        bench.run(f"GRANT OWNERSHIP ON SEMANTIC VIEW {of_ours} TO ROLE RV_PROGRAMMER COPY CURRENT GRANTS")

        assert tool(bench, semantic("OURS")).obstacle == "belongs to RV_PROGRAMMER, which policies let pass: give it to another role"

    def test_has_an_obstacle_where_the_operator_may_not_give_it(self, bench: SnowflakeBench):
        bench.run("CREATE WAREHOUSE SEEN_WH")
        bench.run(f"USE WAREHOUSE {WAREHOUSE}")
        bench.run("GRANT USAGE ON WAREHOUSE SEEN_WH TO ROLE RV_PROGRAMMER")

        found = tool(bench, ToolId(ToolKind.WAREHOUSE, "SEEN_WH"))

        assert 'run GRANT USAGE ON WAREHOUSE "SEEN_WH" TO ROLE "RV_PROGRAMMER" WITH GRANT OPTION' in found.obstacle

    @pytest.mark.parametrize(
        "gone",
        [
            ToolId(ToolKind.WAREHOUSE, "GONE"),
            ToolId(ToolKind.SEMANTIC_VIEW, "CLAIMS", "GONE"),
            replace(AS_CALLER, arguments="NUMBER"),
            replace(AS_CALLER, arguments=""),
            ToolId(ToolKind.DATABASE_ROLE, "SNOWFLAKE.CORTEX_AGENT_USER"),
        ],
        ids=str,
    )
    def test_is_nothing_that_is_not_there(self, bench: SnowflakeBench, gone: ToolId):
        assert catalog(bench, gone).tools == ()

    def test_is_the_same_for_who_only_vends_and_may_not_see_it(self, bench: SnowflakeBench):
        seen = catalog(bench)
        vendor_only = bench.platform_of(CLUSTER, programmer=None)

        assert vendor_only.catalog(frozenset({GOVERNED}), tools=frozenset(TOOLS)).tools == seen.tools
        assert vendor_only.catalog(frozenset({GOVERNED}), tools=frozenset({EXTRA})).tools == (Tool(EXTRA),)
        other = bench.platform_of(OTHER_CLUSTER, programmer=None)
        assert other.catalog(frozenset({GOVERNED}), tools=frozenset(TOOLS)).tools == ()

    def test_is_looked_for_again_by_who_only_vends_until_the_programmer_has_looked(self, bench: SnowflakeBench):
        """And then kept, also where one of them is not there; until a profile is asked for that nobody built."""
        cluster, wanted = ClusterId("a-third-one"), frozenset({EXTRA, ToolId(ToolKind.WAREHOUSE, "GONE")})
        vendor_only = bench.platform_of(cluster, SnowflakeLimits(tags_seconds=600), programmer=None)

        def seen() -> tuple[Tool, ...]:
            return vendor_only.catalog(frozenset({GOVERNED}), tools=wanted).tools

        assert seen() == ()
        bench.platform_of(cluster).catalog(frozenset({GOVERNED}), tools=wanted)
        assert seen() == (Tool(EXTRA),)
        bench.run("DELETE FROM ROLEVEND.CONTROL.TOOL")
        assert seen() == (Tool(EXTRA),)
        with pytest.raises(PlatformBusy):
            vendor_only.ensure(Profile(ProfileName("rv_p_unbuilt"), ()))
        assert seen() == ()


class TestARoleWithASemanticView:
    def test_reads_the_tables_behind_it_under_their_policies(self, bench: SnowflakeBench):
        wanted = with_tools(profile(of_people(bench, masks={"SSN": Partial(1), "EMAIL": Nullify()})), tool(bench, semantic("PEOPLE")))
        _, eu = vended(bench.platform, wanted, regions=["EU"])
        _, us = vended(bench.platform, wanted, regions=["US"])

        assert people(bench, eu, "ID, REGION, EMAIL, SSN") == [(0, "EU", None, "***3"), (1, "EU", None, "***6")]
        assert people(bench, us, "ID, REGION, EMAIL, SSN") == [(2, "US", None, "***9")]
        assert bench.log_in(eu).rows('SELECT "ID" FROM "PEOPLE"') == [(0,), (1,)], "the view shows what it showed"
        assert [row[1] for row in bench.log_in(eu).run(f"SHOW SEMANTIC VIEWS IN SCHEMA {DATABASE}.SEM")] == ["PEOPLE"]

    def test_needs_no_more_than_what_is_behind_its_own(self, bench: SnowflakeBench):
        wanted = with_tools(profile(of_people(bench)), tool(bench, semantic("PEOPLE")))
        _, credential = vended(bench.platform, wanted, regions=["EU"])
        session = bench.log_in(credential)

        for statement in (f"SELECT * FROM {DATABASE}.{GOVERNED}.PRICES", f"DESCRIBE SEMANTIC VIEW {DATABASE}.SEM.CLAIMS"):
            with pytest.raises(vendor.ProgrammingError):
                session.run(statement)

    @pytest.mark.parametrize(
        "first", [("USE ROLE PUBLIC", "USE SECONDARY ROLES ALL"), ("USE SECONDARY ROLES ALL",), ("USE SECONDARY ROLES NONE",)], ids=" ".join
    )
    def test_sees_no_row_more_whatever_its_session_says_it_is(self, bench: SnowflakeBench, first: Sequence[str]):
        wanted = with_tools(profile(of_people(bench)), tool(bench, semantic("PEOPLE")))
        _, credential = vended(bench.platform, wanted, regions=["EU"])
        session = bench.log_in(credential)
        for statement in first:
            try:
                session.run(statement)
            except vendor.Error:  # what is refused is no way in
                continue
        try:
            seen = session.run(f"SELECT ID FROM {DATABASE}.{GOVERNED}.PEOPLE")
        except vendor.Error:
            seen = []
        assert {row[0] for row in seen} <= {0, 1}

    def test_sees_nothing_when_its_lease_is_over_or_for_other_tables(self, bench: SnowflakeBench):
        prices = shape(catalog(bench).tables[PRICES])
        wanted = with_tools(profile(of_people(bench), prices), tool(bench, semantic("CLAIMS")))
        narrowed = replace(lease(wanted, regions=["EU"]), resources=(PRICES,))
        credential = vend(bench.platform, wanted, narrowed)

        assert people(bench, credential) == []
        assert bench.log_in(credential).run(f"SELECT COUNT(*) FROM {DATABASE}.{GOVERNED}.PRICES") == [(2,)]
        bench.run(f"INSERT INTO ROLEVEND.CONTROL.LEASE (ROLE, EVENT, CLUSTER, UID) SELECT '{narrowed.role}', 'Expired', 'c', 'u'")
        assert bench.log_in(credential).run(f"SELECT COUNT(*) FROM {DATABASE}.{GOVERNED}.PRICES") == [(0,)]

    def test_changes_nothing_for_roles_without_it(self, bench: SnowflakeBench):
        plain = profile(of_people(bench))
        _, before = vended(bench.platform, plain, regions=["EU"])
        wanted = with_tools(profile(of_people(bench, masks={"SSN": Nullify()})), tool(bench, semantic("PEOPLE")))
        _, having = vended(bench.platform, wanted, regions=["US"])
        later = profile(of_people(bench, text="EU"))
        _, after = vended(bench.platform, later)

        assert (people(bench, before), people(bench, after), people(bench, having, "ID, SSN")) == ([], [], [(2, None)])
        assert bench.log_in(before).rows('SELECT "SSN" FROM "PEOPLE"') == [("123",), ("456",)]
        assert bench.log_in(after).rows('SELECT "SSN" FROM "PEOPLE"') == [("123",), ("456",)]
        assert bench.admin.run(f"SELECT COUNT(SSN) FROM {DATABASE}.{GOVERNED}.PEOPLE") == [(3,)], "who is no agent reads as before"

    def test_keeps_apart_from_another_one_over_the_same_table(self, bench: SnowflakeBench):
        claims = tool(bench, semantic("PEOPLE"))
        one, two = with_tools(profile(of_people(bench)), claims), with_tools(profile(of_people(bench, masks={"SSN": Nullify()})), claims)
        _, first = vended(bench.platform, one, regions=["EU"])
        _, second = vended(bench.platform, two, regions=["US"])

        assert people(bench, first, "ID, SSN") == [(0, "123"), (1, "456")]
        assert people(bench, second, "ID, SSN") == [(2, None)]

    def test_is_refused_where_another_profile_filters_by_what_it_masks(self, bench: SnowflakeBench):
        claims = tool(bench, semantic("PEOPLE"))
        _, live = vended(bench.platform, with_tools(profile(of_people(bench)), claims), regions=["EU"])
        table = catalog(bench).tables[PEOPLE]
        clashing = with_tools(profile(shape(table, masks={"REGION": Nullify()})), claims)

        with pytest.raises(Conflict, match=r"column REGION of GOVERNED\.PEOPLE is filtered by and masked for tools at once"):
            bench.platform.ensure(clashing)

        assert people(bench, live) == [(0,), (1,)]
        assert [row for row in bench.admin.run("SELECT PROFILE FROM ROLEVEND.CONTROL.FRAGMENT") if row[0] == clashing.name.upper()] == []

    def test_is_not_built_where_somebody_replaced_the_tool_since_it_was_looked_at(self, bench: SnowflakeBench):
        view = f"{DATABASE}.SEM.TURNED"
        bench.run(f"CREATE SEMANTIC VIEW {view} TABLES ({DATABASE}.{GOVERNED}.PEOPLE) METRICS (PEOPLE.N AS 1)")
        bench.run(f"GRANT SELECT ON SEMANTIC VIEW {view} TO ROLE RV_PROGRAMMER WITH GRANT OPTION")
        wanted = with_tools(profile(of_people(bench)), tool(bench, semantic("TURNED")))
        bench.run(f"CREATE OR REPLACE SEMANTIC VIEW {view} TABLES ({DATABASE}.{GOVERNED}.PRICES) METRICS (PRICES.N AS 1)")

        with pytest.raises(PlatformBusy, match=r"semantic view SEM\.TURNED is not what it was"):
            bench.platform.ensure(wanted)


class TestTheTableBehindATool:
    def test_shows_tools_no_column_that_came_later(self, bench: SnowflakeBench):
        wanted = with_tools(profile(of_people(bench)), tool(bench, semantic("PEOPLE")))
        _, credential = vended(bench.platform, wanted, regions=["EU"])
        bench.run(f"ALTER TABLE {DATABASE}.{GOVERNED}.PEOPLE ADD COLUMN ADDED VARCHAR")
        bench.run(f"UPDATE {DATABASE}.{GOVERNED}.PEOPLE SET ADDED = 'secret'")
        assert people(bench, credential, "ADDED") == [("secret",), ("secret",)], "until somebody looks"

        assert list(bench.platform.drift()) == []

        assert people(bench, credential, "ID, ADDED") == [(0, None), (1, None)]
        bench.tidy()
        bench.platform.collect(frozenset(), datetime.now(UTC) + timedelta(hours=1))
        bench.run(f"ALTER TABLE {DATABASE}.{GOVERNED}.PEOPLE DROP COLUMN ADDED")

    def test_has_drifted_where_a_policy_was_taken_off_and_the_next_vend_puts_it_back(self, bench: SnowflakeBench):
        wanted = with_tools(profile(of_people(bench, masks={"SSN": Nullify()})), tool(bench, semantic("PEOPLE")))
        made, credential = vended(bench.platform, wanted, regions=["EU"])
        bench.run(f"ALTER TABLE {DATABASE}.{GOVERNED}.PEOPLE MODIFY COLUMN SSN UNSET MASKING POLICY")

        (drift,) = bench.platform.drift()

        assert (drift.table, drift.roles) == (PEOPLE, (made.role,))
        assert "puts them back" in drift.finding
        vended(bench.platform, wanted, regions=["EU"])
        assert people(bench, credential, "SSN") == [(None,), (None,)]
        assert list(bench.platform.drift()) == []

    def test_has_the_wall_alone_again_when_no_profile_needs_more(self, bench: SnowflakeBench):
        wanted = with_tools(profile(of_people(bench, masks={"SSN": Nullify()})), tool(bench, semantic("PEOPLE")))
        vended(bench.platform, wanted, regions=["EU"])
        bench.tidy()

        assert bench.platform.collect(frozenset(), datetime.now(UTC) + timedelta(hours=1)) == 1

        assert bench.admin.run("SELECT * FROM ROLEVEND.CONTROL.FRAGMENT") == []
        assert [row[6] for row in bench.admin.run(f"DESCRIBE TABLE {DATABASE}.{GOVERNED}.PEOPLE")] == [None] * 4
        assert [row[-1] for row in bench.admin.run(f"SHOW TABLES IN SCHEMA {DATABASE}.{GOVERNED}") if row[1] == "PEOPLE"] == ["true"]

    @pytest.mark.parametrize("change", ["DROP TABLE {}", "ALTER TABLE {} MODIFY COLUMN MORE SET MASKING POLICY APP.GOVERNED.THEIRS"])
    def test_may_be_gone_or_somebody_elses_when_its_profile_goes(self, bench: SnowflakeBench, change: str):
        bench.run("CREATE OR REPLACE TABLE APP.GOVERNED.OTHERS (ID NUMBER, TEXT VARCHAR, MORE NUMBER)")
        bench.run("CREATE OR REPLACE SEMANTIC VIEW APP.SEM.OTHERS TABLES (APP.GOVERNED.OTHERS) METRICS (OTHERS.N AS 1)")
        bench.run("GRANT SELECT ON SEMANTIC VIEW APP.SEM.OTHERS TO ROLE RV_PROGRAMMER WITH GRANT OPTION")
        bench.run("CREATE MASKING POLICY IF NOT EXISTS APP.GOVERNED.THEIRS AS (V NUMBER) RETURNS NUMBER -> V")
        table = TableId(GOVERNED, "OTHERS")
        wanted = with_tools(profile(shape(catalog(bench).tables[table], masks={"TEXT": Nullify()})), tool(bench, semantic("OTHERS")))
        bench.platform.ensure(wanted)
        bench.run(change.format("APP.GOVERNED.OTHERS"))

        assert bench.platform.collect(frozenset(), datetime.now(UTC) + timedelta(hours=1)) == 1

        assert bench.admin.run("SELECT * FROM ROLEVEND.CONTROL.FRAGMENT") == []
        assert not bench.exists(wanted.name.upper())


class TestARoleWithOtherTools:
    def test_uses_them(self, bench: SnowflakeBench):
        prices = profile(shape(catalog(bench).tables[PRICES]))
        given = [tool(bench, each) for each in (EXTRA, CORTEX, AS_CALLER, search("FIND_PRICES"))]
        _, credential = vended(bench.platform, with_tools(prices, *given))
        session = bench.log_in(credential)

        session.run("USE WAREHOUSE EXTRA_WH")
        assert session.run("SELECT IS_ROLE_IN_SESSION('RV_CORTEX_USER')") == [(True,)]
        assert session.run(f"DESCRIBE CORTEX SEARCH SERVICE {DATABASE}.SEM.FIND_PRICES")[0][0] == "FIND_PRICES"
        assert session.run(f"DESCRIBE PROCEDURE {DATABASE}.SEM.AS_CALLER(NUMBER, VARCHAR)")[2] == ("execute as", "CALLER")

    def test_and_one_without_does_not(self, bench: SnowflakeBench):
        _, credential = vended(bench.platform, profile(shape(catalog(bench).tables[PRICES])))
        session = bench.log_in(credential)

        assert session.run("SELECT IS_ROLE_IN_SESSION('RV_CORTEX_USER')") == [(False,)]
        for statement in (
            "USE WAREHOUSE EXTRA_WH",
            f"DESCRIBE CORTEX SEARCH SERVICE {DATABASE}.SEM.FIND_PRICES",
            f"DESCRIBE PROCEDURE {DATABASE}.SEM.AS_CALLER(NUMBER, VARCHAR)",
            f"SELECT * FROM {DATABASE}.{GOVERNED}.PRICES",
        ):
            with pytest.raises(vendor.ProgrammingError):
                session.run(statement)
