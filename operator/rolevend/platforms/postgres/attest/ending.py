"""The end of a role: at its time without anybody, and for good when it is released."""

from concurrent.futures import TimeoutError as Late

import psycopg
from psycopg import sql

from rolevend.errors import Conflict
from rolevend.model import Uid
from rolevend.platforms.postgres.attest.canaries import PostgresCanaries, PostgresCanary
from rolevend.platforms.postgres.attest.check import Check
from rolevend.platforms.postgres.attest.session import INSUFFICIENT_PRIVILEGE, AttestSession, Statement, passes, said
from rolevend.platforms.protocol import DropRequest, EndReason

_ASK = sql.SQL("SELECT count(*) FROM timed")
_SECONDS = 3.0
"""How long a statement may go on after the release that ends it."""


_REFUSED = (INSUFFICIENT_PRIVILEGE, "42P01")
"""Without its profile, a closed role has no right on a view, or does not find it in its search path."""


def _over(session: AttestSession, statement: Statement) -> str:
    """Empty where the statement is refused, or the session was ended."""
    try:
        session.run(statement)
    except psycopg.Error as error:
        if error.sqlstate in _REFUSED or session.is_lost():
            return ""
        return f"failed with {said(error)}"
    return "was answered"


def _new_statement(canaries: PostgresCanaries) -> str:
    canaries.wait_for_expiry()
    return _over(canaries.mayfly.prepared, _ASK)


def _prepared_statement(canaries: PostgresCanaries) -> str:
    canaries.wait_for_expiry()
    return _over(canaries.mayfly.prepared, sql.SQL("EXECUTE kept"))


def _older_snapshot(canaries: PostgresCanaries) -> str:
    canaries.wait_for_expiry()
    return _over(canaries.mayfly.earlier, _ASK)


def _without_row_security(canaries: PostgresCanaries) -> str:
    """The view asks for the lease, too."""
    canaries.wait_for_expiry()
    canaries.mayfly.earlier.connection.close()  # it may hold the table
    canaries.programmer.run(canaries.filled("ALTER TABLE {timed_table} DISABLE ROW LEVEL SECURITY"))
    try:
        return _over(canaries.mayfly.prepared, _ASK)
    finally:
        canaries.programmer.run(canaries.filled("ALTER TABLE {timed_table} ENABLE ROW LEVEL SECURITY"))


def _login_after_expiry(canaries: PostgresCanaries) -> str:
    canaries.wait_for_expiry()
    return "was let in" if canaries.lets_in(canaries.mayfly.canary) else ""


def _gone(canaries: PostgresCanaries) -> str:
    leaver = canaries.leaver
    if leaver.dropped.error is not None:
        return str(leaver.dropped.error)
    name = leaver.canary.lease.role
    there = canaries.vendor.rows(sql.SQL("SELECT 1 FROM pg_roles WHERE rolname = {}").format(sql.Literal(name)))
    listed = any(role.role == name for role in canaries.ground.platform.live())
    return "the role, or a session of it, is still there" if there or listed else ""


def _idle_session(canaries: PostgresCanaries) -> str:
    return _lost(canaries.leaver.idle, sql.SQL("SELECT 1"))


def _open_cursor(canaries: PostgresCanaries) -> str:
    return _lost(canaries.leaver.reading, sql.SQL("FETCH 1 FROM kept"))


def _lost(session: AttestSession, statement: Statement) -> str:
    try:
        session.run(statement)
    except psycopg.Error as error:
        return "" if session.is_lost() else f"failed with {said(error)}, and the session lives"
    return "was answered"


def _running_statement(canaries: PostgresCanaries) -> str:
    try:
        canaries.leaver.running.result(_SECONDS)
    except Late:
        return "goes on"
    except psycopg.Error as error:
        return "" if passes(error) else f"failed with {said(error)}"
    return "was answered"


