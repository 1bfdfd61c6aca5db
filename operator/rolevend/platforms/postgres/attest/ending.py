"""The end of a role: it expires without any action of the operator, and a release is final."""

from psycopg import sql

from rolevend.platforms.attestation import common_checks as common
from rolevend.platforms.postgres.attest.canaries import Check, PostgresCanaries
from rolevend.platforms.postgres.attest.session import refused
from rolevend.platforms.protocol import EndReason


def _prepared_statement(canaries: PostgresCanaries) -> str:
    canaries.wait_for_expiry()
    return canaries.answered(canaries.expiring.session, sql.SQL("EXECUTE kept"))


def _without_row_security(canaries: PostgresCanaries) -> str:
    """The view checks the lease, too."""
    canaries.wait_for_expiry()
    canaries.expiring.in_transaction.connection.close()  # it may hold the table
    canaries.programmer.run(canaries.filled("ALTER TABLE {timed_table} DISABLE ROW LEVEL SECURITY"))
    try:
        return canaries.answered(canaries.expiring.session)
    finally:
        canaries.programmer.run(canaries.filled("ALTER TABLE {timed_table} ENABLE ROW LEVEL SECURITY"))


def _login_after_expiry(canaries: PostgresCanaries) -> str:
    canaries.wait_for_expiry()
    return "was let in" if canaries.lets_in(canaries.expiring.canary) else ""


def _open_cursor(canaries: PostgresCanaries) -> str:
    _ = canaries.released
    return canaries.survived(canaries.cursor_session, sql.SQL("FETCH 1 FROM kept"))


def _login_after_release(canaries: PostgresCanaries) -> str:
    """With the first password, and with the one that the role set itself."""
    if observed := common.login_after_release(canaries):
        return observed
    return "was let in" if canaries.lets_in(canaries.released.canary, password=canaries.own_password) else ""


def _another_cluster(canaries: PostgresCanaries) -> str:
    bob = canaries.bob.lease
    call = sql.SQL("SELECT rolevend.close({}, 'another', {}, 'Revoked')").format(sql.Literal(bob.role), sql.Literal(bob.uid))
    return refused(canaries.vendor, call, ("RV002",))


def _closed(canaries: PostgresCanaries) -> str:
    """The state between the two steps of a drop, in case the second one fails for long."""
    canary = canaries.vend(canaries.lease(canaries.profiles.brief, "CLOSED"))
    session, lease = canaries.log_in(canary), canary.lease
    arguments = sql.SQL(", ").join(map(sql.Literal, (lease.role, lease.cluster, lease.uid, EndReason.RELEASED.value)))
    canaries.vendor.run(sql.SQL("SELECT rolevend.close({})").format(arguments))
    if answered := canaries.answered(session):
        return f"a statement {answered}"
    if canaries.vendor.rows(sql.SQL("SELECT 1 FROM pg_roles WHERE rolname = {} AND rolcanlogin").format(sql.Literal(lease.role))):
        return "may still log in (NOLOGIN is missing)"
    if canaries.lets_in(canary):
        return "was let in"
    error = canaries.drop(canary).error
    return "" if error is None else str(error)


def _held_up(canaries: PostgresCanaries) -> str:
    """By a transaction that is open and locks the other role."""
    holder, other = (canaries.vend(canaries.lease(canaries.profiles.brief, name)) for name in ("HOLDER", "HELD"))
    session = canaries.log_in(holder)
    session.run(sql.SQL("BEGIN"))
    session.run(sql.SQL("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {}").format(sql.Identifier(other.lease.role)))
    error = canaries.drop(other).error
    if error is not None:
        canaries.drop(holder)
        canaries.drop(other)
        return str(error)
    return "" if (error := canaries.drop(holder).error) is None else str(error)


CHECKS = (
    Check("ask after the expiry", common.ask_after_expiry, ahead=common.soon_expired),
    Check("keep a prepared statement over the expiry", _prepared_statement, ahead=common.soon_expired),
    Check("keep a transaction over the expiry", common.transaction_over_expiry, ahead=common.soon_expired),
    Check("log in after the expiry", _login_after_expiry, ahead=common.soon_expired),
    Check("a released role is gone", common.released_role_is_gone),
    Check("keep a session over the release", common.session_over_release),
    Check("keep an open cursor over the release", _open_cursor),
    Check("keep a running statement over the release", common.statement_over_release),
    Check("log in after the release", _login_after_release),
    Check("be vended again after the release", common.vend_after_release),
    Check("be vended after an end that came first", common.vend_after_early_end),
    Check("a role is ended by its own vend only", common.drop_with_another_uid),
    Check("a role is ended by its own cluster only", _another_cluster),
    Check("a closed role is locked out", _closed),
    Check("hold up the end of another role", _held_up, leaks=False),
    # Last: where a superuser installed rolevend, switching row security off closes the profile.
    Check("ask after the expiry where row security is off", _without_row_security, ahead=common.soon_expired),
)
