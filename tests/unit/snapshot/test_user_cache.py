"""A policy and a guardrail say how many people they are about, of those whose UserAttributes are accepted."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolevend.kinds import AccessPolicy, Guardrail, UserAttributes
from rolevend.model import Claim, User, UserHandle, user_claim
from rolevend.snapshot.builder import SnapshotBuilder, SnapshotInputs
from rolevend.snapshot.caches import UserCache
from tests.support.painted import CLUSTER, KEY, OBJECTS, STATES, judged, made, said

CLAIMS = {"key": "department", "operator": "In", "values": ["claims"]}
NOT_CLAIMS = {**CLAIMS, "operator": "NotIn"}
BRIEF = {"name": "brief", "expression": "request.expirationSeconds <= 900"}


def person(name: str, *departments: str, age: int = 0, subject: str = "") -> UserAttributes:
    attributes = [{"key": "job", "values": ["any"]}, *([{"key": "department", "values": list(departments)}] if departments else [])]
    found: UserAttributes = made(
        UserAttributes, name, age=age, user={"issuer": "idp", "subject": subject or name}, handle=None, attributes=attributes
    )
    return found


PEOPLE = [person("anna", "claims"), person("bob", "sales"), person("cleo", "claims", "sales"), person("dan")]


def objects(people: list[UserAttributes], *, policy_users: object = None, guardrail_users: object = None) -> SnapshotInputs:
    policy = made(AccessPolicy, "policy", "domain-claims", users=policy_users or {"matchAttributes": [CLAIMS]})
    return replace(OBJECTS, people=people, policies=[policy], guardrails=[made(Guardrail, "guardrail", users=guardrail_users)])


def counted(name: str, people: list[UserAttributes] = PEOPLE, **users: Any) -> object:
    built = SnapshotBuilder(CLUSTER, KEY).build(objects(people, **users), STATES, "")
    return judged(built, name).counts["matchedUsers"]


@pytest.mark.parametrize(
    ("users", "count"),
    [
        ({"matchAttributes": [CLAIMS]}, 2),
        ({"matchAttributes": [NOT_CLAIMS]}, 1),
        ({"matchAttributes": [CLAIMS, {"key": "department", "operator": "In", "values": ["sales"]}]}, 1),
        ({"matchAttributes": [CLAIMS, {"key": "clearance", "operator": "Exists"}]}, 0),
        ({"matchAttributes": [CLAIMS], "matchConditions": [BRIEF]}, 2),
        ({"matchConditions": [BRIEF]}, 4),
    ],
)
def test_a_policy_counts_whom_it_covers_by_their_attributes_whatever_its_conditions_say_of_a_request(users: object, count: int):
    assert counted("policy", policy_users=users) == count


def test_a_policy_that_grants_to_agents_counts_no_users():
    agents = {"matchAttributes": [{"key": "trust", "operator": "In", "values": ["high"]}]}
    policy = made(AccessPolicy, "policy", "domain-claims", grantsTo="Agents", users=None, agents=agents)

    built = SnapshotBuilder(CLUSTER, KEY).build(replace(OBJECTS, people=PEOPLE, policies=[policy]), STATES, "")

    assert judged(built, "policy").counts["matchedUsers"] is None


@pytest.mark.parametrize(
    ("users", "count"), [(None, 4), ({"matchAttributes": [CLAIMS]}, 3), ({"matchAttributes": [NOT_CLAIMS]}, 2)], ids=["all", "In", "NotIn"]
)
def test_a_guardrail_counts_also_who_lacks_the_attribute(users: object, count: int):
    assert counted("guardrail", guardrail_users=users) == count


def test_who_is_described_twice_is_counted_once_by_the_older_description():
    again = person("again", "sales", subject="anna")

    assert counted("policy", [person("anna", "claims", age=60), again]) == 1


def test_a_guardrail_for_a_platform_that_is_not_there_counts_all_the_same():
    nowhere = made(Guardrail, "guardrail", platformRefs=[{"name": "lake"}], users={"matchAttributes": [CLAIMS]})

    built = SnapshotBuilder(CLUSTER, KEY).build(replace(OBJECTS, people=PEOPLE, guardrails=[nowhere]), STATES, "")

    assert judged(built, "guardrail").counts["matchedUsers"] == 3


def test_the_count_follows_who_comes_changes_and_goes():
    painter = SnapshotBuilder(CLUSTER, KEY)

    def count(*people: UserAttributes) -> object:
        return judged(painter.build(objects(list(people)), STATES, ""), "policy").counts["matchedUsers"]

    anna, eve = PEOPLE[0], person("eve", "claims")
    moved = anna.model_copy(update={"spec": PEOPLE[1].spec, "metadata": anna.metadata.model_copy(update={"generation": 2})})
    assert [count(anna), count(anna, eve), count(eve), count(moved, eve), count()] == [1, 2, 1, 1, 0]


def test_a_handle_that_is_refused_meanwhile_is_told_though_nobody_changed():
    painter, refused = SnapshotBuilder(CLUSTER, KEY), dict[Claim, str]()
    anna = made(UserAttributes, "anna", user={"issuer": "idp", "subject": "anna"}, handle="ANNA")
    everything = replace(objects([anna]), refused_handles=refused)
    first = painter.build(everything, STATES, "")
    refused[user_claim(UserHandle("ANNA"), User("idp", "anna"))] = "it is somebody else's"

    assert said(first, "anna", "Ready") == ("True", "Valid")
    assert said(painter.build(everything, STATES, ""), "anna", "Ready") == ("False", "Conflict")


def signals(name: str, subject: str, **spec: Any) -> UserAttributes:
    """What signals say of a user. It is older than every other object."""
    found: UserAttributes = made(
        UserAttributes,
        name,
        age=1_000,
        user={"issuer": "idp", "subject": subject},
        handle=None,
        attributes=[],
        **{"notBefore": None, **spec},
    )
    labels = {"app.kubernetes.io/managed-by": "rolevend-signals"}
    return found.model_copy(update={"metadata": found.metadata.model_copy(update={"labels": labels})})


def test_a_signal_stops_its_user_and_describes_nobody():
    until = "2026-11-25T12:00:00Z"
    people = [*PEOPLE, signals("signal-1", "anna", notBefore=until), signals("signal-2", "zoe", suspend=True)]

    built = SnapshotBuilder(CLUSTER, KEY).build(objects(people), STATES, "")

    assert built.snapshot.people.keys() == {User("idp", each.name) for each in PEOPLE}
    assert built.snapshot.not_before[User("idp", "anna")] == datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert User("idp", "zoe") not in built.snapshot.not_before
    assert built.snapshot.suspended_users == {User("idp", "zoe")}
    assert [said(built, name, type_) for name in ("anna", "signal-1") for type_ in ("Accepted", "Ready")] == [
        ("True", "Valid"),
        ("True", "Valid"),
        ("True", "Signals"),
        ("True", "Signals"),
    ]
    assert said(built, "signal-2", "Ready") == ("False", "Suspended")


NAMES = [f"object-{number}" for number in range(6)]
VERSIONS = st.fixed_dictionaries(
    {
        "subject": st.sampled_from(["anna", "bob", "cleo"]),
        "handle": st.sampled_from([None, "ANNA", "BOB"]),
        "job": st.sampled_from(["nurse", "clerk"]),
        "suspend": st.booleans(),
        "from_signals": st.sampled_from([False, False, True]),
    }
)
STEPS = st.lists(st.tuples(st.sampled_from(NAMES), st.none() | VERSIONS, st.booleans()), min_size=8, max_size=30)
TAKEN = {user_claim(UserHandle("BOB"), User("idp", "cleo")): "it is somebody else's"}


@given(STEPS)
def test_after_any_changes_the_users_are_those_of_a_cache_that_sees_the_objects_for_the_first_time(
    steps: list[tuple[str, dict[str, Any] | None, bool]],
):
    cache, current = UserCache(), dict[str, UserAttributes]()
    for generation, (name, version, is_taken) in enumerate(steps, start=1):
        current.pop(name, None)
        if version is not None:
            current[name] = _version_of(name, generation, version)
        refused = TAKEN if is_taken else {}

        cache.update([*current.values()], refused)

        fresh = UserCache()
        fresh.update([*current.values()], refused)
        assert cache.known == fresh.known
        assert (cache.suspended, cache.census.attributes) == (fresh.suspended, fresh.census.attributes)
        assert {each.resource.name: each for each in cache.evaluations} == {each.resource.name: each for each in fresh.evaluations}


def _version_of(name: str, generation: int, version: dict[str, Any]) -> UserAttributes:
    made_of = {"user": {"issuer": "idp", "subject": version["subject"]}, "handle": version["handle"], "suspend": version["suspend"]}
    attributes = [{"key": "job", "values": [version["job"]]}]
    found: UserAttributes = made(UserAttributes, name, age=NAMES.index(name), attributes=attributes, notBefore=None, **made_of)
    labels = {"app.kubernetes.io/managed-by": "rolevend-signals"} if version["from_signals"] else {}
    metadata = found.metadata.model_copy(update={"generation": generation, "labels": labels})
    return found.model_copy(update={"metadata": metadata})


def test_a_user_that_did_not_change_remains_the_same_python_object():
    """So nothing that is computed from a user is computed again when the status of its object is written."""
    cache, anna, bob = UserCache(), PEOPLE[0], PEOPLE[1]
    cache.update([anna, bob], {})
    before = cache.known

    cache.update([anna.model_copy(), bob], {})

    assert cache.known is not before
    assert all(cache.known[user] is before[user] for user in before)