def _login_after_release(canaries: PostgresCanaries) -> str:
    leaver = canaries.leaver
    passwords = (leaver.canary.credential.password, leaver.own_password)
    return "was let in" if any(canaries.lets_in(leaver.canary, password=password) for password in passwords) else ""


def _vended_again(canaries: PostgresCanaries) -> str:
    return _conflict(canaries, canaries.leaver.canary)


def _vended_late(canaries: PostgresCanaries) -> str:
    lease = canaries.lease(canaries.profiles.brief, "LATE")
    never = PostgresCanary(lease, canaries.ground.platform.credential(lease, canaries.ground.randomness))
    if (error := canaries.drop(never).error) is not None:
        return str(error)
    return _conflict(canaries, never)


def _conflict(canaries: PostgresCanaries, canary: PostgresCanary) -> str:
    (answer,) = canaries.ground.platform.vend([(canary.lease, canary.credential)])
    if answer.error is None:
        return "was vended"
    return "" if isinstance(answer.error, Conflict) else str(answer.error)


def _another_uid(canaries: PostgresCanaries) -> str:
    bob = canaries.bob.lease
    (answer,) = canaries.ground.platform.drop([DropRequest(bob.role, Uid("another"), EndReason.REVOKED)])
    return "" if isinstance(answer.error, Conflict) else "was ended by an ending that is not its own"


def _another_cluster(canaries: PostgresCanaries) -> str:
    bob = canaries.bob.lease
    call = sql.SQL("SELECT rolevend.close({}, 'another', {}, 'Revoked')").format(sql.Literal(bob.role), sql.Literal(bob.uid))
    error = canaries.vendor.refusal(call)
    return "" if error is not None and error.sqlstate == "RV002" else "was closed by another cluster"


def _closed(canaries: PostgresCanaries) -> str:
    """What holds between the two steps of an end, should the second one fail for long."""
    canary = canaries.vend(canaries.lease(canaries.profiles.brief, "CLOSED"))
    session, lease = canaries.log_in(canary), canary.lease
    arguments = sql.SQL(", ").join(map(sql.Literal, (lease.role, lease.cluster, lease.uid, EndReason.RELEASED.value)))
    canaries.vendor.run(sql.SQL("SELECT rolevend.close({})").format(arguments))
    if answered := _over(session, _ASK):
        return f"a statement {answered}"
    if canaries.vendor.rows(sql.SQL("SELECT 1 FROM pg_roles WHERE rolname = {} AND rolcanlogin").format(sql.Literal(lease.role))):
        return "may log in still (NOLOGIN is missing)"
    if canaries.lets_in(canary):
        return "was let in"
    error = canaries.drop(canary).error
    return "" if error is None else str(error)


def _held_up(canaries: PostgresCanaries) -> str:
    """By an open transaction that has locked the other role."""
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


def _soon_over(canaries: PostgresCanaries) -> object:
    return canaries.mayfly


CHECKS = (
    Check("ask after the expiry", _new_statement, ahead=_soon_over),
    Check("keep a prepared statement over the expiry", _prepared_statement, ahead=_soon_over),
    Check("keep a transaction over the expiry", _older_snapshot, ahead=_soon_over),
    Check("log in after the expiry", _login_after_expiry, ahead=_soon_over),
    Check("a released role is gone", _gone),
    Check("keep a session over the release", _idle_session),
    Check("keep an open cursor over the release", _open_cursor),
    Check("keep a running statement over the release", _running_statement),
    Check("log in after the release", _login_after_release),
    Check("be vended again after the release", _vended_again),
    Check("be vended after an end that came first", _vended_late),
    Check("a role is ended by its own vend only", _another_uid),
    Check("a role is ended by its own cluster only", _another_cluster),
    Check("a closed role is locked out", _closed),
    Check("hold up the end of another role", _held_up, leaks=False),
    # Last: where a superuser installed us, switching row security off closes the profile.
    Check("ask after the expiry where row security is off", _without_row_security, ahead=_soon_over),
)
