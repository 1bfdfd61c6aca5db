"""Assumptions of the driver about the rest of Snowflake: functions, several statements at once, grants, users, the history. A failure here
shows no data; but the promises rest on an assumption that does not hold."""

import hashlib
from decimal import Decimal
from typing import Any, Final, LiteralString

from snowflake.connector import errors as vendor

from rolevend.platforms.protocol import DropRequest, EndReason
from rolevend.platforms.snowflake.attest.canaries import SnowflakeCanaries
from rolevend.platforms.snowflake.attest.check import Trial, Untried, trial
from rolevend.platforms.snowflake.attest.session import describe, is_transient, refusal, refused, values
from rolevend.platforms.snowflake.connections import SnowflakeLogin, SnowflakeSession
from rolevend.platforms.snowflake.failures import ALREADY_EXISTS, NOT_NULL, NOT_PERMITTED, NOT_THERE, ONE_OF_SEVERAL, code_of
from rolevend.platforms.snowflake.names import OwnershipTag, mark_of
from rolevend.platforms.snowflake.sql import Sql, compose, literal, name
from rolevend.platforms.snowflake.vend.keys import new_key, public_key

_LONG: Final = 98765432109876543210987654321098765432
_FUNCTIONS: Final[tuple[tuple[str, LiteralString, object, str], ...]] = (
    ("GET of a missing key is NULL", """SELECT GET(PARSE_JSON('{{"a": 1}}'), 'b') IS NULL""", True, "E8"),
    ("NULL as an ARRAY is NULL", "SELECT NULL::ARRAY IS NULL", True, "E8"),
    ("ARRAY_CONTAINS tells case apart", """SELECT ARRAY_CONTAINS('A'::VARIANT, PARSE_JSON('["a"]')::ARRAY)""", False, "E9"),
    ("ARRAY_CONTAINS finds a text", """SELECT ARRAY_CONTAINS('a'::VARIANT, PARSE_JSON('["a"]')::ARRAY)""", True, "E9"),
    (
        "a FLOAT in a VARIANT equals itself",
        """SELECT ARRAY_CONTAINS(0.1::FLOAT::VARIANT, TRANSFORM(PARSE_JSON('["0.1"]')::ARRAY, v VARCHAR -> v::FLOAT))""",
        True,
        "E10",
    ),
    ("TO_VARCHAR of a number", "SELECT TO_VARCHAR(1.50::NUMBER(5,2)) || TO_VARCHAR(-7::NUMBER(38,0))", "1.50-7", "E11"),
    ("TO_VARCHAR of a BOOLEAN", "SELECT TO_VARCHAR(TRUE) || TO_VARCHAR(FALSE)", "truefalse", "E11"),
    ("MOD is exact", f"SELECT MOD({_LONG}::NUMBER(38,0), 97)", Decimal(_LONG % 97), "E12"),
    ("ROUND to a place of the row", "SELECT ROUND(12.55::NUMBER(10,2), ID) FROM {ungoverned_table} WHERE ID = 1", Decimal("12.6"), "E13"),
    ("SHA2 of a BINARY", "SELECT SHA2(TO_BINARY('abc', 'UTF-8'), 256)", hashlib.sha256(b"abc").hexdigest(), "E14"),
    ("LENGTH counts characters", "SELECT LENGTH('é☃x')", 3, "E15"),
    ("RIGHT counts characters", "SELECT RIGHT('é☃', 1)", "☃", "E15"),
    ("a class of a pattern matches the end of a line", "SELECT REGEXP_REPLACE('a\\nb', '[^a]', '#', 1, 0)", "a##", "E16"),
    ("CONVERT_TIMEZONE of a late time", "SELECT CONVERT_TIMEZONE('UTC', '9999-12-31T11:59:59-12:00'::TIMESTAMP_TZ) IS NULL", False, "E17"),
)
_OF_ACCOUNTS: Final[tuple[tuple[str, LiteralString, object, str], ...]] = (
    ("a pattern's longest alternative holds", "SELECT REGEXP_REPLACE('abc', 'a|ab', '#', 1, 0)", "#c", "E16"),
    (
        "DATE_TRUNC cuts at a time's own offset",
        "SELECT TO_VARCHAR(DATE_TRUNC('DAY', '2024-01-02 00:30:00 +09:00'::TIMESTAMP_TZ), 'YYYY-MM-DD HH24:MI TZHTZM')",
        "2024-01-02 00:00 +0900",
        "E18",
    ),
)


