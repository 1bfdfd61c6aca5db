"""One call gives a role on two platforms under one name: on both or on none, unless the call allows less."""

from collections.abc import Iterator

import pytest

from tests.support.calling import Caller, Doors
from tests.support.governed import Governed
from tests.support.proving import Proven
from tests.support.site import ANNEX, WAREHOUSE, Body, Site
from tests.support.waiting import eventually

BOTH = [WAREHOUSE, ANNEX]


@pytest.fixture
def caller(proven: Proven, doors: Doors) -> Caller:
    """Granted on the warehouse alone."""
    return Caller(proven.ready_to_ask(), doors.first).known()


@pytest.fixture
def both(caller: Caller) -> Caller:
    """Granted on both."""
    tenant = caller.proven.tenant
    tenant.site.told(tenant.policy(f"{tenant.name}-annex", platform=ANNEX), "Ready", "True")
    return caller


@pytest.fixture
def annex(site: Site) -> Iterator[Governed]:
    yield from site.annex_in_order()


def people(caller: Caller, role: Body) -> dict[str, list[tuple[object, ...]]]:
    """What each credential of the answer reads."""
    read = {}
    for each in role["platforms"]:
        given = each["credential"]
        login = {"uri": str(given["uri"]), "sslmode": str(given["sslmode"])}
        if "caCertificates" in given:
            login["ca.crt"] = given["caCertificates"]
        with caller.proven.site.database(each["name"]).session(login) as session:
            read[each["name"]] = session.execute("SELECT person_id FROM people ORDER BY 1").fetchall()
    return read


def there(caller: Caller) -> set[str]:
    """The platforms on which a role of its agent is."""
    tenant = caller.proven.tenant
    return {name for name in BOTH if any(f"_{tenant.handle}_" in role for role in tenant.site.database(name).roles())}


def test_it_has_one_name_and_a_credential_for_each_and_a_release_takes_it_from_both(both: Caller):
    role = both.vended(platforms=BOTH)

    assert people(both, role) == {WAREHOUSE: [(1,), (2,)], ANNEX: [(1,), (2,)]}
    assert {each["credential"]["username"] for each in role["platforms"]} == {role["roleName"]}
    assert [each["platform"] for each in role["explanation"]["tables"]] == BOTH
    assert "leftOut" not in role

    assert both.release(role).status_code == 204

    assert there(both) == set()


def test_with_its_key_again_it_is_the_same_role_with_fresh_credentials(both: Caller):
    both.release(both.vended(platforms=BOTH))
    question = both.question(platforms=BOTH)

    first, again = (both.call("POST", "/v1/vended-roles", question, **{"Idempotency-Key": "one"}) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 201), (first.text, again.text)
    assert first.json()["roleName"] == again.json()["roleName"]
    assert people(both, again.json()) == {WAREHOUSE: [(1,), (2,)], ANNEX: [(1,), (2,)]}


def test_denied_on_one_there_is_none_on_the_other(caller: Caller):
    answer = caller.vend(platforms=BOTH)

    assert (answer.status_code, answer.json()["code"]) == (403, "NoPolicy")
    assert there(caller) == set()


def test_where_the_call_allows_less_the_answer_says_where_it_is_and_where_not(caller: Caller):
    role = caller.vended(platforms=BOTH, allowPartial=True)

    assert people(caller, role) == {WAREHOUSE: [(1,), (2,)]}
    (left_out,) = role["leftOut"]
    assert (left_out["name"], left_out["reason"]) == (ANNEX, "NoPolicy")
    decided = caller.call("POST", "/v1/decisions", caller.question(platforms=BOTH, allowPartial=True)).json()
    assert decided["granted"]
    assert [each["name"] for each in decided["leftOut"]] == [ANNEX]


def test_what_fails_on_the_second_leaves_nothing_on_the_first(both: Caller, annex: Governed):
    both.release(both.vended(platforms=BOTH))
    annex.server.stop()

    answer = both.vend(platforms=BOTH)

    assert answer.status_code == 503, answer.text
    eventually(lambda: not any(f"_{both.proven.tenant.handle}_" in role for role in both.proven.site.warehouse.roles()))


def test_a_platform_that_is_away_is_left_out_where_the_call_allows_less(both: Caller, annex: Governed):
    both.release(both.vended(platforms=BOTH))
    annex.server.stop()

    role = both.vended(platforms=BOTH, allowPartial=True)

    assert people(both, role) == {WAREHOUSE: [(1,), (2,)]}
    assert [each["name"] for each in role["leftOut"]] == [ANNEX]
    assert both.proven.site.annex.superuser.host not in str(role["leftOut"])


def test_a_platform_is_named_once(caller: Caller):
    answer = caller.vend(platforms=[WAREHOUSE, WAREHOUSE])

    assert (answer.status_code, answer.json()["field"]) == (422, "platforms")


@pytest.mark.long
def test_a_platform_that_is_away_before_its_profile_is_built_is_left_out_as_at_kubectls_door(both: Caller, annex: Governed):
    """Nothing was vended on either platform before, so the operator must build both profiles, and can build one."""
    proven = both.proven

    def on_both() -> bool:
        decided = both.call("POST", "/v1/decisions", both.question(platforms=BOTH, allowPartial=True)).json()
        return bool(decided.get("granted")) and not decided.get("leftOut")

    eventually(on_both)
    annex.server.stop()

    role = both.vended(platforms=BOTH, allowPartial=True)

    assert people(both, role) == {WAREHOUSE: [(1,), (2,)]}
    assert [each["name"] for each in role["leftOut"]] == [ANNEX]
    assert proven.site.annex.superuser.host not in str(role["leftOut"])
    wanted = {"platformRefs": [{"name": each} for each in BOTH], "allowPartial": True}
    asked = proven.ask(proven.token(), wanted=wanted).ready()
    assert {each["name"]: each["state"] for each in asked.status["platforms"]}[WAREHOUSE] == "Live"
    asked.delete()
    assert both.release(role).status_code in (202, 204)


def test_a_mistyped_platform_fails_at_once_and_names_those_that_the_agent_may_use(caller: Caller):
    answer = caller.vend(platforms=[WAREHOUSE, "warehose"])

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (422, "PlatformUnknown", "platforms.1")
    assert "retry-after" not in answer.headers
    listed = [each["name"] for each in caller.call("GET", "/v1/platforms").json()["items"]]
    assert listed == sorted(BOTH)
    said = f"platforms.1: no DataPlatform is named warehose; did you mean {WAREHOUSE}?; Agent {caller.proven.tenant.name} may use "
    assert problem["detail"] == said + ", ".join(listed)
    assert there(caller) == set()

    decision = caller.call("POST", "/v1/decisions", caller.question(platforms=[WAREHOUSE, "warehose"])).json()
    assert (decision["granted"], decision["reason"]) == (False, "PlatformUnknown")
    assert decision["message"] == problem["detail"].replace("platforms.1", "platforms")
