"""The end of a role: at its time without anybody, and for good when it is released."""

from concurrent.futures import TimeoutError as Late
from typing import LiteralString

from snowflake.connector import errors as vendor

from rolevend.errors import Conflict
from rolevend.model import ClusterId, Uid
from rolevend.platforms.protocol import DropRequest, EndReason, KeyPairCredential
from rolevend.platforms.snowflake.attest.canaries import SnowflakeCanaries, SnowflakeCanary
from rolevend.platforms.snowflake.attest.check import Trial, trial
from rolevend.platforms.snowflake.connections import SnowflakeSession
from rolevend.platforms.snowflake.drop import statements as driver_ending
from rolevend.platforms.snowflake.drop.drops import found, look
from rolevend.platforms.snowflake.sql import Sql, compose, name

_ASK = Sql("SELECT ID FROM TIMED")
_SECONDS = 15.0
"""How long a statement may go on after the release that ends it; left to itself it takes longer."""


def _answers(session: SnowflakeSession, statement: Sql = _ASK) -> str:
    """Empty where there is no answer, or one without a row."""
    try:
        rows = session.rows(statement)
    except vendor.Error:
        return ""
    return f"shows {len(rows)} rows" if rows else ""


def _lives(session: SnowflakeSession) -> str:
    """Empty where the session was ended, so that not even this is answered."""
    return "goes on" if _answers(session, Sql("SELECT 1 AS A")) else ""


def _new_statement(canaries: SnowflakeCanaries) -> str:
    canaries.wait_for_expiry()
    return _answers(canaries.mayfly.open)


def _transaction(canaries: SnowflakeCanaries) -> str:
    canaries.wait_for_expiry()
    return _answers(canaries.mayfly.earlier)


def _login_after_expiry(canaries: SnowflakeCanaries) -> str:
    """It may be let in until somebody ends its user, and sees nothing."""
    canaries.wait_for_expiry()
    canary = canaries.mayfly.canary
    return _answers(canaries.log_in(canary)) if canaries.lets_in(canary.login) else ""


def _gone(canaries: SnowflakeCanaries) -> str:
    leaver = canaries.leaver
    if leaver.dropped.error is not None:
        return str(leaver.dropped.error)
    role = leaver.canary.lease.role
    there = found(role, canaries.vendor.rows(look(role))) is not None
    return "the role, or its user, is still there" if there or any(each.role == role for each in canaries.ground.platform.live()) else ""


def _idle_session(canaries: SnowflakeCanaries) -> str:
    return _lives(canaries.leaver.idle)


def _running_statement(canaries: SnowflakeCanaries) -> str:
    try:
        canaries.leaver.running.result(_SECONDS)
    except Late:
        return "goes on"
    except vendor.Error:
        return ""
    return "was answered"


def _login_after_release(canaries: SnowflakeCanaries) -> str:
    return "was let in" if canaries.lets_in(canaries.leaver.canary.login) else ""


def _vended_again(canaries: SnowflakeCanaries) -> str:
    return _conflict(canaries, canaries.leaver.canary)


def _vended_late(canaries: SnowflakeCanaries) -> str:
    lease = canaries.lease(canaries.profiles.brief, "LATE")
    credential = canaries.ground.platform.credential(lease, canaries.ground.randomness)
    assert isinstance(credential, KeyPairCredential)  # noqa: S101 - for mypy
    never = SnowflakeCanary(lease, credential)
    if (error := canaries.drop(never).error) is not None:
        return str(error)
    return _conflict(canaries, never)


def _conflict(canaries: SnowflakeCanaries, canary: SnowflakeCanary) -> str:
    (answer,) = canaries.ground.platform.vend([(canary.lease, canary.credential)])
    if answer.error is None:
        return "was vended"
    return "" if isinstance(answer.error, Conflict) else str(answer.error)


