"""rolevend on a cluster that runs pods, installed by the commands of README, beside a PostgreSQL of this machine."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rolevend.demo.parts.database import PostgresServer
from rolevend.demo.parts.progress import Progress, progress_for
from rolevend.demo.seed import Seed, generate, load
from tests.e2e.node.bench import Bench
from tests.e2e.node.clusters import choose

_CLAIMS = 2000


@pytest.fixture(scope="session")
def progress(request: pytest.FixtureRequest) -> Iterator[Progress]:
    """Told past pytest's capture: whoever waits for a build should see it."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        yield progress_for()


@pytest.fixture(scope="session")
def bench(progress: Progress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """With nothing of rolevend on it yet."""
    folder = tmp_path_factory.mktemp("bench")
    database = PostgresServer(18, fsync=False)
    with contextlib.ExitStack() as ends:
        cluster = ends.enter_context(choose(progress, database.superuser.port))
        database.restart(_open_to(cluster.listen, folder))
        ends.callback(database.close)
        seed: Seed = generate(_CLAIMS)
        yield Bench(cluster, database, load(database.superuser, seed), seed, folder, progress)


@pytest.fixture(scope="session")
def installed(bench: Bench) -> Bench:
    """By README's commands."""
    bench.install()
    return bench


def _open_to(address: str, folder: Path) -> dict[str, str]:
    """Settings of a server that lets pods in, where they do not come by way of this machine."""
    if address == "127.0.0.1":
        return {}
    rules = Path(os.path.realpath(folder)) / "pg_hba.conf"
    rules.write_text("host all all all scram-sha-256\n")
    for each in (rules, *rules.parents[:3]):
        each.chmod(each.stat().st_mode | 0o055)
    return {"listen_addresses": f"127.0.0.1,{address}" if address != "0.0.0.0" else "*", "hba_file": str(rules)}
