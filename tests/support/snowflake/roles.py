"""Roles, users and what is granted to them: GRANT, REVOKE, OWNERSHIP, USE and SHOW GRANTS."""

from tests.support.snowflake import refusals, statements
from tests.support.snowflake.catalog import Granted, Member, Thing
from tests.support.snowflake.engine import Work
from tests.support.snowflake.reader import Name, shown
from tests.support.snowflake.results import Result, status, table
from tests.support.snowflake.statements import Grantee

_ON = "created_on:timestamp_ltz privilege granted_on name granted_to grantee_name grant_option granted_by"
_TO_USER = "created_on:timestamp_ltz privilege granted_on name role granted_to grantee_name grant_option granted_by"
_OF = "created_on:timestamp_ltz role granted_to grantee_name granted_by"


def grant_role(work: Work, statement: statements.RoleGrant) -> Result:
    role = _role(work, statement.kind, statement.role)
    if not work.access.may_grant("USAGE", role):
        raise refusals.insufficient("ROLE", shown(role.name))
    holder = work.catalog.member(_grantee(work, statement.grantee))
    member = work.catalog.member(role)
    if statement.revoke:
        work.catalog.leave(member, holder)
        return status("Statement executed successfully.")
    if holder == member or holder in work.catalog.below(iter([member])) - {Member("ROLE", "PUBLIC")}:
        raise refusals.Refusal("003010", "42501", f"SQL access control error:\nGrant of role '{role.name[0]}' would create a cycle.")
    work.catalog.join(member, holder, Granted(work.access.role or "", work.now))
    return status("Statement executed successfully.")


def _role(work: Work, kind: str, name: Name) -> Thing:
    return work.access.get(kind, name)


def _grantee(work: Work, grantee: Grantee) -> Thing:
    return work.access.get(grantee.kind, grantee.name)


def grant_privileges(work: Work, statement: statements.PrivilegeGrant) -> Result:
    holder = work.catalog.member(_grantee(work, statement.grantee))
    if statement.every.startswith("FUTURE"):
        return _grant_future(work, statement, holder)
    for thing in _granted_on(work, statement):
        for privilege in statement.privileges:
            _grant_privilege(work, statement, privilege, thing, holder)
    return status("Statement executed successfully.")


def _grant_future(work: Work, statement: statements.PrivilegeGrant, holder: Member) -> Result:
    """On what is to come; only with MANAGE GRANTS, or as the owner of the database or schema."""
    above = work.access.get(statement.every.split()[1], statement.name)
    if not work.access.may_grant("OWNERSHIP", above):
        raise refusals.insufficient(above.kind, shown(above.name[-1:]))
    for privilege in statement.privileges:
        members = work.catalog.future.setdefault((privilege, statement.kind, above.name), {})
        if statement.revoke:
            members.pop(holder, None)
        else:
            members[holder] = Granted(work.access.role or "", work.now, statement.grant_option)
    return status("Statement executed successfully.")


def _granted_on(work: Work, statement: statements.PrivilegeGrant) -> list[Thing]:
    if statement.kind == "ACCOUNT":
        return [work.catalog.account]
    if not statement.every:
        return [work.access.get(statement.kind, statement.name)]
    above = work.access.get(statement.every.split()[1], statement.name)
    return [thing for thing in work.catalog.within(above.name) if thing.kind == statement.kind]


def _grant_privilege(work: Work, statement: statements.PrivilegeGrant, privilege: str, thing: Thing, holder: Member) -> None:
    if holder.kind == "USER" and not statement.revoke and work.catalog.account.settings.get("DISABLE_USER_PRIVILEGE_GRANTS"):
        raise refusals.unsupported("GRANT of privileges to a user")
    if not work.access.may_grant(privilege, thing):
        raise refusals.insufficient(thing.kind, shown(thing.name[-1:]))
    if privilege == "OWNERSHIP":
        raise refusals.Refusal(
            "003001", "42501", "SQL access control error:\nOWNERSHIP cannot be revoked; it can only be granted to another role."
        )
    held = (privilege, thing.kind, thing.name)
    if not statement.revoke:
        work.catalog.give(held, holder, Granted(work.access.role or "", work.now, statement.grant_option))
    elif privilege == "ALL":
        for each in [held for held in work.catalog.privileges.get(holder, {}) if held[1:] == (thing.kind, thing.name)]:
            work.catalog.take(each, holder)
    else:
        work.catalog.take(held, holder)


def grant_ownership(work: Work, statement: statements.OwnershipGrant) -> Result:
    thing = work.access.get(statement.kind, statement.name)
    if not (work.access.owns(thing) or work.access.on_account("MANAGE GRANTS")):
        raise refusals.insufficient(thing.kind, shown(thing.name[-1:]))
    new = _grantee(work, statement.grantee)
    held = [(member, one) for member, holds in work.catalog.privileges.items() for one in holds if one[1:] == (thing.kind, thing.name)]
    if held and not statement.current_grants:
        raise refusals.dependent_grants(shown(thing.name))
    if statement.current_grants == "REVOKE":
        work.catalog.forget_grants_on(thing)
    thing.owner = new.name[0]
    return status("Statement executed successfully.")


