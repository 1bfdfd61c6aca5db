"""Uninstall rolevend from one database: compute a plan that a person can read, then run exactly that plan.

As with an installation, the digest of the plan is the consent, and everything is one transaction. Rights that the installation revoked from
PUBLIC are granted again as it recorded them. Roles, schemas and policies of rolevend are dropped. An object of somebody else that needs one
of them blocks the plan, and is named.
"""

from collections.abc import Iterator, Sequence

from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.failures import translating
from rolevend.platforms.postgres.install.removal_findings import removal_findings
from rolevend.platforms.postgres.install.removal_survey import RemovalSurvey, admitted_server, survey_removal
from rolevend.platforms.postgres.install.statements import InstallStatement, as_shown, on_objects, quoted
from rolevend.platforms.postgres.install.survey import PostgresInstallOptions, begin_changes, pin
from rolevend.platforms.uninstallation import UninstallPlan, in_order

_BATCH = 50
"""The number of roles in one statement."""
_LOCK = "LOCK TABLE rolevend.lease, rolevend.profile, rolevend.template IN ACCESS EXCLUSIVE MODE"
_EVENT_TRIGGERS = ("rv_login", "rv_guard")
_TURN = "pg_advisory_lock(bigint), pg_advisory_unlock(bigint)"


def plan_uninstall(connection: Connection, options: PostgresInstallOptions) -> UninstallPlan:
    """Return the plan of `uninstall`. Changes nothing.

    Raises `Conflict` if the administrator cannot uninstall rolevend, or another database has it.
    """
    with translating("plan the uninstallation"), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        pin(connection)
        return _planned(connection, options)


def uninstall(connection: Connection, options: PostgresInstallOptions, *, accept: str) -> UninstallPlan:
    """Run the plan with the accepted digest, in one transaction, and return it. Without an installation nothing happens.

    Raises `Conflict`, without any change, if the current plan differs or has refusals.
    """
    with translating("uninstall"), connection.transaction():
        begin_changes(connection)
        connection.execute("SET LOCAL lock_timeout = '10s'")
        if admitted_server(connection).is_installed:
            connection.execute(_LOCK)  # a vend that is under way is in the survey, or is refused
        current = _planned(connection, options)
        if not current.statements:
            return current
        current.require(accept)
        for statement in current.statements:
            connection.execute(statement.text)
    return current


def _planned(connection: Connection, options: PostgresInstallOptions) -> UninstallPlan:
    found = survey_removal(connection, options)
    is_there = bool(found.roles or found.built or found.server.has_schema)
    return UninstallPlan(
        found.server.identifier,
        found.server.database,
        as_shown(_statements(found)) if is_there else (),
        in_order(removal_findings(found)) if is_there else (),
    )


def _statements(survey: RemovalSurvey) -> Iterator[InstallStatement]:
    if survey.installed is not None:
        yield InstallStatement(_LOCK, "Nothing is vended or built from here on.")
    for name in survey.server.event_triggers:
        if name in _EVENT_TRIGGERS:
            yield InstallStatement(f"DROP EVENT TRIGGER {name}", "It watches for vended roles, and there are none.")
    # Before the policies: PostgreSQL reads all policies of a table with row security again for each that is dropped.
    for table in survey.tables:
        yield InstallStatement(f"DROP POLICY rv_readers ON {table.shown}", "It keeps all rows with those who had them.")
        if table.has_row_security:
            yield InstallStatement(f"ALTER TABLE {table.shown} DISABLE ROW LEVEL SECURITY", "It was off before the first profile.")
    for crowded in survey.crowded:
        if crowded.had_row_security:
            why = "Until its policies of templates are gone, in this transaction alone: each drop would read all of them again."
            yield InstallStatement(f"ALTER TABLE {crowded.shown} DISABLE ROW LEVEL SECURITY", why)
        if crowded.templates:
            text = f"REVOKE ALL ON TABLE {crowded.shown} FROM {quoted(crowded.templates)}"
            yield InstallStatement(text, "At once: each of them alone would write all rights of the table again.")
    yield from _profiles(survey)
    for crowded in survey.crowded:
        if crowded.had_row_security:
            yield InstallStatement(f"ALTER TABLE {crowded.shown} ENABLE ROW LEVEL SECURITY", "As it was before the first profile.")
    for on in on_objects(survey.given):
        yield InstallStatement(f"GRANT {on} TO PUBLIC", "The installation revoked it.")
    yield from _staying(survey)
    yield from _roles(survey)


def _profiles(survey: RemovalSurvey) -> Iterator[InstallStatement]:
    for names in _batches(survey.built_of("schema")):
        yield InstallStatement(f"DROP SCHEMA {quoted(names)} CASCADE", "The views of profiles.")
    for kind in ("profile", "template"):
        for names in _batches(survey.built_of(kind)):
            yield from _dropped(names, survey, f"Roles of {kind}s, with their grants and policies.")


def _dropped(names: Sequence[str], survey: RemovalSurvey, why: str) -> Iterator[InstallStatement]:
    if not survey.server.is_superuser:
        yield InstallStatement(
            f"GRANT {quoted(names)} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE", "Without a superuser, DROP OWNED needs their rights."
        )
    yield InstallStatement(f"DROP OWNED BY {quoted(names)}", why)
    yield InstallStatement(f"DROP ROLE {quoted(names)}", "")


def _staying(survey: RemovalSurvey) -> Iterator[InstallStatement]:
    """Revoke what the installation granted to logins that it did not create."""
    database, why = quoted([survey.server.database]), "The login stays."
    for login in survey.staying:
        rights = "CONNECT, CREATE" if login == survey.programmer else "CONNECT"
        yield InstallStatement(f"REVOKE {rights} ON DATABASE {database} FROM {quoted([login])}", why)
        if login == survey.programmer and survey.schemas:
            yield InstallStatement(f"REVOKE USAGE ON SCHEMA {quoted(survey.schemas)} FROM {quoted([login])}", why)
        if login == survey.programmer and survey.server.is_superuser:
            yield InstallStatement(f"REVOKE EXECUTE ON FUNCTION {_TURN} FROM {quoted([login])}", why)
    for each in survey.memberships:
        yield InstallStatement(f"REVOKE {quoted([each.role])} FROM {quoted([each.login])} GRANTED BY {quoted([each.grantor])}", why)


def _roles(survey: RemovalSurvey) -> Iterator[InstallStatement]:
    others = [name for name in survey.going if name != "rv_owner"]
    unheld = [name for name in others if not survey.roles[name].is_held]
    if unheld and not survey.server.is_superuser:
        text = f"GRANT {quoted(unheld)} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE"
        yield InstallStatement(text, "Without a superuser, DROP OWNED needs their rights.")
    if others:
        yield InstallStatement(f"DROP OWNED BY {quoted(others)}", "Their rights in this database, and on databases.")
    if survey.server.has_schema:
        yield InstallStatement("DROP SCHEMA rolevend CASCADE", "Leases, records and functions.")
    for right in survey.parameters:
        yield InstallStatement(f"SET LOCAL ROLE {quoted([right.grantor])}", "Only who granted it can revoke it.")
        yield InstallStatement(f"REVOKE SET ON PARAMETER {right.parameter} FROM {quoted([right.role])}", "")
        yield InstallStatement("RESET ROLE", "")
    if "rv_owner" in survey.roles:
        yield InstallStatement("DROP OWNED BY rv_owner", "Its right to set temp_file_limit.")
    if survey.going:
        yield InstallStatement(f"DROP ROLE {quoted(survey.going)}", "Memberships go with the roles.")


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _BATCH] for start in range(0, len(names), _BATCH))
