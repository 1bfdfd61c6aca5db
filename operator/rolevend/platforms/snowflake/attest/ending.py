"""The end of a role: it expires without any action of the operator, and a release is final."""

from typing import LiteralString

from rolevend.errors import Conflict
from rolevend.model import ClusterId
from rolevend.platforms.attestation import common_checks as common
from rolevend.platforms.protocol import DropRequest, EndReason
from rolevend.platforms.snowflake.attest.canaries import SnowflakeCanaries
from rolevend.platforms.snowflake.attest.check import Trial, trial
from rolevend.platforms.snowflake.drop import statements as driver_ending
from rolevend.platforms.snowflake.sql import Sql, compose, name


def _login_after_expiry(canaries: SnowflakeCanaries) -> str:
    """The login may succeed until the user is dropped, and the session sees nothing."""
    canaries.wait_for_expiry()
    canary = canaries.expiring.canary
    return canaries.answered(canaries.log_in(canary)) if canaries.lets_in(canary) else ""


def _another_cluster(canaries: SnowflakeCanaries) -> str:
    bob = canaries.bob.lease
    try:
        driver_ending.end(canaries.vendor, DropRequest(bob.role, bob.uid, EndReason.REVOKED), ClusterId("another"))
    except Conflict:
        return ""
    return "was ended by another cluster"


def _with_user(what: str, statement: LiteralString, *assumptions: str) -> Trial:
    """Return a trial of a statement of the vendor on the user of a canary that has an open session."""

    def test(canaries: SnowflakeCanaries) -> str:
        canary = canaries.vend(canaries.lease(canaries.profiles.brief, "CLOSED"))
        session = canaries.log_in(canary)
        if not session.rows(Sql("SELECT ID FROM TIMED")):
            return "cannot be tried: the role sees nothing"
        canaries.vendor.rows(compose(statement, user=name(canary.credential.user)))
        seen = canaries.survived(session) or ("was let in" if canaries.lets_in(canary) else "")
        error = canaries.drop(canary).error
        return seen or ("" if error is None else str(error))

    return trial(what, test, *assumptions)


def _dropped_role(canaries: SnowflakeCanaries) -> str:
    """Its user is there still."""
    canary = canaries.vend(canaries.lease(canaries.profiles.brief, "DROPPED"))
    session = canaries.log_in(canary)
    canaries.vendor.rows(compose("DROP ROLE {}", name(canary.lease.role)))
    seen = canaries.answered(session)
    error = canaries.drop(canary).error
    return seen or ("" if error is None else str(error))


def _quarantined(canaries: SnowflakeCanaries) -> str:
    """An object that the role owns must belong neither to the vendor nor to a later role of the same name."""
    canary = canaries.vend(canaries.lease(canaries.profiles.brief, "OWNER"))
    owned = canaries.environment.table("OWNED")
    canaries.programmer.rows(compose("CREATE TABLE {} (A NUMBER)", owned))
    canaries.programmer.rows(canaries.filled("GRANT USAGE ON SCHEMA {schema} TO ROLE {vendor_role}"))
    canaries.programmer.rows(compose("GRANT OWNERSHIP ON TABLE {} TO ROLE {}", owned, name(canary.lease.role)))
    if (error := canaries.drop(canary).error) is not None:
        return f"stays: {error}"
    grants = canaries.vendor.rows(canaries.filled("SHOW GRANTS TO ROLE {vendor_role}"))
    kept = [row for row in grants if row["privilege"] == "OWNERSHIP" and canaries.environment.schema in str(row["name"])]
    return "belongs to the vendor" if kept else ""


TRIALS = (
    Trial("ask after the expiry", common.ask_after_expiry, ahead=common.soon_expired),
    Trial("keep a transaction over the expiry", common.transaction_over_expiry, ahead=common.soon_expired),
    Trial("log in after the expiry", _login_after_expiry, ahead=common.soon_expired),
    trial("a released role is gone", common.released_role_is_gone),
    trial("keep a session over the release", common.session_over_release, "R16", "R18"),
    trial("keep a running statement over the release", common.statement_over_release, "R16", "D7"),
    trial("log in after the release", common.login_after_release),
    trial("be vended again after the release", common.vend_after_release),
    trial("be vended after an end that came first", common.vend_after_early_end),
    trial("a role is ended by its own vend only", common.drop_with_another_uid),
    trial("a role is ended by its own cluster only", _another_cluster),
    _with_user("a user that is disabled is locked out", "ALTER USER {user} SET DISABLED = TRUE", "R16"),
    _with_user("a user that is dropped is locked out", "DROP USER {user}", "R18"),
    trial("ask when its role is dropped", _dropped_role, "R14"),
    trial("what a role owned goes to quarantine", _quarantined, "R11"),
)