def use(work: Work, statement: statements.Use) -> Result:
    session, names = work.session, statement.names
    if statement.kind == "ROLE":
        _use_role(work, names[0][0])
    elif statement.kind == "SECONDARY ROLES":
        _use_secondary(work, tuple(name[0] for name in names))
        session.parameters["ROLES_AT_LOGIN"] = tuple(role.name for role in work.catalog.roles_of(work.access.user))
    elif statement.kind == "WAREHOUSE":
        session.warehouse = work.access.get("WAREHOUSE", names[0]).name[0]
    elif statement.kind == "SCHEMA" or len(names[0]) == 2:
        session.database, session.schema = work.access.get("SCHEMA", names[0]).name
    else:
        session.database = work.access.get("DATABASE", names[0]).name[0]
        session.schema = "PUBLIC" if work.catalog.find("SCHEMA", (session.database, "PUBLIC")) else None
    return status("Statement executed successfully.")


def _use_secondary(work: Work, names: tuple[str, ...]) -> None:
    for name in () if names[0] in ("ALL", "NONE") else names:
        if Member("ROLE", name) not in work.catalog.below(iter(work.access.available)):
            raise refusals.not_assigned(name)
    work.session.secondary = names[0] if names[0] in ("ALL", "NONE") else names


def _use_role(work: Work, role: str) -> None:
    if work.catalog.find("ROLE", (role,)) is None:
        raise refusals.missing("ROLE", shown((role,)))
    if work.switches.role_membership and Member("ROLE", role) not in work.catalog.below(iter(work.access.available)):
        raise refusals.not_assigned(role)
    work.session.role = role


def show_grants(work: Work, statement: statements.ShowGrants) -> Result:
    if statement.direction == "ON":
        thing = work.catalog.account if statement.kind == "ACCOUNT" else work.access.get(statement.kind, statement.name)
        return table(_ON, _on(work, thing))
    member = work.catalog.member(work.access.get(statement.kind, statement.name))
    if statement.direction == "OF":
        holders = [(holder, roles[member]) for holder, roles in work.catalog.memberships.items() if member in roles]
        return table(_OF, [(granted.created, member.name, holder.kind, holder.name, granted.by) for holder, granted in holders])
    if member.kind == "USER":
        return table(_TO_USER, _to_user(work, member))
    return table(_ON, _to_role(work, member))


def _option(granted: Granted | None) -> str:
    return "true" if granted is None or granted.option else "false"


def _on(work: Work, thing: Thing) -> list[tuple[object, ...]]:
    name = shown(thing.name)
    rows: list[tuple[object, ...]] = []
    if thing.kind != "ACCOUNT":
        rows.append((thing.created, "OWNERSHIP", _noun(thing.kind), name, "ROLE", thing.owner, "true", thing.owner))
    for member, holds in work.catalog.privileges.items():
        for held, granted in holds.items():
            if held[1:] == (thing.kind, thing.name):
                rows.append((granted.created, held[0], _noun(thing.kind), name, _kind(member), member.name, _option(granted), granted.by))
    if thing.kind == "ROLE":
        for holder, roles in work.catalog.memberships.items():
            if granted := roles.get(work.catalog.member(thing)):
                rows.append((granted.created, "USAGE", "ROLE", name, _kind(holder), holder.name, "false", granted.by))
    return rows


def _to_role(work: Work, member: Member) -> list[tuple[object, ...]]:
    """Ownership, too: what the role owns is listed as OWNERSHIP."""
    rows: list[tuple[object, ...]] = [
        (role.created, "USAGE", _noun(one.kind), shown((one.name,)), _kind(member), member.name, "false", role.by)
        for one, role in work.catalog.memberships.get(member, {}).items()
    ]
    for (privilege, kind, name), granted in work.catalog.privileges.get(member, {}).items():
        rows.append(
            (granted.created, privilege, _noun(kind), _whole(work, kind, name), _kind(member), member.name, _option(granted), granted.by)
        )
    rows.extend(
        (thing.created, "OWNERSHIP", _noun(thing.kind), shown(thing.name), _kind(member), member.name, "true", thing.owner)
        for thing in work.catalog.owned(member.name)
    )
    return rows


def _to_user(work: Work, member: Member) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        (role.created, "USAGE", _noun(one.kind), shown((one.name,)), one.name, "USER", member.name, "false", role.by)
        for one, role in work.catalog.memberships.get(member, {}).items()
        if one.name != "PUBLIC"
    ]
    for (privilege, kind, name), granted in work.catalog.privileges.get(member, {}).items():
        rows.append(
            (granted.created, privilege, _noun(kind), _whole(work, kind, name), None, "USER", member.name, _option(granted), granted.by)
        )
    return rows


def _whole(work: Work, kind: str, name: Name) -> str:
    return str(work.session.parameters.get("ACCOUNT_NAME", "ACCOUNT")) if kind == "ACCOUNT" else shown(name)


def _noun(kind: str) -> str:
    return kind.replace(" ", "_")


def _kind(member: Member) -> str:
    return member.kind.replace(" ", "_")
