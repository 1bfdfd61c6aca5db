"""An attestation of an account that is in order passes and leaves nothing there, and each check of the model that is broken on purpose is
found by name. On the stand-in: it is a model of Snowflake, and not Snowflake."""

import contextlib
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from snowflake.connector import errors as vendor

from rolevend.app.attest import Attested, as_text
from rolevend.cli import cli
from rolevend.controllers.attestation import attestation_of
from rolevend.errors import InvalidInput, PlatformBusy, PlatformUnavailable, Unavailable
from rolevend.kinds import API_VERSION, DataPlatform, parse
from rolevend.model import ClusterId
from rolevend.plan import Lease
from rolevend.platforms.attestation.canaries import cluster_of_canaries
from rolevend.platforms.attestation.checks import NotAsExpected
from rolevend.platforms.protocol import CheckResult, InstallMode, Outcome, Secret
from rolevend.platforms.snowflake import SnowflakeLimits, SnowflakeLogin
from rolevend.platforms.snowflake.attest import (
    TRIALS,
    UNTRIED,
    SnowflakeAttestEnvironment,
    Trial,
    account_of_canaries,
    attest,
    deployed_canaries,
    examine,
)
from rolevend.platforms.snowflake.attest.canaries import SnowflakeCanaries, SnowflakeCanary
from rolevend.platforms.snowflake.attest.check import ON_ACCOUNTS_ALONE
from rolevend.platforms.snowflake.attest.session import now
from rolevend.platforms.snowflake.sql import Sql
from tests.conformance.bench import CLUSTER, OTHER_CLUSTER, profile, shape, vended
from tests.conformance.snowflake_bench import DATABASE, WAREHOUSE, SnowflakeBench, installed
from tests.support.snowflake import Account, Fault, Harm, StandIn
from tests.support.snowflake.switches import Switches
from tests.support.waiting import eventually

BY_NAME = {trial.what: trial for trial in TRIALS}
ENTIRE = [trial.name for trial in TRIALS if not trial.on_accounts_alone]

BROKEN: dict[str, tuple[str, ...]] = {
    "signatures": ("log in with a token that another key signed",),
    "token_life": ("log in with a token that is over",),
    "disabled_users": ("a user that is disabled is locked out",),
    "privileges": ("read the leases", "read the secret of hashes", "vendor: read a table", "programmer: write a lease", "create a role"),
    "ownership": ("make the view insecure", "vendor: stop the reaper", "lock another user out", "change its mark"),
    "role_membership": ("use the role of another user of its agent", "use the programmer's role", "log in with another role"),
    "secondary_roles": ("secondary roles count",),
    "fresh_secondary_roles": ("secondary roles that are all of a user's",),
    "marker_through_hierarchy": (
        "the marker is seen through the roles that hold it",
        "read a table with the marker, by a user that is not ours",
    ),
    "public_for_all": ("what PUBLIC may every vended role may",),
    "row_policies": (
        "read a table that is granted to its profile",
        "read a table that is granted to everybody",
        "read a table that is granted to its user",
        "read a table by another role that its user is granted",
        "a row access policy filters by what its owner may read",
    ),
    "masks": ("a masking policy masks, in conditions too",),
    "policies_bind_admins": ("a policy binds the owner of the table", "delete rows that a policy hides"),
    "apply_privilege": ("take a masking policy off", "take every row access policy off"),
    "owners_rights": ("a row access policy filters by what its owner may read",),
    "manage_grants": ("grant itself the role of another user", "pass its view on", "grant its role to everybody"),
    "transfer_at_drop": ("what a role owned goes to quarantine",),
    "invoker": ("read exactly the permitted rows",),
    "session_policies": ("turn secondary roles on",),
    "masks_on_writes": ("copy rows that a policy hides",),
    "temporary_is_private": ("read a temporary table of another session",),
}
"""Of each switch of the model: the checks that must fail without it."""
MENDED = {
    "apply_privilege": (
        "ALTER TABLE {policed} ADD ROW ACCESS POLICY {rows_of} ON (ID)",
        "ALTER TABLE {policed} MODIFY COLUMN SSN SET MASKING POLICY {hidden}",
    ),
    "policies_bind_admins": ("INSERT INTO {policed} SELECT ID, REGION, SSN FROM {people_table}",),
}
"""What the programmer has to do after that."""
NOT_TO_BE_SEEN = {"days_to_expiry": "R17"}
"""What an attestation cannot look at, by its assumption."""


