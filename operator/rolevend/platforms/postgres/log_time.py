"""Parse the times of PostgreSQL's log: `2026-11-24 18:21:19.120 CET`. Pure."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from rolevend.errors import InvalidInput

_NUMERIC = re.compile(r"(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?")


class LogClock:
    """Converts times to UTC. An abbreviation such as `CST` names several zones: `zone` says which."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        """`zone` is the server's `log_timezone`; None if its times are in UTC or with a numeric zone."""
        self._zone = zone
        self._known: dict[str, tzinfo | None] = {}

    def utc(self, text: str) -> datetime:
        """Raises ValueError if it is not a time of a log, InvalidInput if its zone is not known."""
        day, _, rest = text.partition(" ")
        clock, _, name = rest.partition(" ")
        local = datetime.fromisoformat(f"{day} {clock}")
        fixed = self._known[name] if name in self._known else self._known.setdefault(name, _fixed(name))
        if fixed is not None:
            return local.replace(tzinfo=fixed).astimezone(UTC)
        for fold in (0, 1):
            zoned = local.replace(tzinfo=self._zone, fold=fold)
            if self._zone is not None and zoned.tzname() == name:
                return zoned.astimezone(UTC)
        raise InvalidInput("--log-timezone", f"the log's times are in {name[:20]!r}: name the server's log_timezone, such as Europe/Berlin")


def _fixed(name: str) -> tzinfo | None:
    if name in ("UTC", "GMT", "Z"):
        return UTC
    offset = _NUMERIC.fullmatch(name)
    if offset is None:
        return None
    away = timedelta(hours=int(offset["hours"]), minutes=int(offset["minutes"] or 0))
    return timezone(-away if offset["sign"] == "-" else away)
