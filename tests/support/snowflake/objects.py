"""CREATE, ALTER, DROP of objects of all kinds; what concerns policies alone is in `governing`."""

from tests.support.snowflake import governing, refusals, statements, storing
from tests.support.snowflake.catalog import Member, Thing
from tests.support.snowflake.engine import Work
from tests.support.snowflake.kinds import POLICY_KINDS
from tests.support.snowflake.reader import Value, shown
from tests.support.snowflake.results import Result, status
from tests.support.snowflake.statements import Alter, Create, Drop

_DATABASE_SCHEMAS = ("PUBLIC",)


def create(work: Work, statement: Create) -> Result:
    name = work.access.whole(statement.kind, statement.name)
    work.access.require_create(statement.kind, name)
    session = work.session.id if statement.temporary and work.switches.temporary_is_private else None
    there = work.catalog.find(statement.kind, name, session)
    if there is not None and (session is None or there.session == session):
        if statement.if_not_exists:
            return status(f"{name[-1]} already exists, statement succeeded.")
        if not statement.replace:
            raise refusals.exists(shown(name) if statement.kind != "USER" else name[-1])
        if statement.kind in ("ROLE", "USER", "DATABASE", "SCHEMA"):
            raise refusals.Unknown(f"CREATE OR REPLACE {statement.kind}")
        if not work.access.owns(there):
            raise refusals.insufficient(there.kind, shown(there.name[-1:]))
        governing.require_unused(work, there)
        storing.forget(work, there)
        kept = work.catalog.grants_on(there) if statement.settings.get("COPY GRANTS") else []
        work.catalog.remove(there)
        for held, member, granted in kept:
            work.catalog.give(held, member, granted)
    thing = _made(work, statement, name, session)
    if statement.kind in POLICY_KINDS:
        governing.check_policy(work, thing)
    if statement.kind in ("TABLE", "VIEW"):
        storing.make(work, thing, statement)
    work.catalog.add(thing)
    work.catalog.give_future(thing)
    if statement.kind in ("TABLE", "VIEW"):
        storing.attach(work, thing, statement)
    if statement.kind == "DATABASE":
        for schema in _DATABASE_SCHEMAS:
            work.catalog.add(Thing("SCHEMA", (name[0], schema), thing.owner, work.now))
    if statement.kind in ("DATABASE", "SCHEMA"):
        work.session.database, work.session.schema = name[0], name[1] if len(name) > 1 else "PUBLIC"
    if statement.kind == "WAREHOUSE":
        work.session.warehouse = name[0]
    return status(f"{statement.kind.capitalize()} {name[-1]} successfully created.")


def _made(work: Work, statement: Create, name: tuple[str, ...], session: int | None) -> Thing:
    if statement.clone is not None:
        raise refusals.Unknown("CLONE")
    settings = dict(statement.settings)
    comment = str(settings.pop("COMMENT", None) or "")
    if statement.kind == "USER":
        _check_user(settings)
    thing = Thing(
        statement.kind, name, work.access.role or "", work.now, comment, settings, statement.columns, statement.returns, statement.body
    )
    thing.secure, thing.session = statement.secure, session
    thing.state = "suspended" if statement.kind == "TASK" else ""
    return thing


def _check_user(settings: dict[str, Value]) -> None:
    if settings.get("TYPE") in ("SERVICE", "SERVICE_AGENT") and settings.get("PASSWORD"):
        raise refusals.Refusal("391432", "0A000", "Cannot set PASSWORD on users with TYPE=SERVICE.")
    secondary = settings.get("DEFAULT_SECONDARY_ROLES")
    if isinstance(secondary, tuple) and secondary not in ((), ("ALL",)):
        raise refusals.Refusal(
            "001008",
            "22023",
            "SQL compilation error:\ninvalid value for property 'DEFAULT_SECONDARY_ROLES': only ('ALL') and () are supported",
        )


def drop(work: Work, statement: Drop) -> Result:
    thing = work.access.find(statement.kind, statement.name)
    if thing is None:
        if statement.if_exists:
            return status(f"Drop statement executed successfully ({shown(statement.name[-1:])} already dropped).")
        raise refusals.missing(statement.kind, shown(work.access.whole(statement.kind, statement.name)))
    if not work.access.owns(thing):
        raise refusals.insufficient(thing.kind, shown(thing.name[-1:]))
    below = work.catalog.within(thing.name) if thing.kind in ("DATABASE", "SCHEMA") else []
    for each in (thing, *below):
        governing.require_unused(work, each, outside=thing.name)
    if thing.kind == "ROLE":
        _require_droppable(work, thing)
    if thing.kind == "ROLE" and work.switches.transfer_at_drop:
        for owned in work.catalog.owned(thing.name[0]):
            owned.owner = work.access.role or ""
    if thing.kind == "USER":
        end_sessions(work, thing.name[0])
    for each in below:
        storing.forget(work, each)
        work.catalog.remove(each)
    storing.forget(work, thing)
    work.catalog.remove(thing)
    return status(f"{thing.name[-1]} successfully dropped.")


