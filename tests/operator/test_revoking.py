"""`rolevend revoke` with a running operator: the roles and their sessions end, and the audit says who ended them and why."""

import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rolevend.platforms.protocol import EndReason
from tests.support.responding import RESPONDER, Responder
from tests.support.site import AGENTS, ANNEX, Body, Site
from tests.support.tenancy import Asked, Tenant
from tests.support.tiers import by_tier
from tests.support.waiting import eventually

CROWD = by_tier(40, 200)
WHY = "INC-4711: prompt injection in the claims inbox"


@pytest.fixture
def responder(site: Site, tmp_path: Path) -> Responder:
    return Responder(site, tmp_path)


def of(tenant: Tenant) -> tuple[str, str]:
    return "--agent", f"{AGENTS}/{tenant.name}"


def end(site: Site, asked: Asked) -> Body:
    """The audit event of its end."""
    found = [
        each["data"]
        for each in site.log_lines()
        if each.get("type") == "dev.rolevend.dropped" and each["data"].get("requestUid") == asked.uid
    ]
    assert len(found) == 1, found
    return dict(found[0])


def test_a_role_with_a_running_session_ends_and_the_audit_the_event_and_the_lease_say_who_and_why(
    site: Site, tenant: Tenant, responder: Responder
):
    asked = tenant.ready_to_ask().ask().ready()
    other = tenant.ask("anna", wanted={"purpose": "reporting"}).ready()

    with site.warehouse.session(asked.login()) as session:
        session.execute("SELECT 1")
        done = responder.revoke(*of(tenant), "--table", "claims.people", "--because", WHY, "--yes")
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "2 of 2 roles are gone"
    assert (asked.is_gone(), asked.has_role(), other.has_role()) == (True, False, False)
    assert site.warehouse.ended(asked.role) == "Revoked"
    event = eventually(lambda: end(site, asked))
    assert event.items() >= {"ended": "Revoked", "endedBy": f"User {RESPONDER}", "message": WHY, "sessionsEnded": 1}.items()
    cause = f"Revoked by User {RESPONDER}, 1 sessions ended"
    eventually(lambda: any(reason == "Dropped" and cause in message for reason, message in asked.events()))


def test_a_dry_run_ends_nothing(tenant: Tenant, responder: Responder):
    asked = tenant.ready_to_ask().ask().ready()

    done = responder.revoke(*of(tenant), "--dry-run")

    assert done.returncode == 0, done.stderr
    cells = next(line for line in done.stdout.splitlines() if asked.name in line).split()
    user = [f"anna.{tenant.name}", f"({asked.status['user']['handle']})"]
    assert cells[:5] == [f"{AGENTS}/{asked.name}", f"{AGENTS}/{tenant.name}", *user, "warehouse"]
    assert cells[5:8] == ["claims.people", "-", "Asserted"]
    assert asked.is_ready()
    assert asked.rows("SELECT count(*) FROM people") == [(2,)]


def test_the_columns_of_kubectl_show_purpose_proof_and_tables(site: Site, tenant: Tenant):
    asked = tenant.ready_to_ask().ask(wanted={"purpose": "reporting"}).ready()

    shown = site.cluster.kubectl("get", "vr", asked.name, "--namespace", AGENTS, "-o", "wide")

    header, row = shown.splitlines()
    assert [each for each in header.split() if each in ("PURPOSE", "PROOF", "TABLES")] == ["PURPOSE", "PROOF", "TABLES"]
    assert 'reporting   Asserted   ["claims.people"]' in row


@pytest.mark.long
def test_a_crowd_ends_in_one_call_and_other_agents_keep_theirs(site: Site, tenant: Tenant, responder: Responder):
    tenant.ready_to_ask()
    tenant.agent(f"{tenant.name}-other", namespace=AGENTS, handle=f"O{tenant.handle}")
    crowd = [tenant.ask() for _ in range(CROWD)]
    other = tenant.ask(agent=f"{tenant.name}-other").ready()
    for asked in crowd:
        asked.ready(within=300)

    done = responder.revoke(*of(tenant), "--because", WHY, "--yes", "--wait", "300")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"{CROWD} of {CROWD} roles are gone"
    assert not site.warehouse.roles() & {asked.role for asked in crowd}
    assert {site.warehouse.ended(asked.role) for asked in crowd} == {"Revoked"}
    assert {end(site, asked)["endedBy"] for asked in crowd} == {f"User {RESPONDER}"}
    assert other.rows("SELECT count(*) FROM people") == [(2,)]


@pytest.mark.long
def test_a_role_on_a_platform_that_does_not_answer_is_left_with_the_reason_and_keeps_who_and_why(
    site: Site, tenant: Tenant, responder: Responder
):
    site.wait_for_platform(ANNEX)
    asked = tenant.ready_to_ask(platform=ANNEX).ask(platform=ANNEX).ready()
    site.annex.server.stop()

    def revoked() -> "subprocess.CompletedProcess[str]":
        done = responder.revoke(*of(tenant), "--because", WHY, "--yes", "--wait", "5")
        assert f"left: {AGENTS}/{asked.name}: it is being dropped: PlatformUnavailable" in done.stdout, done.stdout
        return done

    try:
        done = eventually(revoked)  # the operator may take longer to find out why
        ended = eventually(lambda: asked.status.get("ended"))
    finally:
        site.annex.server.start()

    assert done.returncode == 3, done.stderr
    assert "0 of 1 role is gone; after 5 s 1 is left:" in done.stdout
    assert ended == {"reason": EndReason.REVOKED.value, "by": f"User {RESPONDER}", "message": WHY}
    again = responder.revoke(*of(tenant), "--because", "another reason", "--yes")
    assert again.returncode == 0, again.stdout
    event: dict[str, Any] = eventually(lambda: end(site, asked))
    assert event["message"] == WHY
    site.wait_for_platform(ANNEX)
