"""The real parts that tests of any folder share: the programs, and one PostgreSQL per session.

Its fixtures are imported by `tests/conftest.py`, and nowhere else: a second import would make a second server. What takes more of the
machine while nobody asks, a control plane above all, belongs to one folder, and ends with the last test there.
"""

import contextlib
from collections.abc import Iterator

import pytest

from rolevend.policytools.embedded.database import DatabaseServer, PostgresServer
from rolevend.policytools.embedded.postgres_programs import Version
from rolevend.policytools.embedded.progress import progress_for
from testbed.binaries import Binaries, obtain
from testbed.named_server import server_from_environment


@pytest.fixture(scope="session")
def binaries(request: pytest.FixtureRequest) -> Binaries:
    """Where kubectl, helm and the programs of the control plane are; built first, if need be."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    # A person who waits five minutes for a build should see it.
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        return obtain(progress=progress_for())


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    """A running PostgreSQL: 18, or each that ``parametrize("postgres", [16, 18], indirect=True)`` names.

    It is shared: a test works in a database of its own, with roles of its own.
    """
    with postgres_of(getattr(request, "param", None)) as running:
        yield running


@contextlib.contextmanager
def postgres_of(version: Version | None) -> Iterator[DatabaseServer]:
    """None: any. A server that the person named in ROLEVEND_TEST_POSTGRES_DSN takes the place of all, and tests that ask for another
    version are skipped."""
    if (named := server_from_environment()) is not None:
        if version not in (None, named.version):
            pytest.skip(f"ROLEVEND_TEST_POSTGRES_DSN names a server of version {named.version}")
        yield named
        return
    with PostgresServer(version or 18, fsync=False) as running:
        yield running
