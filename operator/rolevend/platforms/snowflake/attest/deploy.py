"""Deploy canaries on a Snowflake account, and remove them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from snowflake.connector import errors as vendor

from rolevend.errors import PlatformBusy
from rolevend.platforms.attestation.deployment import deployed
from rolevend.platforms.attestation.tables import Profiles
from rolevend.platforms.snowflake import control
from rolevend.platforms.snowflake.attest.canaries import SnowflakeCanaries
from rolevend.platforms.snowflake.attest.cleanup import clear
from rolevend.platforms.snowflake.attest.environment import SnowflakeAttestEnvironment, begin, create_tables, profiles, until_of
from rolevend.platforms.snowflake.attest.session import now
from rolevend.platforms.snowflake.connections import SnowflakeLogin, SnowflakeSession, connect
from rolevend.platforms.snowflake.drop.drops import found
from rolevend.platforms.snowflake.failures import ALREADY_EXISTS, code_of
from rolevend.platforms.snowflake.names import VENDOR_ROLE
from rolevend.platforms.snowflake.sql import compose, literal, name


@contextmanager
def deployed_canaries(environment: SnowflakeAttestEnvironment) -> Iterator[SnowflakeCanaries]:
    """See `deployment.deployed`."""
    with ExitStack() as ends:
        threads = ends.enter_context(ThreadPoolExecutor(1))
        programmer = _opened(ends, environment, environment.programmer, control.OWNER)
        vendor_session = _opened(ends, environment, environment.vendor, VENDOR_ROLE)
        with deployed(_Deployment(environment, vendor_session, programmer, ends, threads)) as canaries:
            yield canaries


@dataclass
class _Deployment:
    environment: SnowflakeAttestEnvironment
    vendor: SnowflakeSession
    programmer: SnowflakeSession
    ends: ExitStack
    threads: ThreadPoolExecutor
    until: datetime = field(init=False)
    """The end of the turn. Set when the turn begins."""

    def begin(self) -> None:
        """Create the schema, which only one attestation can. Remove one that was left, if the environment is `alone` or its turn is over.

        Raises:
            PlatformBusy: another attestation of this cluster may be running.
        """
        started = now(self.programmer)
        self.until = started + timedelta(seconds=SnowflakeCanaries.LIFE)
        if self._schema_created():
            return
        until = self._until_of_another()
        if not self.environment.alone and until is not None and until > started:
            raise PlatformBusy(
                f"another attestation of this cluster is running, or crashed: it counts as running until {until:%H:%M:%S} UTC"
            )
        self.remove()
        self.programmer.rows(begin(self.environment, self.until))

    def _schema_created(self) -> bool:
        try:
            self.programmer.rows(begin(self.environment, self.until))
        except vendor.Error as error:
            if code_of(error) != ALREADY_EXISTS:
                raise
            return False
        return True

    def _until_of_another(self) -> datetime | None:
        schema = self.environment.schema
        shown = compose("SHOW SCHEMAS IN DATABASE {} STARTS WITH {}", name(control.DATABASE), literal(schema))
        there = found(schema, self.programmer.rows(shown))
        return until_of(str(there["comment"])) if there is not None else None

    def create_tables(self, token: str) -> None:
        create_tables(self.environment, self.programmer, token)

    def profiles(self) -> Profiles:
        return profiles(self.environment)

    def canaries(self, token: str, profiles: Profiles) -> SnowflakeCanaries:
        return SnowflakeCanaries(self.environment, token, self.vendor, self.programmer, profiles, self.ends, self.threads, until=self.until)

    def remove(self) -> None:
        clear(self.environment, self.programmer, self.vendor)


def _opened(ends: ExitStack, environment: SnowflakeAttestEnvironment, login: SnowflakeLogin, role: str) -> SnowflakeSession:
    limits = environment.limits
    session = connect(environment.account, login, role=role, statement_timeout=limits.programmer_statement_timeout, limits=limits)
    ends.callback(session.close)
    return session
