"""SHOW and DESCRIBE, with the columns that Snowflake documents, as far as anybody asks for them."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.support.snowflake import behind, kinds, refusals, statements
from tests.support.snowflake.catalog import Member, Thing
from tests.support.snowflake.engine import Work
from tests.support.snowflake.reader import shown
from tests.support.snowflake.results import Result, table

_MOST = 10_000
"""Rows that SHOW answers at most, without a word about the rest."""
_MADE = "created_on:timestamp_ltz"
_IN_SCHEMA = f"{_MADE} name database_name schema_name"


def show(work: Work, statement: statements.Show) -> Result:
    if statement.kind == "PARAMETERS":
        return table("key value default level description type", _parameters(work, statement))
    if statement.kind == "COLUMNS":
        raise refusals.Unknown("SHOW COLUMNS: DESCRIBE TABLE says the same")
    things = list(_selected(work, statement))
    names, row = _SHOWN.get(
        statement.kind, (f"{_IN_SCHEMA} owner comment", lambda _, one: (one.created, *_placed(one), one.owner, one.comment))
    )
    return table(names, [row(work, thing) for thing in things])


def _selected(work: Work, statement: statements.Show) -> Iterator[Thing]:
    """LIKE is blind to case, STARTS WITH is not; FROM goes on after a name."""
    like = _pattern(statement.like or "%")
    kinds = ("TABLE",) if statement.kind == "TABLE" else (statement.kind,)
    left = _MOST if statement.limit is None else min(statement.limit, _MOST)
    for thing in work.catalog.of(*kinds):
        name = thing.name[-1]
        within = _whole_scope(work, statement)
        if not like.fullmatch(name) or not name.startswith(statement.starts_with or "") or thing.name[: len(within)] != within:
            continue
        if statement.after is not None and name <= statement.after:
            continue
        if not _seen(work, thing):
            continue
        if left == 0:
            return
        left -= 1
        yield thing


def _pattern(like: str) -> re.Pattern[str]:
    """A backslash takes the next sign as it is."""
    signs = re.findall(r"\\.|.", like, re.DOTALL)
    parts = ({"%": ".*", "_": "."}.get(sign) or re.escape(sign[-1]) for sign in signs)
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


def _whole_scope(work: Work, statement: statements.Show) -> tuple[str, ...]:
    if statement.scope == "SCHEMA" and statement.within:
        return work.access.get("SCHEMA", statement.within).name
    if statement.scope == "DATABASE" and statement.within:
        return work.access.get("DATABASE", statement.within).name
    return ()


def _seen(work: Work, thing: Thing) -> bool:
    """Users are listed for whoever may manage them; roles for everybody."""
    if thing.kind == "USER":
        return work.access.owns(thing) or work.access.on_account("MANAGE GRANTS") or thing.name[0] == work.session.user
    return work.access.sees(thing) and (len(thing.name) < 3 or thing.session is not None or work.access.reaches(thing.name))


def _placed(thing: Thing) -> tuple[str, str | None, str | None]:
    """Name, database, schema."""
    return thing.name[-1], thing.name[0] if len(thing.name) > 1 else None, thing.name[1] if len(thing.name) > 2 else None


def _yes(flag: Any) -> str:
    return "Y" if flag else "N"


def _true(flag: Any) -> str:
    return "true" if flag else "false"


def _role(work: Work, one: Thing) -> Sequence[Any]:
    member = Member("ROLE", one.name[0])
    to_roles = sum(member in roles for holder, roles in work.catalog.memberships.items() if holder.kind == "ROLE")
    to_users = sum(member in roles for holder, roles in work.catalog.memberships.items() if holder.kind == "USER")
    granted = len(work.catalog.memberships.get(member, {}))
    current, default = one.name[0] == work.access.role, _yes(one.name[0] == "PUBLIC")
    inherited = _yes(member in work.access.of_primary)
    return (one.created, one.name[0], default, _yes(current), inherited, to_users, to_roles, granted, one.owner, one.comment)


def _user(_: Work, one: Thing) -> Sequence[Any]:
    settings = one.settings
    secondary = settings.get("DEFAULT_SECONDARY_ROLES", ("ALL",))
    return (
        one.name[0],
        one.created,
        settings.get("LOGIN_NAME", one.name[0]),
        settings.get("DISPLAY_NAME", one.name[0]),
        _true(settings.get("DISABLED")),
        one.comment,
        settings.get("DEFAULT_WAREHOUSE"),
        settings.get("DEFAULT_ROLE"),
        '["ALL"]' if secondary else "[]",
        one.owner,
        _true(settings.get("RSA_PUBLIC_KEY")),
        settings.get("TYPE"),
    )


def _warehouse(_: Work, one: Thing) -> Sequence[Any]:
    settings = one.settings
    auto = _true(settings.get("AUTO_RESUME", True))
    return (
        one.name[0],
        one.state.upper() or "STARTED",
        "STANDARD",
        settings.get("WAREHOUSE_SIZE", "X-Small"),
        settings.get("AUTO_SUSPEND", 600),
        auto,
        one.created,
        one.owner,
        one.comment,
    )


def _relation(_: Work, one: Thing) -> Sequence[Any]:
    return (one.created, *_placed(one), "TEMPORARY" if one.session else "TABLE", one.comment, one.owner, _true(one.row_policy))


_POLICY = f"{_IN_SCHEMA} kind owner comment owner_role_type options"

_SHOWN: dict[str, tuple[str, Callable[[Work, Thing], Sequence[Any]]]] = {
    "ROLE": (
        f"{_MADE} name is_default is_current is_inherited assigned_to_users:fixed granted_to_roles:fixed granted_roles:fixed owner comment",
        _role,
    ),
    "USER": (
        f"name {_MADE} login_name display_name disabled comment default_warehouse default_role default_secondary_roles owner "
        "has_rsa_public_key type",
        _user,
    ),
    "WAREHOUSE": (f"name state type size auto_suspend:fixed auto_resume {_MADE} owner comment", _warehouse),
    "DATABASE": (f"{_MADE} name owner comment", lambda _, one: (one.created, one.name[0], one.owner, one.comment)),
    "SCHEMA": (f"{_MADE} name database_name owner comment", lambda _, one: (one.created, one.name[1], one.name[0], one.owner, one.comment)),
    "TABLE": (f"{_IN_SCHEMA} kind comment owner has_row_access_policy", _relation),
    "VIEW": (
        f"{_IN_SCHEMA} owner comment text is_secure",
        lambda work, one: (one.created, *_placed(one), one.owner, one.comment, _text(work, one), _true(one.secure)),
    ),
    **{
        kind: (_POLICY, lambda _, one: (one.created, *_placed(one), one.kind.replace(" ", "_"), one.owner, one.comment, "ROLE", ""))
        for kind in kinds.POLICY_KINDS
    },
    "PROCEDURE": (f"{_MADE} name schema_name catalog_name arguments description", behind.procedure),
    "TASK": (
        f"{_IN_SCHEMA} owner comment warehouse schedule state definition",
        lambda _, one: (
            one.created,
            *_placed(one),
            one.owner,
            one.comment,
            one.settings.get("WAREHOUSE"),
            one.settings.get("SCHEDULE"),
            one.state,
            one.body,
        ),
    ),
}


def _text(work: Work, view: Thing) -> str:
    """A secure view's text is its owner's to read."""
    return view.body if not view.secure or work.access.owns(view) else ""


def _parameters(work: Work, statement: statements.Show) -> Iterator[Sequence[Any]]:
    like = (statement.like or "%").replace("%", ".*")
    settings: dict[str, Any] = work.session.parameters
    if statement.scope == "USER":
        settings = work.access.get("USER", statement.within or (work.session.user,)).settings
    if statement.scope == "ACCOUNT":
        settings = work.catalog.account.settings
    for key, value in settings.items():
        if re.fullmatch(like, key, re.IGNORECASE):
            yield key, str(value), "", statement.scope or "SESSION", "", "STRING"


def describe(work: Work, statement: statements.Describe) -> Result:
    thing = work.access.get(statement.kind, statement.name)
    if (described := behind.describe(work, thing)) is not None:
        return described
    match thing.kind:
        case "TABLE" | "VIEW":
            return table("name type kind null? default comment policy name", _columns(thing))
        case "ROW ACCESS POLICY" | "MASKING POLICY":
            signature = ", ".join(f"{column.name} {column.type}" for column in thing.columns)
            return table("name signature return_type body", [(thing.name[-1], f"({signature})", thing.returns, thing.body)])
        case "USER":
            if not _seen(work, thing):
                raise refusals.insufficient("USER", shown(thing.name))
            return table("property value default description", _properties(thing))
        case "WAREHOUSE":
            return table("created_on:timestamp_ltz name kind", [(thing.created, thing.name[0], "WAREHOUSE")])
    return table("property value", [("name", thing.name[-1]), ("owner", thing.owner), ("comment", thing.comment), *_texts(thing)])


def _columns(thing: Thing) -> Iterator[Sequence[Any]]:
    for column in thing.columns:
        mask = thing.masks.get(column.name)
        policy = shown(mask.policy) if mask else None
        yield column.name, column.type, "COLUMN", _yes(column.nullable), column.default, column.comment or None, policy, policy


def _properties(user: Thing) -> Iterator[Sequence[Any]]:
    settings = {
        "NAME": user.name[0],
        "COMMENT": user.comment or "null",
        "DISABLED": "false",
        "DEFAULT_SECONDARY_ROLES": ("ALL",),
        **user.settings,
    }
    for key, value in settings.items():
        text = str(value).lower() if isinstance(value, bool) else '["ALL"]' if value == ("ALL",) else "[]" if value == () else str(value)
        yield key, text, "null", ""


def _texts(thing: Thing) -> Iterator[Sequence[Any]]:
    yield from ((key, str(value)) for key, value in thing.settings.items())
    if thing.body:
        yield "body", thing.body
