"""A real PostgreSQL on 127.0.0.1 that requires passwords, and TLS if its programs support it.

It does not use the Python API of the package with the programs: that API accepts every login (``trust``), so that
passwords and VALID UNTIL, and rolevend's promises about them, have no effect.
"""

import datetime
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal, Protocol, Self

import psycopg

from rolevend.policytools.embedded.certificates import CertificateAuthority, KeyPair
from rolevend.policytools.embedded.connection import Connection
from rolevend.policytools.embedded.errors import Unusable
from rolevend.policytools.embedded.ports import HOST, free_ports
from rolevend.policytools.embedded.postgres_programs import WITH_TLS, Version, postgres_programs, reachable, unprivileged_account
from rolevend.policytools.embedded.process import Process, Program
from rolevend.policytools.embedded.progress import Silence, StepProgress

StopMode = Literal["smart", "fast", "immediate"]

_SIGNALS: Mapping[StopMode, signal.Signals] = MappingProxyType(
    {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
)
_NOTHING: Mapping[str, str] = MappingProxyType({})
_TIMEOUT = 180.0
_LIFETIME = datetime.timedelta(days=7)
"""Lifetime of a certificate."""
_TLS_ONLY = "hostssl all all all scram-sha-256\nhostssl replication all all scram-sha-256\n"


class DatabaseServer(Protocol):
    """A running PostgreSQL server, local or remote."""

    @property
    def superuser(self) -> Connection:
        """The login of a superuser."""

    @property
    def version(self) -> int:
        """The major version, such as 18."""


class PostgresServer:
    """A local server: ``with PostgresServer() as server:``, or `start` and `close`; between them `stop` and `start` keep port and data.

    Its state is in `directory` (new or empty, and kept), else in a temporary folder that `close` removes. If root starts it,
    it runs as an unprivileged user, who must be able to reach `directory`. The default `port` is a free one. `settings` are for
    postgresql.conf; ALTER SYSTEM overrides them. With ``fsync=False`` a crash of the machine (not of the server)
    may lose everything, and commits are faster.
    """

    def __init__(
        self,
        version: Version = 18,
        *,
        directory: Path | None = None,
        port: int | None = None,
        settings: Mapping[str, str] = _NOTHING,
        fsync: bool = True,
        progress: StepProgress | None = None,
    ) -> None:
        self._version = version
        self._given = directory
        self._fsync = fsync
        self._progress = progress or Silence()
        self._account = unprivileged_account()
        self._process: Process | None = None
        chosen = port or free_ports(1)[0]
        self._superuser = Connection(HOST, chosen, "postgres", secrets.token_urlsafe(24))
        self._authority = (
            CertificateAuthority("rolevend-database", datetime.datetime.now(datetime.UTC), _LIFETIME) if version in WITH_TLS else None
        )
        self._settings = {
            "listen_addresses": HOST,
            "port": str(chosen),
            "unix_socket_directories": "",
            "reserved_connections": "10",
            **({} if fsync else {"fsync": "off", "full_page_writes": "off"}),
            **({"ssl": "on"} if self._authority else {}),
            **settings,
        }
        self._directory: Path | None = None
        self._primary: PostgresServer | None = None

    @classmethod
    def standby_of(cls, primary: "PostgresServer") -> Self:
        """Return a standby of the running `primary`, with the same superuser and authority, until `promote`."""
        standby = cls(primary._version, fsync=False)
        standby._settings = {**primary._settings, "port": standby._settings["port"]}  # none may be lower
        standby._primary, standby._authority = primary, primary._authority
        standby._superuser = replace(primary._superuser, port=standby._superuser.port)
        return standby

    def promote(self) -> None:
        """Promote the standby, and wait until it accepts writes."""
        with psycopg.connect(self._superuser.dsn, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")

    @property
    def version(self) -> int:
        return self._version

    @property
    def superuser(self) -> Connection:
        """The owner of everything, connected to the database `postgres`. Verifies the certificate, if the server has one."""
        return self._superuser

    @property
    def authority(self) -> CertificateAuthority | None:
        """The CA of the server's certificate; None: the server has no TLS."""
        return self._authority

    def certify(self, pair: KeyPair) -> None:
        """Use this certificate from the next start or reload on."""
        for name, content, mode in (("server.crt", pair.certificate, 0o644), ("server.key", pair.key, 0o600)):
            file = self._data / name
            file.touch(mode=0o600)
            file.write_bytes(content)
            file.chmod(mode)
            self._give_away(file)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def check(self) -> None:
        """Raise PartFailed, with the end of its log, if it has ended by itself."""
        if self._process is not None:
            self._process.check()

    @property
    def directory(self) -> Path:
        """The folder of its state. Raises Unusable before `start`."""
        if self._directory is None:
            raise Unusable("this PostgreSQL server has no folder: it was not started yet, or was closed")
        return self._directory

    @property
    def log(self) -> Path:
        """The server's log of all its runs."""
        return self.directory / "postgres.log"

    def start(self) -> Self:
        """Start it, and wait until it accepts connections. Raises PartFailed after three minutes. Idempotent."""
        if self.running:
            return self
        with self._progress.step(f"starting PostgreSQL {self._version}"):
            if self._directory is None:
                self._create()
            self._write_settings()
            command = ("-D", str(self._data), "-c", f"config_file={self._settings_file}")
            # On SIGQUIT, unlike on SIGKILL, the server ends its sessions, too.
            self._process = self._program("postgres", *command, death_signal=signal.SIGQUIT).start()
            self._process.wait_until(self._accepts_connections, _TIMEOUT)
        return self

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop as ``pg_ctl stop`` does: wait for sessions, or end them, or leave recovery to the next start.

        After three minutes it is killed. No error if it does not run.
        """
        if self._process is not None:
            self._process.stop(_SIGNALS[mode], grace=_TIMEOUT)
            self._process = None

    def kill(self) -> None:
        """End the server and all its sessions at once, like a crash. No error if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def restart(self, settings: Mapping[str, str] = _NOTHING) -> None:
        """Stop and start it, with these `settings` added permanently."""
        self.stop()
        self._settings |= settings
        self.start()

    def close(self) -> None:
        """Stop it, and remove a temporary folder. No error if it was never started."""
        if self._given is not None:
            self.stop()
            return
        self.kill()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _settings_file(self) -> Path:
        return self.directory / "postgresql.conf"

    def _create(self) -> None:
        """Create the folder, and in it a database cluster with one superuser."""
        self._directory = self._make_directory()
        self._programs = postgres_programs(self._version, self._account, self._directory)
        if self._primary is not None:
            self._copy(self._primary)
            return
        self._data.mkdir(mode=0o700)
        self._give_away(self._data)
        password = self.directory / "password"
        password.touch(mode=0o600)
        try:
            password.write_text(self._superuser.password)
            self._give_away(password)
            self._program(
                "initdb",
                *(f"--pgdata={self._data}", f"--username={self._superuser.user}", f"--pwfile={password}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
                *(() if self._fsync else ("--no-sync",)),
            ).run(_TIMEOUT)
        finally:
            password.unlink()
        if self._authority is not None:
            self._protect(self._authority)

    def _copy(self, primary: "PostgresServer") -> None:
        """Copy `primary`, with its certificate."""
        self._data.mkdir(mode=0o700)
        self._give_away(self._data)
        self._program(
            "pg_basebackup",
            *(f"--pgdata={self._data}", f"--dbname={primary.superuser.dsn}"),
            *("--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
        ).run(_TIMEOUT)

    def _protect(self, authority: CertificateAuthority) -> None:
        """Require TLS, and give clients a CA to verify the server."""
        trusted = self.directory / "ca.crt"
        trusted.write_bytes(authority.certificate)
        trusted.chmod(0o644)
        self._superuser = replace(self._superuser, options=(("sslmode", "verify-full"), ("sslrootcert", str(trusted))))
        self.certify(authority.issue("postgres", hosts=(HOST,)))
        (self._data / "pg_hba.conf").write_text(_TLS_ONLY)

    def _make_directory(self) -> Path:
        """Create the folder. Its owner is this process, even if the server runs as another user, who owns only the data."""
        if self._given is None:
            directory = Path(tempfile.mkdtemp(prefix="rolevend-postgres-"))
        else:
            directory = self._given.resolve()
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(directory.iterdir()):
                raise Unusable(f"cannot keep a PostgreSQL in {directory}: the folder is not empty")
        if self._account is not None:
            directory.chmod(0o711)
            if not reachable(directory / "data", self._account):
                raise Unusable(
                    f"cannot keep a PostgreSQL in {directory}: it runs as the user {self._account.name}, who cannot pass through "
                    "the folders above; choose another folder (TMPDIR decides where none is given)"
                )
        return directory

    def _give_away(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)

    def _write_settings(self) -> None:
        """Write settings beside the data, where only the server writes, and include initdb's file."""
        settings = "".join(f"{name} = {_quote(value)}\n" for name, value in self._settings.items())
        self._settings_file.write_text(f"include {_quote(str(self._data / 'postgresql.conf'))}\n{settings}")
        self._settings_file.chmod(0o644)

    def _accepts_connections(self) -> bool:
        """True if the last line of postmaster.pid is "ready", as ``pg_ctl`` checks it."""
        try:
            pid, *_, status = (self._data / "postmaster.pid").read_text().splitlines()
        except (OSError, ValueError):
            return False
        return self._process is not None and pid == str(self._process.pid) and status.strip() == "ready"

    def _program(self, name: str, *arguments: str, death_signal: signal.Signals = signal.SIGKILL) -> Program:
        return Program(
            f"PostgreSQL {self._version} ({name})",
            (str(self._programs / name), *arguments),
            self.log,
            {"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            self._account,
            death_signal,
        )


def _quote(value: str) -> str:
    """Quote a value for postgresql.conf."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
