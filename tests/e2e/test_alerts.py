"""Every alert of the chart, as Prometheus' own engine judges it: quiet while all is well, firing once what it is about has lasted as long
as it says, and quiet again when that is over."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from rolevend.policytools.embedded.progress import progress_for
from tests.e2e.prometheus.engine import START, STEP, Engine, Series
from tests.support.installed import CHART

ALERTS: dict[str, dict[str, Any]] = {each["alert"]: each for each in yaml.safe_load((CHART / "alerts.yaml").read_text(encoding="utf-8"))}
_SECONDS = {"s": 1, "m": 60, "h": 3600}
BEGINS, ENDS, STEPS = 80, 320, 500
"""Of the trouble, in steps: it lasts two hours, between forty minutes and an hour and a half in which all is well."""

Told = Callable[[bool, int], float]
"""The value of a gauge, or what is added to a counter: in trouble or not, and at which step."""


def gauge(name: str, well: float, in_trouble: float, **labels: str) -> Series:
    return at_each_step(name, lambda trouble, _: in_trouble if trouble else well, **labels)


def at_each_step(name: str, value: Told, **labels: str) -> Series:
    return Series({"__name__": name, "pod": "a", **labels}, [value(BEGINS <= step < ENDS, step) for step in range(STEPS)])


def unseen(name: str, **labels: str) -> Series:
    """In trouble nothing was scraped. Prometheus takes the last value for five minutes more."""
    return Series({"__name__": name, **labels}, [None if BEGINS <= step < ENDS else 0.0 for step in range(STEPS)])


def counter(name: str, well: float, in_trouble: float, **labels: str) -> Series:
    """So much more with each step."""
    total, values = 0.0, []
    for step in range(STEPS):
        total += in_trouble if BEGINS <= step < ENDS else well
        values.append(total)
    return Series({"__name__": name, "pod": "a", **labels}, values)


def buckets(name: str, bound: str, **labels: str) -> list[Series]:
    """A hundred more with each step; in trouble five of them are beyond `bound`."""
    return [
        counter(f"{name}_bucket", 100, 0, le="0.001", **labels),
        counter(f"{name}_bucket", 100, 95, le=bound, **labels),
        counter(f"{name}_bucket", 100, 100, le="60", **labels),
        counter(f"{name}_bucket", 100, 100, le="+Inf", **labels),
    ]


@dataclass(frozen=True)
class Scene:
    series: list[Series]
    seconds: int = 0
    """How long it takes until the condition holds, beside the time that the expression looks back."""


WAREHOUSE = {"platform": "warehouse"}
SCENES: Mapping[str, Scene] = {
    "RolevendAbsent": Scene([gauge("rolevend_leader", 1, 0), gauge("rolevend_leader", 0, 0, pod="b")]),
    "RolevendApiAbsent": Scene([gauge("rolevend_api_ready", 1, 0), gauge("rolevend_api_ready", 0, 0, pod="b")]),
    "RolevendCallsFail": Scene(
        [
            counter("rolevend_calls_total", 9, 9, call="vend", status="201"),
            counter("rolevend_calls_total", 9, 9, call="vend", status="403"),
            counter("rolevend_calls_total", 0.5, 2, call="vend", status="503"),
            counter("rolevend_calls_total", 99, 99, call="signals", status="503"),  # which anybody may cause
        ]
    ),
    "RolevendSignalsFail": Scene(
        [
            counter("rolevend_signals_total", 0, 1, event="none", outcome="failed"),
            counter("rolevend_signals_total", 9, 9, event="none", outcome="refused"),
            counter("rolevend_signals_total", 9, 9, event="session-revoked", outcome="changed"),
        ]
    ),
    "RolevendCallsSlow": Scene(
        [
            *buckets("rolevend_call_seconds", "1", call="vend"),
            counter("rolevend_call_seconds_bucket", 0, 0, call="release", le="1"),
            counter("rolevend_call_seconds_bucket", 9, 9, call="release", le="60"),
            counter("rolevend_call_seconds_bucket", 9, 9, call="release", le="+Inf"),  # which waits for sessions to end
        ]
    ),
    "RolevendIdentityProviderDown": Scene(
        [
            gauge("rolevend_identity_provider_up", 1, 1, provider="workforce"),
            gauge("rolevend_identity_provider_up", 1, 0, provider="workforce", pod="b"),
        ]
    ),
    "RolevendPlatformDown": Scene([gauge("rolevend_platform_up", 1, 0, **WAREHOUSE)]),
    "RolevendPlatformNotReady": Scene(
        [
            gauge("rolevend_platform_condition", 1, 0, condition="Ready", **WAREHOUSE),
            gauge("rolevend_platform_up", 1, 1, **WAREHOUSE),
            gauge("rolevend_platform_condition", 0, 0, condition="Ready", platform="crm"),
            gauge("rolevend_platform_up", 0, 0, platform="crm"),  # which has an alert of its own
        ]
    ),
    "RolevendDropOverdue": Scene([gauge("rolevend_drop_overdue_seconds", 60, 180, **WAREHOUSE)]),
    "RolevendExpiryLate": Scene(buckets("rolevend_expiry_lateness_seconds", "5")),
    "RolevendGovernedTableChanged": Scene(
        [
            counter("rolevend_revoked_roles_total", 0, 1, reason="Drift", **WAREHOUSE),
            counter("rolevend_revoked_roles_total", 1, 1, reason="PolicyChanged", **WAREHOUSE),
            gauge("rolevend_platform_condition", 1, 0, condition="InSync", **WAREHOUSE),
            gauge("rolevend_platform_condition", 0, 0, condition="Ready", platform="crm"),  # not reached: without InSync
        ]
    ),
    "RolevendCanaryLeak": Scene([counter("rolevend_canary_leaks_total", 0, 1, **WAREHOUSE)]),
    "RolevendNotAttested": Scene(
        [
            at_each_step(
                "rolevend_attested_timestamp_seconds",
                lambda trouble, step: START + STEP * (BEGINS if trouble else step // 20 * 20),
                **WAREHOUSE,
            ),
            gauge("rolevend_attest_period_seconds", 600, 600),
            gauge("rolevend_attest_period_seconds", 0, 0, pod="api"),  # which attests nothing
        ],
        seconds=900,
    ),
    "RolevendOrphanRole": Scene([counter("rolevend_orphan_roles_total", 0, 1, **WAREHOUSE)]),
    "RolevendUnsealedRecord": Scene([counter("rolevend_unsealed_records_total", 0, 1, **WAREHOUSE)]),
    "RolevendAgentRunsAway": Scene(
        [
            counter("rolevend_curbed_total", 0.2, 2, act="Cancelled", **WAREHOUSE),
            counter("rolevend_curbed_total", 9, 9, act="Expired", **WAREHOUSE),
        ]
    ),
    "RolevendQueueGrows": Scene([gauge("rolevend_queue_depth", 50, 150, kind="vend", **WAREHOUSE)]),
    "RolevendAuditUnwritable": Scene([counter("rolevend_audit_failures_total", 0, 1)]),
    "RolevendVendsFail": Scene(
        [
            counter("rolevend_vend_seconds_count", 0, 1, outcome="failed", **WAREHOUSE),
            counter("rolevend_vend_seconds_count", 9, 9, outcome="vended", **WAREHOUSE),
        ]
    ),
    "RolevendVendsSlow": Scene(buckets("rolevend_vend_seconds", "1", outcome="vended", **WAREHOUSE)),
    "RolevendClusterSuspended": Scene(
        [gauge("rolevend_suspended", 0, 1, kind="Cluster"), gauge("rolevend_suspended", 3, 3, kind="UserAttributes")]
    ),
    "RolevendSuspended": Scene([gauge("rolevend_suspended", 0, 1, kind="Agent"), gauge("rolevend_suspended", 3, 3, kind="UserAttributes")]),
    "RolevendScimRefused": Scene(
        [
            counter("rolevend_scim_pushes_total", 0, 1, provider="okta", outcome="refused"),
            counter("rolevend_scim_pushes_total", 0, 0, provider="", outcome="refused"),
            counter("rolevend_scim_pushes_total", 9, 9, provider="okta", outcome="accepted"),
        ]
    ),
    "RolevendAccessRequestsNotJudged": Scene([counter("rolevend_access_judgement_failures_total", 0, 1)]),
    "RolevendAccessRequestWaits": Scene([gauge("rolevend_access_request_oldest_seconds", 60, 1200)]),
    "RolevendNotificationFails": Scene(
        [
            counter("rolevend_notifications_total", 0, 1, receiver="oncall", outcome="failed"),
            counter("rolevend_notifications_total", 9, 9, receiver="oncall", outcome="retried"),
        ]
    ),
    "RolevendObjectNotAccepted": Scene([gauge("rolevend_policy_errors", 0, 2, kind="AccessPolicy")]),
    "RolevendAccessLedgerAbsent": Scene([unseen("rolevend_access_ledger_lag_seconds", **WAREHOUSE)], seconds=5 * 60),
    "RolevendAccessLedgerBehind": Scene([gauge("rolevend_access_ledger_lag_seconds", 900, 4000, **WAREHOUSE)]),
    "RolevendAccessLedgerUnreadable": Scene(
        [
            counter("rolevend_access_ledger_unreadable_total", 0, 1, what="damaged", **WAREHOUSE),
            counter("rolevend_access_ledger_unreadable_total", 1, 1, what="truncated", **WAREHOUSE),  # an agent's own statements
        ]
    ),
    "RolevendAccessLedgerUnknownRole": Scene(
        [
            counter("rolevend_access_ledger_statements_total", 0, 1, role="unknown", **WAREHOUSE),
            counter("rolevend_access_ledger_statements_total", 9, 9, role="known", **WAREHOUSE),
            counter("rolevend_access_ledger_statements_total", 1, 1, role="canary", **WAREHOUSE),
        ]
    ),
}


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Engine:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # a person who waits for a build should see it
        return Engine(progress_for())


def seconds(text: str) -> int:
    return int(text[:-1]) * _SECONDS[text[-1]]


def firing(engine: Engine, alert: Mapping[str, Any], series: list[Series]) -> list[int]:
    """The steps at which it fires: its condition has held for as long as it says, for the same labels."""
    fires, since = [], {}
    for step, found in enumerate(engine.evaluate(alert["expr"], series, STEPS)):
        named = [tuple(sorted(labels.items())) for labels in found]
        since = {each: since.get(each, step) for each in named}
        if any((step - begun) * STEP >= seconds(alert["for"]) for begun in since.values()):
            fires.append(step)
    return fires


def test_every_alert_is_tried():
    assert SCENES.keys() == ALERTS.keys()


@pytest.mark.long
@pytest.mark.parametrize("name", SCENES)
def test_it_fires_while_what_it_is_about_lasts_and_neither_before_nor_long_after(engine: Engine, name: str):
    alert, scene = ALERTS[name], SCENES[name]
    looks_back = max(map(seconds, re.findall(r"\[(\w+)\]", alert["expr"])), default=0) + scene.seconds
    earliest = BEGINS + seconds(alert["for"]) // STEP
    latest = earliest + looks_back // STEP + 1

    fires = firing(engine, alert, scene.series)

    assert fires
    assert earliest <= fires[0] <= latest
    assert set(range(latest, ENDS)) <= set(fires)
    assert fires[-1] <= ENDS + looks_back // STEP


@pytest.mark.long
@pytest.mark.parametrize("name", ["RolevendAbsent", "RolevendApiAbsent", "RolevendAccessLedgerAbsent"])
def test_who_is_not_even_there_is_missed(engine: Engine, name: str):
    assert firing(engine, ALERTS[name], []) == list(range(seconds(ALERTS[name]["for"]) // STEP, STEPS))


@pytest.mark.long
def test_no_calls_at_all_are_no_failing_calls(engine: Engine):
    for name in ("RolevendCallsFail", "RolevendCallsSlow", "RolevendVendsFail", "RolevendVendsSlow"):
        assert firing(engine, ALERTS[name], []) == []
        idle = [Series(each.labels, [0.0] * STEPS) for each in SCENES[name].series]
        assert firing(engine, ALERTS[name], idle) == []
