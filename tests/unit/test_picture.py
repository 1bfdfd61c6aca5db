"""From objects and what platforms answered to one picture: who came first keeps a name, and what is wrong is said where it is written."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rolevend.catalog import Family
from rolevend.model import ClusterId, ObjectName, PlatformName, User
from rolevend.platforms.base import Drift, ServerFacts
from rolevend.reconcile.judgement import Judgement
from rolevend.reconcile.picture import Objects, Painter, Picture
from rolevend.reconcile.platforms import PlatformState
from rolevend.resources import AccessPolicy, Agent, DataPlatform, Resource, TagBinding, UserAttributes, parse
from tests.support.manifests import valid
from tests.support.policies import catalog, column, table

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WAREHOUSE = PlatformName("warehouse")
TABLES = (
    table("claims.people", column("id", Family.INTEGER), column("country"), column("ssn")),
    table("hr.people", column("id", Family.INTEGER)),
)
GRANT = {"tables": {"matchNames": [{"schema": "*", "name": "*"}]}, "columns": {"matchNames": ["*"]}, "rowFilter": None, "masks": None}


def made(kind: type[Resource], name: str = "sample", after: int = 0, namespace: str = "domain-claims", **spec: Any) -> Any:
    """An object that was created so many seconds after the first; members of `spec` that are None are left out."""
    body = valid(kind.__name__, name, namespace)
    created = (START + timedelta(seconds=after)).isoformat()
    body["metadata"] |= {"uid": f"{kind.__name__}-{namespace}-{name}", "generation": 1, "creationTimestamp": created}
    body["spec"] = {key: value for key, value in (body["spec"] | spec).items() if value is not None}
    return parse(kind, body)


def platform(name: str = "warehouse", after: int = 0) -> DataPlatform:
    return made(DataPlatform, name, after)


def answering(identifier: str = "server-1", *drift: Drift) -> PlatformState:
    return PlatformState(None, ServerFacts("18.4", identifier), catalog(*TABLES), drift=drift)


def painted(states: dict[PlatformName, PlatformState] | None = None, **objects: Any) -> Picture:
    chosen = {"platforms": [platform()], **objects}
    return Painter(ClusterId("cluster-1"), b"k" * 32).paint(Objects(**chosen), states or {WAREHOUSE: answering()}, "")


def said(picture: Picture, resource: Resource) -> dict[str, tuple[str, str]]:
    return {finding.type: (finding.status, finding.reason) for finding in judged(picture, resource).findings}


def judged(picture: Picture, resource: Resource) -> Judgement[Resource]:
    return next(each for each in picture.judgements if each.resource is resource)


def message(picture: Picture, resource: Resource, type_: str) -> str:
    return next(finding.message for finding in judged(picture, resource).findings if finding.type == type_)


def test_the_older_of_two_agents_keeps_the_handle_whatever_the_order_in_which_they_were_seen():
    older, younger = made(Agent, "b", namespace="agents"), made(Agent, "a", after=1, namespace="agents")

    for order in ([older, younger], [younger, older]):
        picture = painted(agents=order)

        assert set(picture.directory.agents) == {ObjectName("agents", "b")}
        assert said(picture, younger)["Accepted"] == ("False", "Conflict")
        assert message(picture, younger, "Accepted") == "spec.handle: agents/b has it already; choose another one"


def test_a_person_is_described_once_and_a_handle_is_one_persons():
    anna, again = made(UserAttributes, "anna"), made(UserAttributes, "again", after=1)
    bob = made(UserAttributes, "bob", after=2, user={"issuer": "https://idp.example.org", "subject": "bob"})

    picture = painted(people=[again, bob, anna])

    assert set(picture.directory.people) == {User("https://idp.example.org", "anna")}
    assert message(picture, again, "Accepted").startswith("spec.user: anna has it already")
    assert message(picture, bob, "Accepted").startswith("spec.handle: anna has it already")


def test_two_platforms_on_one_server_are_one_too_many():
    first, second = platform(), platform("twin", after=1)
    states = {WAREHOUSE: answering(), PlatformName("twin"): answering()}

    picture = painted(states, platforms=[second, first])

    assert said(picture, first)["Accepted"] == ("True", "Valid")
    assert said(picture, second)["Ready"] == ("False", "Conflict")
    assert "this is the server of DataPlatform warehouse" in message(picture, second, "Accepted")


def test_a_platform_that_does_not_answer_keeps_its_catalog_and_says_what_is_wrong():
    down = PlatformState(("PlatformUnavailable", "no route"), ServerFacts("18.4", "server-1"), catalog(*TABLES))
    warehouse = platform()

    picture = painted({WAREHOUSE: down}, platforms=[warehouse])

    assert said(picture, warehouse)["Ready"] == ("False", "PlatformUnavailable")
    assert WAREHOUSE in picture.directory.shapes, "an outage is no reason to end a role"


def test_drift_is_told_with_the_table_and_more_than_five_are_counted():
    drifts = [Drift(TABLES[0].id, f"finding {number}", ()) for number in range(7)]
    warehouse = platform()

    picture = painted({WAREHOUSE: answering("server-1", *drifts)}, platforms=[warehouse])

    assert said(picture, warehouse)["InSync"] == ("False", "Drift")
    assert "claims.people: finding 4 (and 2 more)" in message(picture, warehouse, "InSync")


def test_a_policy_reaches_the_schemas_of_its_namespace_and_no_others():
    policy = made(AccessPolicy, **GRANT)

    picture = painted(policies=[policy])

    assert said(picture, policy)["Ready"] == ("True", "InForce")
    assert judged(picture, policy).counts == {"matchedTables": 1, "matchedColumns": 3}


def test_a_policy_of_a_namespace_without_a_schema_is_not_accepted_and_grants_nothing():
    policy = made(AccessPolicy, namespace="elsewhere", **GRANT)

    picture = painted(policies=[policy])

    assert said(picture, policy)["Accepted"] == ("False", "NotPermitted")
    assert not picture.directory.shapes[WAREHOUSE].index.policies


def test_a_policy_whose_filter_cannot_be_read_says_so_and_spoils_no_other():
    broken, sound = made(AccessPolicy, "broken", **(GRANT | {"rowFilter": "country ="})), made(AccessPolicy, "sound", **GRANT)

    picture = painted(policies=[broken, sound])

    assert said(picture, broken)["Accepted"] == ("False", "InvalidInput")
    assert message(picture, broken, "Accepted").startswith("spec.rowFilter: ")
    assert [policy.id.name for policy in picture.directory.shapes[WAREHOUSE].index.policies] == ["sound"]


def test_a_policy_waits_for_a_platform_that_is_not_there_and_for_a_catalog_that_was_not_read():
    policy = made(AccessPolicy, **GRANT)

    assert said(painted(platforms=[], policies=[policy]), policy)["Accepted"] == ("False", "PlatformUnknown")
    assert said(painted({WAREHOUSE: PlatformState()}, policies=[policy]), policy)["Ready"] == ("Unknown", "CatalogUnread")


def test_tags_that_match_nothing_are_told():
    binding = made(TagBinding, tables=[{"schema": "claims", "name": "nothing", "tags": [{"key": "a", "value": "b"}]}], columns=None)

    picture = painted(bindings=[binding])

    assert said(picture, binding)["Ready"] == ("False", "NoMatch")


def test_what_did_not_change_is_not_compiled_again():
    painter, state = Painter(ClusterId("cluster-1"), b"k" * 32), answering()
    objects = Objects(platforms=[platform()], policies=[made(AccessPolicy, **GRANT)])

    first = painter.paint(objects, {WAREHOUSE: state}, "").directory.shapes[WAREHOUSE]

    assert painter.paint(objects, {WAREHOUSE: state}, "").directory.shapes[WAREHOUSE] is first
    assert painter.paint(Objects(platforms=[platform()]), {WAREHOUSE: state}, "").directory.shapes[WAREHOUSE] is not first


def test_nothing_is_decided_while_something_is_still_to_be_read():
    picture = Painter(ClusterId("cluster-1"), b"k" * 32).paint(Objects(), {}, "the operator has not listed all agents yet")

    assert picture.directory.pending == "the operator has not listed all agents yet"
