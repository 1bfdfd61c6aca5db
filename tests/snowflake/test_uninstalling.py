"""An uninstallation leaves an account as it was, or is refused with the reason. It is a model of an account, and not Snowflake."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from snowflake.connector import errors

from rolevend.cli import cli
from rolevend.errors import Conflict
from rolevend.platforms.plan_text import PlannedStatement
from rolevend.platforms.protocol import DropRequest, EndReason
from rolevend.platforms.snowflake.connections import SnowflakeSession
from rolevend.platforms.snowflake.install.uninstaller import plan_uninstall, uninstall
from rolevend.platforms.uninstallation import UninstallPlan
from rolevend.policy.mask import Nullify
from tests.conformance.bench import own, profile, shape, vended
from tests.conformance.snowflake_bench import DATABASE, WAREHOUSE, SnowflakeBench, installed, uninstalled
from tests.conformance.snowflake_tools import BEFORE, EXTRA, GOVERNED, PEOPLE, PRICES, TOOLS, semantic
from tests.support.manifests import on_snowflake
from tests.support.snowflake import Fault, Harm, StandIn
from tests.support.snowflake.catalog import Thing
from tests.support.snowflake.using import administrators_connection

MINE = (
    *BEFORE,
    # Names as rolevend gives them, which it did not give, and policies and grants of others.
    *("CREATE ROLE RV_P_MINE", "CREATE ROLE RV_MINE", "CREATE ROLE ANALYST", "CREATE USER ROLEVEND_MINE", "CREATE USER ANNA"),
    *("GRANT ROLE RV_MINE TO ROLE ANALYST", "GRANT ROLE ANALYST TO USER ANNA", f"GRANT USAGE ON DATABASE {DATABASE} TO ROLE ANALYST"),
    f"GRANT USAGE ON SCHEMA {DATABASE}.{GOVERNED} TO ROLE ANALYST",
    f"GRANT SELECT ON FUTURE TABLES IN SCHEMA {DATABASE}.{GOVERNED} TO ROLE ANALYST",
    f"GRANT SELECT ON TABLE {DATABASE}.{GOVERNED}.PEOPLE TO ROLE ANALYST",
    f"CREATE TABLE {DATABASE}.OPEN.GUARDED (ID NUMBER, NOTE VARCHAR)",
    f"CREATE ROW ACCESS POLICY {DATABASE}.OPEN.RV_R_MINE AS (ID NUMBER) RETURNS BOOLEAN -> ID > 1",
    f"ALTER TABLE {DATABASE}.OPEN.GUARDED ADD ROW ACCESS POLICY {DATABASE}.OPEN.RV_R_MINE ON (ID)",
    "CREATE DATABASE OTHERS",
    "CREATE SESSION POLICY OTHERS.PUBLIC.MINE SESSION_IDLE_TIMEOUT_MINS = 30",
    "ALTER USER ANNA SET SESSION POLICY OTHERS.PUBLIC.MINE",
)

CRASHED = (
    "CREATE SCHEMA ROLEVEND.RV_CANARY_0",
    "CREATE TABLE ROLEVEND.RV_CANARY_0.T (ID NUMBER)",
    "CREATE ROLE RV_CANARY_0_BYSTANDER COMMENT = 'of an attestation by rolevend'",
)
"""What an attestation leaves that crashed."""

ATTACK = f'"RV_P_""; DROP DATABASE {DATABASE}; --"'
"""The name of a role that a stolen key of the vendor creates, for an administrator to run."""


def state(snowflake: StandIn) -> list[str]:
    """Every object of the account with all that the model knows of it, every membership, and every grant, also on what is to come."""
    catalog = snowflake.account.catalog
    names = ("settings", "columns", "returns", "body", "secure", "row_policy", "masks", "tags", "policies", "state")
    of = [
        f"{thing.kind} {thing.name} {thing.owner} {thing.comment} {[getattr(thing, each) for each in names]}"
        for thing in [catalog.account, *catalog._things.values()]
        if thing.name != ("ADMIN",)  # whose key is each account's own
    ]
    held = [
        f"{what} {member} {held} {granted.by} {granted.option}"
        for what, by_member in (("has", catalog.memberships), ("may", catalog.privileges), ("will", catalog.future))
        for member, each in by_member.items()
        for held, granted in each.items()
    ]
    return sorted([*of, *held])


def difference(before: Sequence[str], after: Sequence[str]) -> list[str]:
    return [*(f"- {each}" for each in before if each not in after), *(f"+ {each}" for each in after if each not in before)]


@cache
def before() -> list[str]:
    with StandIn() as twin:
        uninstalled(twin, MINE).close()
        return state(twin)


class Site:
    """An account with rolevend, and the state of its twin, in which it never was."""

    def __init__(self, bench: SnowflakeBench) -> None:
        self.bench, self.session = bench, SnowflakeSession(bench.admin.connection)
        self.before = before()

    def plan(self) -> UninstallPlan:
        return plan_uninstall(self.session, TOOLS)

    def uninstall(self) -> UninstallPlan:
        return uninstall(self.session, TOOLS, accept=self.plan().digest)

    def left(self) -> list[str]:
        return difference(self.before, state(self.bench.snowflake))

    def refusals(self) -> dict[str, str]:
        return {finding.subject: finding.text for finding in self.plan().refusals}


@contextmanager
def site(*, used: bool = True) -> Iterator[Site]:
    with StandIn() as snowflake, installed(snowflake, MINE, TOOLS) as bench:
        if used:
            work(bench)
        yield Site(bench)


def work(bench: SnowflakeBench) -> None:
    """Profiles with walls, with masks for tools and roles that are vended and dropped; what a crashed attestation leaves."""
    there = bench.platform.catalog(frozenset({GOVERNED}), tools=frozenset(TOOLS))
    view, extra = (next(each for each in there.tools if each.id == wanted) for wanted in (semantic("PEOPLE"), EXTRA))
    people = there.tables[PEOPLE]
    with_tools = replace(profile(shape(people, own(people, "REGION", "regions"), masks={"SSN": Nullify()})), tools=(extra, view))
    for each in (profile(shape(there.tables[PRICES])), with_tools):
        lease, _ = vended(bench.platform, each, regions=["EU"])
        answers = bench.platform.drop([DropRequest(lease.role, lease.uid, EndReason.RELEASED)])
        assert [answer.error for answer in answers] == [None]
    programmer = bench.session(bench.programmer.user, bench.programmer.private_key)
    for statement in CRASHED:
        programmer.run(statement)


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """For plans alone."""
    with site() as there:
        yield there


def test_an_uninstallation_that_is_cut_short_anywhere_opens_nothing_and_goes_on():
    with site() as there:
        beginning = 1 + sum("SET DISABLED" in each.text for each in there.plan().statements)
        plans = 0
        while statements := there.plan().statements:
            for done in (1, 2):  # an owner changes in the first statement of a pair
                cut_short(there, statements, beginning + done)
                opened(there)
            plans += 1
        assert plans > 5
        assert there.left() == []


def cut_short(there: Site, statements: Sequence[PlannedStatement], after: int) -> None:
    """Let the account refuse the statement that follows so many."""
    texts = [each.text for each in statements]
    if after >= len(texts):
        there.uninstall()
        return
    there.bench.snowflake.account.faults.refuse(texts[after], "000603", "cut short")
    with pytest.raises(errors.Error, match="cut short"):
        there.uninstall()


def opened(there: Site) -> None:
    """No governed table is without a policy of its own while anybody could get in by rolevend."""
    catalog = there.bench.snowflake.account.catalog
    walls = [each.row_policy for each in catalog.of("TABLE") if each.name[1:] in ((GOVERNED, "PEOPLE"), (GOVERNED, "PRICES"))]
    doors = [each.name[0] for each in catalog.of("ROLE") if re.fullmatch("RV_P_[0-9A-F]{32}", each.name[0])]
    logins = [each for each in catalog.of("USER") if each.name[0] in ("ROLEVEND_VENDOR", "ROLEVEND_PROGRAMMER")]
    assert len(walls) == 2
    assert not (None in walls and doors)
    assert all(each.settings.get("DISABLED") for each in logins)


def test_a_role_that_lives_refuses_it_until_it_is_ended_by_hand(shared: Site):
    bench = shared.bench
    lease, credential = vended(bench.platform, profile(shape(bench.people())))

    told = shared.refusals()[lease.role]
    with pytest.raises(Conflict, match=f"cannot uninstall: .*{lease.role}: this role lives"):
        shared.uninstall()

    assert bench.log_in(credential).rows("SELECT count(*) FROM people") == [(6,)], "nothing was changed"
    bench.platform.facts()
    for statement in told.partition("run: ")[2].split("; "):
        bench.run(statement)
    assert shared.refusals() == {}


def test_a_vend_that_was_under_way_refuses_it_and_the_operator_is_locked_out():
    with site(used=False) as there:
        account, digest = there.bench.snowflake.account, there.plan().digest

        def vends(_: str, statement: str) -> bool:
            if "SET DISABLED" in statement:
                account.catalog.add(Thing("ROLE", ("IMMUTA_VENDED_LATE",), "RV_VENDOR", account.clock()))
            return False

        account.faults.inject(Fault(Harm.REFUSED, vends))

        with pytest.raises(Conflict, match="read the new plan"):
            uninstall(there.session, TOOLS, accept=digest)

        assert there.refusals().keys() == {"IMMUTA_VENDED_LATE"}
        opened(there)
        assert there.plan().statements[-1].text == 'DROP USER "ROLEVEND_PROGRAMMER"', "nothing is gone yet"


def test_what_a_role_owned_at_its_end_is_named_and_stays():
    with site(used=False) as there:
        there.bench.run("CREATE DATABASE LEFT_BEHIND")
        there.bench.run("GRANT OWNERSHIP ON DATABASE LEFT_BEHIND TO ROLE RV_QUARANTINE COPY CURRENT GRANTS")

        (stays,) = [str(each) for each in there.plan().findings if each.kind.value == "stays"]
        there.uninstall()

        assert stays == "database LEFT_BEHIND: a vended role owned it at its end; RV_QUARANTINE owns it now, and ACCOUNTADMIN will"
        assert [each.partition(" [")[0] for each in there.left()] == [
            "+ DATABASE ('LEFT_BEHIND',) ACCOUNTADMIN ",
            "+ SCHEMA ('LEFT_BEHIND', 'PUBLIC') ACCOUNTADMIN ",
        ]


@pytest.mark.parametrize(
    ("statements", "subject", "text", "mended"),
    [
        (
            ("CREATE SCHEMA ROLEVEND.MINE",),
            'schema "ROLEVEND"."MINE"',
            "somebody else made it in database ROLEVEND; move or drop it",
            "DROP SCHEMA ROLEVEND.MINE",
        ),
        (
            ("CREATE TABLE ROLEVEND.PUBLIC.LEASE (ID NUMBER)",),
            'table "ROLEVEND"."PUBLIC"."LEASE"',
            "somebody else made it in database ROLEVEND; move or drop it",
            "DROP TABLE ROLEVEND.PUBLIC.LEASE",
        ),
        (
            ("CREATE USER BOB", "ALTER USER BOB SET SESSION POLICY ROLEVEND.CONTROL.VENDED_SESSION"),
            'user "BOB"',
            'has the session policy "ROLEVEND"."CONTROL"."VENDED_SESSION", which somebody else set; take it off first',
            "ALTER USER BOB UNSET SESSION POLICY",
        ),
        (
            (
                "CREATE ROW ACCESS POLICY ROLEVEND.CONTROL.RV_R_MINE AS (ID NUMBER) RETURNS BOOLEAN -> ID > 1",
                f"ALTER TABLE {DATABASE}.OPEN.THINGS ADD ROW ACCESS POLICY ROLEVEND.CONTROL.RV_R_MINE ON (ID)",
            ),
            f'table "{DATABASE}"."OPEN"."THINGS"',
            'has the row access policy "ROLEVEND"."CONTROL"."RV_R_MINE", which somebody else set; take it off first',
            f"ALTER TABLE {DATABASE}.OPEN.THINGS DROP ROW ACCESS POLICY ROLEVEND.CONTROL.RV_R_MINE",
        ),
        (
            ("ALTER ROLE RV_QUARANTINE SET COMMENT = 'ours since 2020'",),
            "RV_QUARANTINE",
            "its comment does not say that rolevend made it; if it did, run: "
            "ALTER ROLE \"RV_QUARANTINE\" SET COMMENT = 'rolevend: its role'",
            "ALTER ROLE RV_QUARANTINE SET COMMENT = 'rolevend: its role'",
        ),
    ],
    ids=["a schema", "a table", "a session policy", "a row access policy", "a role"],
)
def test_something_of_somebody_else_refuses_it(shared: Site, statements: Sequence[str], subject: str, text: str, mended: str):
    for statement in statements:
        shared.bench.run(statement)

    assert shared.refusals() == {subject: text}

    shared.bench.run(mended)
    assert shared.refusals() == {}


def test_the_command_prints_the_plan_and_runs_it_and_the_account_is_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SNOWFLAKE_HOME", str(tmp_path))
    with site() as there:
        snowflake, vendor = there.bench.snowflake, there.bench.vendor
        there.bench.session(vendor.user, vendor.private_key).run(f"CREATE ROLE {ATTACK}")
        where = {"account": snowflake.account.name, "host": "127.0.0.1", "port": snowflake.port, "protocol": "HTTP"}
        file = tmp_path / "platform.yaml"
        file.write_text(yaml.safe_dump(on_snowflake({**where, "database": DATABASE, "warehouse": WAREHOUSE})))
        connection = administrators_connection(snowflake, tmp_path, WAREHOUSE)

        def command(*more: str) -> Result:
            return CliRunner().invoke(cli, ["platform", "uninstall", "-f", str(file), *more])

        assert "Missing option '--connection'" in command().output
        printed = command("--connection", connection)
        assert "UNSET MASKING POLICY" in printed.stdout, "it was used"
        assert f"DROP ROLE {ATTACK};" in printed.stdout
        assert there.left(), "a plan changes nothing"
        digest = next(line.removeprefix("-- digest: ") for line in printed.stdout.splitlines() if line.startswith("-- digest: "))
        assert f"--connection {connection} --accept {digest}" in printed.stderr
        assert "BEGIN;" not in printed.stdout

        assert "uninstalled from database ROLEVEND" in command("--connection", connection, "--accept", digest).output
        assert there.left() == []
        assert "nothing to do" in command("--connection", connection).output
