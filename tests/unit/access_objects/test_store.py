"""What the store knows of AccessRequests, and how often it reads them."""

from typing import cast

from rolevend.access_objects.store import AccessRequestStore
from rolevend.kinds import AccessRequest
from rolevend.kube.client import KubeClient
from rolevend.model import ObjectName
from tests.support.asking import NOW, REQUEST
from tests.support.manifests import changed, valid

FINBOT, OTHER = ObjectName("agents", "finbot"), ObjectName("agents", "other")


def store() -> AccessRequestStore:
    found = AccessRequestStore(cast(KubeClient, None), lambda: NOW)
    for number, agent in enumerate((FINBOT, FINBOT, OTHER)):
        body = changed(valid("AccessRequest", f"ask-{number}"), "spec.agentRef.name", agent.name)
        body["metadata"] |= {"uid": f"uid-{number}", "resourceVersion": "1", "creationTimestamp": NOW.isoformat()}
        found.informer.on_upsert(body)
    return found


def names(found: list[AccessRequest]) -> list[str]:
    return sorted(each.name for each in found)


def test_the_requests_of_an_agent_come_with_facts_that_are_read_once():
    known = store()

    first, again = known.of(FINBOT), known.of(FINBOT)

    assert names([each for each, _ in first]) == ["ask-0", "ask-1"]
    assert all(one is other for (_, one), (_, other) in zip(first, again, strict=True))
    assert all(facts.request.uid == each.uid for each, facts in first)
    assert known.of(ObjectName("agents", "nobody")) == []


def test_questions_about_agents_and_offers_that_are_not_there_leave_nothing():
    known = store()

    assert known.others(REQUEST) != ()
    assert REQUEST.offer not in known.informer.by_offer
