"""What is told of a platform begins with it, so that its first event is seen, and ends with it, so that no alert is about what is gone."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Gauge

from rolevend.api.confirm.routes import CONFIRM_CALLS
from rolevend.api.routes import CALLS, application
from rolevend.api.scim.calls import SCIM_CALLS
from rolevend.api.signals.calls import SIGNAL_CALLS
from rolevend.model import PlatformName
from rolevend.telemetry.ledger_metrics import LedgerMetrics
from rolevend.telemetry.metrics import Metrics

ALERTS = yaml.safe_load((Path(__file__).parents[3] / "charts" / "rolevend" / "alerts.yaml").read_text(encoding="utf-8"))
WAREHOUSE, CRM = PlatformName("warehouse"), PlatformName("crm")


def samples(metrics: Metrics | LedgerMetrics) -> list[tuple[str, dict[str, str], float]]:
    return [(sample.name, sample.labels, sample.value) for family in metrics.registry.collect() for sample in family.samples]


def counted() -> list[tuple[str, dict[str, str]]]:
    """The series whose growth an alert looks at, and the labels that it selects them by."""
    found = [each for alert in ALERTS for each in re.findall(r"\b(?:increase|rate)\((rolevend_\w+)(?:{([^}]*)})?\[", alert["expr"])]
    return [(name, dict(re.findall(r'(\w+)="([^"]*)"', selected))) for name, selected in found]


@pytest.mark.parametrize(("name", "selected"), counted(), ids=lambda value: value if isinstance(value, str) else "")
def test_what_an_alert_sees_growing_is_there_before_its_first_event(name: str, selected: dict[str, str]):
    metrics = Metrics()

    metrics.follow({WAREHOUSE})
    metrics.answer(CALLS)
    metrics.notify({"oncall"})
    metrics.expect_pushes({"okta"})

    both = [*samples(metrics), *samples(LedgerMetrics(WAREHOUSE))]
    there = [(labels, value) for each, labels, value in both if each == name and selected.items() <= labels.items()]
    assert there
    assert {value for _, value in there} == {0}
    assert {labels.get("platform", WAREHOUSE) for labels, _ in there} == {WAREHOUSE}


def test_both_acts_that_stop_an_agent_are_there_before_the_first_one():
    metrics = Metrics()

    metrics.follow({WAREHOUSE})

    assert {labels["act"] for name, labels, _ in samples(metrics) if name == "rolevend_curbed_total"} == {"Cancelled", "Terminated"}


def test_what_was_counted_is_not_counted_anew_with_each_scrape():
    metrics = Metrics()
    metrics.follow({WAREHOUSE})
    metrics.orphan_roles.labels(WAREHOUSE).inc()

    metrics.follow({WAREHOUSE})

    assert metrics.registry.get_sample_value("rolevend_orphan_roles_total", {"platform": WAREHOUSE}) == 1


def test_what_tells_of_now_ends_with_its_platform_and_what_was_counted_stays():
    metrics = Metrics()
    gauges = [each for each in vars(metrics).values() if isinstance(each, Gauge) and "platform" in each._labelnames]
    assert len(gauges) > 4
    for gauge in gauges:
        for platform in (WAREHOUSE, CRM):
            for other in ("first", "second"):
                gauge.labels(*(platform if label == "platform" else other for label in gauge._labelnames)).set(1)
    metrics.canary_leaks.labels(CRM).inc()

    metrics.follow({WAREHOUSE})

    told = {(name, labels["platform"]) for name, labels, _ in samples(metrics) if "platform" in labels}
    assert {platform for name, platform in told if name in {each._name for each in gauges}} == {WAREHOUSE}
    assert {name for name, platform in told if platform == WAREHOUSE} >= {each._name for each in gauges}
    assert metrics.registry.get_sample_value("rolevend_canary_leaks_total", {"platform": CRM}) == 1


def test_calls_are_counted_by_the_ids_that_the_document_gives_them():
    nothing: Any = None
    document = application(nothing, nothing, nothing, nothing, nothing).openapi()

    named = {each["operationId"] for methods in document["paths"].values() for each in methods.values()}
    assert named == set(CALLS) - set(CONFIRM_CALLS) - set(SCIM_CALLS) - set(SIGNAL_CALLS)


def test_a_call_that_failed_fast_is_counted_and_makes_no_other_look_faster():
    metrics = Metrics()
    metrics.answer(CALLS)

    metrics.answered("vend", 201, 0.2)
    metrics.answered("vend", 503, 0.001)

    assert metrics.registry.get_sample_value("rolevend_calls_total", {"call": "vend", "status": "201"}) == 1
    assert metrics.registry.get_sample_value("rolevend_calls_total", {"call": "vend", "status": "503"}) == 1
    assert metrics.registry.get_sample_value("rolevend_call_seconds_count", {"call": "vend"}) == 1
    assert metrics.registry.get_sample_value("rolevend_call_seconds_sum", {"call": "vend"}) == pytest.approx(0.2)


def test_a_push_by_scim_counts_by_its_answer_and_the_last_accepted_one_has_a_time():
    metrics = Metrics()
    metrics.expect_pushes(["okta"])
    pushes = {(labels["provider"], labels["outcome"]) for name, labels, _ in samples(metrics) if name == "rolevend_scim_pushes_total"}
    assert pushes == {("", "refused"), ("", "failed"), ("okta", "refused"), ("okta", "failed")}

    metrics.pushed("", 401)
    metrics.pushed("okta", 409)
    metrics.pushed("okta", 503)
    before = [each for each in samples(metrics) if each[0] == "rolevend_scim_pushed_timestamp_seconds"]
    metrics.pushed("okta", 204)
    metrics.expect_pushes(["okta"])

    counts = {
        (labels["provider"], labels["outcome"]): value for name, labels, value in samples(metrics) if name == "rolevend_scim_pushes_total"
    }
    assert counts == {("", "refused"): 1, ("", "failed"): 0, ("okta", "refused"): 1, ("okta", "failed"): 1, ("okta", "accepted"): 1}
    assert before == []
    assert metrics.registry.get_sample_value("rolevend_scim_pushed_timestamp_seconds", {"provider": "okta"})


def test_an_identity_provider_that_is_gone_is_not_down():
    metrics = Metrics()
    metrics.follow_providers({"corporate": True, "partner": False})

    metrics.follow_providers({"corporate": True})

    told = [(labels, value) for name, labels, value in samples(metrics) if name == "rolevend_identity_provider_up"]
    assert told == [({"provider": "corporate"}, 1)]
