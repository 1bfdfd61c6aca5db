"""`rolevend drain` on the real API server, with the chart's policy: nothing is made any more, and what is left is named."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rolevend.kinds import API_VERSION
from rolevend.kube.client import PAGE
from testbed.installation import checkout
from tests.support.installed import CHART, SYSTEM
from tests.support.site import AGENTS, ANNEX, BOUNDED, DOOMED, UNADMITTED, Body, Site
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import eventually

POLICY = "rolevend-closed"
API = "rolevend-api"


def drain(site: Site, *arguments: str, kubeconfig: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "rolevend", "drain", "--kubeconfig", str(kubeconfig or site.control_plane.kubeconfig), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def again(asked: Asked) -> Body:
    """The same request, under another name."""
    return {**asked.body, "metadata": {"name": f"{asked.name}-again", "namespace": asked.namespace}, "status": {}}


@pytest.fixture(autouse=True)
def opened_again(site: Site) -> Iterator[None]:
    """The site is shared: whoever comes next may ask."""
    yield
    site.cluster.kubectl("delete", "validatingadmissionpolicybinding", POLICY, "--ignore-not-found")
    spec = {"agentRef": {"name": "probe"}, "user": {"issuer": "probe", "subject": "probe"}, "platformRefs": [{"name": "probe"}]}
    probe = {"apiVersion": API_VERSION, "kind": "VendedRole", "metadata": {"name": "probe", "namespace": AGENTS}, "spec": spec}
    eventually(lambda: site.cluster.create(probe, dry_run=True).ok)


def test_every_role_ends_and_no_request_comes_in(site: Site, tenant: Tenant) -> None:
    tenant.ready_to_ask()
    asked = [tenant.ask().ready(), tenant.ask().ready()]
    with asked[0].database.session(asked[0].login()) as session:
        session.execute("SELECT 1")

        done = drain(site)

        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert "VendedRoles left: 0" in done.stderr
    assert not any(each.has_role() for each in asked)
    assert all(each.is_gone() for each in asked)
    assert [each.database.ended(each.role) for each in asked] == ["Revoked", "Revoked"]
    refused = site.cluster.create(again(asked[0]))
    assert refused.status == 403
    assert "vending is closed; it opens when ValidatingAdmissionPolicyBinding rolevend-closed is deleted" in refused.message


@pytest.mark.full
def test_more_than_the_api_server_lists_at_once_are_ended_with_the_live_ones_among_them(site: Site, tenant: Tenant) -> None:
    """Most of them are refused requests, which are ended as well."""
    tenant.ready_to_ask()
    live = [tenant.ask().ready()]
    for number in range(2 * PAGE + 1):
        body = again(live[0])
        body["metadata"]["name"] += f"-{number}"
        assert site.cluster.create({**body, "spec": {**body["spec"], "agentRef": {"name": "nobody"}}}).ok
    live.append(tenant.ask().ready())

    done = drain(site)

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert int(re.findall(r"VendedRoles left: (\d+)", done.stderr)[0]) >= 2 * PAGE + 3
    assert "VendedRoles left: 0" in done.stderr
    assert not any(each.has_role() for each in live)


@pytest.mark.long
def test_what_is_left_is_named_and_requests_stay_refused(site: Site, tenant: Tenant) -> None:
    tenant.ready_to_ask(ANNEX)
    asked = tenant.ask(platform=ANNEX).ready()
    site.annex.server.stop()
    try:

        def drained() -> "subprocess.CompletedProcess[str]":
            done = drain(site, "--timeout", "8")
            assert f"left: VendedRole {asked.namespace}/{asked.name}: PlatformUnavailable: cannot drop on" in done.stdout
            return done

        done = eventually(drained)  # the operator may take longer to find out why
        assert done.returncode == 1
        assert f"to open it again: kubectl delete validatingadmissionpolicybinding {POLICY}" in done.stderr
        assert "vending is closed" in site.cluster.create(again(asked)).message
    finally:
        site.annex.server.start()
    assert drain(site).returncode == 0
    assert not asked.has_role()


@pytest.mark.long
def test_the_api_stops_first_and_runs_again_where_something_is_left(site: Site, tenant: Tenant) -> None:
    def scale() -> tuple[int, int]:
        """How many pods there are to be, and how many there are."""
        listed = "/api/v1/namespaces/rolevend-system/pods?labelSelector=app.kubernetes.io/component%3Dapi"
        wanted = site.cluster.call("GET", f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/{API}/scale").body["spec"]
        return wanted.get("replicas", 0), len(site.cluster.call("GET", listed).body["items"])

    eventually(lambda: scale() == (2, 2))  # no kubelet starts them, which is as good here
    tenant.ready_to_ask(ANNEX)
    asked = tenant.ask(platform=ANNEX).ready()
    site.annex.server.stop()
    try:
        done = drain(site, "--api", API, "--timeout", "8")
        assert done.returncode == 1
        assert f"the API stops: Deployment {API}" in done.stderr
    finally:
        site.annex.server.start()
    assert scale()[0] == 2
    served = [each for each in (AGENTS, DOOMED, UNADMITTED, BOUNDED) if site.cluster.call("GET", f"/api/v1/namespaces/{each}").ok]
    chosen = f"agentNamespaces={{{','.join(served)}}}"  # without the one that another test deletes
    upgraded = site.cluster.helm("upgrade", "rolevend", str(CHART), "--namespace", SYSTEM, "--reuse-values", "--set", chosen)
    assert upgraded.returncode == 0, upgraded.stderr
    try:
        done = drain(site, "--api", API)

        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert scale() == (0, 0)
        assert not asked.has_role()
    finally:
        site.cluster.kubectl("scale", f"deployment/{API}", "--namespace", SYSTEM, "--replicas=2")


@pytest.mark.long
def test_an_api_that_is_not_there_keeps_nobody(site: Site, tenant: Tenant) -> None:
    asked = tenant.ready_to_ask().ask().ready()

    done = drain(site, "--api", "rolevend-no-api")

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert not asked.has_role()


@pytest.mark.long
def test_one_that_only_somebody_elses_finalizer_keeps_is_named_and_not_waited_for(site: Site, tenant: Tenant) -> None:
    asked = tenant.ready_to_ask().ask(finalizers=["rolevend.dev/drop", "example.org/hold"]).ready()
    try:
        done = drain(site, "--timeout", "300")

        assert (done.returncode, done.stdout) == (0, ""), done.stdout
        assert f"VendedRoles that are done with, and that finalizers of others keep: {AGENTS}/{asked.name}" in done.stderr
        assert not asked.has_role()
    finally:
        asked.delete()
        site.cluster.patch(asked.body, {"metadata": {"finalizers": None}})
        asked.gone()


@pytest.mark.long
def test_without_the_charts_policy_nothing_is_ended(site: Site, tenant: Tenant) -> None:
    asked = tenant.ready_to_ask().ask().ready()

    done = drain(site, "--policy", "other-closed")

    assert done.returncode == 1
    assert "there is no ValidatingAdmissionPolicy other-closed: name that of your release of the chart with --policy" in done.stderr
    assert asked.has_role()


def test_vending_closes_and_opens_as_the_guide_says(site: Site, tenant: Tenant) -> None:
    asked = tenant.ready_to_ask().ask().ready()
    guide = (checkout() / "docs" / "how-to" / "end-roles.md").read_text()
    (binding,) = re.findall(r"<<EOF\n(.*?)^EOF$", guide.partition("\n## Close vending\n")[2], re.MULTILINE | re.DOTALL)

    site.cluster.kubectl("create", "-f", "-", body=yaml.safe_load(binding))

    eventually(lambda: "vending is closed" in site.cluster.create(again(asked), dry_run=True).message)
    assert asked.has_role()