@pytest.fixture(scope="module")
def account() -> Iterator[SnowflakeBench]:
    with StandIn() as snowflake, installed(snowflake) as bench:
        yield bench


def ground(bench: SnowflakeBench, cluster: ClusterId = CLUSTER) -> SnowflakeAttestEnvironment:
    of_canaries = cluster_of_canaries(cluster)
    limits = SnowflakeLimits(vendor_connections=1, programmer_connections=1)
    place = account_of_canaries(bench.account)
    driver = bench.platform_of(of_canaries, limits, account=place, governs_itself=True)
    return SnowflakeAttestEnvironment(driver, of_canaries, place, bench.vendor, bench.programmer, limits, secrets.token_bytes)


def everything(bench: SnowflakeBench) -> set[tuple[str, ...]]:
    """What there is on the account, and who has what of it. Rows of leases stay for a week."""
    catalog = bench.snowflake.account.catalog
    kinds = ("ROLE", "USER", "DATABASE", "SCHEMA", "TABLE", "VIEW", "ROW ACCESS POLICY", "MASKING POLICY", "SESSION POLICY", "PROCEDURE")
    things = {(thing.kind, *thing.name) for thing in catalog.of(*kinds)}
    privileges = {(str(member), *map(str, held)) for member, holds in catalog.privileges.items() for held in holds}
    members = {(str(holder), str(role)) for holder, roles in catalog.memberships.items() for role in roles}
    return things | privileges | members


def manifest_of(bench: SnowflakeBench) -> dict[str, object]:
    place = {"account": bench.account.identifier, "host": bench.account.host, "port": bench.account.port, "protocol": "HTTP"}
    refs = {f"{who}SecretRef": {"name": f"app-{who}"} for who in ("programmer", "vendor")}
    spec = {"snowflake": {**place, "database": DATABASE, "warehouse": WAREHOUSE}, "credentials": refs}
    return {"apiVersion": API_VERSION, "kind": "DataPlatform", "metadata": {"name": "app"}, "spec": spec}


def secrets_of(bench: SnowflakeBench) -> list[dict[str, object]]:
    """As `rolevend platform install` writes them."""
    logins = {"programmer": bench.programmer, "vendor": bench.vendor}
    return [
        {
            "kind": "Secret",
            "metadata": {"name": f"app-{who}"},
            "stringData": {"username": login.user, "private_key": login.private_key.reveal()},
        }
        for who, login in logins.items()
    ]


def command(folder: Path, bench: SnowflakeBench, *more: str) -> Result:
    """`rolevend platform attest` from a manifest and its Secrets, where there is no cluster."""
    manifest, logins = folder / "platform.yaml", folder / "secrets.yaml"
    manifest.write_text(yaml.safe_dump(manifest_of(bench)))
    logins.write_text(yaml.safe_dump_all(secrets_of(bench)))
    return CliRunner().invoke(cli, ["platform", "attest", "-f", str(manifest), "--secrets", str(logins), *more], catch_exceptions=False)


@pytest.fixture(scope="module")
def answer(account: SnowflakeBench, tmp_path_factory: pytest.TempPathFactory) -> Result:
    account.platform.facts()  # which leaves the one wall that tables share
    before = everything(account)
    answered = command(tmp_path_factory.mktemp("attest"), account, "--output", "json")
    assert everything(account) == before, "something is left"
    return answered


