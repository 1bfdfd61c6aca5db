"""The page docs/reference/snowflake-script.md: the SQL that a Snowflake account is asked to run, from the code that renders it."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from tables import sql

from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, ProfileName, RoleName, Uid, User
from rolevend.plan import Lease
from rolevend.platforms.protocol import Account, DropRequest, EndReason
from rolevend.platforms.snowflake import SnowflakeInstallOptions, script
from rolevend.platforms.snowflake.drop import drops
from rolevend.platforms.snowflake.install.removal_survey import SCRIPTED, AccountRemovalSurvey, PolicyUse
from rolevend.platforms.snowflake.install.uninstaller import planned
from rolevend.platforms.snowflake.sql import qualified
from rolevend.platforms.snowflake.vend import vends

_ACCOUNT = Account("myorg-account1", "myorg-account1.snowflakecomputing.com", 443, "SALES", "AGENTS_WH")
_CLUSTER = ClusterId("5c0a7e1e-0000-4000-8000-000000000001")
_LEASE = Lease(
    role=RoleName("IMMUTA_VENDED_FINBOT_E10442_3FXWQ4H5S8CK9RN2V6Y0ZTBDGM"),
    cluster=_CLUSTER,
    uid=Uid("7f1b7a45-0cb9-4327-9b06-a8b2c6a07dc2"),
    profile=ProfileName("rv_p_0123456789abcdef0123456789abcdef"),
    agent=ObjectName("agents", "finbot"),
    agent_handle=AgentHandle("FINBOT"),
    user=User("https://idp.example.org", "anna"),
    attributes=Attributes.of([("region", ["EU"])]),
    expires_at=datetime(2026, 9, 1, 12, 0, tzinfo=UTC),
)
_POLICIES = {
    kind: qualified("ROLEVEND", "CONTROL", f"{prefix}{'0123456789ABCDEF' * 2}")
    for kind, prefix in (("ROW_ACCESS_POLICY", "RV_R_"), ("MASKING_POLICY", "RV_M_"))
}
_ORDERS = qualified("SALES", "PUBLIC", "ORDERS")
_INSTALLED = AccountRemovalSurvey(
    server="MYORG_ACCOUNT1.AB12345",
    vended=(),
    logins=("ROLEVEND_VENDOR", "ROLEVEND_PROGRAMMER"),
    profiles=(_LEASE.profile.upper(),),
    roles=("RV_MARKER",),
    scripted=SCRIPTED,
    unmarked=(),
    has_database=True,
    uses=tuple(PolicyUse(kind, "TABLE", _ORDERS, policy, "EMAIL", is_ours=True) for kind, policy in _POLICIES.items()),
    foreign=(),
    quarantined=(),
)


def page() -> Iterator[str]:
    yield from (
        "# What runs in a Snowflake account",
        "",
        "Every statement here is rendered by the code that runs it. Nothing of it was run on Snowflake itself while rolevend was built:",
        "what it takes for granted is [listed](snowflake-assumptions.md).",
        "",
        "## The installation",
        "",
        "For the account `myorg-account1`, the schema `PUBLIC` of the database `SALES` and the warehouse `AGENTS_WH`, as",
        "`rolevend platform plan` prints it.",
        "",
    )
    yield from sql([script(_ACCOUNT, SnowflakeInstallOptions(("PUBLIC",))).text().rstrip()])
    yield from ("", "## A vend", "", "One request with six statements, whatever the number of tables.", "")
    yield from _statements(vends.vend(_LEASE, "<public key of the agent>", _ACCOUNT))
    yield from ("", "Then a look at what the role holds. Where it is anything but its profile, the role is dropped again.", "")
    yield from _statements([vends.grants(_LEASE)])
    ending = DropRequest(_LEASE.role, _LEASE.uid, EndReason.RELEASED)
    yield from ("", "## A drop", "", "One request with five statements. The answer to the first one says what the role owned.", "")
    yield from _statements(drops.drop(ending, _CLUSTER))
    yield from ("", "Then a look whether it is gone.", "")
    yield from _statements([drops.look(_LEASE.role)])
    yield from ("", "Where there is no warehouse, the same without the row, one by one:", "")
    yield from _statements(drops.without_warehouse(_LEASE.role))
    yield from (
        "",
        "## An uninstallation",
        "",
        "As `rolevend platform uninstall` prints it for an account with one profile, which reads one table, also by a tool. Each statement",
        "needs ACCOUNTADMIN, which the first one takes. [How to run it](../how-to/remove-rolevend.md#snowflake).",
        "",
    )
    yield from sql([planned(_INSTALLED).text().rstrip()])


def _statements(statements: Iterable[str]) -> Sequence[str]:
    return sql([f"{each};" for each in statements])
