"""How often a snapshot is built while changes never end."""

import pytest

from rolevend.snapshot.controller import rest_after


@pytest.mark.parametrize(("took", "rest"), [(0.0, 0.0), (0.005, 0.015), (0.1, 0.3), (1.0, 0.5)])
def test_a_build_leaves_most_of_the_time_to_calls_and_delays_a_change_by_half_a_second_at_most(took: float, rest: float):
    assert rest_after(took) == pytest.approx(rest)
