"""One entry of the ledger: a statement, joined to the role that ran it and the person behind the role. Pure.

The fields of `LedgerEntry` are the format: `docs/generate.py` makes docs/reference/access-ledger.md from their docstrings.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from rolevend.access_ledger.grants import AuditedRole, handles_of
from rolevend.access_ledger.relations import NamedTables, TableFinder
from rolevend.platforms.postgres.session_statements import MAX_RELATIONS, LoggedStatement
from rolevend.platforms.statement import Statement

MAX_GRANTED_TABLES: Final = 20
_TABLE_KINDS: Final = ("TABLE", "FOREIGN TABLE", "MATERIALIZED VIEW")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One statement."""

    id: str
    """PostgreSQL: session and number of the first record of the statement, unique on a server. Snowflake: the id of the query. A repeated
    entry has the same id."""
    source: str
    """`PostgreSQL` or `Snowflake`."""
    time: datetime
    """When the statement began, in UTC; its end, if only `log_min_duration_statement` logged it."""
    role: str
    """The vended role that ran it."""
    known: bool
    """False if no audit event names the role: agent and user then have their handles alone, and no other fact is known."""
    agent: str | None
    """The Agent: `namespace/name`."""
    agent_handle: str | None
    """The agent's handle, from the role's name. Left out if the name is not one of a vended role."""
    user_issuer: str | None
    """The identity provider that names the user."""
    user_subject: str | None
    """The user, as that provider names them."""
    user_handle: str | None
    """The user's handle, from the role's name."""
    user_proof: str | None
    """How the user was proven: `Asserted`, `Token` or `Exchanged`."""
    identity_provider: str | None
    """The IdentityProvider whose token proved the user."""
    purpose: str | None
    """The purpose that the agent stated."""
    approval: str | None
    """The approval that the role used: its approvers, and the offer."""
    policies: tuple[str, ...]
    """The AccessPolicies that covered the user when the role was vended."""
    platform: str | None
    """The DataPlatform."""
    profile: str | None
    """The profile of the role."""
    request: str | None
    """The VendedRole: `namespace/name`."""
    request_uid: str | None
    """Its uid."""
    granted_tables: tuple[str, ...]
    """The tables that the role could read, at most 20."""
    granted_tables_left_out: int | None
    """How many more there were."""
    database: str
    """The database of the session."""
    session: str
    """The platform's id of the session."""
    client: str
    """Address and port of the client, or `[local]`. Snowflake: empty."""
    application: str
    """The session's `application_name` or QUERY_TAG, which the client chooses."""
    statement: str
    """The text, at most 32,768 characters."""
    truncated: bool
    """True if the text was longer."""
    parameters: str | None
    """Values of parameters, if the server logs them: `$1 = '42'`."""
    duration_ms: float | None
    """The duration, if it was logged."""
    error: str | None
    """SQLSTATE and message, if the statement failed."""
    refused: bool = False
    """True if it failed before it ran: no such table, no permission, syntax error."""
    command: str | None
    """`SELECT`, `COPY` or another command: as pgaudit or the query history names it, or the first word of the text."""
    audit_class: str | None
    """pgaudit's class: `READ`, `WRITE`, `DDL`, `MISC` or another one."""
    tables: tuple[str, ...]
    """The tables touched, as `schema.table`. A view of the role's profile is given as its table. Snowflake: other tables have their
    database before them."""
    tables_from: str
    """`observed`: pgaudit or ACCESS_HISTORY saw them. `parsed`: the text names them. `unknown`: the text could not be parsed, is too long,
    or runs a prepared statement, procedure, block or function that may read more; `tables` may be incomplete."""

    def as_json(self) -> dict[str, Any]:
        """Return the fields in camel case; those without a value are left out."""
        return {json_name(each.name): _as_json(value) for each in fields(self) if (value := getattr(self, each.name)) not in (None, ())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """Facts of a statement beside its text, in the words of the ledger."""

    id: str
    time: datetime
    role: str
    source: str
    command: str | None
    audit_class: str | None = None
    refused: bool


@dataclass(frozen=True, slots=True)
class Touched:
    tables: tuple[str, ...]
    source: str
    """`observed`, `parsed` or `unknown`."""


def joined(statement: LoggedStatement, time: datetime, role: AuditedRole | None, finder: TableFinder, max_text: int) -> LedgerEntry:
    """Join a statement of PostgreSQL's log."""
    tables, source, named = _touched(statement, role, finder)
    if (source == "parsed" and statement.is_cut) or len(statement.relations) >= MAX_RELATIONS:
        source = "unknown"
    ran = Ran(
        id=f"{statement.session}/{statement.number}",
        time=time,
        role=statement.role,
        source="PostgreSQL",
        command=statement.command or (named.command if named else None),
        audit_class=statement.audit_class,
        refused=statement.refused,
    )
    return entry_of(statement, ran, role, Touched(tables, source), max_text)


def entry_of(statement: Statement, ran: Ran, role: AuditedRole | None, touched: Touched, max_text: int) -> LedgerEntry:
    agent_handle, user_handle = handles_of(ran.role)
    granted = role.tables if role is not None else None
    shown = granted.names[:MAX_GRANTED_TABLES] if granted else ()
    left_out = len(granted.names) - len(shown) + granted.left_out if granted else 0
    truncated = len(statement.text) >= max_text
    return LedgerEntry(
        id=ran.id,
        source=ran.source,
        time=ran.time,
        role=ran.role,
        known=role is not None,
        agent=role.agent if role else None,
        agent_handle=agent_handle,
        user_issuer=role.user_issuer if role else None,
        user_subject=role.user_subject if role else None,
        user_handle=user_handle,
        user_proof=role.proof if role else None,
        identity_provider=role.identity_provider if role else None,
        purpose=role.purpose if role else None,
        approval=role.approval if role else None,
        policies=role.policies if role else (),
        platform=role.platform if role else None,
        profile=role.profile if role else None,
        request=role.request if role else None,
        request_uid=role.request_uid if role else None,
        granted_tables=shown,
        granted_tables_left_out=left_out or None,
        database=statement.database,
        session=statement.session,
        client=statement.client,
        application=statement.application,
        statement=statement.text,
        truncated=truncated,
        parameters=statement.parameters,
        duration_ms=statement.milliseconds,
        error=statement.error,
        refused=ran.refused,
        command=ran.command,
        audit_class=ran.audit_class,
        tables=touched.tables,
        tables_from="unknown" if truncated and touched.source == "parsed" else touched.source,
    )


def _touched(statement: LoggedStatement, role: AuditedRole | None, finder: TableFinder) -> tuple[tuple[str, ...], str, NamedTables | None]:
    observed = tuple(dict.fromkeys(_observed(statement.relations)))
    if observed:
        return tuple(dict.fromkeys(_as_granted(each, role) for each in observed)), "observed", None
    named, *others = map(finder.find, (statement.prepared or statement.text, *statement.readings))
    tables = tuple(dict.fromkeys(_as_granted(name, role) for each in (named, *others) for name in each.names))
    tools = role.tools if role is not None else frozenset()
    return tables, "parsed" if named.understood and not others and tools.isdisjoint(named.calls) else "unknown", named


def _observed(relations: Iterable[str]) -> Iterator[str]:
    """Yield the tables. Views are yielded only if pgaudit logged no table."""
    by_kind = [each.rpartition(" ")[::2] for each in relations]
    tables = [name for kind, name in by_kind if kind in _TABLE_KINDS]
    yield from tables or (name for kind, name in by_kind if kind == "VIEW")


def _as_granted(name: str, role: AuditedRole | None) -> str:
    """Return the table of a view of the role's profile: agents name it without a schema, or with the name of the profile."""
    if role is None or role.tables is None:
        return name
    schema, _, view = name.rpartition(".")
    return role.tables.by_view.get(view, name) if schema in ("", role.profile) else name


def json_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _as_json(value: object) -> object:
    return time_text(value) if isinstance(value, datetime) else value


def time_text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
