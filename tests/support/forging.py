"""Roles that an account with the vendor's login makes by itself."""

import json
import uuid
from typing import Any

import psycopg

from rolevend.model import AgentHandle, Uid, UserHandle
from rolevend.naming import role_name
from tests.support.calling import Caller
from tests.support.recorded import living, vendor

VEND = """
SELECT rolevend.vend(%(role)s, %(cluster_id)s, %(uid)s, %(profile)s, %(verifier)s, now() + interval '50 min', %(agent)s, %(issuer)s,
                     %(subject)s, %(attrs)s::jsonb, %(limits)s::jsonb, NULL, %(record)s::jsonb)
"""
PASSWORD = "forged-by-the-vendor"
Row = dict[str, Any]


class Forged:
    def __init__(self, caller: Caller, like: Row, role: str, uid: str) -> None:
        self.caller, self.role, self.uid = caller, role, uid
        self.like = like

    def reads(self) -> bool:
        try:
            connection = self.caller.proven.site.warehouse.superuser.as_user(self.role, PASSWORD)
            with psycopg.connect(connection.dsn, connect_timeout=5) as session:
                return bool(session.execute("SELECT count(*) FROM people").fetchall())
        except psycopg.Error:
            return False

    def is_gone(self) -> bool:
        return self.role not in living(self.caller)

    def lived(self) -> float:
        """Seconds until it was locked out."""
        query = "SELECT extract(epoch FROM revoked_at - issued_at) FROM rolevend.lease WHERE role = %s"
        return float(self.caller.proven.site.warehouse.ask(query, self.role)[0][0])


def forge(caller: Caller, like: Row, record: Row | None, **changed: Any) -> Forged:
    """A role by the vendor's login, with the rights of a genuine one."""
    uid = str(uuid.uuid4())
    _, _, agent, user, _ = like["role"].split("_")
    role = role_name(AgentHandle(agent), UserHandle(user), Uid(uid))
    with vendor(caller.proven.site) as session:
        verifier = session.pgconn.encrypt_password(PASSWORD.encode(), role.encode(), b"scram-sha-256").decode()
        values = {**like, "role": role, "uid": like["uid"] if "uid" in changed else uid, "verifier": verifier}
        values |= {key: value for key, value in changed.items() if key != "uid"}
        texts = {key: values[key] if isinstance(values[key], str) else json.dumps(values[key]) for key in ("attrs", "limits")}
        session.execute(VEND, {**values, **texts, "record": None if record is None else json.dumps(record)})
    return Forged(caller, like, role, uid)
