"""Reads of a role: exactly the rows and cells of its profile and its lease, whatever other roles do at the same time."""

from dataclasses import replace
from typing import LiteralString

import psycopg
from psycopg import sql

from rolevend.catalog import TableId
from rolevend.errors import PlatformUnavailable
from rolevend.platforms.attestation import common_checks as common
from rolevend.platforms.attestation.canaries import CANARY_CONNECTIONS
from rolevend.platforms.attestation.checks import LeftOpen
from rolevend.platforms.postgres.attest.attacks import PUBLIC_HAS_IT
from rolevend.platforms.postgres.attest.canaries import Check, PostgresCanaries
from rolevend.platforms.postgres.attest.environment import GUARDED
from rolevend.platforms.postgres.attest.session import INSUFFICIENT_PRIVILEGE, refused

_MAX_DATABASES = 16


_OF_ANOTHER_TABLE: tuple[LiteralString, ...] = (
    "SELECT * FROM people",
    "SELECT count(*) FROM people",
    "SELECT 1 / (id - id) FROM people",
    "SELECT id FROM people WHERE 1 / id > 5",
    "SELECT g.id FROM guarded AS g LEFT JOIN people AS p ON 1 / (p.id - g.id) > 5",
    "SELECT g.id FROM guarded AS g FULL JOIN people AS p USING (id)",
    "SELECT id FROM guarded AS g WHERE EXISTS (SELECT FROM people AS p WHERE 1 / (p.id - g.id) > 5)",
    "SELECT (SELECT max(1 / id) FROM people)",
    "WITH p AS MATERIALIZED (SELECT 1 / id FROM people) SELECT count(*) FROM p",
    "EXPLAIN (ANALYZE) SELECT 1 / id FROM people",
)
"""Each would divide by zero on a row that the user may see, or show it."""


def _other_table(canaries: PostgresCanaries) -> str:
    """A table of the same profile, which another role of the user reads."""
    lease = canaries.lease(canaries.profiles.shared, "NARA", regions=[canaries.region("eu")])
    session = canaries.log_in(canaries.vend(replace(lease, resources=(TableId(canaries.environment.schema, GUARDED),))))
    found = session.rows(sql.SQL("SELECT id FROM guarded ORDER BY id"))
    if found != [(0,), (1,)]:
        return f"the table that it is narrowed to shows {len(found)} rows, and may show 2"
    tried = (refused(session, sql.SQL(statement), (INSUFFICIENT_PRIVILEGE,)) for statement in _OF_ANOTHER_TABLE)
    return next((seen for seen in tried if seen), "")


def _ambiguous_dates(canaries: PostgresCanaries) -> str:
    """The settings of the session would decide which day the text means."""
    lease = canaries.lease(canaries.profiles.dated, "DORA", days=["01/02/2024"], times=["2024-02-01 00:00:00"])
    session = canaries.log_in(canaries.vend(lease))
    for style in ("ISO, DMY", "ISO, MDY", "SQL, YMD", "German"):
        for zone in ("UTC", "Asia/Tokyo"):
            session.run(sql.SQL("SET datestyle = {}; SET timezone = {}").format(sql.Literal(style), sql.Literal(zone)))
            if seen := common.shows_nothing(canaries, session, "SELECT 1 FROM dated"):
                return f"{seen} under {style} in {zone}"
    return ""


def _row_security_off(canaries: PostgresCanaries) -> str:
    eve = canaries.session
    eve.run(sql.SQL("SET row_security = off"))
    try:
        return refused(eve, sql.SQL("SELECT * FROM people"))
    finally:
        eve.run(sql.SQL("RESET row_security"))


def _statistics(canaries: PostgresCanaries) -> str:
    for view in ("pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"):
        question = sql.SQL("SELECT * FROM {} WHERE schemaname = {}").format(sql.Identifier(view), sql.Literal(canaries.environment.schema))
        if canaries.session.rows(question):
            return f"{view} shows the table's values"
    return ""


