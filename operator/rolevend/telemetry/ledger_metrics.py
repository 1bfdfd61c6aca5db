"""The metrics of a process that follows the statements of one platform: `rolevend ledger --follow`."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from rolevend import __version__

_LABELS: Final = ["platform"]
_ROLES: Final = ("known", "canary", "unknown")
_DAMAGE: Final = ("damaged", "truncated", "file")


class LedgerMetrics:
    def __init__(self, platform: str) -> None:
        """`platform` is the DataPlatform of the statements. All series of alerts begin at 0."""
        self._platform = platform
        self.registry = CollectorRegistry()
        self.lines = Counter(
            "rolevend_access_ledger_lines",
            "Lines of logs or rows of a query history that were read",
            _LABELS,
            registry=self.registry,
        )
        self.statements = Counter(
            "rolevend_access_ledger_statements",
            "Statements of vended roles, by role: known to the audit events, canary of an attestation, or unknown",
            [*_LABELS, "role"],
            registry=self.registry,
        )
        self.unreadable = Counter(
            "rolevend_access_ledger_unreadable",
            "Records that were damaged, or truncated because they are too long, and log files (file) that could not be read to their end",
            [*_LABELS, "what"],
            registry=self.registry,
        )
        self.failures = Counter(
            "rolevend_access_ledger_failures",
            "Reads of what is new that failed; they are repeated",
            _LABELS,
            registry=self.registry,
        )
        self.lag_seconds = self._gauge(
            "rolevend_access_ledger_lag_seconds",
            "Age of the last moment up to which everything that the source had was read and written",
        )
        self.newest_statement = self._gauge(
            "rolevend_access_ledger_newest_statement_timestamp_seconds",
            "Time of the newest statement, in seconds since 1970",
        )
        self.unread_tables = self._gauge(
            "rolevend_access_ledger_unread_tables",
            "Granted tables that nobody read for so many days as --unused says; absent until the process has observed so long",
        )
        self.roles = self._gauge("rolevend_access_ledger_roles", "Roles of audit events that the process remembers")
        Gauge("rolevend_build_info", "Always 1", ["version"], registry=self.registry).labels(__version__).set(1)
        for counter in (self.lines, self.failures):
            counter.labels(platform)
        for role in _ROLES:
            self.statements.labels(platform, role)
        for what in _DAMAGE:
            self.unreadable.labels(platform, what)

    def read(self, *, lines: int, known: int, canary: int, unknown: int) -> None:
        self.lines.labels(self._platform).inc(lines)
        for role, count in zip(_ROLES, (known, canary, unknown), strict=True):
            self.statements.labels(self._platform, role).inc(count)

    def could_not_read(self, *, damaged: int, truncated: int, files: int) -> None:
        for what, count in zip(_DAMAGE, (damaged, truncated, files), strict=True):
            self.unreadable.labels(self._platform, what).inc(count)

    def unread(self, tables: int) -> None:
        self.unread_tables.labels(self._platform).set(tables)

    def failed(self) -> None:
        self.failures.labels(self._platform).inc()

    def measure(self, *, lag_seconds: float, roles: int, newest: float | None) -> None:
        """Set the gauges before a scrape. `newest` is None until there is a statement."""
        self.lag_seconds.labels(self._platform).set(lag_seconds)
        self.roles.labels(self._platform).set(roles)
        if newest is not None:
            self.newest_statement.labels(self._platform).set(newest)

    def _gauge(self, name: str, what: str) -> Gauge:
        return Gauge(name, what, _LABELS, registry=self.registry)
