"""How fast `rolevend ledger` reads a log, and in how much memory: `python -m bench.ledger [--quick]`, from the repository's root.

Every line is of a vended role, which is the worst case: others are skipped unparsed. A statement has two lines, its text and its duration.
"""

import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench.lines import Line, quick, reported, table, timed
from rolevend.access_ledger.grants import AuditedRoles
from rolevend.access_ledger.selection import Selection
from rolevend.app.ledger import AccessLedger, audited_roles
from rolevend.naming import encode_uid
from rolevend.platforms.postgres.log_time import LogClock
from tests.support.pglogs import as_csv, as_json, granted, record

_FULL, _QUICK = 1_000_000, 100_000
_BLOCK = 10_000
"""Lines that are generated one by one; their sessions differ in each block."""
_ROLES, _SESSIONS = 500, 200
_MEMORY_RATIO = 1.25
_QUESTIONS = (
    "SELECT country, count(*) FROM people WHERE person_id > {0} GROUP BY country",
    "SELECT p.full_name, c.amount FROM people p JOIN claims c USING (person_id) WHERE c.amount > {0} AND p.country = 'C{0}' LIMIT 10",
    "WITH large AS (SELECT * FROM claims WHERE amount > {0}) SELECT count(*) FROM large WHERE claim_id IN (SELECT claim_id FROM payments)",
    "SELECT sum(amount) FROM reserves WHERE country IN ('DE', 'AT') AND reserve_id <> {0} -- question {0}",
)


class _Measured(NamedTuple):
    seconds: float
    processor_seconds: float
    entries: int
    peak_mb: float


def lines(count: int) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        audit = folder / "audit.ndjson"
        audit.write_text("".join(json.dumps(granted(role, requestUid=role)) + "\n" for role in map(_role, range(_ROLES))))
        for title, encode in (("csvlog", as_csv), ("jsonlog", as_json)):
            few, many = (_measure(_written(folder / f"{title}-{number}", number, encode), audit) for number in (count // 10, count))
            rate = f"{count / many.seconds:,.0f} lines a second, {count / many.processor_seconds:,.0f} of processor time"
            yield reported(f"{title}: {count:,} lines, {many.entries:,} entries as NDJSON", rate)
            ratio = many.peak_mb / few.peak_mb
            budget = f"at most {_MEMORY_RATIO:g}x of a tenth of the lines"
            peak = f"{many.peak_mb:.0f} MB, {ratio:.2f}x"
            yield Line(f"{title}: peak memory of the process", peak, budget, ratio <= _MEMORY_RATIO).judged_if(count == _FULL)


def _role(number: int) -> str:
    uid = f"82ccdfa0-a03f-46a6-b123-{number:012x}"
    return f"IMMUTA_VENDED_FINBOT_E{number}_{encode_uid(uid)}"  # type: ignore[arg-type]


def _written(path: Path, count: int, encode: Callable[..., bytes]) -> Path:
    block = b"".join(_statement(number, encode) for number in range(_BLOCK // 2))
    with path.open("wb") as file:
        for number in range(count // _BLOCK):
            file.write(block.replace(b"@@", str(number).encode()))
    return path


def _statement(number: int, encode: Callable[..., bytes]) -> bytes:
    of = {"user": _role(number % _ROLES), "session_id": f"@@.{number % _SESSIONS}", "pid": "17", "vxid": "3/1", "query_id": "0"}
    text = _QUESTIONS[number % len(_QUESTIONS)].format(number)
    begin = record(f"statement: {text}", line_num=str(2 * number), application_name="agent", backend_type="client backend", **of)
    return encode(begin, record("duration: 1.250 ms", line_num=str(2 * number + 1), **of))


def _measure(log: Path, audit: Path) -> _Measured:
    """In a process of its own, whose memory is that of the ledger alone."""
    command = (sys.executable, "-m", "bench.ledger", "--measure", str(log), str(audit))
    return _Measured(*json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def _read(log: str, roles: AuditedRoles) -> int:
    count = 0
    with Path("/dev/null").open("w") as out:
        for entry in AccessLedger([log], roles, Selection(), LogClock()):
            out.write(json.dumps(entry.as_json()) + "\n")
            count += 1
    return count


def _child(log: str, audit: str) -> None:
    roles, counts = audited_roles([audit]), [0]
    gc.collect()
    before = time.process_time()
    seconds = timed(lambda: counts.append(_read(log, roles)))
    used = time.process_time() - before
    status = Path("/proc/self/status").read_text()
    print(json.dumps([seconds, used, counts[-1], int(status.split("VmHWM:")[1].split()[0]) / 1024]))


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        _child(*sys.argv[2:])
    else:
        table("The access ledger", lines(_QUICK if quick() else _FULL))


if __name__ == "__main__":
    main()
