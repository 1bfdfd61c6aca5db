"""A server that logs as the guide for `rolevend trace` says, and its logs."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rolevend.app.trace import Trace
from rolevend.model import AgentHandle, UserHandle
from rolevend.naming import role_name
from rolevend.plan import Profile
from rolevend.platforms.statement import Statement
from rolevend.policytools.embedded.database import PostgresServer
from tests.conformance.bench import PostgresBench, PostgresSession, installed, lease, profile, shape, vend
from tests.support.waiting import eventually

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "trace-a-role.md"
(_BLOCK,) = re.findall(r"```ini\n(.*?)```", GUIDE.read_text(), re.DOTALL)
SETTINGS = {
    **dict(re.findall(r"^(\w+) = '?(.*?)'?$", _BLOCK, re.MULTILINE)),
    "log_destination": "csvlog,jsonlog",  # the guide chooses one
    "log_filename": "log-0.log",
}
"""As the guide says."""


class Logging:
    """A server that logs as the guide says."""

    def __init__(self, server: PostgresServer, bench: PostgresBench) -> None:
        self.server = server
        self.bench = bench

    def files(self, kind: str) -> list[str]:
        """Oldest first."""
        found = (self.server.directory / "data" / "log").glob(f"log-*.{kind}")
        return [str(each) for each in sorted(found, key=lambda each: int(each.stem.removeprefix("log-")))]

    @contextmanager
    def set(self, settings: dict[str, str]) -> Iterator[None]:
        """For sessions that begin in the meantime."""
        try:
            for name, value in settings.items():
                self.bench.run(f"ALTER SYSTEM SET {name} = '{value}'")
            self.reload()
            yield
        finally:
            for name in settings:
                self.bench.run(f"ALTER SYSTEM RESET {name}")
            self.reload()

    def reload(self) -> None:
        before = self.bench.value("SELECT pg_conf_load_time()")
        self.bench.run("SELECT pg_reload_conf()")
        eventually(lambda: self.bench.as_superuser().rows("SELECT pg_conf_load_time()")[0][0] > before)

    def rotate(self) -> None:
        """To another file, as an hour later."""
        known = self.files("json")
        self.bench.run(f"ALTER SYSTEM SET log_filename = 'log-{len(known)}.log'")
        self.reload()
        eventually(lambda: self.bench.value("SELECT 1") and len(self.files("json")) > len(known))

    def of(self, role: str, kind: str) -> list[Statement]:
        return list(Trace(role, self.files(kind)))

    def told(self, role: str, count: int, kind: str) -> list[Statement]:
        """Once so many statements are in the log with their outcome: the server writes it behind the sessions."""

        def found() -> list[Statement]:
            statements = self.of(role, kind)
            assert len(statements) >= count, [each.text[:60] for each in statements]
            return statements

        return eventually(found)

    def agent(self) -> tuple[str, PostgresSession]:
        """A role with a table `people`, logged in."""
        role, session, _ = self.agent_of()
        return role, session

    def agent_of(self) -> tuple[str, PostgresSession, Profile]:
        """The same, with its profile."""
        of = profile(shape(self.bench.people()))
        made = lease(of)
        made = replace(made, role=role_name(AgentHandle("AGENT"), UserHandle("USER"), made.uid))
        return made.role, self.bench.log_in(vend(self.bench.platform, of, made)), of


@contextmanager
def logging_server(like: PostgresServer) -> Iterator[Logging]:
    """A server of the same version, with rolevend in its database `traced`."""
    with PostgresServer(like.version, settings=SETTINGS, fsync=False) as server:  # type: ignore[arg-type]
        superuser = server.superuser
        where = superuser.host, superuser.port, superuser.user, superuser.password
        with installed(*where, "traced", server.version, tls=superuser.tls) as bench:
            yield Logging(server, bench)
            bench.tidy()