@pytest.fixture(scope="module")
def attestation(answer: Result) -> dict[str, CheckResult]:
    told = json.loads(answer.stdout)
    results = [CheckResult(name, Outcome.PASSED) for name in told["passed"]]
    results += [CheckResult(each["name"], Outcome.FAILED, each["detail"], each["leaks"]) for each in told.get("failed", [])]
    results += [CheckResult(each["name"], Outcome.NOT_TRIED, each["reason"]) for each in told["notTried"]]
    return {result.check: result for result in results}


@pytest.mark.long
def test_the_command_says_which_account_it_was(account: SnowflakeBench, answer: Result):
    told = json.loads(answer.stdout)
    assert (answer.exit_code, told["edition"], told["serverVersion"]) == (0, "Enterprise or higher", account.platform.facts().version)
    assert told["serverIdentifier"] == account.platform.facts().identifier


def test_what_failed_is_told_first_and_then_which_account_it_was(account: SnowflakeBench):
    switches = account.snowflake.account.switches
    with deployed_canaries(ground(account)) as canaries:
        switches.invoker = False
        try:
            results = examine([BY_NAME["read exactly the permitted rows"], BY_NAME["read what a table held before"]], canaries)
        finally:
            switches.invoker = True
    attestation = attestation_of(results, account.platform.facts(), None, datetime(2026, 9, 1, tzinfo=UTC))
    first, second, last = as_text(Attested(parse(DataPlatform, manifest_of(account)), attestation)).splitlines()
    assert re.fullmatch(r"FAILED +read exactly the permitted rows \[.*\] +shows the rows \[\], and may show 0 and 1", first)
    assert re.fullmatch(f"not tried +read what a table held before +{ON_ACCOUNTS_ALONE}", second)
    counts = "app: 0 passed, 1 failed, 0 not preventable here, 1 not tried"
    assert re.fullmatch(rf"{counts} \(Snowflake Enterprise or higher \S+, account \S+, rolevend \S+\)", last)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (slice(0), "must hold the Secret app-programmer with its stringData"),
        (slice(1), "must hold the Secret app-vendor with its stringData"),
    ],
)
def test_logins_that_are_missing_are_named(account: SnowflakeBench, tmp_path: Path, kept: slice, message: str):
    manifest, logins = tmp_path / "platform.yaml", tmp_path / "secrets.yaml"
    manifest.write_text(yaml.safe_dump(manifest_of(account)))
    logins.write_text(yaml.safe_dump_all(secrets_of(account)[kept]))
    with pytest.raises(InvalidInput, match=message):
        CliRunner().invoke(cli, ["platform", "attest", "-f", str(manifest), "--secrets", str(logins)], catch_exceptions=False)


@pytest.mark.parametrize("words", [(), ("warehouse", "-f", "README.md", "--secrets", "README.md"), ("-f", "README.md")])
def test_either_a_platform_is_named_or_both_files(words: tuple[str, ...]):
    answered = CliRunner().invoke(cli, ["platform", "attest", *words])
    assert answered.exit_code == 2
    assert "name a DataPlatform for the operator to attest, or give --filename and --secrets" in answered.output


@pytest.mark.parametrize("name", ENTIRE)
def test_a_promise_holds_and_an_attack_fails(attestation: dict[str, CheckResult], name: str):
    assert attestation[name].outcome is Outcome.PASSED, attestation[name].detail


def test_what_is_not_tried_is_told_with_the_reason(attestation: dict[str, CheckResult]):
    untried = {name: result.detail for name, result in attestation.items() if result.outcome is Outcome.NOT_TRIED}
    of_accounts = {trial.name: ON_ACCOUNTS_ALONE for trial in TRIALS if trial.on_accounts_alone}
    assert untried == of_accounts | {each.result.check: each.why for each in UNTRIED}
    assert len(attestation) == len(TRIALS) + len(UNTRIED), "two checks have one name"
    assert all(len(name) <= 128 for name in attestation), "longer than a status takes"


