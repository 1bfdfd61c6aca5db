"""Read what an uninstallation of an account concerns: everything of rolevend, and what others made with it. Needs a warehouse."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from rolevend.catalog import ToolId, ToolKind
from rolevend.platforms.snowflake import control
from rolevend.platforms.snowflake.build.attachments import ROW_ACCESS_POLICY, read_uses
from rolevend.platforms.snowflake.connections import Row, SnowflakeSession
from rolevend.platforms.snowflake.drop.drops import owned
from rolevend.platforms.snowflake.facts import require_no_newer
from rolevend.platforms.snowflake.install.installer import PROGRAMMER_USER, VENDOR_USER
from rolevend.platforms.snowflake.live import shown_vended
from rolevend.platforms.snowflake.names import DATABASE, QUARANTINE, VENDOR_ROLE, cortex_role
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, literal, qualified

ADMINISTRATOR: Final = Sql("USE ROLE ACCOUNTADMIN")
SCRIPTED: Final = ("RV_REAPER", VENDOR_ROLE, control.OWNER, "RV_QUARANTINE")
"""The roles of the script that an administrator owns, in the order in which they are dropped."""
_ADMIN: Final = "ACCOUNTADMIN"
_PROFILE: Final = "RV_P_"
_POLICY: Final = re.compile("RV_[RM]_[0-9A-F]{32}")
_OPERATORS: Final = frozenset({VENDOR_ROLE, control.OWNER})
_OURS: Final = frozenset({"LEASE", "PROFILE", "FRAGMENT", "OBSTACLE", "TOOL", "SALT"})
_COMMENT: Final = "rolevend: "
_SELF: Final = Sql("SELECT CURRENT_ACCOUNT_NAME() AS account, CURRENT_ACCOUNT() AS locator")
MASKING_POLICY: Final = "MASKING_POLICY"


@dataclass(frozen=True, slots=True)
class PolicyUse:
    """A use of a policy in the database of rolevend. `kind` is that of the policy, `domain` that of its user, such as TABLE."""

    kind: str
    domain: str
    user: Sql
    policy: Sql
    column: str | None
    is_ours: bool
    """True if the operator creates such policies, and sets them so."""


@dataclass(frozen=True, slots=True)
class AccountRemovalSurvey:
    server: str
    vended: tuple[str, ...]
    """Vended roles, and users whose role is gone."""
    logins: tuple[str, ...]
    profiles: tuple[str, ...]
    roles: tuple[str, ...]
    """Other roles that the operator owns: the marker, those of tools, and those of canaries."""
    scripted: tuple[str, ...]
    unmarked: tuple[str, ...]
    """Roles with a name of the script and without its comment."""
    has_database: bool
    uses: tuple[PolicyUse, ...]
    foreign: tuple[str, ...]
    """Objects of others in the database of rolevend."""
    quarantined: tuple[str, ...]


def survey_removal(session: SnowflakeSession, tools: Collection[ToolId]) -> AccountRemovalSurvey:
    """Read all of it. `tools` are those of the manifest: after an interrupted uninstallation nothing else identifies their roles.

    Raises `Conflict` for a newer version of rolevend.
    """
    session.rows(ADMINISTRATOR)
    require_no_newer(session)
    (self,) = session.rows(_SELF)
    roles = {str(row["name"]): row for row in session.rows(Sql("SHOW ROLES STARTS WITH 'RV_'"))}
    users = [str(row["name"]) for row in session.rows(Sql("SHOW USERS STARTS WITH 'ROLEVEND_'"))]
    databases = [row["name"] for row in session.rows(compose("SHOW DATABASES STARTS WITH {}", literal(control.DATABASE)))]
    profiles = [each for each, row in roles.items() if each.startswith(_PROFILE) and _is_operators(row)]
    of_tools = {cortex_role(tool.name) for tool in tools if tool.kind is ToolKind.DATABASE_ROLE}
    others = [
        each
        for each, row in roles.items()
        if each not in (*profiles, *SCRIPTED) and (_is_operators(row) or (row["owner"] == _ADMIN and identifier(each) in of_tools))
    ]
    has_database = control.DATABASE in databases
    return AccountRemovalSurvey(
        server=f"{self['account']}.{self['locator']}",
        vended=tuple(sorted({str(row["name"]) for what in ("ROLES", "USERS") for row in shown_vended(session, Sql(what))})),
        logins=tuple(each for each in (VENDOR_USER, PROGRAMMER_USER) if each in users),
        profiles=tuple(sorted(profiles)),
        roles=tuple(sorted(others)),
        scripted=tuple(each for each in SCRIPTED if each in roles),
        unmarked=tuple(each for each in SCRIPTED if each in roles and not _is_marked(roles[each])),
        has_database=has_database,
        uses=tuple(sorted(_uses(session), key=repr)) if has_database else (),
        foreign=tuple(sorted(_foreign(session))) if has_database else (),
        quarantined=_quarantined(session) if "RV_QUARANTINE" in roles else (),
    )


def _is_operators(row: Row) -> bool:
    """True if the operator created it, also if an interrupted uninstallation took it over."""
    return row["owner"] in _OPERATORS or (row["owner"] == _ADMIN and "rolevend" in str(row.get("comment")))


def _is_marked(role: Row) -> bool:
    return str(role.get("comment") or "").startswith(_COMMENT)


def _uses(session: SnowflakeSession) -> Iterator[PolicyUse]:
    policies = [
        qualified(control.DATABASE, str(row["schema_name"]), str(row["name"]))
        for kind in ("ROW ACCESS POLICIES", "MASKING POLICIES", "SESSION POLICIES")
        for row in session.rows(compose("SHOW {} IN DATABASE {}", Sql(kind), DATABASE))
    ]
    for row in read_uses(session, control.DATABASE, policies):
        parts = [str(row[each]) for each in ("ref_database_name", "ref_schema_name", "ref_entity_name") if row[each]]
        policy = qualified(control.DATABASE, row["policy_schema"], row["policy_name"])
        kind, domain = str(row["policy_kind"]), str(row["ref_entity_domain"]).upper()
        is_ours = bool(_POLICY.fullmatch(str(row["policy_name"]))) or row["ref_database_name"] == control.DATABASE
        is_ours = is_ours and domain in ("TABLE", "VIEW") and kind in (ROW_ACCESS_POLICY, MASKING_POLICY)
        yield PolicyUse(kind, domain, qualified(*parts), policy, row["ref_column_name"], is_ours)


def _foreign(session: SnowflakeSession) -> Iterator[str]:
    """Yield schemas that rolevend did not create, and tables and views of others in the schemas where it creates none."""
    known = {control.SCHEMA, "PUBLIC", "INFORMATION_SCHEMA"}
    schemas = session.rows(compose("SHOW SCHEMAS IN DATABASE {}", DATABASE))
    yield from (f"schema {DATABASE}.{identifier(row['name'])}" for row in schemas if row["name"] not in known and not _is_operators(row))
    for schema in (control.SCHEMA, "PUBLIC"):
        if schema not in [row["name"] for row in schemas]:
            continue
        for kind in ("TABLE", "VIEW"):
            for row in session.rows(compose("SHOW {}S IN SCHEMA {}", Sql(kind), qualified(control.DATABASE, schema))):
                if (schema, kind) != (control.SCHEMA, "TABLE") or row["name"] not in _OURS:
                    yield f"{kind.lower()} {qualified(control.DATABASE, schema, row['name'])}"


def _quarantined(session: SnowflakeSession) -> tuple[str, ...]:
    return tuple(f"{kind.lower()} {owned_name}" for kind, owned_name in owned(session.rows(compose("SHOW GRANTS TO ROLE {}", QUARANTINE))))
