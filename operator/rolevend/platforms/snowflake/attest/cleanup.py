"""Remove the canaries of this attestation and of crashed ones: all objects with their names or with the ownership tag of their cluster."""

from collections.abc import Iterator
from typing import Final

from snowflake.connector import errors as vendor

from rolevend.platforms.protocol import DropRequest, EndReason
from rolevend.platforms.snowflake.attest.environment import TABLES, UNGOVERNED, SnowflakeAttestEnvironment, wall
from rolevend.platforms.snowflake.attest.session import is_transient
from rolevend.platforms.snowflake.connections import SnowflakeSession
from rolevend.platforms.snowflake.control import DATABASE, control
from rolevend.platforms.snowflake.failures import NOT_PERMITTED, NOT_THERE, POLICY_IN_USE, code_of
from rolevend.platforms.snowflake.names import PROFILE
from rolevend.platforms.snowflake.ownership_tags import cluster_of
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
