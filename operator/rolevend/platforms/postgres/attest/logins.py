"""Attacks by the operator's two logins, and a look at the console's. The vendor reads nothing, and creates only roles of profiles that are
built. The programmer creates templates and profiles, and is no superuser. The observer asks what runs."""

from collections.abc import Collection
from typing import LiteralString

from psycopg import sql

from rolevend.platforms.postgres.attest.attacks import LEAVING_THE_DATABASE, PUBLIC_HAS_IT
from rolevend.platforms.postgres.attest.canaries import Check, PostgresCanaries
from rolevend.platforms.postgres.attest.session import INSUFFICIENT_PRIVILEGE, refused
from rolevend.platforms.postgres.sql_files import query

_INVALID, _NO_PROFILE, _NOT_ALLOWED = "22023", "23503", "23514"
_VERIFIER = f"SCRAM-SHA-256$1:{'A' * 21}A==${'A' * 42}A=:{'A' * 42}A="
_NAME = "IMMUTA_VENDED_CANARY_B_C"

_LEAVING_THE_DATABASE: dict[str, LiteralString] = {
    attack.name: attack.statement
    for attack in LEAVING_THE_DATABASE
    if attack.name in {"read a file", "copy to a file", "copy to a program", "use replication slots"}
}
_VENDOR: dict[str, LiteralString] = {
    "read a table": "SELECT * FROM {people_table}",
    "read a view": "SELECT * FROM {people}",
    "read the salt": "SELECT * FROM rolevend.salt",
    "have a value hashed": "SELECT rolevend.hash('x')",
    "write a lease": "UPDATE rolevend.lease SET expires_at = 'infinity' WHERE role = {eve_text}",
    "write a profile": "INSERT INTO rolevend.profile (profile) VALUES ('rv_p_x')",
    "create a role": "CREATE ROLE {mine}",
    "grant a profile": "GRANT {victims_profile} TO {eve}",
    "take a profile": "GRANT {profile} TO {vendor}",
    "become the owner of rolevend": "SET ROLE rv_owner",
    "become the programmer": "SET ROLE {programmer}",
    "become a role that it made": "SET ROLE {eve}",
    "create a schema": "CREATE SCHEMA {mine}",
    "create a temporary table": "CREATE TEMPORARY TABLE {mine} (a int)",
    **_LEAVING_THE_DATABASE,
    "govern a table": "SELECT rolevend.govern({people_table_text}::regclass)",
    "accept a drift": "SELECT rolevend.accept({people_table_text}::regclass)",
}
_PROGRAMMER: dict[str, LiteralString] = {
    "read the salt": "SELECT * FROM rolevend.salt",
    "have a value hashed": "SELECT rolevend.hash('x')",
    "write a lease": "UPDATE rolevend.lease SET expires_at = 'infinity' WHERE role = {eve_text}",
    "delete templates": "DELETE FROM rolevend.template WHERE template = {template_text}",
    "accept a drift": "SELECT rolevend.accept({people_table_text}::regclass)",
    "vend": "SELECT rolevend.vend('IMMUTA_VENDED_A_B_C', 'c', 'u', {profile_text}, 'v', now(), 'a', 'i', 's', '{{}}')",
    "create a role": "CREATE ROLE {mine}",
    "create a superuser": "CREATE ROLE {mine} SUPERUSER",
    "create a role that passes row security by": "CREATE ROLE {mine} BYPASSRLS",
    "change the password of the vendor": "ALTER ROLE {vendor} PASSWORD 'x'",
    "change the password of the owner of rolevend": "ALTER ROLE rv_owner PASSWORD 'x'",
    "read every table": "GRANT pg_read_all_data TO {programmer}",
    "take the rights of the owner of rolevend": "GRANT rv_owner TO {programmer}",
    "become the owner of rolevend": "SET ROLE rv_owner",
    "become a template": "SET ROLE {template}",
    "take the rights of a template": "GRANT {template} TO {programmer}",
    "drop a template's role": "DROP ROLE {template}",
    "drop a vended role": "DROP ROLE {eve}",
    **_LEAVING_THE_DATABASE,
}
_CALLS: dict[str, LiteralString] = {
    "make a template of the owner of rolevend": "SELECT rolevend.make_templates('{{rv_owner}}')",
    "make a template of a superuser": "SELECT rolevend.make_templates('{{postgres,NULL}}')",
    "make a profile of any name": "SELECT rolevend.make_profile({mine_text})",
    "hand a view of any schema over": "SELECT rolevend.hand_over({schema_text}, jsonb_build_object('people', {template_text}))",
    "hand a view of the salt over": (
        "SELECT rolevend.make_profile({my_profile_text}); CREATE SCHEMA {my_profile}; "
        "CREATE VIEW {my_profile}.mine AS SELECT * FROM rolevend.salt; "
        "SELECT rolevend.hand_over({my_profile_text}, jsonb_build_object('mine', {template_text}))"
    ),
    "hand a view over to anybody": "SELECT rolevend.hand_over({profile_text}, jsonb_build_object('people', {vendor_text}))",
}
_ROLES_THAT_ARE_NO_PROFILE = ("rv_owner", "rv_template", "pg_read_all_data", "postgres")
_UNFIT_VENDS: dict[str, tuple[str, str, str]] = {
    "under a name that is not ours": ("rv_owner", "1 hour", _VERIFIER),
    "under an overlong name": ("IMMUTA_VENDED_" + "A" * 50, "1 hour", _VERIFIER),
    "under a name with a quote": ('IMMUTA_VENDED_A"B', "1 hour", _VERIFIER),
    "for too long": (_NAME, "25 hours", _VERIFIER),
    "for a time that is over": (_NAME, "-1 second", _VERIFIER),
    "with a password in clear": (_NAME, "1 hour", "plaintext"),
    "with a password as MD5": (_NAME, "1 hour", "md5" + "0" * 32),
    "with a verifier that the server would hash": (_NAME, "1 hour", "SCRAM-SHA-256$4096:c2FsdA==$x:y"),
    "without a password": (_NAME, "1 hour", ""),
}