def _function(what: str, statement: LiteralString, wanted: object, assumption: str, *, on_accounts_alone: bool = False) -> Trial:
    def test(canaries: SnowflakeCanaries) -> str:
        ((found,),) = values(canaries.programmer, canaries.filled(statement))
        return "" if found == wanted else f"is {found!r}, and not {wanted!r}"

    return trial(what, test, assumption, "D4", leaks=False, on_accounts_alone=on_accounts_alone)


def _notes(canaries: SnowflakeCanaries, number: int) -> list[tuple[Any, ...]]:
    return values(canaries.programmer, compose("SELECT NOTE FROM {} WHERE ID = {}", canaries.words["ungoverned_table"], Sql(str(number))))


def _note(canaries: SnowflakeCanaries, number: int) -> Sql:
    return compose("INSERT INTO {} VALUES ({}, 'x')", canaries.words["ungoverned_table"], Sql(str(number)))


def _error(session: SnowflakeSession, *statements: Sql) -> vendor.Error | None:
    try:
        session.script(statements)
    except vendor.Error as error:
        if is_transient(error):
            raise
        return error
    return None


def _no_transaction(canaries: SnowflakeCanaries) -> str:
    error = _error(canaries.programmer, _note(canaries, 11), canaries.filled("SELECT * FROM {schema}.MISSING"))
    if error is None or error.errno != ONE_OF_SEVERAL or code_of(error) != NOT_THERE:
        return f"do not say which of them failed, and why: {'none failed' if error is None else describe(error)}"
    return "" if _notes(canaries, 11) else "are a transaction"


def _not_understood(canaries: SnowflakeCanaries) -> str:
    error = _error(canaries.programmer, _note(canaries, 12), Sql("GRANT ROLE"))
    return "run in part" if error is None or _notes(canaries, 12) else ""


def _block(canaries: SnowflakeCanaries) -> str:
    text = compose("BEGIN\n {};\n SELECT * FROM {}.MISSING;\nEND", _note(canaries, 13), canaries.environment.place)
    error = refusal(canaries.programmer, text)
    if error is None or code_of(error) != NOT_THERE:
        return f"does not keep the number of a refusal: {'none failed' if error is None else describe(error)}"
    return "" if _notes(canaries, 13) else "is a transaction"


def _ddl_commits(canaries: SnowflakeCanaries) -> str:
    programmer = canaries.programmer
    for statement in (Sql("BEGIN"), _note(canaries, 14), canaries.filled("CREATE TABLE {mine} (A NUMBER)"), Sql("ROLLBACK")):
        programmer.rows(statement)
    programmer.rows(canaries.filled("DROP TABLE {mine}"))
    return "" if _notes(canaries, 14) else "does not end the transaction"


def _not_null(canaries: SnowflakeCanaries) -> str:
    return refused(canaries.programmer, canaries.filled("INSERT INTO {ungoverned_table} VALUES (NULL, 'x')"), {NOT_NULL})


def _plain_user(canaries: SnowflakeCanaries) -> str:
    """The vendor creates it with nothing but a key."""
    lease, key = canaries.lease(canaries.profiles.brief, "PLAIN"), new_key()
    user, mark = name(lease.role), literal(OwnershipTag(lease.cluster, lease.uid, lease.expires_at).text())
    made = compose("CREATE USER {} TYPE = SERVICE RSA_PUBLIC_KEY = {} COMMENT = {}", user, literal(public_key(key)), mark)
    canaries.vendor.rows(made)
    try:
        (shown,) = canaries.vendor.rows(compose("SHOW USERS STARTS WITH {}", literal(lease.role)))
        if "ALL" not in str(shown["default_secondary_roles"]).upper():
            return "has no secondary roles unless they are set"
        session = canaries.log_in_as(SnowflakeLogin(lease.role, key, is_generated=True))
        with canaries.open_to_public():
            question = canaries.filled("SELECT NOTE FROM {ungoverned_table}")
            return refused(session, question, {606}) or _several(session)
    finally:
        canaries.environment.platform.drop([DropRequest(lease.role, lease.uid, EndReason.RELEASED)])


