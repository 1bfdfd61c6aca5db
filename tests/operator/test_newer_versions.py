"""Objects of a later rolevend: what is not understood is said and grants nothing, and roles end all the same."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.installed import Body
from tests.support.site import AGENTS, ANNEX, DOMAIN, Site
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

GROUP = "/apis/rolevend.dev"
UNKNOWN = {"type": "integer"}


class Definitions:
    """The CustomResourceDefinitions, as a later rolevend would bring them: `restore` brings ours back."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._ours: dict[str, list[Body]] = {}

    def widen(self, plural: str, change: Callable[[Any], None]) -> None:
        """`change` is given the properties of the spec."""
        versions = self._versions(plural)
        change(properties_of(versions[0]))
        self._put(plural, versions)

    def loosen(self, plural: str) -> None:
        """Without the rules of the spec, as an older rolevend had it."""
        versions = self._versions(plural)
        versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"].pop("x-kubernetes-validations")
        self._put(plural, versions)

    def add_version(self, plural: str, change: Callable[[Any], None]) -> None:
        """v1beta1, served beside ours, and stored as ours."""
        versions = self._versions(plural)
        later = {**copy.deepcopy(versions[0]), "name": "v1beta1", "storage": False}
        change(properties_of(later))
        self._put(plural, [*versions, later])
        eventually(lambda: self._serves(f"{GROUP}/v1beta1/{plural}"))

    def _serves(self, path: str) -> bool:
        try:
            return self._site.cluster.call("GET", path).ok
        except ValueError:  # a page that is not found is no JSON
            return False

    def restore(self) -> None:
        for plural, versions in self._ours.items():
            self._put(plural, versions)

    def _versions(self, plural: str) -> list[Body]:
        versions: list[Body] = self._site.cluster.call("GET", self._path(plural)).body["spec"]["versions"]
        self._ours.setdefault(plural, versions)
        return copy.deepcopy(versions)

    def _put(self, plural: str, versions: list[Body]) -> None:
        merge = "application/merge-patch+json"
        answer = self._site.cluster.call("PATCH", self._path(plural), {"spec": {"versions": versions}}, content_type=merge)
        assert answer.ok, answer.message

    @staticmethod
    def _path(plural: str) -> str:
        return f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.rolevend.dev"


def properties_of(version: Body) -> Any:
    return version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


@pytest.fixture
def definitions(site: Site) -> Iterator[Definitions]:
    definitions = Definitions(site)
    yield definitions
    definitions.restore()


@pytest.fixture
def later(definitions: Definitions, site: Site) -> Iterator[Tenant]:
    """A tenant whose objects go before the definitions are ours again."""
    tenant = Tenant(site)
    yield tenant
    tenant.leave()


def accepted(site: Site, body: Body, spec: Body) -> None:
    """As soon as the API server has taken up the new definition."""

    def taken() -> bool:
        answer = site.cluster.call(
            "PATCH", f"{path(body)}?fieldValidation=Strict", {"spec": spec}, content_type="application/merge-patch+json"
        )
        assert answer.ok, answer.message
        return True

    eventually(taken)


def path(body: Body) -> str:
    plural = {"AccessPolicy": "accesspolicies", "DataPlatform": "dataplatforms"}[body["kind"]]
    namespace = body["metadata"].get("namespace")
    return f"{GROUP}/v1alpha1/{f'namespaces/{namespace}/' if namespace else ''}{plural}/{body['metadata']['name']}"


def test_a_policy_with_a_restriction_that_is_not_known_grants_nothing_and_names_it(site: Site, definitions: Definitions, later: Tenant):
    later.ready_to_ask()
    policy = later.described("AccessPolicy", {}, namespace=DOMAIN)
    live = later.ask().ready()
    definitions.widen("accesspolicies", lambda spec: spec.update(maxRows=UNKNOWN))

    accepted(site, policy, {"maxRows": 100})

    message = site.told(policy, "Accepted", "False", "InvalidInput")
    assert "spec.maxRows" in message
    live.gone()
    later.ask().refused("NoPolicy", granted="False")

    def versions() -> set[str]:
        return {site.cluster.read(policy).body["metadata"]["resourceVersion"] for _ in range(50)}

    eventually(lambda: len(versions()) == 1)  # not written again and again
    accepted(site, policy, {"maxRows": None})
    later.ask().ready()


def test_a_mask_of_a_type_that_is_not_known_masks_nothing_less(site: Site, definitions: Definitions, later: Tenant):
    later.agent()
    later.person()

    def tokenize(spec: Any) -> None:
        masks = spec["masks"]["items"]
        masks["properties"]["type"]["enum"].append("Tokenize")
        masks.pop("x-kubernetes-validations", None)

    definitions.widen("accesspolicies", tokenize)
    masks = [{"name": "ids", "columns": {"matchNames": ["ssn"]}, "type": "Tokenize"}]
    body = later.described("AccessPolicy", later.policy_spec(masks=masks), namespace=DOMAIN)
    eventually(lambda: site.cluster.create(body, dry_run=True).ok)

    policy = later.policy(masks=masks)

    assert "spec.masks[0].type" in site.told(policy, "Accepted", "False", "InvalidInput")
    later.ask().refused("NoPolicy", granted="False")


