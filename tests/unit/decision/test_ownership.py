"""A policy and a TagBinding reach what the DataPlatform gives to their namespace. Of two owners of one schema neither wins, and both,
and the DataPlatform, say so; what has one owner goes on."""

from dataclasses import replace

import pytest

from rolevend.catalog import TableId
from rolevend.decision.outcome import Denied, Granted, withdrawal_reason
from rolevend.kinds import AccessPolicy, DataPlatform, TagBinding
from rolevend.model import PlatformName
from rolevend.policy.bitmap import places
from rolevend.snapshot.builder import SnapshotBuild, SnapshotInputs
from tests.support.painted import CRM, OBJECTS, WAREHOUSE, judged, made, message, paint, said, verdict

BY_TAG = {"matchTags": [{"key": "domain", "operator": "Exists"}]}
CONFLICT = ("False", "OwnershipConflict")


def platform(*domains: tuple[str, list[str]], name: str = WAREHOUSE) -> DataPlatform:
    found: DataPlatform = made(DataPlatform, name, domains=[{"namespace": namespace, "schemas": schemas} for namespace, schemas in domains])
    return found


ONE_OWNER = platform(("domain-claims", ["claims"]), ("domain-hr", ["hr"]))
CONTESTED = platform(("domain-claims", ["claims", "hr"]), ("domain-hr", ["hr"]))


def policy(name: str, namespace: str, *schemas: str, **spec: object) -> AccessPolicy:
    tables = {"tables": {"matchNames": [{"schema": schema, "name": "*"} for schema in schemas]}} if schemas else {}
    everything = {"columns": {"matchNames": ["*"]}, "rowFilter": None, "masks": []}
    found: AccessPolicy = made(AccessPolicy, name, namespace, **(everything | tables | spec))
    return found


def binding(name: str, namespace: str, schema: str) -> TagBinding:
    tables = [{"schema": schema, "name": "*", "tags": [{"key": "domain", "value": name}]}]
    found: TagBinding = made(TagBinding, name, namespace, tables=tables, columns=None)
    return found


def objects(where: DataPlatform = CONTESTED, *policies: AccessPolicy, bindings: tuple[TagBinding, ...] = ()) -> SnapshotInputs:
    both = (policy("claims", "domain-claims", "claims"), policy("mine", "domain-claims", "hr"), policy("yours", "domain-hr", "h*"))
    platforms = [where, *(each for each in OBJECTS.platforms if each.name != where.name)]
    return replace(OBJECTS, platforms=platforms, policies=policies or both, bindings=bindings)


def granted(built: SnapshotBuild) -> set[TableId]:
    index = built.snapshot.shapes[WAREHOUSE].index
    return {index.tables[place].id for each in index.policies for grants in each.grant_sets for place in places(grants.tables)}


def test_nothing_of_a_schema_with_two_owners_is_granted_and_the_others_go_on():
    assert granted(paint(objects(ONE_OWNER))) == {TableId("claims", "people"), TableId("hr", "people")}
    assert granted(paint(objects())) == {TableId("claims", "people")}


@pytest.mark.parametrize(("name", "other"), [("mine", "domain-hr"), ("yours", "domain-claims")])
def test_the_policies_of_both_owners_say_so_and_name_the_other_one(name: str, other: str):
    built = paint(objects())

    assert said(built, name, "Accepted") == said(built, name, "Ready") == CONFLICT
    assert message(built, name, "Accepted") == (
        f"spec.platformRefs: DataPlatform warehouse gives schema hr to namespace {other}, too: nothing of that is granted until its "
        "spec.domains give it to one namespace"
    )
    assert judged(built, name).counts == {"matchedTables": 0, "matchedColumns": 0, "matchedUsers": 1}


def test_a_policy_for_other_schemas_of_an_owner_is_accepted():
    built = paint(objects())

    assert said(built, "claims", "Accepted") == ("True", "Valid")
    assert said(built, "claims", "Ready") == ("True", "InForce")