def _definitions(canaries: PostgresCanaries) -> str:
    for view in ("pg_policies", "pg_views", "pg_rules"):
        (shown,) = canaries.session.rows(sql.SQL("SELECT string_agg(d::text, '') FROM {} AS d").format(sql.Identifier(view)))
        if canaries.token in (shown[0] or ""):
            return f"{view} shows a value of a user or of a row"
    return ""


def _questions_of_others(canaries: PostgresCanaries) -> str:
    _ = canaries.victims_session
    found = canaries.session.rows(
        sql.SQL("SELECT query FROM pg_stat_activity WHERE usename <> session_user AND query NOT IN ('<insufficient privilege>', '')")
    )
    return f"shows statements of {len(found)} other sessions" if found else ""


def _cheap_function(canaries: PostgresCanaries) -> str:
    """A function without cost, granted to the profile by its owner, which fails on every hidden row and cell."""
    programmer = canaries.programmer
    programmer.run(
        canaries.filled(
            "CREATE FUNCTION {leak}(t text) RETURNS boolean COST 0.0000001 LANGUAGE sql SET search_path = pg_catalog"
            " AS 'SELECT 1 / (CASE WHEN t LIKE ''eu-%'' THEN 1 ELSE 0 END) = 1';"
            "GRANT USAGE ON SCHEMA {schema} TO {profile}; GRANT EXECUTE ON FUNCTION {leak} TO {profile}"
        )
    )
    try:
        question = canaries.filled("SELECT id FROM people WHERE {leak}(region) AND {leak}(coalesce(ssn, 'eu-')) ORDER BY id")
        found = canaries.session.rows(question)
        return "" if found == [(0,), (1,)] else "finds hidden rows"
    finally:
        programmer.run(canaries.filled("REVOKE USAGE ON SCHEMA {schema} FROM {profile}; DROP FUNCTION {leak}"))


def _granted_table(canaries: PostgresCanaries) -> str:
    canaries.programmer.run(
        canaries.filled("GRANT USAGE ON SCHEMA {schema} TO {profile}; GRANT SELECT (id) ON {guarded_table} TO {profile}")
    )
    try:
        rows = canaries.session.rows(canaries.filled("SELECT id FROM {guarded_table}"))
        return f"shows {len(rows)} rows" if rows else ""
    finally:
        canaries.programmer.run(
            canaries.filled("REVOKE SELECT (id) ON {guarded_table} FROM {profile}; REVOKE USAGE ON SCHEMA {schema} FROM {profile}")
        )


def _policy_for_everybody(canaries: PostgresCanaries) -> str:
    canaries.programmer.run(canaries.filled("CREATE POLICY everybody ON {people_table} USING (true)"))
    try:
        return common.permitted_rows(canaries)
    finally:
        canaries.programmer.run(canaries.filled("DROP POLICY everybody ON {people_table}"))


def _policies_dropped(canaries: PostgresCanaries) -> str:
    """Drop the restrictive policy first, then the permissive one. No check can use `guarded` afterwards."""
    names = [
        name
        for (name,) in canaries.programmer.rows(
            canaries.filled(
                "SELECT polname::text FROM pg_policy WHERE polrelid = {guarded_table_text}::regclass AND polname ~ '^rv_t_' ORDER BY 1"
            )
        )
    ]
    for name, wanted in zip(names, ([(0,), (1,)], []), strict=True):
        canaries.programmer.run(sql.SQL("DROP POLICY {} ON {}").format(sql.Identifier(name), canaries.words["guarded_table"]))
        found = canaries.session.rows(sql.SQL("SELECT id FROM guarded ORDER BY id"))
        if found != wanted:
            return f"shows {len(found)} rows, and may show {len(wanted)}"
    return ""


def _copy(canaries: PostgresCanaries) -> str:
    try:
        with canaries.session.connection.cursor().copy(canaries.filled("COPY {people_table} TO STDOUT")) as copied:
            for _ in copied:
                pass
    except psycopg.Error as error:
        if error.sqlstate == INSUFFICIENT_PRIVILEGE:
            return ""
        raise
    return "was not refused"


