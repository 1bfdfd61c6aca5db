"""No room left where the leases of a database grow."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.support.governed import Governed

_NAME = "small"
_SIZE, _LARGER = "2m", "16m"
_FILL = """
DO $$BEGIN
    LOOP  -- row by row: what a larger insert leaves behind when it fails would be room again
        INSERT INTO rolevend.lease (role, cluster_id, uid, revoked_at, dropped_at)
        VALUES ('nobody-' || gen_random_uuid(), 'nobody', gen_random_uuid(), now(), now());
        COMMIT;
    END LOOP;
END$$
"""


@contextlib.contextmanager
def full_disk(database: Governed) -> Iterator[None]:
    """A disk of its own for the table of leases, filled to the last page; where nobody lets us mount one, a trigger that says what the
    server would."""
    with _mounted(database.server.directory) as disk, _filled(database, disk) if disk else _imitated(database):
        yield


@contextlib.contextmanager
def _mounted(directory: Path) -> Iterator[Path | None]:
    """A file system in memory that belongs to the server's account, or None."""
    disk = directory / _NAME
    disk.mkdir()
    owner = (directory / "data").stat()
    options = f"size={_SIZE},uid={owner.st_uid},gid={owner.st_gid},mode=700"
    mounted = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", options, _NAME, disk], check=False).returncode == 0
    try:
        yield disk if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", disk], check=True)
        disk.rmdir()


@contextlib.contextmanager
def _filled(database: Governed, disk: Path) -> Iterator[None]:
    """Each page keeps its part for updates free, as it does when real leases fill it."""
    database.ask(f"CREATE TABLESPACE {_NAME} LOCATION '{disk}'")
    database.ask(f"ALTER TABLE rolevend.lease SET TABLESPACE {_NAME}")
    try:
        with psycopg.connect(database.superuser.dsn, autocommit=True) as connection, contextlib.suppress(psycopg.errors.DiskFull):
            connection.execute(_FILL)
        yield
        subprocess.run(["mount", "-o", f"remount,size={_LARGER}", disk], check=True)
    finally:
        database.ask("DELETE FROM rolevend.lease WHERE cluster_id = 'nobody'")
        database.ask("ALTER TABLE rolevend.lease SET TABLESPACE pg_default")
        database.ask(f"DROP TABLESPACE {_NAME}")


@contextlib.contextmanager
def _imitated(database: Governed) -> Iterator[None]:
    database.ask(
        "CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " IF NEW.revoked_at IS NULL THEN RAISE EXCEPTION USING ERRCODE = 'disk_full',"
        " MESSAGE = 'could not extend file \"base/5/2619\": No space left on device'; END IF; RETURN NEW; END$$"
    )
    database.ask("CREATE TRIGGER full_disk BEFORE INSERT ON rolevend.lease FOR EACH ROW EXECUTE FUNCTION public.full_disk()")
    try:
        yield
    finally:
        database.ask("DROP FUNCTION public.full_disk() CASCADE")