def _several(session: SnowflakeSession) -> str:
    try:
        session.script([Sql("SHOW ROLES LIKE 'PUBLIC'"), Sql("SHOW ROLES LIKE 'PUBLIC'")])
    except vendor.Error as error:
        return "" if code_of(error) == 606 else f"was refused, but with {describe(error)}"
    return "may send several statements at once"


def _no_password(canaries: SnowflakeCanaries) -> str:
    statement = canaries.filled("CREATE USER {my_role} TYPE = SERVICE_AGENT PASSWORD = 'Canary-1234567890'")
    if refusal(canaries.vendor, statement) is not None:
        return ""
    canaries.vendor.rows(canaries.filled("DROP USER {my_role}"))
    return "takes a password"


def _forgotten_grants(canaries: SnowflakeCanaries) -> str:
    programmer = canaries.programmer
    for statement in ("CREATE ROLE {my_role}", "GRANT SELECT ON TABLE {ungoverned_table} TO ROLE {my_role}", "DROP ROLE {my_role}"):
        programmer.rows(canaries.filled(statement))
    grants = programmer.rows(canaries.filled("SHOW GRANTS ON TABLE {ungoverned_table}"))
    kept = [row for row in grants if str(row["grantee_name"]).endswith("_MINE")]
    return "is listed still" if kept else ""


def _dependent_grants(canaries: SnowflakeCanaries) -> str:
    return refused(canaries.programmer, canaries.filled("GRANT OWNERSHIP ON TABLE {ungoverned_table} TO ROLE {bystander}"), {3124})


def _there_already(canaries: SnowflakeCanaries) -> str:
    return refused(canaries.programmer, canaries.filled("CREATE ROLE {bystander}"), {ALREADY_EXISTS})


def _may_not_use(canaries: SnowflakeCanaries) -> str:
    return refused(canaries.session, canaries.filled("DELETE FROM {guarded_table}"), {NOT_PERMITTED})


def _may_not_know(canaries: SnowflakeCanaries) -> str:
    there, nowhere = canaries.filled("SELECT * FROM {people_table}"), canaries.filled("SELECT * FROM {schema}.NOWHERE")
    return refused(canaries.session, there, {NOT_THERE, 2043}) or refused(canaries.session, nowhere, {NOT_THERE, 2043})


def _lists(canaries: SnowflakeCanaries) -> str:
    """Owners see their users, and all roles are visible. The driver finds the roles to drop in these lists."""
    lease = canaries.eve.lease
    users = canaries.vendor.rows(canaries.filled("SHOW USERS STARTS WITH {eve_text}"))
    roles = canaries.programmer.rows(canaries.filled("SHOW ROLES STARTS WITH {eve_text}"))
    if [[row["name"] for row in rows] for rows in (users, roles)] != [[lease.role]] * 2:
        return "do not show a vended role and its user"
    owned = canaries.vendor.rows(canaries.filled("SHOW ROLES STARTS WITH {eve_text}"))
    marks = [mark_of(row["comment"]) for row in (*users, *owned)]
    return "" if all(mark is not None and mark.is_of(lease.cluster, lease.uid) for mark in marks) else "do not show whose they are"


def _grants_of_a_user(canaries: SnowflakeCanaries) -> str:
    rows = canaries.vendor.rows(canaries.filled("SHOW GRANTS TO USER {eve}"))
    missing = {"privilege", "granted_on", "name", "grantee_name"} - set(rows[0] if rows else ())
    return f"have no {', '.join(sorted(missing))}" if missing else ""


def _parameters(canaries: SnowflakeCanaries) -> str:
    lease = canaries.eve.lease
    wanted = {"QUERY_TAG": str(lease.uid), "STATEMENT_TIMEOUT_IN_SECONDS": str(lease.limits.transaction_seconds)}
    for key, value in wanted.items():
        rows = canaries.session.rows(compose("SHOW PARAMETERS LIKE {} IN SESSION", literal(key)))
        if not any(value in str(row["value"]) for row in rows):
            return f"takes no {key} of its user"
    return ""


def _history(canaries: SnowflakeCanaries) -> str:
    asked = compose("SELECT {} AS ASKED", literal(canaries.token))
    canaries.session.rows(asked)
    newest = canaries.filled("SELECT QUERY_TEXT, QUERY_TAG FROM TABLE({database}.INFORMATION_SCHEMA.QUERY_HISTORY(RESULT_LIMIT => 3))")
    rows = canaries.session.rows(newest)
    if len(rows) > 3:
        return "shows more statements than were asked for"
    found = [row for row in rows if canaries.token in str(row["query_text"])]
    return "" if found and canaries.eve.lease.uid in str(found[0]["query_tag"]) else "does not show what was asked a moment ago"


