"""Build a profile if it is missing: read its state, then create the missing parts in an order that is safe at every prefix.

A table gets its wall before any view, the profile's role gets the marker before any privilege, and the profile is handed to the vendor and
recorded last. An interrupted build leaves nothing that a vend could use; the next one continues.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

from snowflake.connector import errors as vendor

from rolevend.catalog import Column, TableId
from rolevend.errors import Conflict, InvalidInput, PlatformBusy
from rolevend.model import ClusterId, ProfileName
from rolevend.plan import Profile, TableShape
from rolevend.platforms.progress import BuildProgress, Counting, ProgressCallback, no_progress
from rolevend.platforms.protocol import Account
from rolevend.platforms.snowflake import tools
from rolevend.platforms.snowflake.build import table_policies
from rolevend.platforms.snowflake.build.attachments import ROW_ACCESS_POLICY, Attachments, read_policies
from rolevend.platforms.snowflake.build.policies import SnowflakePolicy, View, row_policy, secure_view, set_row_policy
from rolevend.platforms.snowflake.connections import SnowflakeSession
from rolevend.platforms.snowflake.control import profile_role
from rolevend.platforms.snowflake.drift import tables_text
from rolevend.platforms.snowflake.drop.drops import found, look
from rolevend.platforms.snowflake.failures import OTHER_ROW_POLICY, code_of
from rolevend.platforms.snowflake.names import DATABASE, MARKER, PROFILE, VENDOR, VENDOR_ROLE, role_of, schema_of
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, literal
from rolevend.platforms.snowflake.types import column_type

TOGETHER: Final = 50
"""Statements per request."""
LONGEST: Final = 900_000
"""Bytes per request: Snowflake's limit is a million."""
_ATTEMPTS: Final = 3

Item = TypeVar("Item")