def test_a_policy_that_chooses_by_tags_alone_says_so_and_holds_in_its_other_schemas():
    tags = (binding("mine", "domain-claims", "*"),)
    built = paint(objects(CONTESTED, policy("tagged", "domain-claims", tables=BY_TAG), bindings=tags))

    assert said(built, "tagged", "Accepted") == CONFLICT
    assert granted(built) == {TableId("claims", "people")}
    assert judged(built, "tagged").counts == {"matchedTables": 1, "matchedColumns": 3, "matchedUsers": 1}


@pytest.mark.parametrize("name", ["mine", "yours"])
def test_tags_of_neither_owner_count_and_their_bindings_say_so(name: str):
    tags = (binding("claims", "domain-claims", "claims"), binding("mine", "domain-claims", "hr"), binding("yours", "domain-hr", "*"))

    built = paint(objects(bindings=tags, where=CONTESTED))

    (table,) = [each for each in built.snapshot.shapes[WAREHOUSE].index.tables if each.id.schema == "hr"]
    found = {(each.resource.kind, each.resource.name): each for each in built.evaluations}["TagBinding", name]
    assert not table.tags
    assert [(each.type, each.status, each.reason) for each in found.findings[:2]] == [("Accepted", *CONFLICT), ("Ready", *CONFLICT)]
    assert found.counts == {"matchedTables": 0, "matchedColumns": 0}


def test_the_platform_names_the_schema_and_its_owners_and_stays_in_use():
    built = paint(objects())

    assert said(paint(objects(ONE_OWNER)), WAREHOUSE, "Owned") == ("True", "OneOwner")
    assert said(built, WAREHOUSE, "Owned") == CONFLICT
    assert message(built, WAREHOUSE, "Owned").startswith("spec.domains: schema hr is given to namespaces domain-claims and domain-hr.")
    assert said(built, WAREHOUSE, "Ready") == ("True", "Connected")


def test_what_one_platform_gives_twice_is_no_conflict_on_another():
    refs = [{"name": WAREHOUSE}, {"name": CRM}]
    built = paint(objects(CONTESTED, policy("both", "domain-hr", "hr", platformRefs=refs)))

    assert said(built, "both", "Accepted") == CONFLICT
    assert [len(built.snapshot.shapes[PlatformName(name)].index.policies[0].grant_sets) for name in (WAREHOUSE, CRM)] == [0, 1]


def test_a_role_that_reads_what_gets_a_second_owner_ends_and_another_one_lives_on():
    everything = replace(objects(ONE_OWNER), bindings=OBJECTS.bindings)
    live = verdict(paint(everything))
    assert isinstance(live, Granted)

    second = verdict(paint(replace(everything, platforms=objects().platforms)), role_exists=True)

    assert withdrawal_reason(second, live)
    claims = replace(everything, policies=[policy("claims", "domain-claims", "claims")])
    before, after = verdict(paint(claims)), verdict(paint(replace(claims, platforms=objects().platforms)), role_exists=True)
    assert isinstance(before, Granted)
    assert not withdrawal_reason(after, before)


def test_who_is_covered_in_a_schema_with_two_owners_alone_is_denied():
    found = verdict(paint(objects(CONTESTED, policy("yours", "domain-hr", "hr"))))

    assert isinstance(found, Denied)
    assert (found.reason, "see the conditions of domain-hr/yours" in found.message) == ("NoTable", True)


def test_two_policies_of_one_name_in_two_namespaces_are_two_policies():
    """Neither takes the other's place, nor its mistakes."""
    same = policy("same", "domain-claims", "claims"), policy("same", "domain-hr", "hr")
    broken = policy("same", "domain-hr", "hr", rowFilter="country =")

    built = paint(objects(ONE_OWNER, *same))

    assert granted(built) == {TableId("claims", "people"), TableId("hr", "people")}
    assert {str(each) for each in built.snapshot.sources[WAREHOUSE].policies} == {"domain-claims/same", "domain-hr/same"}
    assert granted(paint(objects(ONE_OWNER, same[0], broken))) == {TableId("claims", "people")}
    of = {
        each.resource.namespace: each.accepted
        for each in paint(objects(ONE_OWNER, same[0], broken)).evaluations
        if each.resource.name == "same"
    }
    assert of == {"domain-claims": True, "domain-hr": False}
