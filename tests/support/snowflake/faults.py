"""What goes wrong between the connector and the account, on purpose."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Harm(Enum):
    STATUS = "the answer is an HTTP status, and nothing is done"
    STATUS_AFTER = "the answer is an HTTP status, and all is done"
    LOST_BEFORE = "the connection breaks, and nothing is done"
    LOST_AFTER = "the connection breaks, and all is done"
    SILENT_AFTER = "there is no answer in time, and all is done"
    REFUSED = "the statement fails, and nothing is done"
    REFUSED_AFTER = "the statement fails, and all is done"


@dataclass(frozen=True, slots=True)
class Fault:
    """Befalls the next `times` requests whose path and statement `where` chooses. `status` is that of HTTP; `number` and `text` are those
    of a refusal.

    A request that is tried again with the same id is answered from what the first try did, as on Snowflake.
    """

    harm: Harm
    where: Callable[[str, str], bool]
    times: int = 1
    status: int = 503
    number: str = "000603"
    text: str = "SQL execution internal error: Processing aborted by error 300010:1"


class Faults:
    def __init__(self) -> None:
        self.latency = 0.0
        """Seconds that each request takes on its way, beside the work."""
        self.silence = threading.Event()
        """Ends every SILENT_AFTER that is under way."""
        self._waiting: list[list[object]] = []
        self._lock = threading.Lock()

    def inject(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append([fault, fault.times])

    def on_statement(self, harm: Harm, text: str, *, times: int = 1, status: int = 503) -> None:
        """At the next statements that contain `text`."""
        self.inject(Fault(harm, lambda path, sql: "query-request" in path and text in sql, times, status))

    def on_path(self, harm: Harm, path: str, *, times: int = 1, status: int = 503) -> None:
        self.inject(Fault(harm, lambda asked, _: path in asked, times, status))

    def next(self, path: str, sql: str) -> Fault | None:
        with self._lock:
            for waiting in self._waiting:
                fault = waiting[0]
                assert isinstance(fault, Fault)
                if fault.harm not in (Harm.REFUSED, Harm.REFUSED_AFTER) and fault.where(path, sql):
                    return self._spent(waiting)
            return None

    def refuse(self, text: str, number: str, words: str, *, after: bool = False, times: int = 1) -> None:
        """The next statements that contain `text`, also those of many; `after` they are done, as where a timeout comes too late."""
        harm = Harm.REFUSED_AFTER if after else Harm.REFUSED
        self.inject(Fault(harm, lambda _, sql: text in sql, times, number=number, text=words))

    def refusal(self, sql: str, harm: Harm) -> Fault | None:
        """For one statement of many, as it comes to it."""
        with self._lock:
            for waiting in self._waiting:
                fault = waiting[0]
                assert isinstance(fault, Fault)
                if fault.harm is harm and fault.where("query-request", sql):
                    return self._spent(waiting)
            return None

    def _spent(self, waiting: list[object]) -> Fault:
        fault, left = waiting
        assert isinstance(fault, Fault)
        assert isinstance(left, int)
        waiting[1] = left - 1
        if left == 1:
            self._waiting.remove(waiting)
        return fault
