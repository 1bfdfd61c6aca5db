"""Deploy canaries on a Snowflake account, and remove them, those of crashed attestations too: all objects with their names or with the
ownership tag of their cluster."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from snowflake.connector import errors as vendor

from rolevend.errors import PlatformBusy
from rolevend.platforms.attestation.deployment import deployed
from rolevend.platforms.attestation.tables import Profiles
from rolevend.platforms.protocol import DropRequest, EndReason
from rolevend.platforms.snowflake.attest.canaries import SnowflakeCanaries
from rolevend.platforms.snowflake.attest.environment import (
    TABLES,
    UNGOVERNED,
    SnowflakeAttestEnvironment,
    begin,
    create_tables,
    profiles,
    until_of,
    wall,
)
from rolevend.platforms.snowflake.attest.session import is_transient, now
from rolevend.platforms.snowflake.connections import SnowflakeLogin, SnowflakeSession, connect
from rolevend.platforms.snowflake.control import DATABASE, OWNER, control
from rolevend.platforms.snowflake.drop.drops import found
from rolevend.platforms.snowflake.failures import ALREADY_EXISTS, NOT_PERMITTED, NOT_THERE, POLICY_IN_USE, code_of
from rolevend.platforms.snowflake.names import PROFILE, VENDOR_ROLE, cluster_of
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, literal, name, qualified

_OF_PROFILES: Final = "RV_P_CANARY"
_NO_TROUBLE: Final = frozenset({NOT_THERE, 2043, NOT_PERMITTED, POLICY_IN_USE})


def clear(environment: SnowflakeAttestEnvironment, programmer: SnowflakeSession, vendor_session: SnowflakeSession) -> None:
    """Remove roles first, since they could use the rest, and the schema last, since it keeps other attestations from starting.

    Raises the first error. Rows of leases remain for a week, like those of all roles.
    """
    _take_from_public(environment, programmer)
    left = [DropRequest(role.role, role.uid, EndReason.ORPHANED) for role in environment.platform.live()]
    for answer in environment.platform.drop(left):
        if answer.error is not None:
            raise answer.error
    programmer.rows(compose("DELETE FROM {} WHERE CLUSTER = {}", PROFILE, literal(environment.cluster)))
    for schema in _marked(
        environment, programmer, compose("SHOW SCHEMAS IN DATABASE {} STARTS WITH {}", name(DATABASE), literal(_OF_PROFILES))
    ):
        programmer.rows(compose("DROP SCHEMA IF EXISTS {}", qualified(DATABASE, schema)))
    for role in _marked(environment, programmer, compose("SHOW ROLES STARTS WITH {}", literal(_OF_PROFILES))):
        _drop_role(role, vendor_session, programmer)
    _drop_role(environment.bystander, programmer)
    _detach(environment, programmer)
    programmer.rows(compose("DROP SCHEMA IF EXISTS {}", environment.place))
    _without(programmer, compose("DROP ROW ACCESS POLICY IF EXISTS {}", control(wall(environment))))


def _take_from_public(environment: SnowflakeAttestEnvironment, programmer: SnowflakeSession) -> None:
    """Revoke the grants of `SnowflakeCanaries.open_to_public`."""
    _without(programmer, compose("REVOKE USAGE ON DATABASE {} FROM ROLE PUBLIC", name(DATABASE)))
    _without(programmer, compose("REVOKE USAGE ON SCHEMA {} FROM ROLE PUBLIC", environment.place))
    for table in ("GUARDED", UNGOVERNED):
        _without(programmer, compose("REVOKE SELECT ON TABLE {} FROM ROLE PUBLIC", environment.table(table)))


def _detach(environment: SnowflakeAttestEnvironment, programmer: SnowflakeSession) -> None:
    """Detach policies first: a table that was dropped could still use them."""
    for table in TABLES:
        _without(programmer, compose("ALTER TABLE {} DROP ALL ROW ACCESS POLICIES", environment.table(table)))
        _without(programmer, compose("DROP TABLE IF EXISTS {}", environment.table(table)))


def _marked(environment: SnowflakeAttestEnvironment, session: SnowflakeSession, shown: Sql) -> Iterator[str]:
    """Yield the names of objects that belong to profiles of the cluster."""
    for row in session.rows(shown):
        found = str(row["name"])
        if found.startswith(_OF_PROFILES) and cluster_of(row.get("comment")) == environment.cluster:
            yield found


def _drop_role(role: str, *owners: SnowflakeSession) -> None:
    """The programmer owns the role it created until ownership is given to the vendor."""
    for session in owners:
        _without(session, compose("DROP ROLE IF EXISTS {}", identifier(role)))


def _without(session: SnowflakeSession, statement: Sql) -> None:
    """Run a statement, and ignore that the object does not exist or has another owner. The next creation of it finds what remains."""
    try:
        session.rows(statement)
    except vendor.Error as error:
        if is_transient(error) or code_of(error) not in _NO_TROUBLE:
            raise


@contextmanager
def deployed_canaries(environment: SnowflakeAttestEnvironment) -> Iterator[SnowflakeCanaries]:
    """See `deployment.deployed`."""
    with ExitStack() as ends:
        threads = ends.enter_context(ThreadPoolExecutor(1))
        programmer = _opened(ends, environment, environment.programmer, OWNER)
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
        shown = compose("SHOW SCHEMAS IN DATABASE {} STARTS WITH {}", name(DATABASE), literal(schema))
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