def _require_droppable(work: Work, role: Thing) -> None:
    if role.name[0] == work.access.role:
        raise refusals.current_role(role.name[0])
    if work.catalog.in_future(work.catalog.member(role)) and not work.access.on_account("MANAGE GRANTS"):
        raise refusals.insufficient("ROLE", shown(role.name))


def end_sessions(work: Work, user: str) -> None:
    """Aborts what `user` runs, and its sessions with it."""
    abort_queries(work, user)
    for session in work.sessions.values():
        if session.user == user:
            session.closed = True


def abort_queries(work: Work, user: str) -> None:
    for running in work.history:
        if running.user == user and running.status == "RUNNING" and running is not work.running:
            running.stopped.set()


def alter(work: Work, statement: Alter) -> Result:
    if statement.kind == "ACCOUNT":
        if not work.access.admin:
            raise refusals.insufficient("ACCOUNT", "")
        thing: Thing | None = work.catalog.account
    else:
        thing = work.access.find(statement.kind, statement.name)
    if thing is None:
        if statement.if_exists:
            return status("Statement executed successfully.")
        raise refusals.missing(statement.kind, shown(work.access.whole(statement.kind, statement.name)))
    for action in statement.actions:
        _alter(work, thing, action)
    return status("Statement executed successfully.")


def _alter(work: Work, thing: Thing, action: statements.Action) -> None:
    match action:
        case statements.AddRowPolicy() | statements.DropRowPolicy() | statements.SetMask() | statements.UnsetMask():
            governing.attach(work, thing, action)
        case statements.SetPolicy():
            governing.set_policy(work, thing, action)
        case statements.SetTag():
            governing.set_tag(work, thing, action)
        case _:
            own_account = thing.kind == "USER" and thing.name[0] == work.session.user and _is_own_setting(action)
            operates = thing.kind in ("WAREHOUSE", "TASK") and work.access.holds("OPERATE", thing)
            if not (work.access.owns(thing) or own_account or (operates and isinstance(action, statements.State))):
                raise refusals.insufficient(thing.kind, shown(thing.name[-1:]))
            _alter_owned(work, thing, action)


def _is_own_setting(action: statements.Action) -> bool:
    """What a user may change of itself: its defaults. That it may change DEFAULT_SECONDARY_ROLES is the reason for a session policy."""
    own = {"DEFAULT_WAREHOUSE", "DEFAULT_NAMESPACE", "DEFAULT_ROLE", "DEFAULT_SECONDARY_ROLES"}
    return isinstance(action, statements.Set) and set(action.settings) <= own


def _alter_owned(work: Work, thing: Thing, action: statements.Action) -> None:
    match action:
        case statements.Set(settings):
            thing.comment = str(settings.get("COMMENT", thing.comment) or "")
            changed = {key: value for key, value in settings.items() if key != "COMMENT"}
            if thing.kind == "USER":
                _check_user(thing.settings | changed)
            thing.settings |= changed
            if thing.kind == "USER" and changed.get("DISABLED") is True and work.switches.disabled_users:
                end_sessions(work, thing.name[0])
        case statements.Unset(keys):
            for key in keys:
                thing.settings.pop(key, None)
                thing.comment = "" if key == "COMMENT" else thing.comment
        case statements.Rename(to):
            whole = work.access.whole(thing.kind, to)
            if work.catalog.find(thing.kind, whole):
                raise refusals.exists(shown(whole))
            work.catalog.rename(thing, whole)
        case statements.SetBody(body):
            governing.set_body(work, thing, body)
        case statements.State("ABORT"):
            abort_queries(work, thing.name[0])
        case statements.State(state):
            _set_state(work, thing, state)
        case statements.AddColumn(column):
            storing.add_column(work, thing, column)
        case statements.DropColumn(column):
            storing.drop_column(work, thing, column)
        case _:
            raise refusals.Unknown(f"{type(action).__name__} of a {thing.kind.lower()}")


def _set_state(work: Work, thing: Thing, state: str) -> None:
    """A task's owner needs EXECUTE TASK or EXECUTE MANAGED TASK to resume it."""
    if thing.kind == "TASK" and state == "RESUME":
        of_owner = work.catalog.below(iter([Member("ROLE", thing.owner)]))
        privilege = "EXECUTE TASK" if thing.settings.get("WAREHOUSE") else "EXECUTE MANAGED TASK"
        if not work.access.on_account(privilege, members=of_owner):
            raise refusals.Refusal("091089", "42501", f"Cannot execute task , {privilege} privilege must be granted to owner role")
    thing.state = {"RESUME": "started", "SUSPEND": "suspended"}[state]
