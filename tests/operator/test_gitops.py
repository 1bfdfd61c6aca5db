"""Policies as Argo CD and Flux bring them: applied again and again, in any order, and pruned."""

import random

import pytest

from tests.support.deployed import READ, SHOWN, folder
from tests.support.gitops import argo_health, kstatus
from tests.support.installed import DEPLOYER
from tests.support.site import DOMAIN, Body, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually


def unreachable(tenant: Tenant) -> Body:
    spec = {
        "postgres": {"host": "127.0.0.1", "database": "nowhere"},
        "credentials": {"programmerSecretRef": {"name": "no-such-a"}, "vendorSecretRef": {"name": "no-such-b"}},
        "agents": [{"namespaceSelector": {"matchLabels": {"team": "nobody"}}, "assertions": ["Trusted"]}],
    }
    return tenant.described("DataPlatform", spec)


def looked_at(site: Site, body: Body) -> Body:
    now = site.cluster.read(body).body
    assert now.get("status", {}).get("observedGeneration") == now["metadata"]["generation"], f"nobody looked at {body['kind']} yet"
    return now


def conditions(site: Site, bodies: list[Body]) -> dict[str, list[tuple[str, str, str, str]]]:
    """What is said of each, once all of them are at work and know every name."""
    told = {}
    for body in bodies:
        found = looked_at(site, body)["status"]["conditions"]
        wrong = [each for each in found if each["type"] in ("Ready", "NamesKnown") and each["status"] != "True"]
        assert not wrong, wrong
        told[body["kind"] + body["metadata"]["name"]] = sorted(
            (each["type"], each["status"], each["reason"], each["message"]) for each in found
        )
    return told


def versions(site: Site, bodies: list[Body]) -> list[tuple[str, int]]:
    found = [site.cluster.read(body).body["metadata"] for body in bodies]
    return [(each["resourceVersion"], each["generation"]) for each in found]


def test_what_is_applied_again_is_no_difference(tenant: Tenant):
    site, bodies = tenant.site, [*folder(tenant), unreachable(tenant)]
    for body in bodies:
        tenant.deploy(body)
    eventually(lambda: conditions(site, bodies[:-1]))
    site.told(bodies[-1], "Ready", "False", "InvalidInput")

    def changes_nothing() -> bool:
        before = versions(site, bodies)
        for body in bodies:
            tenant.deploy(body)
        return versions(site, bodies) == before

    eventually(changes_nothing)  # the operator may still be writing what it found first
    everything = {"apiVersion": "v1", "kind": "List", "items": bodies}
    assert site.cluster.kubectl("diff", "--server-side", "--field-manager", DEPLOYER, "-f", "-", body=everything) == ""


@pytest.mark.long
def test_any_order_of_arrival_ends_in_the_same_conditions_and_the_same_role(tenant: Tenant):
    site, bodies = tenant.site, folder(tenant)
    orders = [random.Random(seed).sample(bodies, len(bodies)) for seed in range(4)]
    ends = []
    for order in [bodies, bodies[::-1], *orders]:
        for body in order:
            tenant.deploy(body)
            eventually(lambda body=body: looked_at(site, body))
        eventually(lambda: conditions(site, bodies))
        asked = tenant.ask().ready()
        if ends:  # Ready comes before the last message, which may count what arrived after it
            eventually(lambda: conditions(site, bodies) == ends[0][0])
        ends.append((conditions(site, bodies), asked.status["platforms"][0]["profile"], asked.rows(READ)))
        for body in (asked.body, *bodies):
            site.remove(body)
        asked.gone()

    assert ends[0][2] == SHOWN
    assert all(end == ends[0] for end in ends)


@pytest.mark.parametrize("finalizers", [[], ["example.org/kept-by-somebody"]], ids=["gone", "kept by somebody's finalizer"])
def test_a_policy_that_is_pruned_closes_the_roles_that_it_carried_and_no_others(tenant: Tenant, finalizers: list[str]):
    site = tenant.site
    tenant.agent()
    policies = {}
    for subject, table in (("anna", "people"), ("bob", "payments")):
        tenant.person(subject, desk=[subject])
        whose = (("tenant", tenant.name), ("desk", subject))
        users = {"matchAttributes": [{"key": key, "operator": "In", "values": [value]} for key, value in whose]}
        spec = tenant.policy_spec(table, users=users, rowFilter="country = 'DE'", masks=[])
        policies[subject] = tenant.deploy(tenant.described("AccessPolicy", spec, f"{tenant.name}-{subject}", DOMAIN))
        site.told(policies[subject], "Ready", "True")
    assert site.cluster.patch(policies["anna"], {"metadata": {"finalizers": finalizers}}).ok
    anna, bob = tenant.ask().ready(), tenant.ask("bob").ready()

    assert site.cluster.delete(policies["anna"], propagation="Foreground").ok  # as Argo CD does

    anna.gone()
    assert site.warehouse.ended(anna.role) == "Revoked"
    tenant.ask().refused("NoPolicy", granted="False")
    assert bob.is_ready()
    assert bob.rows("SELECT payment_id FROM payments") == [(21,)]
    site.cluster.patch(policies["anna"], {"metadata": {"finalizers": None}})


@pytest.mark.parametrize("kind", ["Agent", "UserAttributes"])
def test_what_is_being_deleted_opens_nothing_however_long_somebody_keeps_it(tenant: Tenant, kind: str):
    site, bodies = tenant.site, folder(tenant)
    for body in bodies:
        site.told(tenant.deploy(body), "Ready", "True")
    asked = tenant.ask().ready()
    kept = next(body for body in bodies if body["kind"] == kind)
    assert site.cluster.patch(kept, {"metadata": {"finalizers": ["example.org/kept-by-somebody"]}}).ok

    assert site.cluster.delete(kept).ok

    asked.gone()
    assert site.cluster.read(kept).body["metadata"]["deletionTimestamp"]
    assert site.cluster.patch(kept, {"metadata": {"finalizers": None}}).ok


def test_a_mistake_fails_the_sync_with_its_message_and_the_correction_mends_it(tenant: Tenant):
    site, (_, own, *_) = tenant.site, folder(tenant)
    policy = tenant.deploy({**own, "spec": {**own["spec"], "rowFilter": "country ="}})

    why = site.told(policy, "Stalled", "True", "InvalidInput")

    broken = looked_at(site, policy)
    assert (argo_health(broken), kstatus(broken)) == (("Degraded", why), "Failed")
    assert "spec.rowFilter" in why
    for body in folder(tenant):
        tenant.deploy(body)
    eventually(lambda: conditions(site, folder(tenant)))
    mended = looked_at(site, policy)
    assert (argo_health(mended)[0], kstatus(mended)) == ("Healthy", "Current")