TRIALS = (
    *(_function(*each) for each in _FUNCTIONS),
    *(_function(*each, on_accounts_alone=True) for each in _OF_ACCOUNTS),
    trial("several statements are no transaction", _no_transaction, "M2", "M3", leaks=False),
    trial("of several statements none runs if one is not understood", _not_understood, "M4", leaks=False),
    trial("a block is no transaction", _block, "M6", leaks=False),
    trial("DDL ends a transaction", _ddl_commits, "D2", leaks=False),
    trial("NOT NULL is held", _not_null, "D3", leaks=False),
    trial("a user with nothing but a key", _plain_user, "R6", "D1", "M1", leaks=False),
    trial("a user of type SERVICE_AGENT takes no password", _no_password, "R23", leaks=False),
    trial("what a dropped role was granted", _forgotten_grants, "R12", leaks=False),
    trial("ownership with dependent grants is not given away", _dependent_grants, "R15", leaks=False),
    trial("what is there already", _there_already, "R27", leaks=False),
    trial("what a role may know of and not use", _may_not_use, "R26", leaks=False),
    trial("what a role may not know of", _may_not_know, "R25", leaks=False),
    trial("lists of users and roles", _lists, "R24", "R31", leaks=False),
    trial("grants of a user", _grants_of_a_user, "R28", leaks=False),
    trial("a session takes settings of its user", _parameters, "W10", leaks=False),
    trial("the history of statements is up to date", _history, "D6", "D11", leaks=False),
)
_RESTS = "every login and every query of an attestation depends on it; no check tests it separately"
_TOOLS = "an attestation creates no tool: verify a tool before you permit it on the DataPlatform"
_OURS = "the driver does not depend on it"
UNTRIED = (
    Untried("a tool of an agent shows what its user may see", ("T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "E23"), _TOOLS),
    Untried("a statement ends when its warehouse says so", ("W12",), "it would take longer than the timeout of the warehouse"),
    Untried("a login from an address that is not let in", ("W13",), "it needs a second address"),
    Untried("a role is granted to a user that somebody else owns", ("R29",), "an attestation creates only users of its own"),
    Untried(
        "the history of a user that is gone",
        ("D12", "D13", "D14", "D17", "D18", "D19"),
        "it needs rights that neither login of the operator has",
    ),
    Untried("a session is renewed after an hour", ("W5",), "it takes hours"),
    Untried("a request that comes again is done once", ("W6",), "only the connector repeats a request, after a lost answer"),
    Untried("a statement that takes long is asked for again", ("W7",), _RESTS),
    Untried("results come as JSON", ("W8",), _RESTS),
    Untried("a wrong number of statements is refused", ("M5",), "the driver counts them itself"),
    Untried("the role of a session cannot be dropped", ("R13",), _OURS),
    Untried(
        "a user is locked out when its days are over", ("R17",), "the smallest unit is a day; the lease and the reaper end the role earlier"
    ),
    Untried("a policy's sub-select cannot use a column of the row", ("P15",), _OURS),
    Untried("Standard Edition has no policies", ("P16",), "the account has another edition"),
    Untried("names of columns differ by case", ("D5",), "the driver refuses names that differ only in case"),
    Untried(
        "the reaper's task runs",
        ("D8",),
        "neither login of the operator may see it: an administrator runs SHOW TASKS IN SCHEMA ROLEVEND.CONTROL",
    ),
    Untried("more than twenty wait for one table", ("D9",), "it would delay vends"),
    Untried("the catalog is read by who cannot read a row", ("P20", "P21", "R32"), "the catalog is read before an attestation begins"),
    Untried("an administrator uninstalls", ("P22", "P23", "R34"), "neither login of the operator is an administrator's"),
    Untried("the account says that it is prepared", ("D15",), "otherwise no attestation begins"),
    Untried("the time is read without a warehouse", ("D16",), "its only effect would be a warehouse that stays awake"),
    Untried("SHOW goes on after ten thousand rows", ("D10",), "it needs ten thousand roles"),
    Untried("a procedure runs with its owner's rights", ("E5",), _OURS),
    Untried("a mask that is longer than its column", ("E20",), "the driver truncates the value first"),
)
