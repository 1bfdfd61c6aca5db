"""SYSTEM$ functions, in the one place where the stand-in knows them: ``SELECT SYSTEM$…('…')``."""

from sqlglot import exp

from tests.support.snowflake import refusals
from tests.support.snowflake.engine import Work


def call(work: Work, tree: exp.Query) -> None:
    """Puts what each call answers in its place."""
    for node in [*tree.find_all(exp.Anonymous)]:
        if node.name.upper().startswith("SYSTEM$"):
            arguments = [argument.name for argument in node.expressions]
            node.replace(exp.Literal.string(_called(work, node.name.upper(), arguments)))


def _called(work: Work, name: str, arguments: list[str]) -> str:
    match name, arguments:
        case "SYSTEM$CANCEL_QUERY", [query]:
            return _cancel_query(work, query)
        case "SYSTEM$CANCEL_ALL_QUERIES", [session]:
            for running in work.history:
                if str(running.session) == session:
                    _cancel_query(work, running.id)
            return "all queries cancelled."
        case "SYSTEM$ABORT_SESSION", [session]:
            return _abort_session(work, session)
        case "SYSTEM$WAIT", [seconds, *_]:
            return f"waited {seconds} seconds"
    raise refusals.Unknown(f"{name} with {len(arguments)} arguments")


def _may_stop(work: Work, user: str) -> bool:
    """One's own, or with OPERATE on the warehouse, or as an administrator of the account, or as the owner of the user."""
    owner = work.catalog.find("USER", (user,))
    return user == work.session.user or work.access.admin or (owner is not None and work.access.owns(owner))


def _cancel_query(work: Work, query: str) -> str:
    for running in work.history:
        if running.id == query:
            if not _may_stop(work, running.user):
                raise refusals.Refusal("000709", "02000", f"Statement {query} not found")
            if running.status != "RUNNING":
                return "Identified SQL statement is not currently executing."
            running.stopped.set()
            return f"query [{query}] terminated."
    raise refusals.Refusal("000709", "02000", f"Statement {query} not found")


def _abort_session(work: Work, session: str) -> str:
    found = work.sessions.get(int(session))
    if found is None or not _may_stop(work, found.user):
        raise refusals.Refusal("000707", "02000", f"Session {session} not found")
    found.closed = True
    for running in work.history:
        if running.session == found.id and running.status == "RUNNING":
            running.stopped.set()
    return f"session [{session}] terminated."
