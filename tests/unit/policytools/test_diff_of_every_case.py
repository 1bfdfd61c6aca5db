"""`rolevend policy diff` tries every purpose, agent and lifetime that something names, and says what it did not try."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rolevend.audit.access_diff import Change, Direction, What, compare
from rolevend.cli import cli
from rolevend.errors import InvalidInput
from rolevend.model import ObjectName, User
from rolevend.policytools.decisions import Requester, given, opened
from rolevend.policytools.diff import Compared, diff
from rolevend.policytools.folder import Folder
from rolevend.policytools.request_variants import NO_PURPOSE, OTHER_PURPOSE
from tests.support.as_code import AUTOMATIC, CATALOGS, WAREHOUSE, analysts, offer, platform, write
from tests.support.manifests import EVERY_ROW, MISSING, Body, changed, valid
from tests.support.pages import ROOT

EXAMPLE = ROOT / "examples" / "02-policy-as-code"
FILTER = "rowFilter: amount >= 20000"
ISSUER = "https://idp.example.org"


def person(name: str, **attributes: list[str]) -> Body:
    body = changed(valid("UserAttributes", name), "spec.user", {"issuer": ISSUER, "subject": name})
    body = changed(body, "spec.handle", name.upper())
    return changed(body, "spec.attributes", [{"key": key, "values": given} for key, given in attributes.items()])


ANNA = person("anna", job=["analyst"], countries=["DE"])


def agent(name: str, namespace: str = "agents") -> Body:
    body = changed(valid("Agent", name, namespace), "spec.onBehalfOf", {"assertion": "Trusted"})
    for member in ("tools", "identity", "combination"):
        body = changed(body, f"spec.{member}", MISSING)
    return changed(body, "spec.handle", name.upper().replace("-", ""))


def admitting(*entries: dict[str, Any]) -> Body:
    """A DataPlatform with these entries, each for a namespace by its name."""
    spelled = [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": each.get("namespace", "agents")}},
            "assertions": ["Trusted"],
            **{member: value for member, value in each.items() if member != "namespace"},
        }
        for each in entries
    ]
    return changed(platform(), "spec.agents", spelled)


def where(*conditions: str, **changes: Any) -> Body:
    """A policy for analysts with these conditions, which shows every row."""
    spelled = [{"name": f"c{number}", "expression": each} for number, each in enumerate(conditions)]
    required = [{"key": "job", "operator": "In", "values": ["analyst"]}]
    users = {"matchAttributes": required} | ({"matchConditions": spelled} if spelled else {})
    return analysts(("spec.users", users), *EVERY_ROW, *changes.pop("more", ()), **changes)


def folder(path: Path, *bodies: Body) -> Path:
    write(path, "all.yaml", *bodies)
    return path


def compared(tmp_path: Path, old: list[Body], new: list[Body], **asked: Any) -> Compared:
    return diff(folder(tmp_path / "old", *old), folder(tmp_path / "new", *new), (), CATALOGS, **asked)


def gains(found: Compared) -> set[tuple[str, str, str | None, str | None]]:
    """Who gains claims.people: the agent, the table, the purposes and the lifetimes."""
    return {
        (
            str(each.who.agent).removeprefix("/"),
            str(each.change.direction),
            None if each.when.purposes is None else ",".join(each.when.purposes),
            None if each.when.lifetimes is None else ",".join(map(str, each.when.lifetimes)),
        )
        for each in found.differences
        if each.change.name == "claims.people"
    }


@pytest.fixture
def example(tmp_path: Path) -> tuple[Path, Path]:
    """The example, and a copy whose policy for a review of fraud shows every claim."""
    old, new = tmp_path / "old", tmp_path / "new"
    for each in (old, new):
        shutil.copytree(EXAMPLE, each)
    policy = new / "domains" / "claims" / "fraud-review.yaml"
    assert FILTER in policy.read_text()
    policy.write_text(policy.read_text().replace(FILTER, "rows: All"))
    return old, new


def run(example: tuple[Path, Path], *more: str) -> Result:
    old, new = example
    return CliRunner().invoke(cli, ["policy", "diff", str(old), str(new), "--catalog", str(old / "catalog" / "warehouse.yaml"), *more])


def test_a_filter_that_counts_for_one_purpose_alone_is_told_without_that_purpose(example: tuple[Path, Path]):
    answer = run(example)

    head, line = answer.stdout.splitlines()
    assert (answer.exit_code, head.split()[3]) == (0, "PURPOSE")
    assert line.split()[:6] == ["anna", "agents/finbot", "warehouse", "fraud-review", "gains", "claims.claims"]
    assert line.endswith("every row")


def test_a_misspelt_purpose_is_refused_with_the_one_that_was_meant(example: tuple[Path, Path]):
    answer = run(example, "--purpose", "fraud-reveiw")

    assert (answer.exit_code, answer.stdout) == (1, "")
    assert isinstance(answer.exception, InvalidInput)
    assert "names the purpose fraud-reveiw; did you mean fraud-review?" in str(answer.exception)


def test_json_says_what_was_tried_and_what_was_not(example: tuple[Path, Path]):
    every, one = (json.loads(run(example, "-o", "json", *more).stdout) for more in ([], ["--purpose", "fraud-review"]))

    assert [(each["purposes"], each["expirationSeconds"]) for each in every["differences"]] == [(["fraud-review"], None)]
    (tried,) = every["tried"]
    assert (tried["users"], tried["agents"], tried["purposes"]) == (2, ["agents/finbot"], [None, OTHER_PURPOSE, "fraud-review"])
    assert (tried["expirationSeconds"], every["notTried"]) == ([{"from": 5, "to": 86_400}], [])
    assert one["tried"][0]["purposes"] == ["fraud-review"]
    assert one["notTried"] == ["not tried: the purposes (none), (any other); leave out --purpose to try all"]


def test_another_purpose_than_all_that_are_named_is_tried(tmp_path: Path):
    found = compared(tmp_path, [platform(), ANNA], [platform(), ANNA, where("request.purpose != 'marketing'")])

    assert gains(found) == {("any agent", "gains", f"{OTHER_PURPOSE},fraud-review,reporting", None)}


def test_purposes_that_nothing_distinguishes_are_one_case(tmp_path: Path):
    found = compared(tmp_path, [platform(), ANNA], [platform(), ANNA, where()])

    assert gains(found) == {("any agent", "gains", None, None)}
    assert [each.cases for each in found.tried] == [1]


def test_each_side_of_a_number_of_seconds_is_tried(tmp_path: Path):
    old, new = where("request.expirationSeconds < 60"), where("request.expirationSeconds <= 60", "request.expirationSeconds != 30")

    found = compared(tmp_path, [platform(), ANNA, old], [platform(), ANNA, new])

    assert gains(found) == {("any agent", "loses", None, "30 s"), ("any agent", "gains", None, "60 s")}


def test_a_purpose_and_a_lifetime_that_count_together_are_told_together(tmp_path: Path):
    either = "request.expirationSeconds <= 60 || request.purpose == 'reporting'"

    found = compared(tmp_path, [platform(), ANNA], [platform(), ANNA, where("has(request.purpose)", either)])

    assert gains(found) == {
        ("any agent", "gains", f"{OTHER_PURPOSE},fraud-review", "5-60 s"),
        ("any agent", "gains", "reporting", None),
    }


def reviewed(*values: str) -> tuple[str, Any]:
    return "spec.agents", {"matchAttributes": [{"key": "reviewed", "operator": "In", "values": list(values)}]}


def test_an_agent_that_no_file_has_stands_for_attributes_that_a_platform_can_give(tmp_path: Path):
    entries = admitting({}, {"namespace": "bots", "attributes": [{"key": "reviewed", "values": ["2026"]}]})
    known = [entries, ANNA, agent("finbot")]

    found = compared(tmp_path, known, [*known, where(more=[reviewed("2026")])])

    assert gains(found) == {("bots/any agent", "gains", None, None)}
    assert found.notes == ()


def test_an_agent_of_the_files_is_named_in_place_of_one_that_stands_for_it(tmp_path: Path):
    entries = admitting({"attributes": [{"key": "reviewed", "values": ["2026"]}]})
    known = [entries, ANNA, agent("finbot"), agent("taxbot")]

    found = compared(tmp_path, known, [*known, where(more=[reviewed("2026")])])

    assert gains(found) == {("agents/finbot", "gains", None, None), ("agents/taxbot", "gains", None, None)}
    assert [each.cases for each in found.tried] == [1]


def test_an_agent_that_is_suspended_is_not_judged_as_one_that_is_not(tmp_path: Path):
    entries, bots = admitting({}), [agent("finbot"), agent("taxbot")]
    suspended = changed(bots[1], "spec.suspend", True)

    found = compared(tmp_path, [entries, ANNA, *bots, where()], [entries, ANNA, bots[0], suspended, where()])

    assert gains(found) == {("agents/taxbot", "loses", None, None)}


def test_a_user_who_is_suspended_loses_what_others_keep(tmp_path: Path):
    known = [admitting({}), agent("finbot"), where()]

    found = compared(tmp_path, [*known, ANNA], [*known, changed(ANNA, "spec.suspend", True)])

    assert gains(found) == {("agents/finbot", "loses", None, None)}


def test_attributes_of_several_entries_count_together(tmp_path: Path):
    both = [{"key": key, "operator": "In", "values": ["yes"]} for key in ("reviewed", "internal")]
    entries = [
        {
            "namespaceSelector": {"matchLabels": {key: "yes"}},
            "assertions": ["Trusted"],
            "attributes": [{"key": key, "values": ["yes"]}],
        }
        for key in ("reviewed", "internal")
    ]
    known = [changed(platform(), "spec.agents", entries), ANNA]

    found = compared(tmp_path, known, [*known, where(more=[("spec.agents", {"matchAttributes": both})])])

    assert gains(found) == {("[internal=yes, reviewed=yes]/any agent", "gains", None, None)}


def test_an_agent_that_only_a_condition_names_is_tried(tmp_path: Path):
    known = [admitting({}), ANNA, agent("finbot")]

    found = compared(tmp_path, known, [*known, where("agent.name == 'taxbot' && agent.namespace == 'agents'")])

    assert gains(found) == {("agents/taxbot", "gains", None, None)}


def test_an_agent_that_must_prove_its_users_has_the_combination_that_its_entry_permits(tmp_path: Path):
    entries = [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "agents"}},
            "assertions": ["TokenRequired"],
            "attributes": [{"key": "reviewed", "values": ["2026"]}],
            "widestCombination": "Union",
        }
    ]
    prover = changed(
        changed(agent("finbot"), "spec.onBehalfOf", {"assertion": "TokenRequired"}),
        "spec.identity",
        {"type": "ServiceAccount", "serviceAccount": {"name": "finbot"}},
    )
    known = [changed(platform(), "spec.agents", entries), ANNA, prover]
    own = where(more=[reviewed("2026"), ("spec.grantsTo", "Agents"), ("spec.users", MISSING)])

    assert gains(compared(tmp_path, known, [*known, own])) == {("agents/finbot", "gains", None, None)}


UNTRIED = {
    "a policy that covers nobody": (
        [],
        [where(more=[("spec.users", {"matchAttributes": [{"key": "job", "operator": "In", "values": ["actuary"]}]})])],
        "AccessPolicy domain-claims/analysts: no UserAttributes object meets its spec.users; users whose attributes come from tokens",
    ),
    "a purpose that cannot be guessed": (
        [],
        [where("request.purpose.size() > 20")],
        "AccessPolicy domain-claims/analysts: no tried agent, purpose and lifetime meet its spec.agents and its conditions",
    ),
    "an attribute that no platform gives": (
        [],
        [where(more=[reviewed("2026")])],
        "AccessPolicy domain-claims/analysts: no tried agent, purpose and lifetime meet its spec.agents and its conditions",
    ),
    "a row filter on an attribute that nobody has": (
        [],
        [analysts(("spec.rowFilter", "country IN (user_attr('regions'))"))],
        "AccessPolicy domain-claims/analysts: for 2 of its tables no user has the attributes that its row filter and its tables ask for",
    ),
    "a rule of an offer that nobody meets": (
        [offer()],
        [offer(automatic=[{**AUTOMATIC, "matchConditions": [{"name": "c", "expression": "'boss' in user.attributes.job"}]}])],
        "AccessPolicy domain-claims/countries: no tried request meets its rule small",
    ),
    "a guardrail whose tables only others read": (
        [
            where(more=[("spec.users", {"matchAttributes": [{"key": "job", "operator": "In", "values": ["actuary"]}]})]),
            changed(
                valid("Guardrail", "all"),
                "spec",
                {
                    "platformRefs": [{"name": "warehouse"}],
                    "tables": {"matchNames": [{"schema": "claims", "name": "*"}]},
                    "rowRestriction": "country = 'DE'",
                },
            ),
        ],
        [where(more=[("spec.users", {"matchAttributes": [{"key": "job", "operator": "In", "values": ["actuary"]}]})])],
        "AccessPolicy domain-claims/analysts: no UserAttributes object meets its spec.users",
    ),
}


@pytest.mark.parametrize("case", UNTRIED)
def test_a_change_that_no_tried_request_shows_is_named(tmp_path: Path, case: str):
    old, new, expected = UNTRIED[case]
    known = [admitting({}), ANNA, agent("finbot")]

    found = compared(tmp_path, [*known, *old], [*known, *new])

    assert found.differences == ()
    assert any(each.startswith(expected) for each in found.notes), found.notes


def test_a_policy_that_did_not_change_needs_nobody_who_stands_for_it(tmp_path: Path):
    nobody = where(more=[("spec.users", {"matchAttributes": [{"key": "job", "operator": "In", "values": ["actuary"]}]})])
    known = [platform(), ANNA, nobody]

    assert compared(tmp_path, known, known).notes == ()


def test_a_value_of_a_changed_policy_that_nobody_has_is_told(tmp_path: Path):
    def jobs(*values: str) -> Body:
        return where(more=[("spec.users.matchAttributes[0].values", list(values))])

    found = compared(tmp_path, [platform(), ANNA, jobs("analyst")], [platform(), ANNA, jobs("analyst", "actuary")])

    (note,) = found.notes
    assert "spec.users.matchAttributes[0].values[1]: no UserAttributes object has job=actuary" in note


def test_another_value_of_an_attribute_that_a_row_filter_reads_is_told(tmp_path: Path):
    now_french = person("anna", job=["analyst"], countries=["DE", "FR"])
    known = [platform(), analysts(), person("bob", job=["analyst"], countries=["DE"])]

    found = compared(tmp_path, [*known, ANNA], [*known, now_french])

    assert {(each.who.user.subject, each.change) for each in found.differences} == {
        ("anna", Change(Direction.CHANGES, What.ATTRIBUTE, f"claims.{table} by user_attr('countries')", "DE", "DE, FR"))
        for table in ("claims", "people")
    }


def test_another_value_counts_in_an_offer_as_well(tmp_path: Path):
    by_country = offer(("spec.rowFilter", "country IN (user_attr('countries'))"), ("spec.rows", MISSING))

    found = compared(tmp_path, [platform(), by_country, ANNA], [platform(), by_country, person("anna", job=["analyst"], countries=["FR"])])

    assert {(each.what, each.name, each.before, each.after) for each in found.by_asking} == {
        ("attribute", f"claims.{table} by user_attr('countries')", "DE", "FR") for table in ("claims", "people")
    }


PROVIDER = valid("IdentityProvider", "workforce")
SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents", "labels": {"team": "claims"}}}
UNCOMPARED = {
    "a purpose that agents may state": (
        admitting({}),
        admitting({"purposes": ["audit"]}),
        "DataPlatform warehouse",
        "spec.agents[0].purposes",
    ),
    "agents of another namespace": (admitting({}), admitting({}, {"namespace": "bots"}), "DataPlatform warehouse", "spec.agents"),
    "another database": (
        platform(),
        changed(platform(), "spec.postgres.database", "hr"),
        "DataPlatform warehouse",
        "spec.postgres.database",
    ),
    "another proof of users": (
        changed(valid("Agent", "finbot"), "spec.onBehalfOf", {"assertion": "Trusted"}),
        changed(valid("Agent", "finbot"), "spec.onBehalfOf", {"assertion": "TokenRequired"}),
        "Agent agents/finbot",
        "spec.onBehalfOf.assertion",
    ),
    "tools": (
        agent("finbot"),
        changed(valid("Agent", "finbot"), "spec.tools[0].postgres.schemas", ["x"]),
        "Agent agents/finbot",
        "spec.tools",
    ),
    "another claim of tokens": (
        PROVIDER,
        changed(PROVIDER, "spec.claims.attributes[0].path", ["job"]),
        "IdentityProvider workforce",
        "spec.claims.attributes[0].path",
    ),
    "another issuer of tokens": (analysts(), PROVIDER, "IdentityProvider workforce", "spec"),
    "more automatic approvals": (
        offer(automatic=[AUTOMATIC]),
        offer(automatic=[{**AUTOMATIC, "limits": {"perUserPerDay": 300}}]),
        "AccessPolicy domain-claims/countries",
        "spec.onRequest.automatic[0].limits.perUserPerDay",
    ),
    "labels of a namespace": (SPACE, changed(SPACE, "metadata.labels", {"team": "hr"}), "Namespace agents", "metadata.labels"),
}


def permitting(*purposes: str, longest: int | None = None, **more: Any) -> Body:
    limits = {} if longest is None else {"maxExpirationSeconds": longest}
    return admitting({"purposes": list(purposes), **limits, **more})


FRAUD = where("request.purpose == 'fraud-review'")
BOT, OTHER_BOT = agent("finbot"), agent("otherbot", "elsewhere")


def test_a_purpose_that_a_platform_permits_no_more_takes_away_what_it_gave(tmp_path: Path):
    found = compared(tmp_path, [permitting("fraud-review"), ANNA, BOT, FRAUD], [permitting(), ANNA, BOT, FRAUD])

    assert gains(found) == {("agents/finbot", str(Direction.LOSES), "fraud-review", None)}


def test_a_purpose_that_a_platform_permits_now_gives_what_policies_grant_for_it(tmp_path: Path):
    found = compared(tmp_path, [permitting(), ANNA, BOT, FRAUD], [permitting("fraud-review"), ANNA, BOT, FRAUD])

    assert gains(found) == {("agents/finbot", str(Direction.GAINS), "fraud-review", None)}


def test_a_purpose_is_lost_by_the_agents_whom_the_entry_selects(tmp_path: Path):
    elsewhere = {"namespace": "elsewhere", "purposes": ["fraud-review"]}
    old, new = (admitting({"purposes": purposes}, elsewhere) for purposes in (["fraud-review"], []))

    found = compared(tmp_path, [old, ANNA, BOT, OTHER_BOT, FRAUD], [new, ANNA, BOT, OTHER_BOT, FRAUD])

    assert gains(found) == {("agents/finbot", str(Direction.LOSES), "fraud-review", None)}


def test_a_purpose_that_another_entry_permits_is_not_lost(tmp_path: Path):
    old, new = (admitting({"purposes": purposes}, {"purposes": ["fraud-review"]}) for purposes in (["fraud-review"], []))

    assert compared(tmp_path, [old, ANNA, BOT, FRAUD], [new, ANNA, BOT, FRAUD]).differences == ()


def test_a_purpose_that_neither_side_permits_is_tried_as_before(tmp_path: Path):
    found = compared(tmp_path, [permitting(), ANNA, BOT], [permitting(), ANNA, BOT, FRAUD])

    assert gains(found) == {("agents/finbot", str(Direction.GAINS), "fraud-review", None)}


@pytest.mark.parametrize("where_limited", ["DataPlatform", "Agent"])
def test_a_shorter_lifetime_takes_away_longer_roles(tmp_path: Path, where_limited: str):
    def side(of_platform: int, of_agent: int) -> list[Body]:
        return [permitting(longest=of_platform), ANNA, changed(BOT, "spec.limits", {"maxExpirationSeconds": of_agent}), where()]

    old, new = (side(3600, 1800), side(3600, 600)) if where_limited == "Agent" else (side(3600, 1800), side(600, 1800))

    found = compared(tmp_path, old, new)

    assert gains(found) == {("agents/finbot", str(Direction.LOSES), None, "601-1800 s")}


@pytest.mark.parametrize("case", UNCOMPARED)
def test_a_changed_field_that_is_not_compared_is_named(tmp_path: Path, case: str):
    old, new, name, field = UNCOMPARED[case]
    known = [] if name.startswith("DataPlatform") else [admitting({})]

    found = compared(tmp_path, [*known, ANNA, old], [*known, ANNA, analysts(), new])

    assert any(each.startswith(f"{name}: not compared in full: ") and field in each for each in found.notes), found.notes


def test_fields_that_give_nobody_access_need_no_note(tmp_path: Path):
    renamed = changed(agent("finbot"), "spec.handle", "OTHER")
    known = [admitting({}), ANNA, offer()]

    assert compared(tmp_path, [*known, agent("finbot")], [admitting({}), ANNA, offer(display="Another sentence"), renamed]).notes == ()


@pytest.mark.parametrize("hidden_by", ["users", "suspend"])
def test_a_changed_policy_behind_an_agent_that_asks_for_nobody_is_named(tmp_path: Path, hidden_by: str):
    closed = {"users": {"matchAttributes": [{"key": "department", "operator": "In", "values": ["claims"]}]}, "suspend": True}[hidden_by]
    path = {"users": "spec.onBehalfOf", "suspend": "spec.suspend"}[hidden_by]
    bot = changed(agent("finbot"), path, {"assertion": "Trusted", "users": closed} if hidden_by == "users" else closed)
    known = [admitting({}), ANNA, bot]

    found = compared(tmp_path, [*known, analysts()], [*known, where()])

    assert found.differences == ()
    assert any(each.startswith("AccessPolicy domain-claims/analysts: no tried agent") for each in found.notes), found.notes


def test_a_changed_policy_for_people_who_are_suspended_is_named(tmp_path: Path):
    known = [platform(), changed(ANNA, "spec.suspend", True)]

    found = compared(tmp_path, [*known, analysts()], [*known, where()])

    assert found.differences == ()
    assert any("no UserAttributes object meets its spec.users, and suspended ones do not count" in each for each in found.notes), (
        found.notes
    )


def test_other_users_than_those_of_the_folders_hide_no_change_of_these(tmp_path: Path):
    known = [platform(), analysts()]
    given = write(tmp_path, "users.yaml", ANNA)
    old, new = (folder(tmp_path / name, *known, each) for name, each in (("old", ANNA), ("new", person("anna", job=["boss"]))))

    found = diff(old, new, [given], CATALOGS)

    assert found.differences == ()
    assert any(each.startswith("UserAttributes anna: not compared in full: spec.attributes") for each in found.notes), found.notes


def test_combinations_beyond_the_bound_are_counted(tmp_path: Path):
    agents = [agent(f"bot-{number}") for number in range(120)]
    named = [f"p{number}" for number in range(60)]
    known = [admitting({"purposes": named[:32]}, {"purposes": named[32:]}), ANNA, *agents]

    found = compared(tmp_path, known, [*known, where("agent.name != 'x'", "request.expirationSeconds != 60")])

    assert any(
        each.startswith("not tried: ") and "combinations of agent, purpose and lifetime; at most 10000 are" in each for each in found.notes
    )


def test_thousands_of_users_with_the_same_attributes_are_one_case(tmp_path: Path):
    people = [person(f"p{number}", job=["analyst"], countries=["DE"], badge=[f"b{number}"]) for number in range(1_000)]
    known = [platform(), *people, where("request.purpose == 'reporting'")]
    new = [platform(), *people, analysts(("spec.rowFilter", "country = user_attr('badge')"))]

    found = compared(tmp_path, known, new)

    (tried,) = found.tried
    assert (tried.users, tried.cases) == (1_000, 2)
    assert len({each.who.user for each in found.differences}) == 1_000


def only(table: str) -> tuple[str, Any]:
    return "spec.tables.matchNames[0].name", table


@pytest.mark.parametrize("named", ["user.subject != 'anna' || agent.name == 'taxbot'", "'gold' in user.attributes.tier"])
def test_alike_cases_get_what_each_of_them_gets_alone(tmp_path: Path, named: str):
    """The same as when each user, agent, purpose and lifetime is decided alone."""
    people = [
        ANNA,
        person("anne", job=["analyst"], countries=["DE"]),
        person("beth", job=["analyst", "boss"], countries=["AT"], level=["3"], tier=["gold"]),
        person("bert", job=["analyst", "boss"], countries=["AT"], level=["x"], tier=["gold"]),
        person("bill", job=["boss"], countries=["AT"], level=["x"], tier=["gold"]),
        person("carl", job=["boss"], level=["x"], purposes=["reporting"]),
        person("dora"),
        person("emil", job=["boss"], level=["x"], purposes=["fraud-review"]),
        person("fred", job=["boss"], level=["y"], purposes=["fraud-review"]),
    ]
    agents = [
        agent("finbot"),
        agent("taxbot", "bots"),
        changed(agent("only"), "spec.onBehalfOf.users", {"matchAttributes": [{"key": "level", "operator": "Exists"}]}),
    ]
    entries = admitting(
        {"purposes": ["fraud-review"], "attributes": [{"key": "reviewed", "values": ["2026"]}]},
        {"namespace": "bots", "purposes": ["reporting"]},
    )
    old = [
        analysts(("spec.rowFilter", "amount IN (user_attr('level'))"), only("claims"), name="a"),
        where("request.purpose in user.attributes.purposes", name="b", more=[("spec.users.matchAttributes", MISSING), only("people")]),
        where(named, name="c", more=[only("people")]),
    ]
    new = [
        analysts(("spec.rowFilter", "amount < 3"), only("claims"), reviewed("2026"), name="a"),
        where("request.purpose == 'reporting' || request.expirationSeconds < 100", name="c", more=[only("people")]),
        where("'gold' in user.attributes.tier && agent.namespace != 'bots'", name="d", more=[only("people")]),
    ]
    common = [entries, *people, *agents]
    found = compared(tmp_path, [*common, *old], [*common, *new])

    purposes, lifetimes = [NO_PURPOSE, "fraud-review", "reporting", OTHER_PURPOSE], [5, 99, 100, 101, 900]
    sides = [opened(Folder.sound([tmp_path / each]).build(CATALOGS).snapshot, purposes=purposes) for each in ("old", "new")]
    expected: set[tuple[User, ObjectName, Change, str, int]] = set()
    for user in sides[1].people:
        for name in sides[1].agents:
            for purpose in purposes:
                for seconds in lifetimes:
                    who = Requester(user, name, WAREHOUSE, purpose, seconds)
                    changes = compare(*(given(side, who) for side in sides))
                    expected |= {(user, name, change, purpose, seconds) for change in changes if name.namespace}

    told = {
        (each.who.user, each.who.agent, each.change, purpose, seconds)
        for each in found.differences
        if each.who.agent in sides[1].agents
        for purpose in each.when.purposes or purposes
        for seconds in lifetimes
        if each.when.lifetimes is None or any(seconds in lifetime for lifetime in each.when.lifetimes)
    }
    assert told == expected
    assert len(expected) > 50