def _other_databases(canaries: PostgresCanaries) -> str:
    """Those that the role may CONNECT to first: a server can have more than are tried."""
    databases = canaries.vendor.rows(
        sql.SQL(
            "SELECT datname::text FROM pg_database WHERE datallowconn AND datname <> current_database()"
            " ORDER BY has_database_privilege({}, oid, 'CONNECT') DESC, oid LIMIT {}"
        ).format(sql.Literal(canaries.eve.lease.role), sql.Literal(_MAX_DATABASES))
    )
    inside = [name for (name,) in databases if canaries.lets_in(canaries.eve, database=name)]
    if inside and canaries.vendor.rows(sql.SQL("SELECT FROM rolevend.version WHERE reach = 'database'")):
        raise LeftOpen(f"could log in to {', '.join(inside)}: the installation has --reach database, and pg_hba.conf lets it in")
    return f"could log in to {', '.join(inside)}: plan and run the installation again" if inside else ""


def _without_password(canaries: PostgresCanaries) -> str:
    wrong = type(canaries.eve.credential.password)("wrong")
    if canaries.lets_in(canaries.eve, password=wrong, proof=False):
        return "was let in with a wrong password: a line of pg_hba.conf trusts who comes from here"
    return ""


def _connections(canaries: PostgresCanaries) -> str:
    opened = [canaries.session]
    while len(opened) <= CANARY_CONNECTIONS:
        try:
            opened.append(canaries.log_in(canaries.eve))
        except PlatformUnavailable:
            break
    for session in opened[1:]:
        session.connection.close()
    return "" if len(opened) == CANARY_CONNECTIONS else f"could open {len(opened)}, and may open {CANARY_CONNECTIONS}"


def _dblink(canaries: PostgresCanaries) -> str:
    found = canaries.session.rows(
        sql.SQL(
            "SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.proname ~ '^dblink'"
            " AND has_function_privilege(p.oid, 'EXECUTE') AND has_schema_privilege(p.pronamespace, 'USAGE')"
        )
    )
    return f"may call {found[0][0]}: plan and run the installation again" if found else ""


def _do_blocks(canaries: PostgresCanaries) -> str:
    """In a language that was added after the installation: each one belongs to PUBLIC at first."""
    found = canaries.session.rows(
        sql.SQL(
            "SELECT lanname::text FROM pg_language WHERE laninline <> 0 AND lanpltrusted AND lanname <> 'plpgsql'"
            " AND has_language_privilege(oid, 'USAGE') ORDER BY 1"
        )
    )
    return f"may use {', '.join(name for (name,) in found)}: plan and run the installation again" if found else ""


CHECKS = (
    Check("read exactly the permitted rows", common.permitted_rows),
    Check("two users behind one agent read each their own", common.two_users),
    Check("read nothing without the attribute", common.no_attribute),
    Check("attribute values are never SQL", common.hostile_attributes),
    Check("read a table that the lease is not narrowed to", _other_table),
    Check("ambiguous dates equal none, whatever the session sets", _ambiguous_dates),
    Check("a cell is shown only where a grant of its row shows it", common.cells),
    *(Check(name, test) for name, test in common.MASKS.items()),
    Check("ask for row security off", _row_security_off),
    Check("read statistics of the table", _statistics),
    Check("read values in definitions", _definitions),
    Check("read the statements of others", _questions_of_others),
    Check("call a cheap function on hidden rows", _cheap_function),
    Check("copy the table", _copy),
    Check("read a table that is granted to its profile", _granted_table),
    Check("a row policy of somebody else for everybody", _policy_for_everybody),
    Check("row policies that are dropped by hand", _policies_dropped),
    Check("log in without the password", _without_password),
    Check("log in to another database", _other_databases, leaks=False, only_superuser=PUBLIC_HAS_IT),
    Check("open more than eight connections", _connections, leaks=False),
    Check("run a DO block in another language", _do_blocks, leaks=False, only_superuser=PUBLIC_HAS_IT),
    Check("reach another server by dblink", _dblink, only_superuser=PUBLIC_HAS_IT),
)
