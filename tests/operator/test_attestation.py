"""The operator attests a platform by itself and when it is asked, closes it where something leaks, and opens it when that is mended."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from testbed.installation import NAMESPACE
from tests.support.commanding import rolevend
from tests.support.governed import DATABASE, OWNER
from tests.support.installed import Body
from tests.support.site import ANNEX, WAREHOUSE, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually


@pytest.fixture
def annex(site: Site) -> Iterator[Body]:
    site.wait_for_platform(ANNEX)
    yield {"kind": "DataPlatform", "metadata": {"name": ANNEX}}
    site.wait_for_platform(ANNEX)


def attest(site: Site, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    return rolevend(site.control_plane.environment(), "platform", "attest", name, *options)


def test_each_platform_was_attested_before_anything_was_vended(site: Site):
    attestation = site.cluster.read({"kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}).body["status"]["attestation"]
    assert (attestation["failed"], attestation["notPreventable"]) == ([], [])
    assert "read exactly the permitted rows" in attestation["passed"]
    # An operator that was just started has it from the object, after its first look.
    eventually(lambda: site.metric("rolevend_attested_timestamp_seconds", platform=WAREHOUSE) > 0)


@pytest.mark.long
def test_an_attestation_that_cannot_be_repeated_stands_for_a_while_and_then_closes_vending(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    live = tenant.ask(platform=ANNEX).ready()
    site.operator.stop()
    programmer = site.text_of(site.secret(NAMESPACE, "annex-programmer"))["username"]
    may_create = f"{{}} CREATE ON DATABASE {DATABASE} {{}} {programmer}, {OWNER}"  # it acts for the owner of the tables, too
    site.annex.ask(may_create.format("REVOKE", "FROM"))
    site.start_operator({"ATTEST_SECONDS": "6"})
    try:
        # It is overdue a moment before the first try has told why.
        eventually(lambda: "permission denied for database" in site.told(annex, "Attested", "Unknown", "Overdue"))
        site.wait_for_platform(ANNEX, "False", "NotAttested")
        waiting = tenant.ask(platform=ANNEX)
        waiting.refused("NotAttested", granted="Unknown")
        assert live.rows("SELECT count(*) FROM people") == [(2,)], "what lives lives on"

        site.annex.ask(may_create.format("GRANT", "TO"))

        site.told(annex, "Attested", "True", "PromisesHold")
        waiting.ready()
    finally:
        site.annex.ask(may_create.format("GRANT", "TO"))
        site.operator.stop()
        site.start_operator()


LEAKING = "find out a hidden row by errors and warnings"


def test_a_leak_closes_the_platform_ends_its_roles_and_heals_when_it_is_mended(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    live = tenant.ask(platform=ANNEX).ready()
    passed = attest(site, ANNEX)
    assert (passed.returncode, passed.stderr.count("Traceback")) == (0, 0), passed.stderr
    assert "0 failed" in passed.stdout
    leaks = site.metric("rolevend_canary_leaks_total", platform=ANNEX)
    site.annex.ask("ALTER FUNCTION rolevend.fence(anyelement) STABLE")
    try:
        failed = attest(site, ANNEX, "--output", "json")
        assert failed.returncode == 1
        assert LEAKING in {check["name"] for check in json.loads(failed.stdout)["failed"]}
        assert f"{LEAKING}: finds out whether" in site.told(annex, "Attested", "False", "Leak")
        live.gone()
        assert site.annex.ended(live.role) == "Revoked"
        tenant.ask(platform=ANNEX, name=f"{tenant.name}-waiting").refused("Leak", granted="Unknown")
        assert site.metric("rolevend_canary_leaks_total", platform=ANNEX) > leaks
    finally:
        site.annex.ask("ALTER FUNCTION rolevend.fence(anyelement) VOLATILE")
    site.told(annex, "Attested", "True", "PromisesHold")
    tenant.ask(platform=ANNEX).ready()
    eventually(lambda: not site.annex.ask("SELECT 1 FROM pg_namespace WHERE nspname ~ '^rv_canary'"))
