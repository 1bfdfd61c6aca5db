"""The findings of an uninstallation: what blocks it, what is lost, what is as before again, and what stays. Pure."""

from collections.abc import Iterator
from itertools import groupby

from psycopg import sql

from rolevend.platforms.postgres.install.findings import some
from rolevend.platforms.postgres.install.removal_survey import RemovalSurvey
from rolevend.platforms.postgres.install.statements import quoted
from rolevend.platforms.uninstallation import RemovalFinding, RemovalKind

_LOCKING_OUT = sql.SQL("ALTER ROLE {} NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {}")
_LISTING = sql.SQL(
    "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_shdepend JOIN pg_database AS d ON d.oid = dbid "
    "WHERE datname = current_database() AND refobjid = {}::regrole"
)


def removal_findings(survey: RemovalSurvey) -> Iterator[RemovalFinding]:
    yield from _live(survey)
    yield from _obstacles(survey)
    yield from _lost(survey)
    for (kind, privilege), rights in groupby(survey.given, key=lambda right: (right.kind, right.privilege)):
        objects = some([right.object for right in rights])
        yield RemovalFinding(RemovalKind.GIVEN, "PUBLIC", f"has {privilege} on {kind.lower()} {objects}")
    for table in survey.tables:
        text = "row security is switched off: each role with a grant on it reads all rows"
        yield RemovalFinding(RemovalKind.GIVEN, table.shown, text)
    for name in survey.staying:
        text = (
            "this login existed before rolevend and stays, with the password that the installation set; its rights on the database and the "
            "governed schemas, and its memberships in their owners, are revoked, also if it had them before"
        )
        yield RemovalFinding(RemovalKind.STAYS, name, text)


def _live(survey: RemovalSurvey) -> Iterator[RemovalFinding]:
    for name in survey.vended:
        text = (
            "this role lives; end it first: rolevend drain ends all roles, kubectl delete vendedrole ends one; "
            f"if no operator knows it, run: {_ending(name)}; DROP OWNED BY {quoted([name])}; DROP ROLE {quoted([name])}"
        )
        yield RemovalFinding(RemovalKind.REFUSED, name, text)
    for session in survey.left:
        if session.role not in survey.vended:
            text = f"the role of this session is gone, and the session is not; end it: SELECT pg_terminate_backend({session.pid})"
            yield RemovalFinding(RemovalKind.REFUSED, f"session of {session.role}", text)
    for login in survey.sessions:
        text = (
            "the operator, the API or the console is logged in; delete the DataPlatform or uninstall the chart first; "
            f"if it is somebody else, run: {_ending(login)}"
        )
        yield RemovalFinding(RemovalKind.REFUSED, login, text)
    if survey.unreported:
        text = f"these roles ended, and their end is not in the audit trail: {some(survey.unreported)}; an operator that runs reports them"
        yield RemovalFinding(RemovalKind.LOST, "audit", text)


def _ending(login: str) -> str:
    return _LOCKING_OUT.format(sql.Identifier(login), sql.Literal(login)).as_string()


def _obstacles(survey: RemovalSurvey) -> Iterator[RemovalFinding]:
    administrator = survey.server.administrator
    for name, is_mine in [
        *((role.name, role.is_mine) for role in survey.roles.values()),
        *((each.name, each.is_mine) for each in survey.built),
    ]:
        if not is_mine:
            yield RemovalFinding(RemovalKind.REFUSED, name, f"{administrator} may not drop it; connect as one who may")
    for table in survey.tables:
        if not table.is_mine:
            yield RemovalFinding(RemovalKind.REFUSED, table.shown, f"{administrator} does not act for its owner; connect as one who does")
        elif table.others and table.has_row_security:
            text = (
                f"somebody else made policies for it ({some(table.others)}), and row security was off before rolevend; decide. "
                f"To switch row security off: ALTER TABLE {table.shown} DISABLE ROW LEVEL SECURITY. "
                f"To keep these policies: DROP POLICY rv_readers ON {table.shown}"
            )
            yield RemovalFinding(RemovalKind.REFUSED, table.shown, text)
    for owned in survey.owned:
        role = quoted([owned.role])
        yield RemovalFinding(RemovalKind.REFUSED, owned.object, f"is owned by {role}; drop it, or give it to another owner")
    for each in survey.foreign:
        yield RemovalFinding(RemovalKind.REFUSED, each, "somebody else made it in a schema of rolevend; move or drop it")
    for each in survey.dependents:
        yield RemovalFinding(RemovalKind.REFUSED, each, "uses something of rolevend; change or drop it")
    for right in survey.granted:
        role, grantor = quoted([right.role]), quoted([right.grantor])
        text = f"{grantor} granted a right on it to {role}, which only {grantor} can revoke; run as {grantor}: REVOKE ALL ON … FROM {role}"
        yield RemovalFinding(RemovalKind.REFUSED, right.object, text)
    for policy in (each for each in survey.rights if each.is_policy):
        yield RemovalFinding(RemovalKind.REFUSED, policy.shown, "is for rv_public, and would be dropped with it; alter or drop it")
    for place in survey.elsewhere:
        # DROP OWNED there would also revoke CONNECT on all databases, at once.
        listing = _LISTING.format(sql.Literal(quoted([place.role]))).as_string()
        text = f"has rights or objects in the database {place.database}; revoke or drop them there. To list them, run there: {listing}"
        yield RemovalFinding(RemovalKind.REFUSED, place.role, text)


def _lost(survey: RemovalSurvey) -> Iterator[RemovalFinding]:
    ours = {(right.kind, right.object) for right in survey.taken}
    for right in survey.rights:
        if not right.is_policy and (right.kind, right.object) not in ours:
            text = "somebody granted this to rv_public; its members lose it, unless you grant it to another role first"
            yield RemovalFinding(RemovalKind.LOST, right.shown, text)
    for taken in survey.taken:
        on = f"{taken.privilege} ON {taken.kind} {taken.object}"
        if taken.may_be_given and not taken.is_kept:
            text = f"{on} was taken from PUBLIC, and since then from rv_public, too: PUBLIC does not get it back"
            yield RemovalFinding(RemovalKind.LOST, taken.object, text)
        elif not taken.may_be_given:
            reason = "is gone or was renamed" if taken.may_be_given is None else f"does not belong to {survey.server.administrator}"
            text = f"{on} was taken from PUBLIC, and the object {reason}; its owner can run: GRANT {on} TO PUBLIC"
            yield RemovalFinding(RemovalKind.LOST, taken.object, text)
