"""Uninstall rolevend from an account: compute a plan that a person can read, then run exactly that plan.

The digest of the plan is the consent. Statements of an account are no transaction, so the order makes every prefix safe: the operator is
locked out and the profiles' roles are dropped before a policy leaves a table, and the owners of the rest are dropped last. The
next plan has what an interrupted run left. An object of somebody else that needs rolevend blocks the plan, and is named.
"""

from collections.abc import Collection, Iterator

from rolevend.catalog import ToolId
from rolevend.platforms.snowflake import control
from rolevend.platforms.snowflake.build.attachments import ROW_ACCESS_POLICY
from rolevend.platforms.snowflake.connections import SnowflakeSession
from rolevend.platforms.snowflake.install.installation import SnowflakeInstallStatement
from rolevend.platforms.snowflake.install.removal_survey import ADMINISTRATOR, AccountRemovalSurvey, PolicyUse, survey_removal
from rolevend.platforms.snowflake.names import DATABASE
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, join, name
from rolevend.platforms.uninstallation import RemovalFinding, RemovalKind, UninstallPlan, in_order


def plan_uninstall(session: SnowflakeSession, tools: Collection[ToolId]) -> UninstallPlan:
    """Return the plan of `uninstall`. Changes nothing. Raises `Conflict` for a newer version of rolevend."""
    return planned(survey_removal(session, tools))


def uninstall(session: SnowflakeSession, tools: Collection[ToolId], *, accept: str) -> UninstallPlan:
    """Run the plan with the accepted digest, and return it. Without an installation nothing happens.

    Raises `Conflict`, with no change or with the operator locked out, if the current plan differs or has refusals.
    """
    survey = survey_removal(session, tools)
    current = planned(survey)
    if not current.statements:
        return current
    current.require(accept)
    for statement in _locked_out(survey):
        session.rows(statement.text)
    planned(survey_removal(session, tools)).require(accept)  # a vend or a build may have been under way
    for statement in _statements(survey):
        session.rows(statement.text)
    return current


def planned(survey: AccountRemovalSurvey) -> UninstallPlan:
    """Return the plan for what was read. Pure."""
    is_there = bool(survey.logins or survey.profiles or survey.roles or survey.scripted or survey.has_database)
    return UninstallPlan(
        survey.server,
        control.DATABASE,
        tuple(_statements(survey)) if is_there else (),
        in_order(_findings(survey)) if is_there else (),
        one_transaction=False,
    )


def _findings(survey: AccountRemovalSurvey) -> Iterator[RemovalFinding]:
    refused = RemovalKind.REFUSED
    for each in survey.vended:
        text = (
            "this role lives; end it first: rolevend drain ends all roles, kubectl delete vendedrole ends one; "
            f"if no operator knows it, run: {join('; ', _by_hand(each))}"
        )
        yield RemovalFinding(refused, each, text)
    for role in survey.unmarked:
        text = f"its comment does not say that rolevend made it; if it did, run: ALTER ROLE {name(role)} SET COMMENT = 'rolevend: its role'"
        yield RemovalFinding(refused, role, text)
    for use in survey.uses:
        if not use.is_ours and not any(use.user == identifier(each) for each in survey.vended):
            kind = use.kind.replace("_", " ").lower()
            text = f"has the {kind} {use.policy}, which somebody else set; take it off first"
            yield RemovalFinding(refused, f"{use.domain.lower()} {use.user}", text)
    for foreign in survey.foreign:
        yield RemovalFinding(refused, foreign, f"somebody else made it in database {control.DATABASE}; move or drop it")
    for owned in survey.quarantined:
        text = "a vended role owned it at its end; RV_QUARANTINE owns it now, and ACCOUNTADMIN will"
        yield RemovalFinding(RemovalKind.STAYS, owned, text)
    if survey.has_database:
        text = "leases and their ends of the last week, and the secret of the mask Hash: a later installation hashes to other values"
        yield RemovalFinding(RemovalKind.LOST, f"database {control.DATABASE}", text)


def _statements(survey: AccountRemovalSurvey) -> Iterator[SnowflakeInstallStatement]:
    yield SnowflakeInstallStatement(
        ADMINISTRATOR, "It owns what the script made. The operator's roles own the rest, which it may take over by MANAGE GRANTS."
    )
    yield from _locked_out(survey)
    for role in survey.profiles:
        yield from _taken_over(role, "A profile, by which roles of agents read. No role of an agent is left.")
    for use in sorted(survey.uses, key=lambda use: use.kind == ROW_ACCESS_POLICY):
        if use.is_ours:
            yield _taken_off(use)
    if survey.has_database:
        yield SnowflakeInstallStatement(
            compose("DROP DATABASE {}", DATABASE), "Views, policies, leases, the session policy, and the task that ends roles."
        )
    for role in survey.roles:
        yield from _taken_over(role, "Without a profile it has no use.")
    for role in survey.scripted:
        yield SnowflakeInstallStatement(
            compose("DROP ROLE {}", name(role)),
            "With its privileges, also those on future tables. What it still owns goes to ACCOUNTADMIN.",
        )
    for login in survey.logins:
        yield SnowflakeInstallStatement(compose("DROP USER {}", name(login)), "A login of the operator.")


def _locked_out(survey: AccountRemovalSurvey) -> Iterator[SnowflakeInstallStatement]:
    for login in survey.logins:
        yield SnowflakeInstallStatement(
            compose("ALTER USER {} SET DISABLED = TRUE", name(login)), "Nothing is vended or built from here on; what runs is aborted."
        )


def _taken_over(role: str, why: str) -> Iterator[SnowflakeInstallStatement]:
    yield SnowflakeInstallStatement(_ownership(Sql("ROLE"), identifier(role)), "Only its owner drops a role.")
    yield SnowflakeInstallStatement(compose("DROP ROLE {}", identifier(role)), why)


def _taken_off(use: PolicyUse) -> SnowflakeInstallStatement:
    altered = compose("ALTER {} {}", Sql(use.domain), use.user)
    if use.kind == ROW_ACCESS_POLICY:
        return SnowflakeInstallStatement(
            compose("{} DROP ROW ACCESS POLICY {}", altered, use.policy), "It let everybody but roles of agents pass."
        )
    return SnowflakeInstallStatement(
        compose("{} MODIFY COLUMN {} UNSET MASKING POLICY", altered, identifier(use.column or "")),
        "It masked the column for roles of agents alone. The table's row access policy goes after it.",
    )


def _by_hand(role: str) -> tuple[Sql, ...]:
    """Return the statements by which an administrator ends a vended role."""
    both = [(kind, identifier(role)) for kind in (Sql("USER"), Sql("ROLE"))]
    return tuple(each for kind, text in both for each in (_ownership(kind, text), compose("DROP {} {}", kind, text)))


def _ownership(kind: Sql, text: Sql) -> Sql:
    return compose("GRANT OWNERSHIP ON {} {} TO ROLE ACCOUNTADMIN COPY CURRENT GRANTS", kind, text)
