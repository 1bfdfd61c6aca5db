"""Statements that create a vended role; their number is independent of its tables. Pure: a lease to SQL.

The role has its own user or is granted to the agent's. The statement that enables the login is last, so that an interrupted vend is
unusable.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rolevend.errors import InvalidInput
from rolevend.plan import Lease
from rolevend.platforms.protocol import Account
from rolevend.platforms.snowflake.control import OPENED, lease_of, narrowed_to, profile_role
from rolevend.platforms.snowflake.names import LEASE, PROFILE, SESSION_POLICY, OwnershipTag, role_of, schema_of
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, literal, name, number

DAYS_TO_EXPIRY: Final = 2
"""No role lives longer than a day. After this time Snowflake itself refuses the user, independent of the operator."""


def vend(lease: Lease, public_key: str | None, account: Account) -> tuple[Sql, ...]:
    """Return the statements for a new role. They fail, and leave no login, if the role exists, if a lease of that name was ever recorded,
    or if the profile is not built.
    """
    role = name(lease.role)
    return (
        compose("CREATE ROLE {} COMMENT = {}", role, literal(_mark(lease).text())),
        compose("GRANT ROLE {} TO ROLE {}", role_of(lease.profile), role),
        insert_lease(lease),
        *(() if public_key is None else (_create_user(lease, public_key, account, Sql("CREATE USER")),)),
        *_let_in(lease),
    )


def vend_again(lease: Lease, public_key: str | None, account: Account, *, has_lease: bool) -> tuple[Sql, ...]:
    """Return the statements for a role of this lease that exists, complete or not. The recorded lease stays."""
    role = name(lease.role)
    return (
        compose("GRANT ROLE {} TO ROLE {}", role_of(lease.profile), role),
        *(() if has_lease else (insert_lease(lease),)),
        *(() if public_key is None else _user_again(lease, public_key, account)),
        *_let_in(lease),
    )


def _user_again(lease: Lease, public_key: str, account: Account) -> tuple[Sql, ...]:
    return (
        _create_user(lease, public_key, account, Sql("CREATE USER IF NOT EXISTS")),
        compose("ALTER USER {} SET RSA_PUBLIC_KEY = {}", name(lease.role), literal(public_key)),
    )


def unsendable(lease: Lease) -> InvalidInput | None:
    """Return an error for texts that the platform cannot store."""
    named = [text for table in lease.resources or () for text in (table.schema, table.name)]
    texts = [*named, *(text for key, values in lease.attributes for text in (key, *values)), lease.task.id if lease.task else ""]
    if any("\0" in text or any("\ud800" <= character <= "\udfff" for character in text) for text in texts):
        return InvalidInput("attributes", f"{lease.role}: NUL and lone surrogates are no text")
    return None


def insert_lease(lease: Lease) -> Sql:
    """Return the statement that records the lease.

    CLUSTER is NULL, so that the row and the following statements fail, if a row of that name was ever recorded, the profile is not built,
    or the expiry is past or too late: NOT NULL is the only constraint that Snowflake enforces. `obstacles` returns the reason.
    """
    tables = narrowed_to(lease.resources)
    return compose(
        "INSERT INTO {lease} (ROLE, EVENT, CLUSTER, UID, PROFILE, EXPIRES_AT, ATTRS, TABLES)\n"
        "SELECT {role}, {opened},\n"
        "       CASE WHEN (SELECT COUNT(*) FROM {lease} WHERE ROLE = {role}) = 0 AND {built} AND {ahead} AND {near} THEN {cluster} END,\n"
        "       {uid}, {profile}, {expires}, {attributes}, {tables}",
        lease=LEASE,
        role=literal(lease.role),
        opened=literal(OPENED),
        cluster=literal(lease.cluster),
        uid=literal(lease.uid),
        profile=literal(profile_role(lease.profile)),
        expires=_expires(lease),
        attributes=literal(lease_of(lease.attributes)),
        tables=Sql("NULL") if tables is None else literal(tables),
        **_conditions(lease),
    )


def obstacles(lease: Lease) -> Sql:
    """Select the reasons why `insert_lease` inserts no row, except rows of that name."""
    return compose(
        "SELECT {built} AS built, {ahead} AS ahead, {near} AS near,\n"
        "       (SELECT COUNT(*) FROM {profiles} WHERE PROFILE = {profile} AND CLUSTER <> {cluster}) > 0 AS theirs",
        profiles=PROFILE,
        profile=literal(profile_role(lease.profile)),
        cluster=literal(lease.cluster),
        **_conditions(lease),
    )


def leases(lease: Lease) -> Sql:
    """Select every row of that name."""
    return compose("SELECT EVENT, CLUSTER, UID, PROFILE, EXPIRES_AT, ATTRS, TABLES FROM {} WHERE ROLE = {}", LEASE, literal(lease.role))


def is_same(lease: Lease, row: Mapping[str, Any]) -> bool:
    """True if a row that opened the lease equals this lease, except for its time."""
    expected = profile_role(lease.profile), lease_of(lease.attributes), narrowed_to(lease.resources)
    return (row["profile"], row["attrs"], row["tables"]) == expected


def _conditions(lease: Lease) -> dict[str, Sql]:
    expires = _expires(lease)
    return {
        "built": compose(
            "(SELECT COUNT(*) FROM {} WHERE PROFILE = {} AND CLUSTER = {}) > 0",
            *(PROFILE, literal(profile_role(lease.profile)), literal(lease.cluster)),
        ),
        "ahead": compose("{} > CURRENT_TIMESTAMP()", expires),
        "near": compose("{} < DATEADD(HOUR, 25, CURRENT_TIMESTAMP())", expires),
    }


def _expires(lease: Lease) -> Sql:
    return compose("TO_TIMESTAMP_TZ({})", literal(_mark(lease).expiry))


def grants(lease: Lease) -> Sql:
    """Show the role's grants, for `excess`."""
    return compose("SHOW GRANTS TO ROLE {}", name(lease.role))


