"""GRANT, REVOKE and SHOW GRANTS, parsed."""

from tests.support.snowflake import statements
from tests.support.snowflake.kinds import PLURALS
from tests.support.snowflake.naming import kind_of, name_of
from tests.support.snowflake.reader import Name, Reader
from tests.support.snowflake.statements import Grantee, Statement


def grant(reader: Reader) -> Statement:
    return _grant(reader, revoke=False)


def revoke(reader: Reader) -> Statement:
    return _grant(reader, revoke=True)


def _grant(reader: Reader, *, revoke: bool) -> Statement:
    direction = "FROM" if revoke else "TO"
    if kind := reader.one_of("ROLE", "DATABASE ROLE"):
        role = reader.name()
        reader.expect(direction)
        return statements.RoleGrant(revoke, kind, role, _grantee(reader))
    reader.take("GRANT", "OPTION", "FOR")
    privileges = _privileges(reader)
    if privileges == ("OWNERSHIP",) and not revoke:
        kind, name, _ = _securable(reader)
        reader.expect(direction)
        grantee = _grantee(reader)
        current = reader.one_of("COPY CURRENT GRANTS", "REVOKE CURRENT GRANTS").partition(" ")[0]
        return statements.OwnershipGrant(kind, name, grantee, current)
    kind, name, every = _securable(reader)
    reader.expect(direction)
    grantee = _grantee(reader)
    option = reader.take("WITH", "GRANT", "OPTION")
    cascade = reader.one_of("CASCADE", "RESTRICT") == "CASCADE"
    return statements.PrivilegeGrant(revoke, privileges, kind, name, grantee, every, option, cascade)


def _privileges(reader: Reader) -> tuple[str, ...]:
    """Each may be of several words, such as APPLY MASKING POLICY."""
    privileges = []
    while not reader.take("ON"):
        parts = []
        while not reader.peek(",") and not reader.peek("ON"):
            parts.append(reader.part())
        privileges.append(" ".join(parts).removesuffix(" PRIVILEGES"))
        reader.take(",")
    return tuple(privileges)


def _securable(reader: Reader) -> tuple[str, Name, str]:
    """Kind, name, and what `all` of the kind are in."""
    if reader.peek("ON"):
        reader.take("ON")
    if reader.take("ACCOUNT"):
        return "ACCOUNT", (), ""
    if which := reader.one_of("ALL", "FUTURE"):
        kind = PLURALS[reader.one_of(*sorted(PLURALS, key=len, reverse=True)) or _fail(reader)]
        reader.expect("IN")
        within = reader.one_of("SCHEMA", "DATABASE")
        return kind, reader.name(), f"{which} {within}"
    kind = kind_of(reader)
    return kind, name_of(reader, kind), ""


def _fail(reader: Reader) -> str:
    raise reader.unexpected()


def _grantee(reader: Reader) -> Grantee:
    kind = reader.one_of("DATABASE ROLE", "ROLE", "USER") or "ROLE"
    return Grantee(kind, reader.name())


def show_grants(reader: Reader) -> Statement:
    direction = reader.one_of("TO", "OF", "ON")
    if not direction:
        raise reader.unexpected()
    if direction == "ON":
        if reader.take("ACCOUNT"):
            return statements.ShowGrants("ON", "ACCOUNT", ())
        kind = kind_of(reader)
        return statements.ShowGrants("ON", kind, name_of(reader, kind))
    kind = reader.one_of("DATABASE ROLE", "ROLE", "USER")
    if not kind:
        raise reader.unexpected()
    return statements.ShowGrants(direction, kind, reader.name())
