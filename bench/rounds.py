"""Two peers in alternating rounds of one run, with the latency of their calls and the processor time of all processes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from bench.lines import Line, ms, p50, percentile, reported
from bench.load import Load, Requests, Sent
from bench.openbao import Budget, Measured, against, compared
from bench.processes import Processes, spent

CLIENT = "client"
THEIRS, DATABASE = "OpenBao", "PostgreSQL"


class PreparedPeer(Protocol):
    """Prepares requests: signing tokens is not measured."""

    name: str

    def issuing(self, count: int) -> Requests: ...

    def revoking(self, leases: Sequence[str]) -> Requests: ...


@dataclass(frozen=True)
class Turn:
    """One round of one peer: so many roles are issued, then revoked."""

    issued: Sent
    revoked: Sent
    issuing: dict[str, float]
    """Processor time by process, of the calls and of the work that they left behind."""
    revoking: dict[str, float]

    @property
    def both(self) -> float:
        """Roles a second, from the issue to the end."""
        return len(self.issued.seconds) / (self.issued.lasted + self.revoked.lasted)


Turns = tuple[list[Turn], list[Turn]]
"""Ours, and those of OpenBao."""


@dataclass(frozen=True)
class Rounds:
    load: Load
    processes: Processes
    peers: tuple[PreparedPeer, PreparedPeer]
    """Ours, and OpenBao."""
    number: int

    def run(
        self,
        clients: int,
        count: int,
        meanwhile: Callable[[], AbstractContextManager[object]] | None = None,
        before: Callable[[PreparedPeer], None] = lambda _: None,
        after: Callable[[PreparedPeer, Turn], None] = lambda _peer, _turn: None,
    ) -> Turns:
        """Return the turns of all rounds; the peers take turns at being first. `meanwhile` is entered for our turns alone: OpenBao has
        neither policies nor a record in Kubernetes."""
        turns: Turns = [], []
        for number in range(self.number):
            for place in (0, 1) if number % 2 == 0 else (1, 0):
                before(self.peers[place])
                turn = self._turn(self.peers[place], clients, count, meanwhile if place == 0 else None)
                self.processes.settle()
                after(self.peers[place], turn)
                turns[place].append(turn)
        return turns

    def _turn(self, peer: PreparedPeer, clients: int, count: int, meanwhile: Callable[[], AbstractContextManager[object]] | None) -> Turn:
        requests = peer.issuing(count)
        with nullcontext() if meanwhile is None else meanwhile():
            issued, issuing = self._send(requests, clients, settle=meanwhile is None)
            revoked, revoking = self._send(peer.revoking(issued.fields), clients, settle=meanwhile is None)
        return Turn(issued, revoked, issuing, revoking)

    def _send(self, requests: Requests, clients: int, *, settle: bool) -> tuple[Sent, dict[str, float]]:
        before = self.processes.seconds()
        sent = self.load.send(requests, clients)
        if settle:
            self.processes.settle()
        return sent, {**spent(before, self.processes.seconds()), CLIENT: sent.processor}


def merged(sent: Sequence[Sent]) -> Measured:
    """Return the calls of all rounds."""
    return Measured([seconds for each in sent for seconds in each.seconds], sum(each.lasted for each in sent))


def issued(turns: Sequence[Turn]) -> list[Sent]:
    return [turn.issued for turn in turns]


def revoked(turns: Sequence[Turn]) -> list[Sent]:
    return [turn.revoked for turn in turns]


def shown(sent: Sequence[Sent]) -> str:
    """Return the medians of the rounds."""
    rate = median(each.rate for each in sent)
    middle, worst = median(p50(each.seconds) for each in sent), median(percentile(each.seconds, 99) for each in sent)
    return f"{rate:.0f}/s, {ms(middle)}, {ms(worst)}"


def ratios(ours: Sequence[Sent], theirs: Sequence[Sent]) -> tuple[float, float, float]:
    """Return the medians of the rounds' ratios of rate, p50 and p99."""
    pairs = [against(merged([mine]), merged([other])) for mine, other in zip(ours, theirs, strict=True)]
    rate, middle, worst = (median(each) for each in zip(*pairs, strict=True))
    return rate, middle, worst


def rounds_compared(
    name: str, what: str, ours: Sequence[Sent], theirs: Sequence[Sent], budget: Budget | None = None, floor: Measured | None = None
) -> Iterator[Line]:
    """`floor` is the record in Kubernetes, alone: a budget that it does not meet is not reachable without a ledger."""
    reachable = budget is None or floor is None or budget.holds(*against(floor, merged(theirs)))
    yield from compared(name, what, (shown(ours), shown(theirs)), ratios(ours, theirs), budget, reachable=reachable)


def together(name: str, what: str, turns: Turns) -> Line:
    """Issue and revoke as one."""
    ours, theirs = (median(turn.both for turn in each) for each in turns)
    ratio = median(mine.both / other.both for mine, other in zip(*turns, strict=True))
    return reported(f"{name}, issue and revoke, {what}, against {THEIRS}", f"{ours:.0f}/s against {theirs:.0f}/s: rate {ratio:.2f}x")


def processor(turns: Sequence[Turn], part: str) -> dict[str, float]:
    """Return the medians of the rounds: seconds of processor time per role by process, of `issuing` or `revoking`."""
    found: list[dict[str, float]] = [getattr(turn, part) for turn in turns]
    calls = [len(turn.issued.seconds) for turn in turns]
    return {name: median(each[name] / count for each, count in zip(found, calls, strict=True)) for name in found[0]}


def used(times: dict[str, float]) -> float:
    """Return the sum of our processes and PostgreSQL's."""
    return sum(seconds for name, seconds in times.items() if name not in (CLIENT, THEIRS))


def processor_lines(name: str, what: str, turns: Turns) -> Iterator[Line]:
    """Where the processor time goes: of one issue and one revocation, for both."""
    parts = [processor(each, part) for each in turns for part in ("issuing", "revoking")]
    yield reported(f"processor time of a role, {what}: issue, revoke; {THEIRS}'s", "")
    for process in parts[0]:
        mine, mine_ended, other, other_ended = (f"{each[process] * 1e3:.2f}" for each in parts)
        yield reported(f"  {process}", f"{mine}, {mine_ended} ms; {other}, {other_ended} ms")
    mine, mine_ended = (f"{used(each) * 1e3:.2f}" for each in parts[:2])
    other, other_ended = (f"{(each[THEIRS] + each[DATABASE]) * 1e3:.2f}" for each in parts[2:])
    yield reported(f"  all for {name}; {THEIRS} and {DATABASE}", f"{mine}, {mine_ended} ms; {other}, {other_ended} ms")
