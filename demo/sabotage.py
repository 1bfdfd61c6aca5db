"""The faults of `--break`, with privileges that no vended role has: a check must detect each of them."""

import signal
from datetime import datetime, timedelta
from typing import Literal

import psycopg
from psycopg import sql

from demo.crm import TABLE, Crm
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, qualified
from rolevend.policytools.embedded.connection import Connection
from testbed.installation import OperatorProcess
from testbed.kubectl import Kubectl

Sabotage = Literal["row-security", "mask", "fence", "guardrail", "expiry", "approval", "crm-view", "crm-role"]

LATER = timedelta(hours=1)


def switch_row_security_off(superuser: Connection) -> str:
    with psycopg.connect(superuser.dsn) as connection:
        connection.execute("SET event_triggers = off")  # otherwise rolevend would lock the roles out in the same commit
        connection.execute("ALTER TABLE claims.claims DISABLE ROW LEVEL SECURITY")
    return "row security of claims.claims is switched off"


def unmask(superuser: Connection, profile: str) -> str:
    """Replace the view of people of `profile`'s roles; row security stays effective."""
    with psycopg.connect(superuser.dsn) as connection:
        columns = sql.SQL("person_id, full_name, ssn, birth_date, country")
        view = sql.Identifier(profile, "people")
        connection.execute(sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT {} FROM claims.people").format(view, columns))
    return f"the view {profile}.people is replaced by one without masks"


def open_the_fence(superuser: Connection) -> str:
    """Let views be merged into outer queries, like those of version 0.1.0."""
    with psycopg.connect(superuser.dsn) as connection:
        connection.execute("ALTER FUNCTION rolevend.fence(anyelement) STABLE")
    return "rolevend.fence is no longer VOLATILE, so the planner lets conditions of agents pass"


def remove_guardrail(admin: Kubectl) -> str:
    admin("delete", "guardrail", "ids-at-least-hashed")
    return "the guardrail on ids is deleted"


def postpone(superuser: Connection, operator: OperatorProcess, role: str, expires_at: datetime) -> str:
    """Delay the end of the role: stop the operator, and postpone the expiry in the database."""
    operator.process.send(signal.SIGSTOP)
    with psycopg.connect(superuser.dsn) as connection:
        later = expires_at + LATER
        connection.execute("UPDATE rolevend.lease SET expires_at = %s WHERE role = %s", [later, role])
        connection.execute(sql.SQL("ALTER ROLE {} VALID UNTIL {}").format(sql.Identifier(role), sql.Literal(later.isoformat())))
    return "the operator is frozen, and the role's expiry in the database is moved into the future"


def freeze(operator: OperatorProcess) -> str:
    operator.process.send(signal.SIGSTOP)
    return "the operator is frozen"


def show_every_customer(crm: Crm, role: str) -> str:
    """Replace the view of customers of `role`. Its owner stays the same, so the wall of the table exempts it."""
    (profile,) = crm.member_of(role)
    view = qualified("ROLEVEND", profile, "CUSTOMERS")
    columns = Sql("PERSON_ID, FULL_NAME, SSN, BIRTH_DATE, COUNTRY, NOTE")
    crm.run(Sql("GRANT ROLE RV_PROGRAMMER TO ROLE ACCOUNTADMIN"))
    crm.run(Sql("USE ROLE RV_PROGRAMMER"))
    crm.run(compose("CREATE OR REPLACE SECURE VIEW {} COPY GRANTS AS SELECT {} FROM {}", view, columns, qualified(*TABLE)))
    crm.run(Sql("USE ROLE ACCOUNTADMIN"))
    return f"the view ROLEVEND.{profile}.CUSTOMERS is replaced by one of all rows, without masks"


def make_again(crm: Crm, role: str) -> str:
    crm.run(compose("CREATE ROLE {}", identifier(role)))
    return f"the role {role} is in Snowflake once more, as if nobody had dropped it"
