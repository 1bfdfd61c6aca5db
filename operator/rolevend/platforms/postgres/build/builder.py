"""Build a profile if it is missing: read its state once, compute the missing steps, run the SQL of `render`.

Templates go first, each in its own transaction that waits 200 ms for its table; the profile goes last. An interrupted build leaves nothing
that a vend could use. At first the build waits for sessions that lock a table; later it ends those of vended roles.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain

import psycopg
from psycopg import sql

from rolevend.errors import PlatformDrifted, PlatformLocked
from rolevend.model import ProfileName
from rolevend.plan import ViewComment
from rolevend.platforms.postgres.build.render import PostgresProfileText, Template, roles
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.drop.clearing import Clearing, InTheWay
from rolevend.platforms.postgres.sql_files import query
from rolevend.platforms.progress import Counting, ProgressCallback, no_progress

_TOGETHER = 25
"""Transactions per message to the server: one network round trip for all of them."""
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0
_INSISTENT = 3
"""The number of further attempts, which end sessions of vended roles."""
_PASSING = frozenset({"55P03", "40P01", "40001", "42710", "23505", "42P06", "XX000"})
"""Retry: a lock timed out, or another process created the same object."""


@dataclass(frozen=True, slots=True)
class TemplateState:
    role_exists: bool
    must_be_made: bool
    finding: str
    """A manual change that was not accepted."""


@dataclass(frozen=True, slots=True)
class ProfileState:
    digest: str
    drift: str | None
    altered: bool
    stale: bool
    comments: frozenset[ViewComment] = frozenset()


@dataclass(frozen=True, slots=True)
class BuildStep:
    text: str
    subject: str
    """The locked object, for the error message."""


@dataclass(frozen=True, slots=True)
class Steps:
    """In this order; the templates' steps in any order."""

    first: list[BuildStep]
    templates: list[BuildStep]
    last: list[BuildStep]

    def __iter__(self) -> Iterator[BuildStep]:
        return chain(self.first, self.templates, self.last)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def build(
    connection: Connection,
    helper: Connection | None,
    wanted: PostgresProfileText,
    attempts: int,
    clearing: Clearing,
    on_progress: ProgressCallback = no_progress,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Build the profile. Returns False if comments are still those of an earlier build, because a view is in use.

    With a `helper` connection, every other batch of templates runs there; templates are independent of each other.

    Raises `PlatformLocked` if a table is still locked after `attempts` without progress and some more in which sessions of vended roles are
    ended; `PlatformDrifted` if an object was changed manually.
    """
    attempt = f"build profile {wanted.name}"
    with _turn(connection, wanted.name, clearing):
        fewest, left, wait = 1 << 30, attempts, _FIRST_WAIT
        insists, found = False, InTheWay()
        while True:
            profile, templates = look(connection, wanted)
            steps = steps_for(wanted, profile, templates)
            if not steps:
                return profile is None or profile.comments == wanted.comments or _comment(connection, wanted)
            if len(steps) < fewest:
                fewest, left, wait = len(steps), _INSISTENT if insists else attempts, _FIRST_WAIT
            elif left > 0:
                sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
            elif insists:
                raise PlatformLocked(f"cannot {attempt}: {next(iter(steps)).subject} is locked by {found}; try again")
            else:
                insists, left, wait = True, _INSISTENT, _FIRST_WAIT
            left -= 1
            count = len(wanted.templates)
            counting = Counting(on_progress, count, "template", count - len(steps.templates))
            builders = [each for each in (connection, helper) if each is not None]
            with clearing.watching(attempt, builders) if insists else nullcontext(found) as found:
                if _run(connection, helper, steps, counting):
                    return True


def look(connection: Connection, wanted: PostgresProfileText) -> tuple[ProfileState | None, dict[str, TemplateState]]:
    with connection.pipeline():
        profiles = connection.execute(query("profile"), {"profile": wanted.name})
        templates = connection.execute(query("templates"), {"templates": [template.name for template in wanted.templates]})
    row = profiles.fetchone()
    state = None
    if row is not None:
        digest, drift, altered, stale, comments = row
        state = ProfileState(digest, drift, altered, stale, frozenset(ViewComment(*each) for each in comments))
    return state, {name: TemplateState(*state) for name, *state in templates.fetchall()}


def steps_for(wanted: PostgresProfileText, profile: ProfileState | None, templates: dict[str, TemplateState]) -> Steps:
    """Return the missing steps. Pure. Raises `PlatformDrifted` for a manual change that was not accepted."""
    for template in wanted.templates:
        state = templates[template.name]
        if state.finding:
            raise PlatformDrifted(f"table {template.table} was changed by hand: {state.finding}; {mend(template)}")
    if profile is not None and profile.altered and profile.digest == wanted.digest:
        raise PlatformDrifted(f"profile {wanted.name}: a view was changed by hand; {mend(wanted.templates[0])}")
    missing = [template for template in wanted.templates if templates[template.name].must_be_made]
    without_role = [template for template in missing if not templates[template.name].role_exists]
    steps = Steps(
        [BuildStep(roles(without_role), "the list of roles")] if without_role else [],
        [
            BuildStep(template.renew if templates[template.name].role_exists else template.create, f"table {template.table}")
            for template in missing
        ],
        [],
    )
    if profile is None:
        steps.last.append(BuildStep(wanted.create, f"a table of profile {wanted.name}"))
    elif profile.digest != wanted.digest or profile.stale or profile.drift is not None or missing:
        steps.last.append(BuildStep(wanted.renew, f"a view of profile {wanted.name}"))
    return steps


def _comment(connection: Connection, wanted: PostgresProfileText) -> bool:
    return _in_order(connection, [[BuildStep(wanted.comment, f"a view of profile {wanted.name}")]])


def mend(template: Template) -> str:
    """Return the fix of a drift, for a person."""
    table = sql.Identifier(template.table.schema, template.table.name).as_string()
    call = sql.SQL("SELECT rolevend.accept({})").format(sql.Literal(table)).as_string()
    return f"put it right, or look at it and have it made anew with: {call}"


def _run(connection: Connection, helper: Connection | None, steps: Steps, counting: Counting) -> bool:
    """Run the steps. Returns True at the end, False after an error that a retry can resolve."""
    if not _in_order(connection, [steps.first]):
        return False
    batches = [steps.templates[start : start + _TOGETHER] for start in range(0, len(steps.templates), _TOGETHER)]
    if helper is None or len(batches) == 1:
        done = _in_order(connection, batches, counting)
    else:
        with ThreadPoolExecutor(1) as beside:
            others = beside.submit(_in_order, helper, batches[1::2], counting)
            done = all([_in_order(connection, batches[::2], counting), others.result()])
    return done and _in_order(connection, [steps.last])


def _in_order(connection: Connection, batches: Sequence[Sequence[BuildStep]], counting: Counting | None = None) -> bool:
    for together in filter(None, batches):
        try:
            connection.execute(sql.SQL("\n".join(step.text for step in together)))
        except psycopg.Error as error:
            connection.rollback()
            if error.sqlstate not in _PASSING:
                raise
            return False
        if counting is not None:
            counting.more(len(together))
    return True


@contextmanager
def _turn(connection: Connection, name: ProfileName, clearing: Clearing) -> Iterator[None]:
    """Allow one builder of a profile at a time across processes. The lock ends with the connection.

    In managed mode a vended role can take the same lock; `clearing` ends its session.
    """
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    with clearing.watching(f"build profile {name}", [connection]):
        connection.execute("SELECT pg_advisory_lock(%s)", [key])
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", [key])
