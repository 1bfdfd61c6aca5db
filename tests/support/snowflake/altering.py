"""ALTER, parsed."""

from tests.support.snowflake import refusals, statements
from tests.support.snowflake.creating import body_and_settings, column_of
from tests.support.snowflake.naming import kind_of, name_of
from tests.support.snowflake.reader import Reader
from tests.support.snowflake.statements import Action, Attachment, Masking, Statement

_ATTACHED = ("SESSION POLICY", "AUTHENTICATION POLICY", "NETWORK_POLICY", "PASSWORD POLICY")


def alter(reader: Reader) -> Statement:
    if reader.take("SESSION"):
        if reader.take("UNSET"):
            return statements.AlterSession({}, tuple(name[0] for name in reader.names()))
        reader.expect("SET")
        return statements.AlterSession(reader.settings())
    if reader.take("ACCOUNT"):
        return statements.Alter("ACCOUNT", (), if_exists=False, actions=_actions(reader, "ACCOUNT"))
    kind = kind_of(reader)
    if_exists = reader.take("IF", "EXISTS")
    name = name_of(reader, kind)
    return statements.Alter(kind, name, if_exists, _actions(reader, kind))


def _actions(reader: Reader, kind: str) -> tuple[Action, ...]:
    actions = [_action(reader, kind)]
    while reader.take(","):
        actions.append(_action(reader, kind))
    return tuple(actions)


def _action(reader: Reader, kind: str) -> Action:
    if reader.take("RENAME", "TO"):
        return statements.Rename(reader.name())
    if reader.take("ABORT", "ALL", "QUERIES"):
        return statements.State("ABORT")
    if state := reader.one_of("RESUME", "SUSPEND"):
        reader.take("IF", "SUSPENDED")
        return statements.State(state)
    if kind in ("TABLE", "VIEW") and (action := _on_table(reader)):
        return action
    if reader.take("UNSET"):
        return _unset(reader)
    reader.expect("SET")
    if reader.take("BODY", "->"):
        return statements.SetBody(body_and_settings(reader)[0])
    if reader.take("TAG"):
        return _tag(reader, None)
    for policy in _ATTACHED:
        if reader.take(*policy.split()):
            reader.take("=")
            attached = reader.name()
            return statements.SetPolicy(policy.replace("_", " "), attached, force=reader.take("FORCE"))
    return statements.Set(reader.settings())


def _unset(reader: Reader) -> Action:
    if reader.take("TAG"):
        return statements.SetTag(None, reader.name(), None)
    for policy in _ATTACHED:
        if reader.take(*policy.split()):
            return statements.SetPolicy(policy.replace("_", " "), None)
    keys = [reader.part()]
    while reader.take(","):
        keys.append(reader.part())
    return statements.Unset(tuple(keys))


def _tag(reader: Reader, column: str | None) -> Action:
    tag = reader.name()
    reader.expect("=")
    return statements.SetTag(column, tag, reader.text())


def _on_table(reader: Reader) -> Action | None:
    if reader.take("ADD", "ROW", "ACCESS", "POLICY"):
        policy = reader.name()
        reader.expect("ON")
        return statements.AddRowPolicy(Attachment(policy, reader.columns()))
    if reader.take("DROP", "ALL", "ROW", "ACCESS", "POLICIES"):
        return statements.DropRowPolicy(None)
    if reader.take("DROP", "ROW", "ACCESS", "POLICY"):
        return statements.DropRowPolicy(reader.name())
    if reader.one_of("MODIFY COLUMN", "ALTER COLUMN", "MODIFY", "ALTER"):
        return _on_column(reader)
    if reader.one_of("ADD COLUMN", "ADD"):
        return statements.AddColumn(column_of(reader)[0])
    if reader.one_of("DROP COLUMN", "DROP"):
        return statements.DropColumn(reader.part())
    return None


def _on_column(reader: Reader) -> Action:
    column = reader.part()
    if reader.take("SET", "MASKING", "POLICY"):
        policy = reader.name()
        using = reader.columns() if reader.take("USING") else ()
        return statements.SetMask(Masking(column, policy, using, force=reader.take("FORCE")))
    if reader.take("UNSET", "MASKING", "POLICY"):
        return statements.UnsetMask(column)
    if reader.take("SET", "TAG"):
        return _tag(reader, column)
    if reader.take("UNSET", "TAG"):
        return statements.SetTag(column, reader.name(), None)
    raise refusals.Unknown(f"{reader.word.value} of a column")
