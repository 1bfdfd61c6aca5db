"""The real API server takes the definitions, every good object, and no bad one."""

from pathlib import Path

import pytest
import yaml

from rolevend.kinds import NAME_LABEL, kind_named, parse
from tests.support.gitops import argo_health, kstatus
from tests.support.installed import Cluster
from tests.support.manifests import ADMINISTRATOR, KINDS, ON_REQUEST, OWN_USER, SPOILED, Spoiled, changed, offer, valid

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_every_definition_is_established_without_complaint(cluster: Cluster):
    definitions = cluster.call("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions").body["items"]
    ours = [definition for definition in definitions if definition["spec"]["group"] == "rolevend.dev"]

    assert sorted(definition["spec"]["names"]["kind"] for definition in ours) == sorted(KINDS)
    for definition in ours:
        conditions = {condition["type"]: condition["status"] for condition in definition["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}  # NonStructuralSchema would be a third


@pytest.mark.parametrize("kind", [each for each in KINDS if kind_named(each).selectable])
def test_objects_are_selected_by_each_field_of_the_kind(cluster: Cluster, kind: str):
    made = cluster.create(valid(kind, "selected"))
    assert made.ok, made.message
    path = f"/apis/rolevend.dev/v1alpha1/{kind_named(kind).plural}?fieldSelector="

    for field in kind_named(kind).selectable:
        part, *members = field.split(".")
        value = made.body.get(part, {})
        for each in members:
            value = value.get(each, {})
        found, others = cluster.call("GET", f"{path}{field}={value or ''}"), cluster.call("GET", f"{path}{field}=nothing-has-this")
        assert found.ok, found.message
        assert "selected" in [each["metadata"]["name"] for each in found.body["items"]], field
        assert others.body["items"] == [], field
    assert cluster.call("GET", f"{path}spec.delivery=Secret").status == 400
    assert cluster.delete(made.body).ok


@pytest.mark.parametrize("kind", KINDS)
def test_a_valid_object_is_taken_as_it_is(cluster: Cluster, kind: str):
    body = valid(kind, "fine")

    taken = cluster.create(body, dry_run=True)

    assert taken.ok, taken.message
    assert taken.body["spec"] == body["spec"]


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize("spoiled", SPOILED, ids=str)
def test_a_spoiled_object_is_refused_and_the_field_is_named(cluster: Cluster, spoiled: Spoiled):
    refused = cluster.create(spoiled.body, dry_run=True)

    assert refused.status in {400, 422}
    assert spoiled.named in refused.message


@pytest.mark.parametrize(("meant", "misspelled"), [("rowFilter", "rowfilter"), ("rowFilter", "row_filter"), ("masks", "mask")])
def test_a_policy_whose_filter_or_masks_are_misspelled_is_refused_whoever_writes_it(cluster: Cluster, meant: str, misspelled: str):
    body = valid("AccessPolicy", "misspelled")
    body["spec"][misspelled] = body["spec"].pop(meant)

    refused = cluster.create_leniently(body, dry_run=True)

    assert refused.status == 422
    assert f"spec.{meant}" in refused.message


@pytest.mark.parametrize("taken", [{"rows": "All", "masks": []}, {"rowFilter": "country = 'DE'", "masks": []}])
def test_no_masks_are_a_choice_that_every_way_to_write_keeps(cluster: Cluster, taken: dict[str, object]):
    body = valid("AccessPolicy", "open")
    body["spec"] = {**{member: said for member, said in body["spec"].items() if member not in ("rowFilter", "masks")}, **taken}

    applied, again = cluster.deploy(body), cluster.deploy(body)

    assert (applied.ok, again.ok) == (True, True), (applied.message, again.message)
    assert again.body["spec"]["masks"] == []
    assert again.body["metadata"]["generation"] == applied.body["metadata"]["generation"] == 1
    assert cluster.patch(body, {"metadata": {"labels": {"a": "b"}}}).body["spec"]["masks"] == []
    assert cluster.delete(body).ok


@pytest.mark.parametrize("name", ["a" * 254, "UPPER", "a;b", "a\x00", "ü"])
def test_a_name_that_is_none_is_refused(cluster: Cluster, name: str):
    refused = cluster.create(changed(valid("VendedRole"), "metadata.name", name), dry_run=True)

    assert refused.status == 422
    assert "metadata.name" in refused.message


def test_a_namespace_cannot_pass_for_another_one_by_its_labels(cluster: Cluster):
    """Terms that are for the agent of one namespace alone hold by this label."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "forger", "labels": {NAME_LABEL: "agents"}}}

    made = cluster.call("POST", "/api/v1/namespaces?dryRun=All", body)

    assert made.ok, made.message
    assert made.body["metadata"]["labels"][NAME_LABEL] == "forger"


def test_the_user_that_an_agent_has_already_may_be_named(cluster: Cluster):
    taken = cluster.create(OWN_USER, dry_run=True)

    assert taken.ok, taken.message


def test_a_database_name_may_be_anything_that_can_be_seen(cluster: Cluster):
    body = changed(valid("TagBinding", "odd"), "spec.columns[0].table", """it's "quoted"; ünïcode 🙂 --""")

    assert cluster.create(body, dry_run=True).ok


def test_what_was_asked_for_cannot_be_changed(cluster: Cluster):
    role = valid("VendedRole", "asked")
    assert cluster.create(role).ok

    refused = cluster.patch(role, {"spec": {"expirationSeconds": 901}})

    assert refused.status == 422
    assert "spec is immutable: delete this VendedRole and create another one" in refused.message


def test_a_handle_cannot_be_changed_and_the_rest_of_an_agent_can(cluster: Cluster):
    agent = valid("Agent", "renamed")
    assert cluster.create(agent).ok

    refused = cluster.patch(agent, {"spec": {"handle": "OTHER"}})

    assert refused.status == 422
    assert "spec.handle is immutable" in refused.message
    assert cluster.patch(agent, {"spec": {"limits": {"maxExpirationSeconds": 60}}}).ok


def test_the_ledger_of_used_tokens_changes_by_one_step_at_a_time(cluster: Cluster):
    platform = valid("DataPlatform", "ledger")
    assert cluster.create(platform).ok

    def become(mode: str):
        return cluster.patch(platform, {"spec": {"postgres": {"ledger": mode}}})

    for step, jump in (("Disabled", "Enabled"), ("Joining", None), ("Enabled", "Disabled"), ("Joining", None), ("Disabled", "Enabled")):
        assert become(step).ok
        assert become(step).ok
        if jump:
            refused = become(jump)
            assert refused.status == 422
            assert "postgres.ledger must not change between Disabled and Enabled at once" in refused.message
            assert "set it to Joining" in refused.message
    assert cluster.delete(platform).ok


def test_a_new_platform_may_be_the_ledger_at_once(cluster: Cluster):
    assert cluster.create(changed(valid("DataPlatform", "new"), "spec.postgres.ledger", "Enabled"), dry_run=True).ok


@pytest.mark.parametrize("mode", ["Joining", "Enabled"])
def test_the_records_of_used_tokens_cannot_be_left_behind(cluster: Cluster, mode: str):
    platform = changed(valid("DataPlatform", f"ledger-{mode.lower()}"), "spec.postgres.ledger", mode)
    assert cluster.create(platform).ok

    refused = cluster.patch(platform, {"spec": {"postgres": {"database": "other"}}})

    assert refused.status == 422
    assert "postgres.database must not change while postgres.ledger is Joining or Enabled" in refused.message
    account = {"account": "myorg-account1", "database": "SALES", "warehouse": "AGENTS_WH"}
    other = {"postgres": None, "snowflake": account, "agents": [], "credentials": {"observerSecretRef": None}}
    moved = cluster.patch(platform, {"spec": other})
    assert moved.ok == (mode == "Joining"), moved.message
    assert cluster.delete(platform).ok


def test_a_platform_from_before_the_ledger_may_join(cluster: Cluster):
    platform = changed(valid("DataPlatform", "older"), "spec.postgres", {"host": "db.example.org", "database": "claims"})
    assert cluster.create(platform).ok

    assert not cluster.patch(platform, {"spec": {"postgres": {"ledger": "Enabled"}}}).ok
    assert cluster.patch(platform, {"spec": {"postgres": {"ledger": "Joining"}}}).ok
    assert cluster.delete(platform).ok


def test_an_expiry_moves_earlier_and_never_later(cluster: Cluster):
    role = valid("VendedRole", "expiring")
    assert cluster.create(role).ok

    def expire(moment: str):
        return cluster.patch(role, {"status": {"expirationTimestamp": moment}}, subresource="status")

    assert expire("2030-01-01T12:00:00Z").ok
    assert expire("2030-01-01T12:00:00Z").ok
    assert expire("2030-01-01T11:00:00Z").ok
    later = expire("2030-01-01T11:00:01Z")
    assert later.status == 422
    assert "status.expirationTimestamp may only move earlier" in later.message


def test_the_operators_notes_are_kept_whatever_they_are(cluster: Cluster):
    role = valid("VendedRole", "noted")
    assert cluster.create(role).ok

    noted = cluster.patch(role, {"status": {"kopf": {"progress": {"vend": {"retries": 3}}}}}, subresource="status")

    assert noted.body["status"]["kopf"] == {"progress": {"vend": {"retries": 3}}}


def test_get_shows_what_a_person_asks_for(cluster: Cluster):
    role = valid("VendedRole", "shown")
    assert cluster.create(role).ok
    ready = {"type": "Ready", "status": "True", "reason": "Live", "message": "ok", "lastTransitionTime": "2030-01-01T11:00:00Z"}
    status = {
        "roleName": "IMMUTA_VENDED_X",
        "expirationTimestamp": "2030-01-01T12:00:00Z",
        "user": {"handle": "ANNA", "proof": "Asserted"},
        "conditions": [ready],
    }
    assert cluster.patch(role, {"status": status}, subresource="status").ok

    head, line = cluster.kubectl("get", "vr", "shown", "--namespace", "agents").splitlines()

    assert head.split() == ["NAME", "READY", "REASON", "AGENT", "USER", "ROLE", "EXPIRES", "AGE"]
    assert line.split()[:-1] == ["shown", "True", "Live", "finbot", "ANNA", "IMMUTA_VENDED_X", "2030-01-01T12:00:00Z"]


def test_get_shows_what_became_of_a_request(cluster: Cluster):
    request = valid("AccessRequest", "shown")
    assert cluster.create(request).ok
    status = {"state": "Denied", "message": "no", "user": {"handle": "ANNA", "proof": "Token"}}
    assert cluster.patch(request, {"status": status}, subresource="status").ok

    head, line = cluster.kubectl("get", "rvar", "shown", "--namespace", "agents").splitlines()
    wide, _ = cluster.kubectl("get", "rvar", "shown", "--namespace", "agents", "--output", "wide").splitlines()

    assert head.split() == ["NAME", "STATE", "AGENT", "USER", "OFFER", "SECONDS", "AGE"]
    assert line.split()[:-1] == ["shown", "Denied", "finbot", "ANNA", "ssn-clear", "600"]
    assert wide.split() == [*head.split(), "MESSAGE", "PLATFORM", "PURPOSE"]


def test_get_shows_what_became_of_a_vote(cluster: Cluster):
    vote = valid("AccessDecision", "shown")
    assert cluster.create(vote).ok
    assert cluster.patch(vote, {"status": {"counted": True, "message": "counts"}}, subresource="status").ok

    head, line = cluster.kubectl("get", "rvad", "shown", "--namespace", "agents").splitlines()

    assert head.split() == ["NAME", "VERDICT", "COUNTED", "BY", "OFFER", "REQUEST", "AGE"]
    assert line.split()[:-1] == ["shown", "Approve", "true", ADMINISTRATOR, "ssn-clear", "ask"]


@pytest.mark.parametrize("kind", ["AccessRequest", "AccessDecision"])
def test_a_request_and_a_vote_cannot_be_changed(cluster: Cluster, kind: str):
    body = valid(kind, "unchanged")
    assert cluster.create(body).ok

    refused = cluster.patch(body, {"spec": {"expirationSeconds": 601}})

    assert refused.status == 422
    assert f"spec is immutable: delete this {kind} and create another one" in refused.message
    assert cluster.delete(body).ok


def test_an_offer_is_taken_as_it_is_and_a_small_one_gets_its_defaults(cluster: Cluster):
    whole = cluster.create(offer(), dry_run=True)
    small = cluster.create(changed(offer(), "spec.onRequest", {"display": "Anything", "maxExpirationSeconds": 60}), dry_run=True)

    assert whole.body["spec"]["onRequest"] == ON_REQUEST
    defaults = {"discoverable": False, "claimSeconds": 3600, "pendingSeconds": 3600, "uses": 1}
    assert small.body["spec"]["onRequest"] == {"display": "Anything", "maxExpirationSeconds": 60, **defaults}


@pytest.mark.parametrize(
    "body",
    [
        changed(offer(), "spec.onRequest.approval.required", 0),
        changed(offer(), "spec.onRequest.automatic[0].maxExpirationSeconds", 1800),
        changed(offer(), "spec.onRequest.automatic[0].limits", {"liveAtOnce": 1}),
        changed(valid("VendedRole", "uses"), "spec.approvalRef", {"name": "ask"}),
    ],
    ids=["rules alone decide", "a rule as long as the offer", "one limit", "a role that uses an approval"],
)
def test_the_rules_of_offers_refuse_no_more_than_they_say(cluster: Cluster, body: dict):
    taken = cluster.create(body, dry_run=True)

    assert taken.ok, taken.message
    assert parse(kind_named(body["kind"]).model, body)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "VendedRole"])
def test_what_no_operator_has_looked_at_does_not_pass_for_being_at_work(cluster: Cluster, kind: str):
    body = valid(kind, "unseen")
    assert cluster.create(body).ok

    unseen = cluster.read(body).body

    assert (argo_health(unseen)[0], kstatus(unseen)) == ("Progressing", "InProgress")
    assert cluster.delete(body).ok


@pytest.mark.parametrize("kind", KINDS)
def test_explain_knows_every_kind(cluster: Cluster, kind: str):
    assert "DESCRIPTION" in cluster.kubectl("explain", f"{kind.lower()}.spec", "--recursive")


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.yaml")), ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_every_object_of_the_examples_is_taken(cluster: Cluster, path: Path):
    for body in yaml.safe_load_all(path.read_text()):
        if body.get("apiVersion", "").startswith("rolevend.dev/"):
            taken = cluster.create(body, dry_run=True)
            assert taken.ok, taken.message
