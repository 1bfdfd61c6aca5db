"""Names of the calls of signals."""

from typing import Final

EVENTS: Final = "/ssf/v1/events"
SIGNAL_CALLS: Final = ("signals",)
"""Operation ids, also the names of the calls in metrics."""