def test_the_real_cluster_sees_no_canary(account: SnowflakeBench):
    before = account.platform.facts()
    with deployed_canaries(ground(account)) as canaries:
        assert len(canaries.session.rows(canaries.filled("SELECT ID FROM PEOPLE"))) == 2
        assert account.platform.live() == []
        assert account.platform.drift() == ()
        assert account.platform.facts() == before


@pytest.mark.parametrize(("code", "tells"), [(100051, True), (100038, True), (606, False), (2003, False), (3001, False)])
def test_an_error_is_a_leak_where_a_value_made_it_and_not_where_nobody_may_ask(code: int, tells: bool):
    class Refusing:
        def rows(self, statement: Sql) -> list[dict[str, object]]:
            raise vendor.ProgrammingError(msg="refused", errno=code)

    canaries: Any = SimpleNamespace(session=Refusing(), filled=lambda statement: Sql(statement))
    trial = BY_NAME["search hidden cells"]

    with contextlib.nullcontext() if tells else pytest.raises(vendor.ProgrammingError):
        assert trial.test(canaries) == "an error tells of hidden values"


def test_a_role_that_is_vended_meanwhile_is_not_touched(account: SnowflakeBench):
    _, credential = vended(account.platform, profile(shape(account.people())))
    attest(ground(account), ())
    assert len(account.log_in(credential).rows("SELECT * FROM people")) == 6
    account.tidy()


# What bites


@dataclass
class Hatched:
    bench: SnowflakeBench
    canaries: SnowflakeCanaries

    def failures(self, whats: tuple[str, ...]) -> set[str]:
        results = examine([BY_NAME[what] for what in whats], self.canaries)
        return {result.check for result in results if result.outcome is Outcome.FAILED}


@pytest.fixture(scope="module")
def hatched_canaries() -> Iterator[Hatched]:
    """On an account of its own, which is left as broken as it gets."""
    with StandIn() as snowflake, installed(snowflake) as bench:
        begun = deployed_canaries(ground(bench))
        canaries = begun.__enter__()
        assert canaries.policed, "so that those that others attack are there before anything is broken"
        assert canaries.session.rows(canaries.filled("SELECT ID FROM PEOPLE"))
        yield Hatched(bench, canaries)
        canaries.ends.close()


def names(whats: tuple[str, ...]) -> set[str]:
    return {BY_NAME[what].name for what in whats}


def test_a_login_with_a_key_that_is_no_key_says_nothing_about_the_account(hatched_canaries: Hatched):
    """An attestation does not check the keys that it generates. A generated key that was inconsistent would not count as a refused login,
    because the connector checks it, and so no check passes because of it."""
    canaries = hatched_canaries.canaries
    key = rsa.generate_private_key(65537, 2048).private_numbers()
    parts = {each: getattr(key, each) for each in ("p", "q", "dmp1", "dmq1", "iqmp", "public_numbers")}
    inconsistent = rsa.RSAPrivateNumbers(**parts, d=key.d + 2).private_key(unsafe_skip_rsa_key_validation=True)
    encoded = inconsistent.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    with pytest.raises(NotAsExpected, match="Could not parse DER private key"):
        canaries.lets_in_as(SnowflakeLogin(canaries.eve.credential.user, Secret(encoded.decode()), is_generated=True))
    assert canaries.lets_in(canaries.eve)


def test_each_check_of_the_model_is_looked_at_or_told_to_be_beyond_sight():
    assert {field.name for field in fields(Switches)} == BROKEN.keys() | NOT_TO_BE_SEEN.keys()
    assert set(NOT_TO_BE_SEEN.values()) <= {assumption for each in UNTRIED for assumption in each.assumptions}


@pytest.mark.thinned(4, "full")
@pytest.mark.parametrize("switch", BROKEN)
def test_a_check_of_the_model_that_is_broken_is_found_by_name(hatched_canaries: Hatched, switch: str):
    switches, canaries = hatched_canaries.bench.snowflake.account.switches, hatched_canaries.canaries
    setattr(switches, switch, False)
    try:
        assert hatched_canaries.failures(BROKEN[switch]) == names(BROKEN[switch])
    finally:
        setattr(switches, switch, True)
        for statement in MENDED.get(switch, ()):
            canaries.programmer.rows(canaries.filled(statement))
        canaries.session = canaries.log_in(canaries.eve)  # whatever role the old one has taken


