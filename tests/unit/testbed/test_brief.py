"""What is over soon is not over too soon for a busy machine, and no failure is taken for a busy machine."""

import pytest

from testbed.brief import in_time


def test_what_was_over_before_the_test_was_done_with_it_is_made_again_with_twice_the_time():
    lives: list[int] = []

    def work(life: int) -> str:
        lives.append(life)
        assert life > 1  # one second may be over at once
        return "done"

    assert in_time(work, 1) == "done"
    assert lives == [1, 2]


def test_what_fails_while_there_is_time_left_fails():
    lives: list[int] = []

    def work(life: int) -> None:
        lives.append(life)
        raise AssertionError("refused")

    with pytest.raises(AssertionError, match="refused"):
        in_time(work, 60)
    assert lives == [60]
