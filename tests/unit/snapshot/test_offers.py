"""The snapshot has the terms of each valid offer, read once for each version."""

from dataclasses import replace

from rolevend.kinds import AccessPolicy
from rolevend.model import ObjectName
from rolevend.snapshot.builder import SnapshotBuild, SnapshotBuilder
from tests.support.manifests import ON_REQUEST, changed
from tests.support.painted import CLUSTER, KEY, OBJECTS, STATES, WAREHOUSE, made, said

NAME = ObjectName("domain-claims", "offer")
MISSPELLED = changed(ON_REQUEST, "asks.ticket.pattern", "(a+)+")


def built(builder: SnapshotBuilder | None = None, namespace: str = NAME.namespace, **spec: object) -> SnapshotBuild:
    policies = [*OBJECTS.policies, made(AccessPolicy, NAME.name, namespace, **{"onRequest": ON_REQUEST, **spec})]
    return (builder or SnapshotBuilder(CLUSTER, KEY)).build(replace(OBJECTS, policies=policies), STATES, None)


def test_a_valid_offer_is_there_with_its_terms():
    snapshot = built().snapshot

    assert list(snapshot.offers) == [NAME] == [each.id for each in snapshot.shapes[WAREHOUSE].index.offers]
    assert snapshot.offers[NAME].display == ON_REQUEST["display"]


def test_an_offer_that_is_not_accepted_is_not_there():
    for found in (built(onRequest=MISSPELLED), built(namespace="elsewhere")):
        assert said(found, NAME.name, "Accepted")[0] == "False"
        assert not found.snapshot.offers


def test_terms_are_read_once_for_each_version():
    builder = SnapshotBuilder(CLUSTER, KEY)
    first, second = (built(builder).snapshot.offers[NAME] for _ in range(2))
    objects = replace(OBJECTS, policies=[])

    assert first is second
    assert not builder.build(objects, STATES, None).snapshot.offers
