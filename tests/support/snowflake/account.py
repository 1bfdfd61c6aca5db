"""An account: its catalog, its sessions, its clock, and what runs on it. Statements run one at a time; waits do not hold the others up."""

import re
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import duckdb

from tests.support.snowflake import login, objects, queries, refusals, roles, scripts, show, statements
from tests.support.snowflake.access import Access
from tests.support.snowflake.catalog import ACCOUNTADMIN, Catalog, Granted, Member, Thing
from tests.support.snowflake.engine import Work
from tests.support.snowflake.faults import Faults, Harm
from tests.support.snowflake.functions import MACROS
from tests.support.snowflake.grammar import parse, split
from tests.support.snowflake.reader import Reader
from tests.support.snowflake.results import MULTI, Result, ResultColumn, status
from tests.support.snowflake.sessions import Running, Session, Tokens
from tests.support.snowflake.statements import Statement
from tests.support.snowflake.switches import Switches

_WAIT = re.compile(r"\s*SELECT\s+SYSTEM\$WAIT\(\s*'?(\d+(?:\.\d+)?)'?\s*\)\s*;?\s*", re.IGNORECASE)
_KEPT = 10_000
_OF_USERS = ("STATEMENT_TIMEOUT_IN_SECONDS", "QUERY_TAG", "TIMEZONE")
"""Parameters that a session takes from its user."""


