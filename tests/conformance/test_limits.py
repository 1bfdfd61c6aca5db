"""A statement takes no longer than its lease says, where its session leaves that as it is. Holds for every platform."""

import pytest

from rolevend.plan import RoleLimits
from tests.conformance.bench import profile, shape, vended
from tests.conformance.protocol import Bench


def test_a_statement_beyond_its_limit_is_cancelled_and_its_session_goes_on(bench: Bench):
    _, credential = vended(bench.platform, profile(shape(bench.people())), limits=RoleLimits(transaction_seconds=1))
    session = bench.log_in(credential)

    with pytest.raises(Exception, match=r"statement timeout|reached its statement or warehouse timeout"):
        session.rows(bench.forever)

    assert len(session.rows("SELECT * FROM people")) == 6
