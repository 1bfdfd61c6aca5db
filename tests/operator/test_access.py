"""`rolevend access` with a running operator and PostgreSQL: it says of each live role what the role then selects."""

import json
from pathlib import Path

import pytest

from tests.operator.test_explain import written
from tests.support.commanding import rolevend
from tests.support.requesting import Requester
from tests.support.responding import RESPONDER
from tests.support.site import AGENTS, WAREHOUSE, Body, Site
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import eventually

COUNTRIES = "SELECT DISTINCT country FROM people"
SSN = "SELECT count(*), count(ssn) FROM people"


@pytest.fixture(scope="module")
def catalog(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(site, WAREHOUSE, tmp_path_factory.mktemp("access") / "catalog.yaml")


def access(environment: dict[str, str], *words: str) -> tuple[list[Body], str]:
    """The entries, and the notes."""
    done = rolevend(environment, "access", *words, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["entries"], done.stderr


def published(site: Site, tenant: Tenant) -> tuple[list[Body], str]:
    """The operator publishes soon after it has read a platform."""
    entries, notes = access(site.control_plane.environment(), "claims.people.ssn", "--agent", f"{AGENTS}/{tenant.name}")
    assert "as the operator reads it" in notes
    return entries, notes


def by_object(entries: list[Body]) -> dict[str, Body]:
    return {each["object"].rpartition("/")[2]: each for each in entries}


def test_rows_mask_and_policies_of_each_live_role_are_what_it_selects(site: Site, tenant: Tenant):
    """With the catalog that the operator publishes."""
    requester = Requester(tenant)
    approved = requester.role(requester.ready().approved()).ready()
    plain = tenant.ask().ready()
    tenant.person("bob", countries=["US"])
    other = tenant.ask("bob").ready()
    gone = tenant.ask().ready()
    gone.delete()
    gone.gone()

    entries, notes = eventually(lambda: published(site, tenant))
    found = by_object(entries)

    assert found.keys() == {approved.name, plain.name, other.name}
    assert {each["source"] for each in entries} == {"Decision"}, notes
    assert (found[plain.name]["shows"], found[approved.name]["shows"]) == ("Nullify", "Clear")
    assert found[plain.name]["access"]["rows"] == found[other.name]["access"]["rows"] == ["\"country\" IN (user_attr('countries'))"]
    assert found[plain.name]["policies"] == [f"domain-claims/{tenant.name}"]
    assert "approved by" in found[approved.name]["approval"]
    assert {each["state"] for each in entries} == {"Live"}
    assert plain.rows(SSN)[0][1] == 0
    assert approved.rows(SSN)[0][1] > 0
    assert sorted(plain.rows(COUNTRIES)) == [("AT",), ("DE",)]
    assert other.rows(COUNTRIES) == [("US",)]


@pytest.mark.long
def test_a_role_that_outlives_a_wider_policy_is_shown_by_its_status_then_by_its_audit_event(
    site: Site, tenant: Tenant, catalog: Path, tmp_path: Path
):
    asked = tenant.ready_to_ask().ask().ready()
    profile = asked.status["platforms"][0]["profile"]
    site.told(tenant.policy(f"{tenant.name}-more", "payments", rowFilter="country = 'DE'", masks=[]), "Ready", "True")
    newer = eventually(lambda: _another_profile(tenant, profile))
    words = ("claims.people.ssn", "--agent", tenant.name, "--catalog", str(catalog))
    log = tmp_path / "audit.ndjson"
    log.write_text("".join(f"{json.dumps(each)}\n" for each in site.log_lines()))

    by_status, notes = access(site.control_plane.environment(), *words)
    by_audit, _ = access(site.control_plane.environment(), *words, "--audit", str(log))

    assert asked.is_ready()
    assert (by_object(by_status)[asked.name]["source"], by_object(by_status)[newer.name]["source"]) == ("Status", "Decision")
    assert "vended when the objects or the catalog were others" in notes
    assert (by_object(by_audit)[asked.name]["source"], by_object(by_audit)[asked.name]["shows"]) == ("Audit", "Nullify")


def test_a_responder_who_may_list_roles_alone_gets_the_answer_of_their_status(site: Site, tenant: Tenant, catalog: Path, tmp_path: Path):
    site.cluster.bind(RESPONDER, "rolevend-responder")
    asked = tenant.ready_to_ask().ask().ready()

    entries, notes = access(
        site.cluster.environment(RESPONDER, tmp_path), "claims.people", "--user", f"anna.{tenant.name}", "--catalog", str(catalog)
    )

    assert [(each["object"], each["source"], each["access"]) for each in entries] == [(f"{AGENTS}/{asked.name}", "Status", None)]
    assert "policies are not judged, because you may not read them" in notes


def _another_profile(tenant: Tenant, profile: str) -> Asked | None:
    asked = tenant.ask().ready()
    return asked if asked.status["platforms"][0]["profile"] != profile else None
