"""What the operator tells whoever watches it: probes, metrics, logs, and `rolevend who`. Never a user's name, never a secret."""

import subprocess

import pytest

from tests.support.commanding import rolevend
from tests.support.site import AGENTS, WAREHOUSE, Site
from tests.support.tenancy import ISSUER, Tenant
from tests.support.waiting import eventually


def who(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    return rolevend(site.control_plane.environment(), "who", *arguments)


def facts(answer: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert answer.returncode == 0, answer.stderr
    return dict(line.rpartition("  [")[0].split(maxsplit=1) for line in answer.stdout.splitlines())


def test_the_probes_say_that_all_is_well(site: Site):
    assert site.operator.probe("/readyz") == (200, "ok")
    assert site.operator.probe("/healthz") == (200, "ok")


@pytest.mark.long
def test_metrics_count_vends_drops_endings_and_live_roles_by_platform(tenant: Tenant):
    site = tenant.ready_to_ask().site
    eventually(lambda: not site.warehouse.roles() and not begun(site))  # another test's would be counted, too
    vends = site.metric("rolevend_vend_seconds_count", platform=WAREHOUSE, outcome="vended")
    drops = site.metric("rolevend_drop_seconds_count", platform=WAREHOUSE, outcome="dropped")
    revoked = site.metric("rolevend_revoked_roles_total", platform=WAREHOUSE, reason="PolicyChanged")
    expired = site.metric("rolevend_expiry_lateness_seconds_count")
    released, narrowed, short = tenant.ask().ready(), tenant.ask().ready(), tenant.ask(seconds=20).ready()
    eventually(lambda: site.metric("rolevend_vend_seconds_count", platform=WAREHOUSE, outcome="vended") == vends + 3)
    eventually(lambda: site.metric("rolevend_live_roles", platform=WAREHOUSE) >= 2)

    released.delete()
    released.gone()
    short.gone()
    site.remove(tenant.described("AccessPolicy", {}, namespace="domain-claims"))
    narrowed.gone()

    eventually(lambda: site.metric("rolevend_drop_seconds_count", platform=WAREHOUSE, outcome="dropped") == drops + 3)
    eventually(lambda: site.metric("rolevend_revoked_roles_total", platform=WAREHOUSE, reason="PolicyChanged") == revoked + 1)
    eventually(lambda: site.metric("rolevend_expiry_lateness_seconds_count") == expired + 1)
    assert site.metric("rolevend_platform_up", platform=WAREHOUSE) == 1
    eventually(lambda: site.metric("rolevend_live_roles", platform=WAREHOUSE) == 0)
    eventually(lambda: site.metric("rolevend_drop_overdue_seconds", platform=WAREHOUSE) == 0)  # as soon as the watch tells, too


def begun(site: Site) -> list[str]:
    """VendedRoles that have a role, or had one: it is counted before the object is gone, and after the role is."""
    listed = site.cluster.call("GET", "/apis/rolevend.dev/v1alpha1/vendedroles").body["items"]
    return [each["metadata"]["name"] for each in listed if "roleName" in each.get("status", {})]


def test_what_alerts_count_is_at_zero_before_its_first_event(site: Site):
    site.operator.stop()
    site.start_operator()
    never = ['revoked_roles_total{platform="warehouse",reason="Drift"}', 'orphan_roles_total{platform="warehouse"}']

    eventually(lambda: all(f"rolevend_{series} 0.0" in site.operator.probe("/metrics")[1] for series in never))

    assert site.metric("rolevend_attest_period_seconds") == 86400


def test_no_metric_names_a_user(tenant: Tenant):
    tenant.person(handle=f"P{tenant.handle}")
    tenant.agent()
    tenant.policy()
    tenant.ask().ready()

    status, metrics = tenant.site.operator.probe("/metrics")

    assert status == 200
    assert "rolevend_build_info" in metrics
    for word in ("anna", ISSUER, f"P{tenant.handle}", "IMMUTA_VENDED"):
        assert word not in metrics


def test_refused_objects_are_counted_by_kind(tenant: Tenant):
    def refused() -> float:
        return tenant.site.metric("rolevend_policy_errors", kind="AccessPolicy")

    eventually(lambda: refused() == 0)  # those of other tests are gone

    tenant.site.told(tenant.policy(rowFilter="country ="), "Accepted", "False", "InvalidInput")

    eventually(lambda: refused() == 1)


def test_each_log_line_is_json_and_a_vend_and_its_drop_can_be_found_by_the_name_of_the_role(tenant: Tenant):
    asked = tenant.ready_to_ask().ask().ready()
    asked.delete()
    asked.gone()

    lines = [line for line in tenant.site.log_lines() if line.get("role") == asked.role]

    assert [line["message"] for line in lines] == ["vended", "dropped"]
    for line in lines:
        assert (line["level"], line["platform"], line["object"]) == ("INFO", WAREHOUSE, f"{AGENTS}/{asked.name}")
        assert line["time"]


def test_no_log_holds_a_password_that_was_ever_issued(tenant: Tenant):
    tenant.ready_to_ask().ask().ready().login()

    logs = "".join(log.read_text() for log in tenant.site.logs)

    assert len(tenant.site.issued) >= 5, "those of both platforms, and of a vended role"
    assert not [password for password in tenant.site.issued if password in logs]


def test_who_says_which_agent_acted_for_whom_and_still_does_when_the_role_is_gone(tenant: Tenant):
    tenant.person(handle=f"P{tenant.handle}")
    tenant.agent()
    tenant.policy()
    asked = tenant.ask().ready()

    live = facts(who(tenant.site, asked.role))

    behind = {"agent": f"{AGENTS}/{tenant.name}", "user": f"anna.{tenant.name} ({ISSUER})", "request": asked.uid}
    assert behind.items() <= live.items()
    assert live["object"] == f"{AGENTS}/{asked.name}"
    assert live["until"] == asked.status["expirationTimestamp"]
    assert live["state"].startswith("Live: the role can log in")
    asked.delete()
    asked.gone()
    gone = facts(who(tenant.site, asked.role))
    assert behind.items() <= gone.items()
    assert "no VendedRole has its uid" in gone["state"]


@pytest.mark.long
def test_who_says_offline_what_the_name_says(tenant: Tenant):
    asked = tenant.ready_to_ask().ask().ready()

    answer = facts(who(tenant.site, asked.role, "--offline"))

    assert answer["agent"] == f"handle {tenant.handle}"
    assert answer["request"] == asked.uid
    assert "state" not in answer


@pytest.mark.long
def test_who_refuses_what_is_no_vended_role_in_one_line(site: Site):
    answer = who(site, "postgres")

    assert answer.returncode != 0
    assert "'postgres' is not the name of a vended role" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
