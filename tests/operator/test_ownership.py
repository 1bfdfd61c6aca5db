"""Who owns a schema, on a real API server: nothing is granted from one with two owners until there is one, and both are told."""

from collections.abc import Iterator

import pytest

from tests.support.governed import SCHEMA
from tests.support.installed import Body
from tests.support.site import ANNEX, DOMAIN, NOBODY, Site
from tests.support.tenancy import Tenant

CONFLICT = ("False", "OwnershipConflict")
EVERYTHING = [{"key": "domain", "value": "claims"}]


@pytest.fixture
def annex(site: Site) -> Iterator[Body]:
    """The platform for faults; one namespace owns its schema before and after the test."""
    site.wait_for_platform(ANNEX)
    platform = {"kind": "DataPlatform", "metadata": {"name": ANNEX}}
    yield platform
    owned_by(site, platform, {DOMAIN: [SCHEMA]})
    site.told(platform, "Owned", "True")


def owned_by(site: Site, platform: Body, domains: dict[str, list[str]]) -> None:
    spelled = [{"namespace": namespace, "schemas": schemas} for namespace, schemas in domains.items()]
    assert site.cluster.patch(platform, {"spec": {"domains": spelled}}).ok


def test_a_second_owner_closes_the_schema_ends_its_roles_and_is_told_to_both_until_there_is_one_again(
    site: Site, annex: Body, tenant: Tenant
):
    tenant.ready_to_ask(ANNEX)
    mine = tenant.policy(f"{tenant.name}-mine", platform=ANNEX)
    yours = tenant.policy(f"{tenant.name}-yours", platform=ANNEX, namespace=NOBODY)
    tags = tenant.make(
        "TagBinding", {"platformRefs": [{"name": ANNEX}], "tables": [{"schema": "*", "name": "*", "tags": EVERYTHING}]}, namespace=DOMAIN
    )
    site.told(mine, "Ready", "True")
    site.told(yours, "Accepted", "False", "NotPermitted")
    live = tenant.ask(platform=ANNEX).ready()

    owned_by(site, annex, {DOMAIN: [SCHEMA], NOBODY: [SCHEMA]})

    live.gone()
    assert site.annex.ended(live.role) == "Revoked"
    assert f"schema {SCHEMA} is given to namespaces {DOMAIN} and {NOBODY}" in site.told(annex, "Owned", *CONFLICT)
    for told, other in ((mine, NOBODY), (tags, NOBODY), (yours, DOMAIN)):
        assert f"gives schema {SCHEMA} to namespace {other}, too" in site.told(told, "Accepted", *CONFLICT)
        assert site.cluster.read(told).body["status"]["matchedTables"] == 0
    denied = tenant.ask(platform=ANNEX)
    denied.refused("NoTable", granted="False")
    owned_by(site, annex, {NOBODY: [SCHEMA]})
    site.told(yours, "Ready", "True")
    site.told(mine, "Accepted", "False", "NotPermitted")
    denied.ready()


def test_policies_of_one_name_in_two_namespaces_know_nothing_of_each_other(site: Site, annex: Body, tenant: Tenant):
    owned_by(site, annex, {DOMAIN: [SCHEMA], NOBODY: ["nothing"]})
    tenant.ready_to_ask(ANNEX)

    broken = tenant.policy(tenant.name, platform=ANNEX, namespace=NOBODY, rowFilter="country =")

    assert "spec.rowFilter: " in site.told(broken, "Accepted", "False", "InvalidInput")
    asked = tenant.ask(platform=ANNEX).ready()
    assert asked.rows("SELECT count(*) FROM people WHERE ssn IS NOT NULL") == [(0,)], "the masks of the sound one hold"
    site.remove(broken)
    assert asked.is_ready()
