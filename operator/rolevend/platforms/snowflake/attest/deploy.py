"""Makes canaries, and takes them away again, whatever becomes of the checks."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta

from snowflake.connector import errors as vendor

from rolevend.errors import PlatformBusy
from rolevend.platforms.run_checks import expected
from rolevend.platforms.snowflake import control
from rolevend.platforms.snowflake.attest.canaries import LIFE, SnowflakeCanaries
from rolevend.platforms.snowflake.attest.cleanup import clear
from rolevend.platforms.snowflake.attest.environment import SnowflakeAttestEnvironment, begin, lay_out, profiles, until_of
from rolevend.platforms.snowflake.attest.session import now
from rolevend.platforms.snowflake.connections import SnowflakeLogin, SnowflakeSession, connect
from rolevend.platforms.snowflake.drop.drops import found
from rolevend.platforms.snowflake.failures import ALREADY_EXISTS, code_of
from rolevend.platforms.snowflake.names import VENDOR_ROLE
from rolevend.platforms.snowflake.sql import compose, literal, name

_log = logging.getLogger(__name__)


@contextmanager
def deployed_canaries(ground: SnowflakeAttestEnvironment) -> Iterator[SnowflakeCanaries]:
    """Makes schema, tables and profiles, one attestation of a cluster at a time; roles are vended when a check needs them.

    What an earlier run left goes first, where we are alone at once, else when its time is over; and in the end all of it goes again. If
    that fails the next run does it, and nothing else is hidden by it: the error is raised only where there is no other.
    """
    with ExitStack() as ends:
        threads = ends.enter_context(ThreadPoolExecutor(1))
        programmer = _opened(ends, ground, ground.programmer, control.OWNER)
        vendor_session = _opened(ends, ground, ground.vendor, VENDOR_ROLE)
        until = _begin(ground, programmer, vendor_session)
        try:
            token = ground.randomness(8).hex()
            lay_out(ground, programmer, token)
            made = profiles(ground)
            for profile in expected(made, ground.wanted):
                ground.platform.ensure(profile)
            yield SnowflakeCanaries(ground, token, vendor_session, programmer, made, until, ends, threads)
        except BaseException:
            _clear_if_possible(ground, programmer, vendor_session)
            raise
        clear(ground, programmer, vendor_session)


def _begin(ground: SnowflakeAttestEnvironment, programmer: SnowflakeSession, vendor_session: SnowflakeSession) -> datetime:
    """Until when it may take."""
    started = now(programmer)
    until = started + timedelta(seconds=LIFE)
    try:
        programmer.rows(begin(ground, until))
    except vendor.Error as error:
        if code_of(error) != ALREADY_EXISTS:
            raise
    else:
        return until
    shown = compose("SHOW SCHEMAS IN DATABASE {} STARTS WITH {}", name(control.DATABASE), literal(ground.schema))
    there = found(ground.schema, programmer.rows(shown))
    others = until_of(str(there["comment"])) if there is not None else None
    if not ground.alone and others is not None and others > started:
        raise PlatformBusy(
            f"another attestation of this cluster is under way, or crashed: it counts as under way until {others:%H:%M:%S} UTC"
        )
    clear(ground, programmer, vendor_session)
    programmer.rows(begin(ground, until))
    return until


def _clear_if_possible(ground: SnowflakeAttestEnvironment, programmer: SnowflakeSession, vendor_session: SnowflakeSession) -> None:
    """What keeps it from going is told by the next run, which begins with it."""
    try:
        clear(ground, programmer, vendor_session)
    except Exception:
        _log.warning("canaries are left on the account: the next attestation takes them away", exc_info=True)


def _opened(ends: ExitStack, ground: SnowflakeAttestEnvironment, login: SnowflakeLogin, role: str) -> SnowflakeSession:
    session = connect(ground.account, login, role=role, statement_timeout=ground.limits.programmer_statement_timeout, limits=ground.limits)
    ends.callback(session.close)
    return session