class Account:
    """`clock` is what CURRENT_TIMESTAMP says; set `account.clock` to move it. `edition` is STANDARD or ENTERPRISE."""

    def __init__(
        self, *, name: str = "RVTEST", clock: Callable[[], datetime] = lambda: datetime.now(UTC), edition: str = "ENTERPRISE"
    ) -> None:
        self.name = name
        self.clock = clock
        self.edition = edition
        self.lets_nobody_in = False
        """As a network policy that does not name the caller's address."""
        self.switches = Switches()
        self.faults = Faults()
        self.tokens = Tokens()
        self.catalog = Catalog(clock())
        self.sessions: dict[int, Session] = {}
        self._history: deque[Running] = deque(maxlen=_KEPT)
        self._telling = threading.Lock()
        self._lock = threading.RLock()
        self._numbers = iter(range(1, 1 << 40))
        self._duckdb = duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": "1"})
        self._duckdb.execute("SET TimeZone = 'UTC'")
        for macro in MACROS:
            self._duckdb.execute(macro)

    def close(self) -> None:
        self.stop_all()
        with self._lock:
            self._duckdb.close()

    def add_administrator(self, user: str, public_key: str) -> None:
        """A user with ACCOUNTADMIN: what an account is born with."""
        now = self.clock()
        self.catalog.add(Thing("USER", (user,), ACCOUNTADMIN, now, settings={"RSA_PUBLIC_KEY": public_key, "DEFAULT_ROLE": ACCOUNTADMIN}))
        self.catalog.join(Member("ROLE", ACCOUNTADMIN), Member("USER", user), Granted("", now))

    def fill(self, table: Thing, rows: Sequence[Sequence[object]]) -> None:
        """As a load did that nobody asks about."""
        with self._lock:
            for start in range(0, len(rows), 500):
                some = rows[start : start + 500]
                places = ", ".join(f"({', '.join('?' * len(table.columns))})" for _ in some)
                self._duckdb.execute(f"INSERT INTO {table.stored} VALUES {places}", [value for row in some for value in row])

    def asked_plainly(self, select: str) -> list[tuple[Any, ...]]:
        """Of the rows as they are stored, in DuckDB's own words, which are PostgreSQL's."""
        with self._lock:
            return self._duckdb.execute(select).fetchall()

    def log_in(self, user: str, token: str, *, role: str | None, secondary: str | None, parameters: dict[str, object]) -> Session:
        """A LoginRefused if the key, the user or the role is not right."""
        if self.lets_nobody_in:
            raise login.LoginRefused("390422", "Incoming request with IP/Token 192.0.2.1 is not allowed to access Snowflake.")
        with self._lock:
            name = Reader(user).name()[0] if user else ""
            found = self.catalog.find("USER", (name,))
            login.check_key_pair(token, self.name, found, datetime.now(UTC), self.switches)
            assert found is not None
            login.check_user(found, self.clock(), self.switches)
            role = role or str(found.settings.get("DEFAULT_ROLE") or "PUBLIC")
            role = Reader(role).name()[0]
            member = Member("USER", name)
            if self.switches.role_membership and Member("ROLE", role) not in self.catalog.below(self.catalog.roles_of(member)):
                raise login.LoginRefused(
                    "390189",
                    f"Role '{role}' specified in the connect string does not exist or not authorized. "
                    "Contact your local system administrator, or attempt to login with another role, e.g. PUBLIC.",
                )
            default = "NONE" if found.settings.get("DEFAULT_SECONDARY_ROLES") == () else "ALL"
            session = Session(next(self._numbers), name, role, (secondary or default).upper(), self._duckdb.cursor())
            session.cursor.execute("SET TimeZone = 'UTC'")
            session.parameters |= {"ACCOUNT_NAME": self.name, "AUTOCOMMIT": True}
            session.parameters |= {key: found.settings[key] for key in _OF_USERS if key in found.settings}
            session.parameters |= {key.upper(): value for key, value in parameters.items()}
            session.parameters["ROLES_AT_LOGIN"] = tuple(one.name for one in self.catalog.roles_of(member))
            self.sessions[session.id] = session
            return session

    def log_out(self, session: Session) -> None:
        with self._lock:
            session.closed = True
            self.sessions.pop(session.id, None)
            for thing in [thing for thing in self.catalog.of("TABLE", "VIEW") if thing.session == session.id]:
                self.catalog.remove(thing)

    # Statements

    @property
    def history(self) -> tuple[Running, ...]:
        """What began so far, the oldest first: more may begin while one looks, and no statement waits for another to begin."""
        with self._telling:
            return tuple(self._history)

    def forget(self) -> None:
        """As after a year: `history` begins anew."""
        with self._telling:
            self._history.clear()

    def stop_all(self) -> None:
        """Statements that wait are cancelled, and no answer is withheld."""
        self.faults.silence.set()
        for running in self.history:
            running.stopped.set()

    def begin(self, session: Session, text: str, *, told: bool = True) -> Running:
        """`told` is False of what a login does by itself: no history tells of it."""
        work = Access(self.catalog, session, self.switches)
        tag = str(session.parameters.get("QUERY_TAG", ""))
        running = Running(str(uuid.uuid4()), text, session.user, work.role, session.id, tag, self.clock())
        if told:
            with self._telling:
                self._history.append(running)
        return running

    def execute(self, running: Running, *, count: int = 1) -> Result:
        """`count` is MULTI_STATEMENT_COUNT: 0 is any number. The status stays in `running`."""
        session = self.sessions[running.session]
        try:
            result = self._execute(session, running, count)
        except refusals.Refusal as refusal:
            running.status, running.number, running.error = "FAILED_WITH_ERROR", refusal.number, refusal.text
            raise
        finally:
            running.ended = self.clock()
        session.remember(running.id, result)
        running.status = "SUCCESS"
        return result

    def _execute(self, session: Session, running: Running, count: int) -> Result:
        texts = split(running.text)
        if count and len(texts) != count:
            raise refusals.wrong_count(len(texts), count)
        if len(texts) == 1:
            return self._one(session, running, texts[0])
        with self._lock:
            queries.use_warehouse(self._work(session, running))
        for text in texts:
            parse(text)  # one that is not understood stops all of them
        children = tuple(self._one_of_several(session, running, text) for text in texts)
        answer = [("Multiple statements executed successfully.",)]
        return Result((ResultColumn("multiple statement execution"),), list(answer), MULTI, children)

    def _one_of_several(self, session: Session, running: Running, text: str) -> Result:
        try:
            return self._one(session, running, text)
        except refusals.Unknown:
            raise
        except refusals.Refusal as refusal:
            start = running.text.find(text)
            line = running.text.count("\n", 0, start) + 1
            raise refusals.one_of_several(refusal, text, line, start - (running.text.rfind("\n", 0, start) + 1)) from refusal

    def _one(self, session: Session, running: Running, text: str) -> Result:
        self._refuse(text, Harm.REFUSED)
        if waited := _WAIT.fullmatch(text):
            seconds, limit = float(waited[1]), self._timeout(session)
            if running.stopped.wait(min(seconds, limit)):
                raise refusals.cancelled()
            if seconds > limit:
                raise refusals.timed_out(limit)
        with self._lock:
            if running.stopped.is_set():
                raise refusals.cancelled()
            result = self._run(session, running, parse(text))
        self._refuse(text, Harm.REFUSED_AFTER)
        return result

    def _timeout(self, session: Session) -> float:
        """The lowest of the session's and its warehouse's, in seconds."""
        warehouse = self.catalog.find("WAREHOUSE", (session.warehouse,)) if session.warehouse else None
        settings: tuple[Mapping[str, Any], ...] = (session.parameters, warehouse.settings if warehouse else {})
        return min(float(str(each.get("STATEMENT_TIMEOUT_IN_SECONDS", 172_800))) for each in settings)

    def _refuse(self, text: str, harm: Harm) -> None:
        if fault := self.faults.refusal(text, harm):
            raise refusals.Refusal(fault.number, "XX000", fault.text)

    def _work(self, session: Session, running: Running) -> Work:
        access = Access(self.catalog, session, self.switches)

        def run(statement: Statement) -> Result:
            self._refuse(str(statement), Harm.REFUSED)
            result = self._run(session, running, statement)
            session.remember(str(uuid.uuid4()), result)
            return result

        return Work(self.catalog, session, access, self.switches, self.clock(), running, self.history, self.sessions, run, self.edition)

    def _run(self, session: Session, running: Running, statement: Statement) -> Result:
        work = self._work(session, running)
        if not isinstance(statement, statements.Query | statements.Transaction | statements.Script) and session.in_transaction:
            session.cursor.commit()  # DDL ends a transaction
            session.in_transaction = False
        match statement:
            case statements.Query(text):
                return queries.run(work, text)
            case statements.Create():
                return objects.create(work, statement)
            case statements.Drop():
                return objects.drop(work, statement)
            case statements.Alter():
                return objects.alter(work, statement)
            case statements.RoleGrant():
                return roles.grant_role(work, statement)
            case statements.PrivilegeGrant():
                return roles.grant_privileges(work, statement)
            case statements.OwnershipGrant():
                return roles.grant_ownership(work, statement)
            case statements.ShowGrants():
                return roles.show_grants(work, statement)
            case statements.Show():
                return show.show(work, statement)
            case statements.Describe():
                return show.describe(work, statement)
            case statements.Use():
                return roles.use(work, statement)
            case statements.AlterSession(settings, unset):
                session.parameters |= settings
                for key in unset:
                    session.parameters.pop(key, None)
                return status("Statement executed successfully.")
            case statements.Script(text):
                return scripts.run(work, text)
            case statements.Transaction(verb):
                return self._transact(session, verb)
            case statements.ExecuteTask(name):
                return self._execute_task(work, name)
            case statements.Call():
                return scripts.call(work, statement)

    def _transact(self, session: Session, verb: str) -> Result:
        if verb == "BEGIN" and not session.in_transaction:
            session.cursor.begin()
        elif verb == "COMMIT" and session.in_transaction:
            session.cursor.commit()
        elif verb == "ROLLBACK" and session.in_transaction:
            session.cursor.rollback()
        session.in_transaction = verb == "BEGIN"
        return status("Statement executed successfully.")

    def _execute_task(self, work: Work, name: tuple[str, ...]) -> Result:
        """Runs it at once, with the rights of its owner, as a user of the system."""
        task = work.access.get("TASK", name)
        if not (work.access.owns(task) or work.access.holds("OPERATE", task)):
            raise refusals.insufficient("TASK", task.name[-1])
        self.run_task(task)
        return status(f"Task {task.name[-1]} is scheduled to run immediately.")

    def run_task(self, task: Thing) -> None:
        """What the scheduler would do. A refusal is the task's failure."""
        with self._lock:
            session = replace(Session(next(self._numbers), "SYSTEM", task.owner, "NONE", self._duckdb.cursor()))
            session.database, session.schema = task.name[0], task.name[1]
            session.parameters |= {"ACCOUNT_NAME": self.name}
            session.warehouse = str(task.settings["WAREHOUSE"]) if task.settings.get("WAREHOUSE") else None
            self.catalog.join(Member("ROLE", task.owner), Member("USER", "SYSTEM"), Granted("", self.clock()))
            self.sessions[session.id] = session
            try:
                self.execute(self.begin(session, task.body), count=1)
            finally:
                self.sessions.pop(session.id, None)
                self.catalog.leave(Member("ROLE", task.owner), Member("USER", "SYSTEM"))