def _another_uid(canaries: SnowflakeCanaries) -> str:
    bob = canaries.bob.lease
    (answer,) = canaries.ground.platform.drop([DropRequest(bob.role, Uid("another"), EndReason.REVOKED)])
    return "" if isinstance(answer.error, Conflict) else "was ended by an ending that is not its own"


def _another_cluster(canaries: SnowflakeCanaries) -> str:
    bob = canaries.bob.lease
    try:
        driver_ending.end(canaries.vendor, DropRequest(bob.role, bob.uid, EndReason.REVOKED), ClusterId("another"))
    except Conflict:
        return ""
    return "was ended by another cluster"


def _with_user(what: str, statement: LiteralString, *assumptions: str) -> Trial:
    """What the vendor does to the user of a canary while a session of it is open."""

    def test(canaries: SnowflakeCanaries) -> str:
        canary = canaries.vend(canaries.lease(canaries.profiles.brief, "CLOSED"))
        session = canaries.log_in(canary)
        if not session.rows(_ASK):
            return "cannot be tried: the role sees nothing"
        canaries.vendor.rows(compose(statement, user=name(canary.credential.user)))
        seen = _lives(session) or ("was let in" if canaries.lets_in(canary.login) else "")
        error = canaries.drop(canary).error
        return seen or ("" if error is None else str(error))

    return trial(what, test, *assumptions)


def _dropped_role(canaries: SnowflakeCanaries) -> str:
    """Its user is there still."""
    canary = canaries.vend(canaries.lease(canaries.profiles.brief, "DROPPED"))
    session = canaries.log_in(canary)
    canaries.vendor.rows(compose("DROP ROLE {}", name(canary.lease.role)))
    seen = _answers(session)
    error = canaries.drop(canary).error
    return seen or ("" if error is None else str(error))


def _quarantined(canaries: SnowflakeCanaries) -> str:
    """What somebody gave the role as its own must not be the vendor's, nor of the next role of that name."""
    canary = canaries.vend(canaries.lease(canaries.profiles.brief, "OWNER"))
    owned = canaries.ground.table("OWNED")
    canaries.programmer.rows(compose("CREATE TABLE {} (A NUMBER)", owned))
    canaries.programmer.rows(canaries.filled("GRANT USAGE ON SCHEMA {schema} TO ROLE {vendor_role}"))
    canaries.programmer.rows(compose("GRANT OWNERSHIP ON TABLE {} TO ROLE {}", owned, name(canary.lease.role)))
    if (error := canaries.drop(canary).error) is not None:
        return f"stays: {error}"
    grants = canaries.vendor.rows(canaries.filled("SHOW GRANTS TO ROLE {vendor_role}"))
    kept = [row for row in grants if row["privilege"] == "OWNERSHIP" and canaries.ground.schema in str(row["name"])]
    return "belongs to the vendor" if kept else ""


def _soon_over(canaries: SnowflakeCanaries) -> object:
    return canaries.mayfly


TRIALS = (
    Trial("ask after the expiry", _new_statement, ahead=_soon_over),
    Trial("keep a transaction over the expiry", _transaction, ahead=_soon_over),
    Trial("log in after the expiry", _login_after_expiry, ahead=_soon_over),
    trial("a released role is gone", _gone),
    trial("keep a session over the release", _idle_session, "R16", "R18"),
    trial("keep a running statement over the release", _running_statement, "R16", "D7"),
    trial("log in after the release", _login_after_release),
    trial("be vended again after the release", _vended_again),
    trial("be vended after an end that came first", _vended_late),
    trial("a role is ended by its own vend only", _another_uid),
    trial("a role is ended by its own cluster only", _another_cluster),
    _with_user("a user that is disabled is locked out", "ALTER USER {user} SET DISABLED = TRUE", "R16"),
    _with_user("a user that is dropped is locked out", "DROP USER {user}", "R18"),
    trial("ask when its role is dropped", _dropped_role, "R14"),
    trial("what a role owned goes to quarantine", _quarantined, "R11"),
)
