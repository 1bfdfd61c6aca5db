"""rolevend on a cluster that runs pods, installed by the commands of README, beside a PostgreSQL of this machine."""

import contextlib
from collections.abc import Iterator

import pytest

from demo.seed import Seed, generate, load
from rolevend.policytools.embedded.database import PostgresServer
from rolevend.policytools.embedded.progress import StepProgress, progress_for
from tests.e2e.node.bench import Bench
from tests.e2e.node.clusters import Cluster, choose, ports_for

_CLAIMS = 2000


@pytest.fixture(scope="session")
def progress(request: pytest.FixtureRequest) -> Iterator[StepProgress]:
    """Told past pytest's capture: whoever waits for a build should see it."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        yield progress_for()


@pytest.fixture(scope="session")
def bench(progress: StepProgress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """With nothing of rolevend on it yet."""
    folder = tmp_path_factory.mktemp("bench")
    ports = ports_for(2)
    database = PostgresServer(17, fsync=False, port=ports[0])  # the version that knows TLS here
    with contextlib.ExitStack() as ends:
        cluster = ends.enter_context(choose(progress, ports))
        ends.callback(database.close)
        database.start()
        _show_to(database, cluster)
        seed: Seed = generate(_CLAIMS)
        yield Bench(cluster, database, load(database.superuser, seed), seed, ports[1], folder, progress)


@pytest.fixture(scope="session")
def installed(bench: Bench) -> Iterator[Bench]:
    """By README's commands."""
    bench.claim()
    try:
        bench.install()
        yield bench
    finally:
        bench.leave()


def _show_to(database: PostgresServer, cluster: Cluster) -> None:
    """Pods reach the server and, by the name that they have for it, can tell who it is."""
    assert database.authority is not None
    database.certify(database.authority.issue("postgres", hosts=("127.0.0.1", cluster.host)))
    reached = {"127.0.0.1": "127.0.0.1", "0.0.0.0": "*"}.get(cluster.listen, f"127.0.0.1,{cluster.listen}")
    database.restart({"listen_addresses": reached})