Spread = Callable[[Callable[[SnowflakeSession, Sequence[View]], object], Sequence[Sequence[View]]], Iterator[object]]
"""Runs the work for each item concurrently, each with its own session. Results are in order."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SnowflakeProfileText:
    """The parts of a profile, in the order of creation."""

    name: ProfileName
    walls: tuple[tuple[TableId, SnowflakePolicy], ...]
    """For tables without one; tables share walls, by the type of a column."""
    good_walls: Mapping[TableId, frozenset[str]]
    """Names of equivalent walls, on any column of the table."""
    views: tuple[View, ...]

    @property
    def schema(self) -> Sql:
        return schema_of(self.name)

    @property
    def role(self) -> Sql:
        return role_of(self.name)


def render(profile: Profile, account: Account) -> SnowflakeProfileText:
    if not profile.tables:
        raise InvalidInput("profile", f"{profile.name} has no tables")
    return SnowflakeProfileText(
        profile.name,
        tuple((shape.table, row_policy(shape.table, _columns(shape), {})) for shape in profile.tables),
        {shape.table: _good_walls(shape) for shape in profile.tables},
        tuple(_view(profile.name, shape, account) for shape in profile.tables),
    )


def beginning(text: SnowflakeProfileText, cluster: ClusterId) -> tuple[Sql, ...]:
    """Return statements for the schema and the role, which are unusable so far. `collect` finds remains by the schema."""
    comment = literal(f'{{"rolevend":{{"cluster":"{cluster}"}}}}')
    return (
        compose("CREATE SCHEMA IF NOT EXISTS {} COMMENT = {}", text.schema, comment),
        compose("CREATE ROLE IF NOT EXISTS {} COMMENT = {}", text.role, comment),
        compose("GRANT ROLE {} TO ROLE {}", MARKER, text.role),
    )


def walls(text: SnowflakeProfileText, account: Account, attached: Mapping[TableId, Sequence[Attachments]]) -> tuple[Sql, ...]:
    """Return statements for the policies, then one per table without a wall or with an older one. Each replaces in one statement, so that
    the table always has a wall.
    """
    wanted = []
    for table, policy in text.walls:
        there = [each.name for each in attached.get(table, ()) if each.kind == ROW_ACCESS_POLICY]
        if not text.good_walls[table] & set(there):
            wanted.append((policy, set_row_policy(table, policy, database=account.database, instead_of=there[0] if there else None)))
    return *sorted({Sql(policy.create) for policy, _ in wanted}), *(Sql(statement) for _, statement in wanted)


def grants(text: SnowflakeProfileText, account: Account) -> tuple[Sql, ...]:
    return (
        compose("GRANT USAGE ON DATABASE {} TO ROLE {}", DATABASE, text.role),
        compose("GRANT USAGE ON SCHEMA {} TO ROLE {}", text.schema, text.role),
        compose("GRANT SELECT ON ALL VIEWS IN SCHEMA {} TO ROLE {}", text.schema, text.role),
        compose("GRANT USAGE ON WAREHOUSE {} TO ROLE {}", identifier(account.warehouse), text.role),
    )


def hand_over(text: SnowflakeProfileText) -> Sql:
    """Transfer the role to the vendor: only its owner can grant it."""
    return compose("GRANT OWNERSHIP ON ROLE {} TO ROLE {} COPY CURRENT GRANTS", text.role, VENDOR)


def write_down(text: SnowflakeProfileText, cluster: ClusterId) -> Sql:
    return compose(
        "INSERT INTO {profiles} (PROFILE, CLUSTER, TABLES) SELECT {profile}, {cluster}, {tables}\n"
        " WHERE (SELECT COUNT(*) FROM {profiles} WHERE PROFILE = {profile}) = 0",
        profiles=PROFILE,
        profile=literal(profile_role(text.name)),
        cluster=literal(cluster),
        tables=literal(tables_text([table for table, _ in text.walls])),
    )


def is_written_down(profile: ProfileName) -> Sql:
    return compose("SELECT PROFILE FROM {} WHERE PROFILE = {}", PROFILE, literal(profile_role(profile)))


def build(
    session: SnowflakeSession,
    profile: Profile,
    text: SnowflakeProfileText,
    account: Account,
    cluster: ClusterId,
    turn: AbstractContextManager[object],
    spread: Spread,
    on_progress: ProgressCallback = no_progress,
) -> None:
    """Build the profile. `turn` is held while policies are set, so that concurrent builders do not interfere, and none waits for a whole
    build.

    Raises `Conflict`, before any change to a table, if a table has another owner's policy (Snowflake allows one), or if a column would be
    both filtered and masked for tools.
    """
    if session.rows(is_written_down(text.name)):
        return
    _expect_unchanged(session, profile, account)
    attached = read_policies(session, account.database, [table for table, _ in text.walls])
    _expect_ours(attached)
    session.script(beginning(text, cluster))
    with turn:
        settled = table_policies.put(session, profile, account.database)
    missing_walls = [wall for wall in text.walls if wall[0] not in settled]  # those behind tools already have more than a wall
    counting = Counting(_logged_progress(text, on_progress), len(text.walls), "wall", len(settled))
    for few in _together(missing_walls, lambda _: 0):
        with turn:
            _wall(session, replace(text, walls=tuple(few)), account, attached)
        counting.more(len(few))
    views = {str(row["name"]) for row in session.rows(compose("SHOW VIEWS IN SCHEMA {}", text.schema))}
    missing = [view for view in text.views if view.name not in views]
    counting = Counting(_logged_progress(text, on_progress), len(text.views), "view", len(text.views) - len(missing))
    batches = list(_together(missing, _size))
    done = spread(_make, batches) if len(batches) > 1 else map(partial(_make, session), batches)  # a few need no additional session
    for some, _ in zip(batches, done, strict=True):
        counting.more(len(some))
    session.script(grants(text, account))
    for together in _together(tools.grants(text.role, profile.tools, account.database), len):
        session.script(together)
    _hand_over(session, text)
    session.rows(write_down(text, cluster))


def _expect_unchanged(session: SnowflakeSession, profile: Profile, account: Account) -> None:
    """Refuse a tool that was replaced since it was read."""
    there = tools.read_tools(session, account.database, [tool.id for tool in profile.tools])
    for planned in profile.tools:
        if planned not in there:
            raise PlatformBusy(f"{planned.id} is not what it was when profile {profile.name} was planned")


def _make(session: SnowflakeSession, views: Sequence[View]) -> None:
    session.script([Sql(view.create) for view in views])


def _wall(
    session: SnowflakeSession, text: SnowflakeProfileText, account: Account, attached: Mapping[TableId, Sequence[Attachments]]
) -> None:
    for _ in range(_ATTEMPTS):
        wanted = walls(text, account, attached)
        try:
            session.script(wanted)
        except vendor.Error as error:
            if code_of(error) != OTHER_ROW_POLICY:
                raise
        else:
            return
        # A concurrent builder may have set the wall: read again.
        attached = read_policies(session, account.database, [table for table, _ in text.walls])
        _expect_ours(attached)
    raise PlatformBusy(f"policies come and go on tables of profile {text.name}")


def _hand_over(session: SnowflakeSession, text: SnowflakeProfileText) -> None:
    """Hand over; a concurrent builder may have done so."""
    if is_handed_over(session, text.name):
        return
    try:
        session.rows(hand_over(text))
    except vendor.Error:
        if not is_handed_over(session, text.name):
            raise


def _expect_ours(attached: Mapping[TableId, Sequence[Attachments]]) -> None:
    for table, policies in sorted(attached.items()):
        for each in policies:
            if not each.is_ours:
                raise Conflict(f"{table} {each.obstacle}")


def is_handed_over(session: SnowflakeSession, profile: ProfileName) -> bool:
    """True if the vendor owns the profile's role."""
    role = profile_role(profile)
    there = found(role, session.rows(look(role)))
    return there is not None and there["owner"] == VENDOR_ROLE


def _together(items: Sequence[Item], size: Callable[[Item], int]) -> Iterator[Sequence[Item]]:
    """Group the items, in order, into requests within the limits."""
    few: list[Item] = []
    for item in items:
        if few and (len(few) == TOGETHER or sum(map(size, few)) + size(item) > LONGEST):
            yield few
            few = []
        few.append(item)
    if few:
        yield few


def _logged_progress(text: SnowflakeProfileText, on_progress: ProgressCallback) -> ProgressCallback:
    """Also log the progress of a longer build."""

    def report(progress: BuildProgress) -> None:
        on_progress(progress)
        if progress.tables > TOGETHER:
            _log.info("building a profile: %s", progress, extra={"profile": text.name})

    return report


def _view(profile: ProfileName, shape: TableShape, account: Account) -> View:
    view = secure_view(profile, shape, database=account.database)
    if _size(view) > LONGEST:
        reason = f"the view of {shape.table} is a text of {_size(view):,} bytes, and Snowflake takes {LONGEST:,}: grant fewer columns of it"
        raise InvalidInput("columns", reason)
    return view


def _size(view: View) -> int:
    return len(view.create.encode())


def _good_walls(shape: TableShape) -> frozenset[str]:
    named = [column for column in _columns(shape) if column_type(column.native_type) is not None]
    return frozenset(row_policy(shape.table, (column,), {}).name for column in named)


def _columns(shape: TableShape) -> tuple[Column, ...]:
    """Return the columns. The wall reads none, but must be set on one."""
    return tuple(Column(each.name, each.family, each.native_type) for each in shape.columns)