@pytest.mark.parametrize("restarted", [False, True])
def test_a_platform_with_a_term_that_is_not_known_vends_nothing_and_its_roles_can_still_be_given_back(
    site: Site, definitions: Definitions, later: Tenant, *, restarted: bool
):
    gateway = None if restarted else site.start_operator_behind_gateway()
    site.wait_for_platform(ANNEX)
    later.ready_to_ask(ANNEX)
    leaving, staying = later.ask(platform=ANNEX).ready(), later.ask(platform=ANNEX).ready()
    annex = {"kind": "DataPlatform", "metadata": {"name": ANNEX}}
    terms = site.cluster.read(annex).body["spec"]["agents"]
    definitions.widen("dataplatforms", lambda spec: spec["agents"]["items"]["properties"].update(maxRows=UNKNOWN))
    if restarted:
        site.operator.kill()

    accepted(site, annex, {"agents": [{**terms[0], "maxRows": 100}, *terms[1:]]})
    if gateway is None:
        site.start_operator()
    else:
        gateway.hang_up()  # as the API server does a minute after a definition was changed: its watches show the older one

    try:
        assert "spec.agents" in site.told(annex, "Accepted", "False", "InvalidInput")
        waiting = later.ask(platform=ANNEX)
        assert f"DataPlatform {ANNEX} cannot be read" in waiting.refused("PlatformUnknown", granted="Unknown")
        leaving.delete()
        leaving.gone()
        eventually(lambda: site.annex.roles() == {staying.role})
    finally:
        accepted(site, annex, {"agents": terms})
    site.wait_for_platform(ANNEX)
    waiting.ready()
    assert staying.rows("SELECT count(*) FROM people") == [(2,)]


def test_a_vended_role_that_cannot_be_read_says_so_and_deafens_nobody(site: Site, definitions: Definitions, later: Tenant):
    later.ready_to_ask()
    definitions.widen("vendedroles", lambda spec: spec["expirationSeconds"].update(maximum=1_000_000))
    body = later.described("VendedRole", {}, "probe", AGENTS)
    body["spec"] = {"agentRef": {"name": later.name}, "user": later.user(), "platformRefs": [{"name": "warehouse"}]}
    eventually(lambda: site.cluster.create({**body, "spec": {**body["spec"], "expirationSeconds": 172_800}}, dry_run=True).ok)

    asked = later.ask(seconds=172_800)

    assert "spec.expirationSeconds" in asked.refused("InvalidInput")
    brief, _ = later.ask_briefly(Asked.ready, seconds=6)
    brief.expired()  # longer than a watch may keep silent about an object
    eventually(site.is_healthy)
    asked.delete()
    asked.gone()


def test_a_vended_role_with_a_narrowing_that_is_not_known_is_not_vended(site: Site, definitions: Definitions, later: Tenant):
    later.ready_to_ask()
    definitions.widen("vendedroles", lambda spec: spec.update(maxRows=UNKNOWN))
    body = later.described("VendedRole", {}, f"{later.name}-narrow", AGENTS)
    body["spec"] = {"agentRef": {"name": later.name}, "user": later.user(), "platformRefs": [{"name": "warehouse"}], "maxRows": 10}
    eventually(lambda: site.cluster.create(body, dry_run=True).ok)

    made = site.apply(body)

    assert "spec.maxRows" in site.told(made, "Ready", "False", "InvalidInput")
    site.remove(made)
    eventually(lambda: site.cluster.read(made).status == 404)


def test_what_was_written_by_a_later_version_is_not_taken_for_all_that_it_says(site: Site, definitions: Definitions, later: Tenant):
    """The API server hides from our version what it has no field for, so nothing but who wrote which fields shows it."""
    later.agent()
    later.person()
    definitions.add_version("accesspolicies", lambda spec: spec.update(maxRows=UNKNOWN))
    body = later.described("AccessPolicy", {**later.policy_spec(), "maxRows": 100}, namespace=DOMAIN)
    body["apiVersion"] = "rolevend.dev/v1beta1"

    answer = site.cluster.call("POST", f"{GROUP}/v1beta1/namespaces/{DOMAIN}/accesspolicies", body)

    assert answer.ok, answer.message
    policy = later.described("AccessPolicy", {}, namespace=DOMAIN)
    assert "maxRows" not in site.cluster.read(policy).body["spec"]
    message = site.told(policy, "Accepted", "False", "InvalidInput")
    assert "spec.maxRows: is not a field of this version of rolevend" in message
    asked = later.ask()
    asked.refused("NoPolicy", granted="False")
    site.remove(policy)
    eventually(lambda: site.cluster.read(policy).status == 404)
    later.policy()
    asked.ready()


def test_a_stored_policy_without_its_rows_or_masks_grants_nothing_and_says_what_to_write(
    site: Site, definitions: Definitions, later: Tenant
):
    """As a raw client wrote it before the choice was required: the API server dropped `rowfilter` and `mask` without a word."""
    later.agent()
    later.person()
    spec = later.policy_spec()
    misspelled = {"rowFilter": "rowfilter", "masks": "mask"}
    body = later.described("AccessPolicy", {misspelled.get(member, member): said for member, said in spec.items()}, namespace=DOMAIN)
    definitions.loosen("accesspolicies")
    eventually(lambda: site.cluster.create_leniently(body).ok)
    definitions.restore()

    message = site.told(body, "Accepted", "False", "InvalidInput")

    assert message.startswith("spec.rowFilter: exactly one of rowFilter and rows must be set")
    assert "masks must be set: masks: []" in message
    later.ask().refused("NoPolicy", granted="False")
    eventually(lambda: not site.cluster.create_leniently({**body, "metadata": {**body["metadata"], "name": "another"}}).ok)
    site.patch(body, {"rows": "All", "masks": []})
    site.told(body, "Ready", "True", "InForce")
    later.ask().ready()
    site.remove(body)