# What goes wrong


@pytest.mark.long
@pytest.mark.parametrize("alone", [False, True])
def test_what_a_crash_left_is_taken_away_by_the_next_run_at_once_where_nobody_else_attests_or_when_its_time_is_over(alone: bool):
    with StandIn() as snowflake, installed(snowflake) as bench:
        before = everything(bench)
        place = ground(bench)
        crashed = deployed_canaries(place)
        canaries = crashed.__enter__()
        assert len(canaries.session.rows(canaries.filled("SELECT ID FROM PEOPLE"))) == 2
        assert canaries.policed
        for what in ("USAGE ON DATABASE {database}", "USAGE ON SCHEMA {schema}", "SELECT ON TABLE {guarded_table}"):
            canaries.programmer.rows(canaries.filled(f"GRANT {what} TO ROLE PUBLIC"))
        canaries.ends.close()  # as the end of the process does: sessions go, and nothing is tidied
        assert len(everything(bench) - before) > 20

        if not alone:
            with pytest.raises(
                PlatformBusy, match=r"another attestation of this cluster is running, or crashed: .* until \d\d:\d\d:\d\d UTC"
            ):
                attest(place, ())
            snowflake.account.clock = lambda: datetime.now(UTC) + timedelta(seconds=SnowflakeCanaries.LIFE + 5)
        attest(replace(place, alone=alone), ())

        assert everything(bench) == before


@pytest.mark.long
def test_on_a_slow_account_the_canary_that_expires_soon_gets_a_longer_lease(account: SnowflakeBench):
    """Its first lease would have expired before the account let the role be vended."""
    with deployed_canaries(ground(account)) as canaries:
        vend, expired = canaries.vend, []

        def slow(lease: Lease) -> SnowflakeCanary:
            if not expired:
                expired.append(lease)
                eventually(lambda: now(canaries.vendor) > lease.expires_at)
            return vend(lease)

        canaries.vend = slow  # type: ignore[method-assign]
        expiring = canaries.expiring.canary

        assert expired
        assert expiring.lease.expires_at > expired[0].expires_at


@pytest.mark.parametrize("steps", [1, 7])
def test_one_that_is_not_wanted_any_more_is_cut_short_and_leaves_nothing(account: SnowflakeBench, steps: int):
    """While its profiles are built, and between two checks."""
    before = everything(account)
    left_to_do = iter(range(steps))
    with pytest.raises(Unavailable, match="the attestation was cut short"):
        attest(replace(ground(account), wanted=lambda: next(left_to_do, None) is not None), TRIALS[:5])
    assert everything(account) == before


@pytest.mark.parametrize("statement", ["CREATE TABLE", "CREATE ROLE", "SECURE VIEW", "GRANT OWNERSHIP"])
def test_one_that_is_cut_short_while_it_makes_canaries_leaves_nothing(account: SnowflakeBench, statement: str):
    before = everything(account)
    account.snowflake.account.faults.inject(Fault(Harm.REFUSED, lambda _, sql: statement in sql, 1))
    with pytest.raises(Unavailable):
        attest(ground(account), ())
    assert everything(account) == before


@pytest.mark.long
def test_another_cluster_attests_at_the_same_time(account: SnowflakeBench):
    with deployed_canaries(ground(account)) as one, deployed_canaries(ground(account, OTHER_CLUSTER)) as other:
        for canaries in (one, other):
            assert len(canaries.session.rows(canaries.filled("SELECT ID FROM PEOPLE"))) == 2


