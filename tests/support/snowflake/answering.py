"""Requests into answers: what each path means, as JSON."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import Any

from tests.support.snowflake import binding, refusals
from tests.support.snowflake.account import Account
from tests.support.snowflake.login import LoginRefused
from tests.support.snowflake.results import Result
from tests.support.snowflake.sessions import MASTER_LIFE, TOKEN_LIFE, Running, Session

Answer = dict[str, Any]

_AT_ONCE = 2.0
"""Seconds after which a statement that still runs is answered with where to ask for its result."""


@dataclass(frozen=True, slots=True)
class Request:
    """`content` is the JSON that came; `token` the one of the header."""

    path: str
    query: dict[str, str]
    content: dict[str, Any]
    token: str


@dataclass(eq=False, slots=True)
class _Statement:
    running: Running
    session: Session
    future: "Future[Result]"


def _said(content: Any, *, code: str | None = None, message: str | None = None, success: bool = True) -> Answer:
    return {"data": content, "code": code, "message": message, "success": success}


def _refused(code_and_text: tuple[str, str]) -> Answer:
    return _said(None, code=code_and_text[0], message=code_and_text[1], success=False)


class Answers:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._statements: dict[str, _Statement] = {}
        self._children: dict[str, tuple[str, Result]] = {}
        """Of several statements at once: whose each is, and its result."""
        self._by_request: dict[str, str] = {}
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(64, "snowflake-work")

    def close(self) -> None:
        self._workers.shutdown()

    def answer(self, request: Request) -> Answer:
        paths: tuple[tuple[str, Callable[[Request], Answer]], ...] = (
            ("/session/v1/login-request", self._log_in),
            ("/session/token-request", self._renew),
            ("/telemetry/send", lambda _: _said(None)),
        )
        for path, respond in paths:
            if request.path == path:
                return respond(request)
        session = self._account.tokens.session(request.token, self._account.clock())
        if isinstance(session, tuple):
            return _refused(session)
        if request.path == "/queries/v1/query-request":
            return self._query(request, session)
        if request.path == "/queries/v1/abort-request":
            return self._abort(request, session)
        if request.path.startswith("/queries/") and request.path.endswith("/result"):
            return self._result(request.path.split("/")[2], session)
        if request.path.startswith("/monitoring/queries/"):
            return self._monitor(request.path.rsplit("/", 1)[1], session)
        if request.path == "/session" and request.query.get("delete") == "true":
            self._account.log_out(session)
            return _said(None)
        if request.path == "/session/heartbeat":
            return _said(None)
        return _refused(("900001", f"the stand-in for Snowflake does not know the path {request.path}"))

    def _log_in(self, request: Request) -> Answer:
        content = request.content["data"]
        account = self._account
        if content.get("AUTHENTICATOR", "").upper() != "SNOWFLAKE_JWT":
            return _refused(("390100", "Incorrect username or password was specified."))
        if content.get("ACCOUNT_NAME", "").upper() != account.name:
            return _refused(("390144", "JWT token is invalid."))
        try:
            session = account.log_in(
                content["LOGIN_NAME"],
                content.get("TOKEN") or "",
                role=request.query.get("roleName"),
                secondary=content.get("SECONDARY_ROLES"),
                parameters=content.get("SESSION_PARAMETERS") or {},
            )
        except LoginRefused as refused:
            return _refused((refused.code, f"{refused.text} [{uuid.uuid4()}]" if refused.code == "390144" else refused.text))
        _place(account, session, request.query)
        token, master = account.tokens.issue(session, account.clock())
        return _said(
            {
                "token": token,
                "masterToken": master,
                "validityInSeconds": int(TOKEN_LIFE.total_seconds()),
                "masterValidityInSeconds": int(MASTER_LIFE.total_seconds()),
                "displayUserName": session.user,
                "serverVersion": "9.30.1",
                "firstLogin": False,
                "healthCheckInterval": 45,
                "sessionId": session.id,
                "parameters": [{"name": "TIMEZONE", "value": "UTC"}, {"name": "CLIENT_TELEMETRY_ENABLED", "value": False}],
                "sessionInfo": {
                    "databaseName": session.database,
                    "schemaName": session.schema,
                    "warehouseName": session.warehouse,
                    "roleName": session.role,
                },
            }
        )

    def _renew(self, request: Request) -> Answer:
        renewed = self._account.tokens.renew(request.token, self._account.clock())
        if len(renewed) == 2:
            return _refused(renewed)
        session, token, master = renewed
        return _said(
            {
                "sessionToken": token,
                "validityInSecondsST": int(TOKEN_LIFE.total_seconds()),
                "masterToken": master,
                "validityInSecondsMT": int(MASTER_LIFE.total_seconds()),
                "sessionId": session.id,
            }
        )

    def _query(self, request: Request, session: Session) -> Answer:
        content = request.content
        text = binding.bound(content["sqlText"], content.get("bindings") or {})
        count = int((content.get("parameters") or {}).get("MULTI_STATEMENT_COUNT", session.parameters.get("MULTI_STATEMENT_COUNT", 1)))
        running = self._account.begin(session, text)
        with self._lock:
            self._by_request[request.query.get("requestId", "")] = running.id
        if content.get("describeOnly"):
            running.status = "SUCCESS"
            return _said(_shown(Result((), []), running, session))
        statement = _Statement(running, session, self._workers.submit(self._account.execute, running, count=count))
        self._statements[running.id] = statement
        if content.get("asyncExec"):
            return _under_way(running, "333334")
        return self._outcome(statement)

    def _outcome(self, statement: _Statement) -> Answer:
        running = statement.running
        try:
            result = statement.future.result(_AT_ONCE)
        except NotYet:
            return _under_way(running, "333333")
        except refusals.Refusal as refusal:
            content = {
                "errorCode": refusal.number,
                "sqlState": refusal.state,
                "queryId": running.id,
                "line": -1,
                "pos": -1,
                "type": "COMPILATION",
            }
            return _said(content, code=refusal.number, message=refusal.text, success=False)
        return _said(self._with_children(_shown(result, running, statement.session), result, running.user))

    def _with_children(self, content: dict[str, Any], result: Result, user: str) -> dict[str, Any]:
        if result.children:
            ids = [str(uuid.uuid4()) for _ in result.children]
            self._children |= {child: (user, found) for child, found in zip(ids, result.children, strict=True)}
            content["resultIds"] = ",".join(ids)
            content["resultTypes"] = ",".join(str(child.type) for child in result.children)
        return content

    def _result(self, query: str, session: Session) -> Answer:
        whose, child = self._children.get(query, ("", None))
        if child is not None and whose == session.user:
            running = Running(query, "", session.user, session.role, session.id, "", self._account.clock())
            return _said(_shown(child, running, session))
        statement = self._statements.get(query)
        if statement is None or statement.session.user != session.user:
            return _refused(("000709", f"Statement {query} not found"))
        return self._outcome(statement)

    def _monitor(self, query: str, session: Session) -> Answer:
        found = [one.running for one in self._statements.values() if one.running.id == query and one.session.user == session.user]
        return _said(
            {"queries": [{"id": one.id, "status": one.status, "errorCode": one.number, "errorMessage": one.error} for one in found]}
        )

    def _abort(self, request: Request, session: Session) -> Answer:
        query = self._by_request.get(str(request.content.get("requestId", "")), "")
        statement = self._statements.get(query)
        if statement is not None and statement.session is session:
            statement.running.stopped.set()
        return _said(None)


_DEFAULTS = {"namespace": "DEFAULT_NAMESPACE", "warehouse": "DEFAULT_WAREHOUSE"}


def _place(account: Account, session: Session, query: dict[str, str]) -> None:
    """The warehouse, database and schema of the login, or the user's own: what is not there, or not for this user, stays unset."""
    user = account.catalog.find("USER", (session.user,))
    settings = user.settings if user else {}
    default = {key: value for key, setting in _DEFAULTS.items() if (value := settings.get(setting))}
    for key, kind in (("namespace", "SCHEMA"), ("warehouse", "WAREHOUSE"), ("databaseName", "DATABASE"), ("schemaName", "SCHEMA")):
        if name := query.get(key) or default.get(key):
            try:
                account.execute(account.begin(session, f"USE {kind} {name}", told=False))
            except refusals.Refusal:
                continue


def _under_way(running: Running, code: str) -> Answer:
    content = {"queryId": running.id, "getResultUrl": f"/queries/{running.id}/result", "queryAbortsAfterSecs": 300, "progressDesc": None}
    return _said(content, code=code, message="Query execution in progress.")


def _shown(result: Result, running: Running, session: Session) -> dict[str, Any]:
    return {
        "parameters": [],
        "rowtype": [column.on_the_wire() for column in result.columns],
        "rowset": result.rowset,
        "total": len(result.rows),
        "returned": len(result.rows),
        "queryId": running.id,
        "databaseProvider": None,
        "finalDatabaseName": session.database,
        "finalSchemaName": session.schema,
        "finalWarehouseName": session.warehouse,
        "finalRoleName": session.role,
        "numberOfBinds": 0,
        "arrayBindSupported": False,
        "statementTypeId": result.type,
        "version": 1,
        "queryResultFormat": "json",
    }
