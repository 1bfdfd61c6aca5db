"""What more than one of these tests looks at."""

import pytest

from testbed.binaries import Binaries
from tests.e2e.command import rolevend


@pytest.fixture(scope="session")
def told(binaries: Binaries) -> str:
    """All that `make demo` says when all is well."""
    with rolevend(program="demo") as demo:
        status = demo.end()
        assert status == 0, demo.output
        assert demo.remains() == []
        return demo.output
