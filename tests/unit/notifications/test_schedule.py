"""When a failed call is repeated."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolevend.notifications.schedule import RetrySchedule, retry_after

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SCHEDULE = RetrySchedule(first_seconds=2, attempts=12)


def test_delays_double_up_to_five_minutes_and_end():
    delays = [SCHEDULE.delay(attempts, 0.5) for attempts in range(1, 13)]

    assert delays == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, None]


@given(st.integers(1, 11), st.floats(0, 1), st.none() | st.floats(0, 1e9))
def test_chance_moves_a_delay_by_a_quarter_and_a_receiver_by_ten_minutes_at_most(attempts: int, chance: float, asked_for: float | None):
    planned, found = SCHEDULE.delay(attempts, 0.5), SCHEDULE.delay(attempts, chance, asked_for)

    assert planned is not None
    assert found is not None
    assert planned * 0.75 <= found <= max(planned * 1.25, 600)
    assert found >= min(asked_for or 0, 600)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120),
        (" 0 ", 0),
        ("Tue, 24 Nov 2026 12:01:30 GMT", 90),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("-5", None),
        ("soon", None),
        ("9" * 400, 999_999_999),
        ("٣", None),
        ("Tue, 24 Nov 2026 12:01:30", None),
        ("Tue, 24 Nov 99999999999999 12:01:30 GMT", None),
        ("Tue, 24 Nov 2026 99999999999999999999:01:30 GMT", None),
    ],
)
def test_retry_after_has_seconds_or_a_date(header: str | None, seconds: float | None):
    assert retry_after(header, NOW) == seconds
