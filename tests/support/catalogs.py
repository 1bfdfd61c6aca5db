"""Everything that a PostgreSQL server records of roles, rights and objects, as text, to compare two states of it.

`state` reads the catalogs: names instead of numbers, and rights as they hold: a list that says what holds without a list is the same.
`dumps` is what pg_dump and pg_dumpall write.
"""

import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from rolevend.policytools.embedded.database import PostgresServer
from rolevend.policytools.embedded.postgres_programs import postgres_programs


def _acl(column: str, kind: str, owner: str) -> str:
    """The rights as a sorted list of grantor, grantee, right."""
    return (
        "ARRAY(SELECT concat_ws(' ', e.grantor::regrole, CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE e.grantee::regrole::text END,"
        f" e.privilege_type, e.is_grantable) FROM aclexplode(coalesce({column}, acldefault('{kind}', {owner}))) AS e ORDER BY 1)"
    )


_SHARED = {
    "roles": "SELECT to_jsonb(r) - 'oid' FROM pg_authid AS r",
    "memberships": (
        "SELECT m.roleid::regrole, m.member::regrole, m.grantor::regrole, m.admin_option, m.inherit_option, m.set_option"
        " FROM pg_auth_members AS m"
    ),
    "settings": "SELECT setdatabase, setrole::regrole, setconfig FROM pg_db_role_setting",
    "databases": f"SELECT datname, datdba::regrole, datallowconn, datconnlimit, {_acl('datacl', 'd', 'datdba')} FROM pg_database",
    "parameters": f"SELECT parname, {_acl('paracl', 'p', '10')} FROM pg_parameter_acl",
    "tablespaces": f"SELECT spcname, {_acl('spcacl', 't', 'spcowner')} FROM pg_tablespace",
    "shared comments": "SELECT classoid::regclass, objoid, description FROM pg_shdescription",
    "shared labels": "SELECT * FROM pg_shseclabel",
    "shared dependencies": (
        "SELECT DISTINCT classid::regclass, refobjid::regrole, deptype FROM pg_shdepend"
        " WHERE refclassid = 'pg_authid'::regclass AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"
        " AND deptype <> 'a'"
    ),
}
_LOCAL = {
    "schemas": (
        f"SELECT nspname, nspowner::regrole, {_acl('nspacl', 'n', 'nspowner')} FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'"
    ),
    "relations": (
        "SELECT oid::regclass, relkind, relowner::regrole, relrowsecurity, relforcerowsecurity, reloptions, "
        f"{_acl('relacl', 'r', 'relowner')} FROM pg_class WHERE relkind NOT IN ('i', 'I', 't')"
    ),
    "indexes": (
        "SELECT oid::regclass, relkind, relowner::regrole FROM pg_class"
        " WHERE relkind IN ('i', 'I') AND relnamespace <> 'pg_toast'::regnamespace"
    ),
    "columns": (
        "SELECT attrelid::regclass, attname, atttypid::regtype, attnotnull, attacl FROM pg_attribute"
        " WHERE attnum > 0 AND NOT attisdropped AND attrelid NOT IN (SELECT oid FROM pg_class WHERE relkind IN ('i', 'I', 't'))"
    ),
    "functions": f"SELECT oid::regprocedure, proowner::regrole, prosrc, proconfig, {_acl('proacl', 'f', 'proowner')} FROM pg_proc",
    "types": (
        f"SELECT oid::regtype, typowner::regrole, {_acl('typacl', 'T', 'typowner')} FROM pg_type"
        " WHERE typnamespace <> 'pg_toast'::regnamespace"
    ),
    "languages": f"SELECT lanname, lanowner::regrole, {_acl('lanacl', 'l', 'lanowner')} FROM pg_language",
    "default rights": "SELECT defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, defaclacl FROM pg_default_acl",
    "policies": (
        "SELECT polrelid::regclass, polname, polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid),"
        " pg_get_expr(polwithcheck, polrelid) FROM pg_policy"
    ),
    "event triggers": "SELECT evtname, evtevent, evtowner::regrole, evtenabled FROM pg_event_trigger",
    "triggers": "SELECT tgrelid::regclass, tgname FROM pg_trigger",
    "comments": "SELECT classoid::regclass, objsubid, description FROM pg_description",
    "first rights": "SELECT classoid::regclass, objsubid, privtype, initprivs FROM pg_init_privs",
    "extensions": "SELECT extname, extowner::regrole, extversion FROM pg_extension",
    "labels": "SELECT * FROM pg_seclabel",
    "large objects": "SELECT lomowner::regrole, lomacl FROM pg_largeobject_metadata",
    "operators": "SELECT oid::regoperator, oprowner::regrole FROM pg_operator",
    "casts": "SELECT castsource::regtype, casttarget::regtype FROM pg_cast",
    "wrappers": "SELECT fdwname, fdwacl FROM pg_foreign_data_wrapper UNION ALL SELECT srvname, srvacl FROM pg_foreign_server",
    "publications": "SELECT pubname, pubowner::regrole FROM pg_publication",
    "rules": "SELECT ev_class::regclass, rulename FROM pg_rewrite",
    "constraints": "SELECT conname, conrelid::regclass, connamespace::regnamespace FROM pg_constraint",
    "sequences": "SELECT seqrelid::regclass FROM pg_sequence",
    "collations": "SELECT oid::regcollation, collowner::regrole FROM pg_collation",
    "statistics": "SELECT stxname FROM pg_statistic_ext",
}


def state(server: PostgresServer, *databases: str) -> Mapping[str, Sequence[str]]:
    """Return the sorted rows of each question, of the server and of each database."""
    found: dict[str, Sequence[str]] = {}
    for database in databases:
        with psycopg.connect(server.superuser.to_database(database).dsn, autocommit=True) as connection:
            connection.execute("SET search_path = pg_catalog")
            for name, question in _LOCAL.items() | (_SHARED.items() if database == databases[0] else ()):
                rows = connection.execute(sql.SQL("SELECT q::text FROM ({}) AS q ORDER BY 1").format(sql.SQL(question))).fetchall()
                found[f"{database}: {name}"] = [text for (text,) in rows]
    return found


def dumps(server: PostgresServer, scratch: Path, *databases: str) -> Mapping[str, Sequence[str]]:
    """Return the lines of the schema of each database, and of roles and their rights. Without those of the key that each dump draws."""
    programs = postgres_programs(server.version, None, scratch)  # type: ignore[arg-type]
    commands = {database: ["pg_dump", "--schema-only", "-d", server.superuser.to_database(database).dsn] for database in databases}
    commands["roles"] = ["pg_dumpall", "--globals-only", "-d", server.superuser.dsn]
    written = {
        name: subprocess.run([programs / command, *arguments], check=True, capture_output=True, text=True).stdout
        for name, (command, *arguments) in commands.items()
    }
    return {
        name: [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))] for name, text in written.items()
    }


def difference(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what is not in both, one line each."""
    lines = []
    for name in sorted({*before, *after}):
        was, now = before.get(name, ()), after.get(name, ())
        lines += [f"{name}: - {each}" for each in (Counter(was) - Counter(now)).elements()]
        lines += [f"{name}: + {each}" for each in (Counter(now) - Counter(was)).elements()]
    return lines
