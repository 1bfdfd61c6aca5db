"""All metrics; their help texts describe them. One registry per process, so that tests can run several operators."""

from collections.abc import Iterable, Mapping, Set
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rolevend import __version__
from rolevend.model import PlatformName
from rolevend.platforms.protocol import LimitAction

_FASTEST = (0.0001, 0.00025, 0.0005)
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW = (30, 60, 300, 900, 1800, 3600, 14_400, 86_400)
"""Seconds that people take."""
NO_EVENT: Final = "none"
"""Counts a whole security event token instead of one of its events."""
_REFUSED, _FAILED = "refused", "failed"


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._of_platforms: list[Gauge] = []
        self.vend_seconds = Histogram(
            "rolevend_vend_seconds",
            "Seconds from the start of the handler to a role that can log in",
            ["platform", "outcome"],
            buckets=_FAST,
            registry=self.registry,
        )
        self.vend_step_seconds = Histogram(
            "rolevend_vend_step_seconds",
            "Seconds of each step of successful vends by the API",
            ["step"],
            buckets=(*_FASTEST, *_FAST),
            registry=self.registry,
        )
        self.decision_seconds = Histogram("rolevend_decision_seconds", "Seconds of one decision", buckets=_FAST, registry=self.registry)
        self.drop_seconds = Histogram(
            "rolevend_drop_seconds",
            "Seconds to lock the role, end its sessions, drop it and verify the drop",
            ["platform", "outcome"],
            buckets=_FAST,
            registry=self.registry,
        )
        self.drop_overdue_seconds = self._of_platform("rolevend_drop_overdue_seconds", "Age of the oldest drop that has not succeeded yet")
        self.queue_depth = self._of_platform(
            "rolevend_queue_depth",
            "Vends and drops that wait for a call to their platform, including retries",
            "kind",
        )
        self.live_roles = self._of_platform("rolevend_live_roles", "VendedRoles that are Ready, and live roles that a database records")
        self.projections_waiting = Gauge(
            "rolevend_projections_waiting", "Roles recorded in a database that no VendedRole shows yet", registry=self.registry
        )
        self.unsealed_records = Counter(
            "rolevend_unsealed_records",
            "Live roles whose record in a database has no valid seal, and which are dropped",
            ["platform"],
            registry=self.registry,
        )
        self.expiry_lateness_seconds = Histogram(
            "rolevend_expiry_lateness_seconds",
            "Seconds from expiry to the object's deletion",
            buckets=_FAST,
            registry=self.registry,
        )
        self.orphan_roles = Counter(
            "rolevend_orphan_roles", "Roles with neither an object nor a record that were dropped", ["platform"], registry=self.registry
        )
        self.revoked_roles = Counter(
            "rolevend_revoked_roles", "Live roles that were ended before their expiry", ["platform", "reason"], registry=self.registry
        )
        self.curbed = Counter(
            "rolevend_curbed",
            "Statements cancelled and sessions ended because they exceeded a limit of their role, or (Expired) its expiry",
            ["platform", "act"],
            registry=self.registry,
        )
        self.denials = Counter(
            "rolevend_denials", "Requests that policy, agent or platform denied", ["platform", "reason"], registry=self.registry
        )
        self.access_requests = Gauge(
            "rolevend_access_requests",
            "AccessRequests that wait for a decision (Pending), or whose approval can be used (Approved, Used)",
            ["state"],
            registry=self.registry,
        )
        self.access_request_oldest_seconds = Gauge(
            "rolevend_access_request_oldest_seconds",
            "Age of the oldest AccessRequest that waits for a decision; 0 if none waits",
            registry=self.registry,
        )
        self.access_decisions = Counter(
            "rolevend_access_decisions", "Changes of the state of AccessRequests", ["state", "reason"], registry=self.registry
        )
        self.access_judgement_failures = Counter(
            "rolevend_access_judgement_failures",
            "Judgements of AccessRequests that an unexpected error ended; they are retried",
            registry=self.registry,
        )
        self.access_decision_seconds = Histogram(
            "rolevend_access_decision_seconds",
            "Seconds from the creation of an AccessRequest to its decision by a rule or by people",
            ["by"],
            buckets=(*_FAST, *_SLOW),
            registry=self.registry,
        )
        self.notifications = Counter(
            "rolevend_notifications",
            "Notifications about AccessRequests that a receiver accepted (delivered) or that were given up (failed), and failed calls that"
            " are repeated (retried)",
            ["receiver", "outcome"],
            registry=self.registry,
        )
        self.audit_events = Counter("rolevend_audit_events", "Audit events that were written", ["type"], registry=self.registry)
        self.audit_failures = Counter(
            "rolevend_audit_failures",
            "Audit events that could not be written; the action is retried",
            registry=self.registry,
        )
        self.canary_leaks = Counter(
            "rolevend_canary_leaks",
            "Failed checks of attestations: a role reads or changes data, or keeps access, without a grant",
            ["platform"],
            registry=self.registry,
        )
        self.attested_timestamp = self._of_platform(
            "rolevend_attested_timestamp_seconds", "End of the last attestation, in seconds since 1970"
        )
        self.attest_period_seconds = Gauge(
            "rolevend_attest_period_seconds", "Configured interval between attestations of a platform", registry=self.registry
        )
        self.policy_errors = Gauge("rolevend_policy_errors", "Objects that are not accepted", ["kind"], registry=self.registry)
        self.suspended = Gauge(
            "rolevend_suspended",
            "Suspended objects, among UserAttributes also users whom an identity provider deactivated. Cluster: 1 if all is suspended",
            ["kind"],
            registry=self.registry,
        )
        self.platform_up = self._of_platform("rolevend_platform_up", "1 if the platform answered with both credentials, otherwise 0")
        self.platform_condition = self._of_platform(
            "rolevend_platform_condition",
            "1 if the condition of the DataPlatform is True, otherwise 0. InSync is absent while it is Unknown",
            "condition",
        )
        self.api_ready = Gauge("rolevend_api_ready", "1 in a replica of the HTTP API that answers calls", registry=self.registry)
        self.calls = Counter("rolevend_calls", "Calls of the HTTP API that were answered", ["call", "status"], registry=self.registry)
        self.signals = Counter(
            "rolevend_signals",
            "Security events of identity providers, by outcome: changed, unchanged, ignored, refused or failed. A token that is refused, or"
            " whose effects could not be written, is of the event none",
            ["event", "outcome"],
            registry=self.registry,
        )
        self.call_seconds = Histogram(
            "rolevend_call_seconds",
            "Seconds of successful calls of the HTTP API",
            ["call"],
            buckets=_FAST,
            registry=self.registry,
        )
        self.scim_pushes = Counter(
            "rolevend_scim_pushes",
            "Changes that an identity provider pushed by SCIM, and without a provider: all calls whose token is of none",
            ["provider", "outcome"],
            registry=self.registry,
        )
        self.scim_pushed_timestamp = Gauge(
            "rolevend_scim_pushed_timestamp_seconds",
            "The last push by SCIM that this replica accepted, in seconds since 1970",
            ["provider"],
            registry=self.registry,
        )
        self.identity_provider_up = Gauge(
            "rolevend_identity_provider_up",
            "1 if the keys of the IdentityProvider were read within the last ten minutes, otherwise 0",
            ["provider"],
            registry=self.registry,
        )
        self.leader = Gauge("rolevend_leader", "1 in the leader, 0 in the other replicas", registry=self.registry)
        Gauge("rolevend_build_info", "Always 1", ["version"], registry=self.registry).labels(__version__).set(1)

    def follow(self, platforms: Set[PlatformName]) -> None:
        """Set the existing platforms. Counters of alerts start at 0 with a platform, because a series that appears with its first event
        shows no increase. Gauges of a removed platform are removed; counters stay."""
        for name in platforms:
            self.revoked_roles.labels(name, "Drift")
            self.orphan_roles.labels(name)
            self.unsealed_records.labels(name)
            self.canary_leaks.labels(name)
            self.vend_seconds.labels(name, "vended")
            self.vend_seconds.labels(name, "failed")
            self.curbed.labels(name, LimitAction.CANCELLED.value)
            self.curbed.labels(name, LimitAction.TERMINATED.value)
        for gauge in self._of_platforms:
            for sample in [sample for metric in gauge.collect() for sample in metric.samples]:
                if sample.labels["platform"] not in platforms:
                    gauge.remove(*sample.labels.values())

    def answer(self, calls: Iterable[str]) -> None:
        """Start the counters of alerts at 0 for the calls of this process."""
        for call in calls:
            self.call_seconds.labels(call)
            for status in (500, 503):
                self.calls.labels(call, status)
        self.signals.labels(NO_EVENT, "failed")

    def notify(self, receivers: Iterable[str]) -> None:
        """Start the counters of alerts at 0 for these receivers."""
        for receiver in receivers:
            self.notifications.labels(receiver, "failed")

    def expect_pushes(self, providers: Iterable[str]) -> None:
        """Start the counters of alerts at 0 for these IdentityProviders, and for tokens of none."""
        for provider in ("", *providers):
            for outcome in (_REFUSED, _FAILED):
                self.scim_pushes.labels(provider, outcome)

    def pushed(self, provider: str, status: int) -> None:
        """Count the answer to a push by SCIM, or to a call whose token is of no provider: then `provider` is empty."""
        outcome = "accepted" if status < 400 else _REFUSED if status < 500 else _FAILED
        self.scim_pushes.labels(provider, outcome).inc()
        if status < 400:
            self.scim_pushed_timestamp.labels(provider).set_to_current_time()

    def answered(self, call: str, status: int, seconds: float) -> None:
        self.calls.labels(call, status).inc()
        if status < 300:
            self.call_seconds.labels(call).observe(seconds)

    def received(self, event: str, outcome: str) -> None:
        self.signals.labels(event, outcome).inc()

    def follow_providers(self, up: Mapping[str, bool]) -> None:
        """Set the gauges, by name of the existing IdentityProviders."""
        self.identity_provider_up.clear()
        for name, is_up in up.items():
            self.identity_provider_up.labels(name).set(is_up)

    def _of_platform(self, name: str, what: str, *labels: str) -> Gauge:
        gauge = Gauge(name, what, ["platform", *labels], registry=self.registry)
        self._of_platforms.append(gauge)
        return gauge
