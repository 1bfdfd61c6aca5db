"""Describe privileges that an installation cannot revoke from vended roles, for the plan and for the platform's status. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from rolevend.platforms.postgres.install.survey import Right

LIVE_ROLES = 2000
"""The number of concurrent live roles that an installation without a superuser supports. `bench/managed.py` measures it: a vend takes about
ten times as long as the first one.
"""
MANAGED = (
    "there is no superuser, so rv_owner becomes an admin member of every role it makes, and each further one costs more: "
    f"meant for up to {LIVE_ROLES} live roles at a time",
    "there is no login trigger, which takes a superuser: without a password (a certificate, a token of the service) "
    "an expired role can log in, and read nothing; and idleReleaseSeconds does not see sessions that are over within seconds",
)
UNENDABLE = (
    "rv_owner is no member of pg_signal_backend: sessions of a vended role that somebody drops by hand go on, and read nothing; "
    "to mend it, run as one who may: GRANT pg_signal_backend TO rv_owner WITH INHERIT TRUE, SET FALSE"
)
UNBOUNDED_FILES = (
    "rv_owner may not set temp_file_limit: temporary files of vended roles have no bound but the server's own; "
    "to mend it, run as one who may: GRANT SET ON PARAMETER temp_file_limit TO rv_owner"
)
UNRESERVED = (
    "reserved_connections is 0: vended roles can take every connection, and then the operator can end none of them; "
    "set reserved_connections to 10 or more, and restart the server"
)


def not_reserved_for(logins: Sequence[str]) -> str:
    """Return the limitation that the operator's logins get no reserved connections."""
    return (
        f"{' and '.join(logins)} may not use reserved connections: while vended roles have all others, the operator can end none of them; "
        f"to mend it, run as one who may: GRANT pg_use_reserved_connections TO {', '.join(logins)} WITH INHERIT TRUE, SET FALSE"
    )


def left_to_public(rights: Iterable[Right]) -> Iterator[tuple[str, str]]:
    """Yield (object, what a vended role can do with it), one sentence for each kind of privilege of PUBLIC."""
    by_kind: dict[tuple[str, str], list[str]] = {}
    for right in rights:
        by_kind.setdefault((right.kind, right.privilege), []).append(right.object)
    for (kind, privilege), objects in sorted(by_kind.items()):
        yield f"{privilege} on {kind.lower()} {some(objects)}", _MEANS.get((kind, privilege), "every vended role has it, as PUBLIC does")


_MEANS = {
    ("DATABASE", "CONNECT"): "every vended role can log in there, as PUBLIC can, and what it leaves there keeps it from being dropped; "
    "the owner of a database can run: REVOKE CONNECT ON DATABASE … FROM PUBLIC",
    ("LANGUAGE", "USAGE"): "every vended role can run DO blocks, as PUBLIC can",
    ("FUNCTION", "EXECUTE"): "every vended role can call it, as PUBLIC can: large objects, advisory locks, messages, exported snapshots",
}


def some(names: Sequence[str]) -> str:
    """Return the first few names and the number of others."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
