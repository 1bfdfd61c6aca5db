"""The ConfigMap that suspends the whole cluster."""

import pytest

from rolevend.kinds import AccessPolicy, Agent
from rolevend.snapshot.builder import SnapshotInputs
from rolevend.snapshot.suspension import suspended_counts, suspension_of
from tests.support.painted import made

SENTENCE = "ConfigMap rolevend-system/rolevend-suspension suspends the whole cluster"


def suspension(data: dict[str, str] | None) -> str | None:
    body = {"metadata": {"namespace": "rolevend-system", "name": "rolevend-suspension"}}
    return suspension_of([body if data is None else {**body, "data": data}])


@pytest.mark.parametrize("data", [None, {}, {"because": "INC-4711"}, {"suspend": "false"}, {"suspend": " False\n"}])
def test_it_does_not_suspend(data: dict[str, str] | None):
    assert suspension(data) is None


def test_a_missing_one_does_not():
    assert suspension_of([]) is None


@pytest.mark.parametrize("value", ["true", "True", "yes", "tru", "", "1"])
def test_every_other_value_suspends(value: str):
    assert suspension({"suspend": value}) == SENTENCE


def test_the_reason_is_one_bounded_line():
    said = suspension({"suspend": "true", "because": "INC-4711\nprompt\tinjection " + "x" * 1000})

    assert said is not None
    assert said.startswith(f"{SENTENCE}: INC-4711 prompt injection xxx")
    assert len(said) == len(SENTENCE) + 2 + 300


def test_suspended_objects_are_counted_by_kind():
    agents = [made(Agent, f"bot-{number}", "agents", suspend=number > 1) for number in range(4)]
    policies = [made(AccessPolicy, "analysts", "domain-claims", suspend=True)]

    counts = suspended_counts(SnapshotInputs(agents=agents, policies=policies, suspension=SENTENCE), users=3)

    assert counts == {"Agent": 2, "AccessPolicy": 1, "DataPlatform": 0, "UserAttributes": 3, "Cluster": 1}


def test_it_suspends_if_the_value_is_no_text():
    """kubectl keeps a file that is not UTF-8, as some editors write it, as bytes."""
    name = {"namespace": "rolevend-system", "name": "rolevend-suspension"}
    assert suspension_of([{"metadata": name, "binaryData": {"suspend": "//50AHIAdQBlAA=="}}]) == SENTENCE