def excess(lease: Lease, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the difference between the role's grants and the plan, in one line; empty if there is none."""
    wanted = ("USAGE", "ROLE", profile_role(lease.profile))
    held = [(str(row["privilege"]), str(row["granted_on"]), str(row["name"]).strip('"')) for row in rows]
    beside = [each for each in held if each != wanted]
    if beside:
        return "it holds " + ", ".join(f"{privilege} on {kind} {what}" for privilege, kind, what in beside)
    return "" if wanted in held else f"it does not hold its profile {lease.profile}"


def _create_user(lease: Lease, public_key: str, account: Account, verb: Sql) -> Sql:
    return compose(
        "{verb} {user} TYPE = SERVICE_AGENT RSA_PUBLIC_KEY = {key} DEFAULT_ROLE = {user} DEFAULT_SECONDARY_ROLES = ()\n"
        "  DEFAULT_WAREHOUSE = {warehouse} DEFAULT_NAMESPACE = {namespace} DAYS_TO_EXPIRY = {days}\n"
        "  STATEMENT_TIMEOUT_IN_SECONDS = {timeout} QUERY_TAG = {tag} COMMENT = {mark}",
        verb=verb,
        user=name(lease.role),
        key=literal(public_key),
        warehouse=identifier(account.warehouse),
        namespace=schema_of(lease.profile),
        days=number(DAYS_TO_EXPIRY),
        timeout=number(lease.limits.transaction_seconds),
        tag=literal(_tag(lease)),
        mark=literal(_mark(lease).text()),
    )


def _let_in(lease: Lease) -> tuple[Sql, ...]:
    user = name(lease.role)
    if lease.agent_user is not None:
        return (compose("GRANT ROLE {} TO USER {}", user, identifier(lease.agent_user)),)
    return (
        compose("ALTER USER {} SET SESSION POLICY {} FORCE", user, SESSION_POLICY),
        compose("GRANT ROLE {} TO USER {}", user, user),
    )


def _tag(lease: Lease) -> str:
    """Return the QUERY_TAG, which QUERY_HISTORY shows for each statement."""
    task = {} if lease.task is None else {"task": lease.task.id}
    return json.dumps({"rolevend": {"uid": lease.uid, "agent": str(lease.agent), **task}}, separators=(",", ":"))


def _mark(lease: Lease) -> OwnershipTag:
    return OwnershipTag(lease.cluster, lease.uid, lease.expires_at)
