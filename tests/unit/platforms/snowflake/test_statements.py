"""Every statement of the Snowflake driver, as an administrator would review it."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from rolevend.catalog import TableId
from rolevend.errors import InvalidInput
from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, ProfileName, RoleName, Task, Uid, User
from rolevend.naming import PREFIX
from rolevend.plan import Lease
from rolevend.platforms.protocol import Account, DropRequest, EndReason
from rolevend.platforms.snowflake import SnowflakeInstallOptions, script
from rolevend.platforms.snowflake.build import collect
from rolevend.platforms.snowflake.drop import drops
from rolevend.platforms.snowflake.install.installation import PublicKeys
from rolevend.platforms.snowflake.install.installer import digest
from rolevend.platforms.snowflake.names import OwnershipTag, mark_of
from rolevend.platforms.snowflake.sql import Sql
from rolevend.platforms.snowflake.vend import vends
from tests.support.golden import golden

ACCOUNT = Account("myorg-account1", "myorg-account1.snowflakecomputing.com", 443, "CLAIMS", "AGENTS_WH")
CLUSTER = ClusterId("5c0a7e1e-0000-4000-8000-000000000001")
PROFILE = ProfileName("rv_p_0123456789abcdef0123456789abcdef")
LEASE = Lease(
    role=RoleName("IMMUTA_VENDED_FINBOT_E10442_3FXWQ4H5S8CK9RN2V6Y0ZTBDGM"),
    cluster=CLUSTER,
    uid=Uid("7b0f2e1c-9a4d-4c2b-8f5e-1d3c5b7a9f00"),
    profile=PROFILE,
    agent=ObjectName("agents", "assistant"),
    agent_handle=AgentHandle("FINBOT"),
    user=User("https://idp.example.org", "jane"),
    attributes=Attributes.of([("region", ["EU", 'O\'Brien \\ "x"'])]),
    expires_at=datetime(2026, 9, 1, 12, 0, tzinfo=UTC),
    resources=(TableId("CLAIMS", "PAID"), TableId("claims", 'od"d')),
    task=Task("t-1"),
)
ENDING = DropRequest(LEASE.role, LEASE.uid, EndReason.RELEASED)


def text_of(*parts: tuple[str, tuple[Sql, ...]]) -> str:
    return "\n\n".join(f"-- {title}\n" + "".join(f"{statement};\n" for statement in statements) for title, statements in parts)


def test_the_script_of_an_installation():
    keys = PublicKeys("MIIBvendor", "MIIBprogrammer")
    golden("snowflake_install.sql", script(ACCOUNT, SnowflakeInstallOptions(("PUBLIC", 'odd "schema"')), keys).text())


def test_what_an_administrator_consents_to_is_the_script_without_keys():
    options = SnowflakeInstallOptions(("PUBLIC",))
    assert digest(ACCOUNT, options) == digest(ACCOUNT, options)
    assert digest(ACCOUNT, options) != digest(ACCOUNT, SnowflakeInstallOptions(("PUBLIC", "MORE")))


def test_vending_and_dropping_one_role():
    golden(
        "snowflake_vend.sql",
        text_of(
            ("vend", vends.vend(LEASE, "MIIBagent", ACCOUNT)),
            ("look at what it holds", (vends.grants(LEASE),)),
            ("vend again, after a vend that was cut short before its lease", vends.vend_again(LEASE, "MIIB2", ACCOUNT, has_lease=False)),
            ("vend again", vends.vend_again(LEASE, "MIIB2", ACCOUNT, has_lease=True)),
        ),
    )
    golden(
        "snowflake_drop.sql",
        text_of(
            ("drop", drops.drop(ENDING, CLUSTER)),
            ("look whether it is gone", (drops.look(ENDING.role),)),
            ("drop what is left of it", drops.drop_remains(ENDING, CLUSTER)),
            ("lock out where there is no warehouse", drops.without_warehouse(ENDING.role)),
            ("what it owned", (drops.quarantine("TABLE", 'CLAIMS."odd".COPY'),)),
        ),
    )


def test_collecting_profiles():
    since = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
    golden(
        "snowflake_collect.sql", text_of(("find", (collect.unused(CLUSTER, since),)), ("write off", (collect.write_off(PROFILE, since),)))
    )


def test_what_lets_somebody_log_in_comes_last():
    for statements in (vends.vend(LEASE, "k", ACCOUNT), vends.vend_again(LEASE, "k", ACCOUNT, has_lease=True)):
        assert [bool(re.match(r"GRANT ROLE \S+ TO USER", statement)) for statement in statements] == [False] * (len(statements) - 1) + [
            True
        ]


def test_an_end_is_written_down_before_anything_is_dropped_and_the_user_is_locked_out_before_it_is_dropped():
    verbs = [" ".join(statement.split()[:2]) for statement in drops.drop(ENDING, CLUSTER)]
    assert verbs == ["SHOW GRANTS", "INSERT INTO", "ALTER USER", "DROP USER", "DROP ROLE"]


def test_a_vend_is_as_many_statements_for_one_table_as_for_a_thousand():
    from dataclasses import replace

    wide = replace(LEASE, resources=tuple(TableId("S", f"T{number}") for number in range(1000)))
    assert len(vends.vend(wide, "k", ACCOUNT)) == len(vends.vend(LEASE, "k", ACCOUNT)) == 6


@pytest.mark.parametrize("hostile", ['X"; DROP ROLE Y; --', "x' OR '1'='1", "lower", "", "1X"])
def test_a_role_that_is_no_name_of_ours_is_never_written(hostile: str):
    with pytest.raises(InvalidInput, match="is not a name of ours"):
        drops.drop(DropRequest(RoleName(hostile), LEASE.uid, EndReason.RELEASED), CLUSTER)


def test_a_mark_says_whose_a_role_is_and_nothing_else_does():
    mark = OwnershipTag(CLUSTER, LEASE.uid, LEASE.expires_at + timedelta(microseconds=1))
    assert mark_of(mark.text()) == mark
    assert mark.is_of(CLUSTER, LEASE.uid)
    assert not mark.is_of(CLUSTER, Uid("other"))
    for other in (
        None,
        "",
        "made by hand",
        "{}",
        '{"rolevend": 1}',
        '{"rolevend":{"cluster":"c","uid":"u","expires":"2026-01-01"}}',
        "[1]",
    ):
        assert mark_of(other) is None


def test_what_a_role_holds_beside_its_profile_or_lacks_is_told():
    planned = {"privilege": "USAGE", "granted_on": "ROLE", "name": PROFILE.upper()}
    assert vends.excess(LEASE, [planned]) == ""
    assert vends.excess(LEASE, []) == f"it does not hold its profile {PROFILE}"
    assert (
        vends.excess(LEASE, [planned, {"privilege": "OWNERSHIP", "granted_on": "TABLE", "name": "D.S.T"}])
        == "it holds OWNERSHIP on TABLE D.S.T"
    )


def test_what_comes_from_an_account_as_a_kind_of_object_is_letters_alone():
    assert drops.owned([{"privilege": "OWNERSHIP", "granted_on": "TABLE", "name": "T"}, {"privilege": "USAGE"}]) == (("TABLE", "T"),)
    with pytest.raises(ValueError, match="is no kind of object"):
        drops.quarantine("TABLE x; DROP ROLE y", "T")


def test_every_statement_about_a_vended_role_names_one_with_our_prefix():
    for statement in (*vends.vend(LEASE, "k", ACCOUNT), *drops.drop(ENDING, CLUSTER)):
        assert PREFIX in statement