def _refused(who: str, statement: LiteralString, states: Collection[str], canaries: PostgresCanaries) -> str:
    session = canaries.vendor if who == "vendor" else canaries.programmer
    return refused(session, canaries.filled(statement), states)


def _check(who: str, name: str, statement: LiteralString, states: Collection[str] = (INSUFFICIENT_PRIVILEGE,)) -> Check:
    return Check(f"{who}: {name}", lambda canaries: _refused(who, statement, states, canaries))


def _vend(canaries: PostgresCanaries, role: str, of: str, life: str, verifier: str, state: str) -> str:
    arguments = sql.SQL("{}, 'canary', 'u', {}, {}, clock_timestamp() + {}::interval, 'n/a', 'i', 's', '{{}}'").format(
        sql.Literal(role), sql.Literal(of), sql.Literal(verifier), sql.Literal(life)
    )
    return refused(canaries.vendor, sql.SQL("SELECT rolevend.vend({})").format(arguments), (state,))


def _unfit(name: str, role: str, life: str, verifier: str) -> Check:
    return Check(f"vendor: vend {name}", lambda canaries: _vend(canaries, role, canaries.profiles.shared.name, life, verifier, _INVALID))


def _no_profile(role: str) -> Check:
    return Check(f"vendor: vend a member of {role}", lambda canaries: _vend(canaries, _NAME, role, "1 hour", _VERIFIER, _NO_PROFILE))


def _profile_of(role: str) -> Check:
    def test(canaries: PostgresCanaries) -> str:
        arguments = sql.SQL("{}, 'canary', '', '{{}}', '{{}}', 2").format(sql.Literal(role))
        return refused(canaries.programmer, sql.SQL("SELECT rolevend.record_profile({})").format(arguments), (_NOT_ALLOWED,))

    return Check(f"programmer: make a profile of {role}", test)


def _drops_nothing_else(name: str, call: LiteralString) -> Check:
    """The call may succeed without an effect."""

    def test(canaries: PostgresCanaries) -> str:
        programmer = canaries.programmer
        programmer.run(sql.SQL("BEGIN; SAVEPOINT before"))
        try:
            if programmer.refusal(canaries.filled(call), alone=True) is not None:
                programmer.run(sql.SQL("ROLLBACK TO before"))
            there = programmer.rows(canaries.filled("SELECT 1 FROM pg_roles WHERE rolname = {victim_text}"))
            return "" if there else "was dropped"
        finally:
            programmer.run(sql.SQL("ROLLBACK"))

    return Check(f"programmer: {name}", test)


def _become_an_owner(canaries: PostgresCanaries) -> str:
    """The programmer has the rights of the owners of governed tables, since only owners may create policies. It cannot become one."""
    owners = canaries.programmer.rows(
        sql.SQL(
            "SELECT g.rolname::text FROM pg_auth_members AS m JOIN pg_roles AS g ON g.oid = m.roleid"
            " JOIN pg_roles AS p ON p.oid = m.member WHERE p.rolname = session_user"
        )
    )
    for (owner,) in owners:
        if seen := refused(canaries.programmer, sql.SQL("SET ROLE {}").format(sql.Identifier(owner))):
            return f"{owner}: {seen}"
    return ""


def _observer_may_more(canaries: PostgresCanaries) -> str:
    """By the catalogs: the operator does not have this login."""
    return "; ".join(what for (what,) in canaries.programmer.rows(query("observer_may"), {}))


CHECKS = (
    *(_check("vendor", name, statement) for name, statement in _VENDOR.items()),
    Check(
        "vendor: run a DO block",
        lambda canaries: _refused("vendor", "DO $$ BEGIN END $$", (INSUFFICIENT_PRIVILEGE,), canaries),
        leaks=False,
        only_superuser=PUBLIC_HAS_IT,
    ),
    *(_unfit(name, *arguments) for name, arguments in _UNFIT_VENDS.items()),
    *(_no_profile(role) for role in _ROLES_THAT_ARE_NO_PROFILE),
    *(_check("programmer", name, statement) for name, statement in _PROGRAMMER.items()),
    *(_check("programmer", name, statement, (_INVALID,)) for name, statement in _CALLS.items()),
    *(_profile_of(role) for role in _ROLES_THAT_ARE_NO_PROFILE),
    Check("programmer: become an owner of governed tables", _become_an_owner),
    _drops_nothing_else("drop a vended role as a profile", "SELECT rolevend.drop_profile({victim_text})"),
    _drops_nothing_else("drop a vended role as a template", "SELECT rolevend.drop_template({victim_text})"),
    Check("observer: has no right but to ask what runs", _observer_may_more, leaks=False),
)
