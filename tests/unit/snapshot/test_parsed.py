"""The parsed objects follow an informer."""

from typing import Any, cast

import pytest

from rolevend.kinds import AccessPolicy
from rolevend.kube.client import KubeClient, path_of
from rolevend.kube.informer import Informer
from rolevend.snapshot.parsed import ParsedObjects
from tests.support.painted import NOW, raw

Body = dict[str, Any]


def policy(name: str, version: int = 1, **metadata: Any) -> Body:
    managers = [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {}}]
    return raw("AccessPolicy", name, "domain-claims", **{"resourceVersion": str(version), "managedFields": managers, **metadata})


def broken(name: str, version: int) -> Body:
    return {**policy(name, version), "spec": {"noSuchField": 1}}


@pytest.fixture
def informer() -> Informer:
    return Informer(cast(KubeClient, None), path_of(AccessPolicy), lambda: None, lambda: NOW)


@pytest.fixture
def policies(informer: Informer) -> ParsedObjects[AccessPolicy]:
    for name in ("b", "a"):
        informer.on_upsert(policy(name))
    parsed = ParsedObjects(AccessPolicy, informer)
    parsed.refresh(10)
    return parsed


def names(known: dict[tuple[str, str], Any]) -> list[str]:
    return [name for _, name in known]


def test_an_object_keeps_its_place_when_it_changes(informer: Informer, policies: ParsedObjects[AccessPolicy]):
    a, b = policies.readable.values()

    informer.on_upsert(policy("a", version=2))
    policies.refresh(10)

    assert names(policies.readable) == names(policies.granting) == ["a", "b"]
    assert [policies.readable[key] is before for key, before in zip(policies.readable, (a, b), strict=True)] == [False, True]


def test_the_version_that_is_listed_again_is_not_parsed_again_and_needs_no_managers(
    informer: Informer, policies: ParsedObjects[AccessPolicy]
):
    before = dict(policies.readable)

    for each in ("b", "a"):
        informer.on_upsert(policy(each))
    policies.refresh(10)

    assert all(policies.readable[key] is known for key, known in before.items())
    assert not any("managedFields" in each["metadata"] for each in informer.objects.values())


def test_an_object_that_is_being_deleted_grants_nothing_and_is_still_read(informer: Informer, policies: ParsedObjects[AccessPolicy]):
    informer.on_upsert(policy("a", version=2, deletionTimestamp="2026-11-29T12:00:00Z"))
    policies.refresh(10)

    assert (names(policies.granting), names(policies.readable)) == (["b"], ["a", "b"])


def test_an_object_that_becomes_unreadable_is_no_longer_read_until_it_is_mended(informer: Informer, policies: ParsedObjects[AccessPolicy]):
    informer.on_upsert(broken("a", version=2))
    policies.refresh(10)
    assert (names(policies.readable), names(policies.granting), names(policies.unreadable)) == (["b"], ["b"], ["a"])

    informer.on_upsert(policy("a", version=3))
    policies.refresh(10)
    assert (names(policies.granting), names(policies.unreadable)) == (["b", "a"], [])


@pytest.mark.parametrize("last", [policy("a"), broken("a", version=2)], ids=["readable", "unreadable"])
def test_nothing_is_left_of_an_object_that_is_gone(informer: Informer, policies: ParsedObjects[AccessPolicy], last: Body):
    informer.on_upsert(last)
    policies.refresh(10)

    informer.drop(last)
    policies.refresh(10)

    assert (names(policies.readable), names(policies.granting), names(policies.unreadable)) == (["b"], ["b"], [])


def test_an_object_that_was_made_again_under_its_name_is_another_one(informer: Informer, policies: ParsedObjects[AccessPolicy]):
    informer.on_upsert(policy("a", uid="another"))
    policies.refresh(10)

    assert policies.readable["domain-claims", "a"].uid == "another"


def test_a_refresh_stops_after_so_many_objects_and_says_whether_some_are_left(informer: Informer):
    for number in range(5):
        informer.on_upsert(policy(f"p{number}"))
    parsed = ParsedObjects(AccessPolicy, informer)

    assert [parsed.refresh(2), len(parsed.readable), parsed.refresh(2), len(parsed.readable)] == [False, 2, False, 4]
    informer.on_upsert(policy("p0", version=2))
    assert [parsed.refresh(1), parsed.refresh(1), parsed.refresh(1)] == [False, True, True]
    assert [each.metadata.resource_version for each in parsed.readable.values()] == ["2", "1", "1", "1", "1"]