@pytest.mark.long
def test_one_that_takes_longer_than_its_canaries_live_says_nothing(account: SnowflakeBench):
    """What they no longer see then is no promise that was kept."""
    before = everything(account)
    clock = account.snowflake.account.clock

    def late(_: SnowflakeCanaries) -> str:
        account.snowflake.account.clock = lambda: datetime.now(UTC) + timedelta(seconds=SnowflakeCanaries.LIFE + 5)
        return "shows what is hidden"

    try:
        with pytest.raises(PlatformBusy, match="took so long that its canaries expired"):
            attest(ground(account), [Trial("read what is hidden", late)])
    finally:
        account.snowflake.account.clock = clock
    assert everything(account) == before


@pytest.mark.long
def test_an_account_that_goes_away_in_between_is_no_failure_of_a_promise(account: SnowflakeBench):
    with deployed_canaries(ground(account)) as canaries:
        assert canaries.session.rows(canaries.filled("SELECT ID FROM PEOPLE"))
        account.snowflake.account.faults.on_statement(Harm.LOST_BEFORE, "FROM people", times=SnowflakeLimits().attempts)
        with pytest.raises(Unavailable):
            examine([BY_NAME["read exactly the permitted rows"]], canaries)


@pytest.mark.long
@pytest.mark.parametrize(
    ("check", "statement", "ahead"),
    [
        ("ask after the expiry", "FROM TIMED", "expiring"),
        ("keep a session over the release", "SELECT 1 AS A", "released"),
        ("keep a running statement over the release", "SELECT SYSTEM$WAIT", "eve"),
    ],
)
def test_a_connection_that_is_lost_is_no_end_of_a_role(account: SnowflakeBench, check: str, statement: str, ahead: str):
    with deployed_canaries(ground(account)) as canaries:
        getattr(canaries, ahead)
        account.snowflake.account.faults.on_statement(Harm.LOST_BEFORE, statement, times=SnowflakeLimits().attempts)
        with pytest.raises(Unavailable):
            examine([BY_NAME[check]], canaries)


def test_a_process_without_the_programmer_says_that_it_cannot(account: SnowflakeBench):
    with pytest.raises(PlatformUnavailable, match="no programmer's credential"):
        account.platform_of(CLUSTER, programmer=None).attest(InstallMode.SUPERUSER, secrets.token_bytes, alone=True)


def test_standard_edition_is_told_and_nothing_is_left():
    with StandIn(Account(edition="STANDARD")) as snowflake, installed(snowflake) as bench:
        before = everything(bench)
        with pytest.raises(PlatformUnavailable, match="need Enterprise Edition"):
            bench.platform.attest(InstallMode.SUPERUSER, secrets.token_bytes, alone=True)
        assert everything(bench) == before


def test_rows_that_are_missing_are_no_leak_and_those_that_are_too_many_are_one(account: SnowflakeBench):
    """The first shows that a promise does not hold, the second closes the platform."""
    check = BY_NAME["a row access policy filters by what its owner may read"]
    with deployed_canaries(ground(account)) as canaries:
        for condition, leaks in (("FALSE", False), ("TRUE", True)):
            assert canaries.policed
            canaries.programmer.rows(canaries.filled(f"ALTER ROW ACCESS POLICY {{rows_of}} SET BODY -> {condition}"))
            (result,) = examine([check], canaries)
            assert (result.outcome, result.leaks) == (Outcome.FAILED, leaks), result.detail


def test_what_fails_for_another_reason_than_a_missing_right_is_no_leak(account: SnowflakeBench):
    def odd(canaries: SnowflakeCanaries) -> str:
        canaries.session.rows(canaries.filled("SELECT NO_SUCH_COLUMN FROM PEOPLE"))
        return ""

    (failed, leaking, *_) = attest(ground(account), [Trial("read a column", odd), Trial("read", lambda _: "shows what is hidden")])
    assert (failed.outcome, failed.leaks, failed.detail[:18]) == (Outcome.FAILED, False, "failed with 000904")
    assert (leaking.outcome, leaking.leaks, leaking.detail) == (Outcome.FAILED, True, "shows what is hidden")
