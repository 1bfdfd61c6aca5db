"""`rolevend policy diff` and `backtest`: what a change of files would mean for people, now and for the requests of the past."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from rolevend.audit import role_events
from rolevend.audit.chain import Chain
from rolevend.audit.evidence import access_summary
from rolevend.catalog import Catalog, Family
from rolevend.cli import cli
from rolevend.decision.outcome import Granted, Request
from rolevend.errors import InvalidInput
from rolevend.kinds import AccessPolicy, Agent, DataPlatform, parse
from rolevend.kinds.catalog_file import catalog_text
from rolevend.model import PlatformName
from rolevend.policytools.backtest import backtest, moment
from rolevend.policytools.diff import Compared, diff
from rolevend.snapshot.builder import SnapshotBuild
from tests.support.as_code import CATALOGS, WAREHOUSE, analysts, platform, write
from tests.support.manifests import MISSING, Body, changed, every_row, valid
from tests.support.painted import NOW, OBJECTS, REQUEST, STATES, TABLES, paint, raw, raw_agent, raw_policy, verdict
from tests.support.policies import catalog, column, table

ANNA = changed(valid("UserAttributes", "anna"), "spec.user.subject", "anna")
PEOPLE = (ANNA, changed(changed(valid("UserAttributes", "beth"), "spec.user.subject", "beth"), "spec.handle", "BETH"))


def folder(path: Path, *bodies: Body) -> Path:
    write(path, "all.yaml", platform(), *bodies)
    return path


def told(compared: Compared) -> set[tuple[str, str, str, str]]:
    return {(each.who.user.subject, str(each.who.agent), str(each.change.direction), each.change.name) for each in compared.differences}


def test_who_gains_and_who_loses_what_is_told_for_each_user_and_agent(tmp_path: Path):
    old = folder(tmp_path / "old", analysts(), *PEOPLE, valid("Agent", "finbot"))
    hidden = ("spec.masks", [{"name": "b", "columns": {"matchNames": ["birth_date"]}, "type": "Nullify"}])
    new = folder(tmp_path / "new", analysts(("spec.rowFilter", "country = 'DE'"), hidden), *PEOPLE, valid("Agent", "finbot"))

    found = told(diff(old, new, (), CATALOGS))

    # The agent may act for people of a department that neither of them has.
    assert found == set()
    for each in (old, new):
        write(
            each,
            "agent.yaml",
            changed(changed(valid("Agent", "open"), "spec.onBehalfOf", {"assertion": "Trusted"}), "spec.identity", MISSING),
        )
        write(each, "agent.yaml", (each / "agent.yaml").read_text().replace("FINBOT", "OPEN"))
    assert told(diff(old, new, (), CATALOGS)) == {
        (user, "agents/open", direction, name)
        for user in ("anna", "beth")
        for direction, name in (
            ("changes", "claims.claims"),
            ("changes", "claims.people"),
            ("loses", "claims.people.birth_date"),
        )
    }


def test_without_an_agent_policies_are_compared_alone_and_users_may_stand_elsewhere(tmp_path: Path):
    old, new = folder(tmp_path / "old"), folder(tmp_path / "new", analysts())
    users = write(tmp_path, "users.yaml", ANNA)

    assert told(diff(old, new, [users], CATALOGS)) == {
        ("anna", "/any agent", "gains", "claims.claims"),
        ("anna", "/any agent", "gains", "claims.people"),
    }
    with pytest.raises(InvalidInput, match="name a file with some people"):
        diff(old, new, (), CATALOGS)


def test_what_is_built_on_a_part_of_what_was_written_is_not_answered(tmp_path: Path):
    good, bad = folder(tmp_path / "good", ANNA), folder(tmp_path / "bad", ANNA, changed(analysts(), "spec.users", {}))
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere, "a.yaml", ANNA)

    with pytest.raises(InvalidInput, match=r"spec.users: at least one .*all.yaml:\d+"):
        diff(good, bad, (), CATALOGS)
    with pytest.raises(InvalidInput, match="DataPlatform warehouse, whose catalog is given, must be in"):
        diff(good, elsewhere, (), CATALOGS)


@pytest.mark.parametrize("output", ["text", "markdown", "json"])
def test_a_difference_is_a_table_or_json(tmp_path: Path, output: str):
    old, new = folder(tmp_path / "old", ANNA), folder(tmp_path / "new", analysts(("spec.rowFilter", "country = 'a|b'")), ANNA)
    held = write(tmp_path, "catalog.yaml", catalog_text(WAREHOUSE, CATALOGS[WAREHOUSE], "yaml"))

    answer = CliRunner().invoke(cli, ["policy", "diff", str(old), str(new), "--catalog", str(held), "-o", output], catch_exceptions=False)

    assert answer.exit_code == 0
    if output == "json":
        assert [each["name"] for each in json.loads(answer.stdout)["differences"]] == ["claims.claims", "claims.people"]
    else:
        assert len(answer.stdout.splitlines()) == (4 if output == "markdown" else 3)
        assert ("a\\|b" in answer.stdout) == (output == "markdown")


def words(*more: str, tmp_path: Path) -> list[str]:
    held = write(tmp_path, "catalog.yaml", catalog_text(WAREHOUSE, CATALOGS[WAREHOUSE], "yaml"))
    return ["policy", *more, "--catalog", str(held)]


def test_nobody_loses_anything_is_never_the_answer_where_nothing_was_compared(tmp_path: Path):
    old = folder(tmp_path / "old", analysts(), ANNA)
    new = folder(tmp_path / "new", analysts(("spec.platformRefs", [{"name": "warehouse"}, {"name": "crm"}])), ANNA)
    events = recorded(tmp_path / "events.json")

    for command in (["diff", str(old), str(new)], ["backtest", str(new), "--audit", str(events)]):
        lost = CliRunner().invoke(cli, ["policy", *command], env={"KUBECONFIG": str(tmp_path / "none")})
        assert lost.exit_code != 0
        assert lost.stdout == ""
        assert f"there is no kubeconfig {tmp_path / 'none'} to read published ones: name a --catalog" in str(lost.exception)
    with pytest.raises(InvalidInput, match="--catalog: what DataPlatform crm holds is not known"):
        diff(old, new, (), CATALOGS)


def test_what_is_not_there_yet_gives_nothing_and_a_platform_that_goes_is_told(tmp_path: Path):
    empty, full = tmp_path / "empty", folder(tmp_path / "full", analysts(), ANNA)
    empty.mkdir()
    gone = folder(tmp_path / "gone", analysts(), ANNA)
    elsewhere = changed(analysts(name="elsewhere"), "spec.platformRefs", [{"name": "crm"}])
    write(gone, "crm.yaml", changed(platform(), "metadata.name", "crm"), elsewhere)

    first, last = diff(empty, full, (), CATALOGS), diff(gone, full, (), CATALOGS)

    assert {name for _, _, direction, name in told(first) if direction == "gains"} == {"claims.claims", "claims.people"}
    assert (last.differences, len(last.notes)) == ((), 1)
    assert "nothing on crm was compared" in last.notes[0]


def test_an_agent_whose_namespace_is_not_among_the_files_is_named_beneath_what_was_compared(tmp_path: Path):
    agent = changed(valid("Agent", "finbot"), "spec.onBehalfOf", {"assertion": "Trusted"})
    old, new = (folder(tmp_path / name, analysts(), ANNA, agent) for name in ("old", "new"))

    answers = {
        form: CliRunner().invoke(cli, [*words("diff", str(old), str(new), tmp_path=tmp_path), "-o", form])
        for form in ("text", "markdown", "json")
    }

    for form in ("text", "markdown"):
        first, *others = answers[form].stdout.splitlines()
        assert first == "nobody gains or loses anything, as far as it was compared"
        assert "put the manifest of the Namespace agents among the files" in others[-1]
    found = json.loads(answers["json"].stdout)
    assert (found["differences"], found["byAsking"]) == ([], [])
    assert "Namespace agents" in found["notTried"][0]
    assert "Namespace agents" in answers["json"].stderr


def brief(seconds: int) -> Body:
    condition = {"name": "brief", "expression": f"request.expirationSeconds <= {seconds}"}
    return changed(raw_policy(), "spec.users.matchConditions", [condition])


def test_how_long_a_role_is_asked_for_counts_in_what_is_compared(tmp_path: Path):
    old, new = folder(tmp_path / "old", ANNA), folder(tmp_path / "new", brief(60), ANNA)
    asked = words("diff", str(old), str(new), tmp_path=tmp_path)

    short, usual, every, odd = (
        CliRunner().invoke(cli, [*asked, *more])
        for more in (["--expiration-seconds", "60"], ["--expiration-seconds", "900"], [], ["--expiration-seconds", "1"])
    )

    assert {each.split()[3] for each in short.stdout.splitlines()[1:3]} == {"gains"}
    assert usual.stdout.startswith("nobody gains or loses anything, as far as it was compared\n")
    assert "note: not tried: lifetimes of 5-60 s; leave out --expiration-seconds to try all" in usual.stdout
    assert {each.split()[3] for each in every.stdout.splitlines()} == {"LIFETIME", "5-60"}
    assert odd.exit_code == 2


def for_review() -> Body:
    """A policy that grants every row, where the agent says what it asks for."""
    condition = {"name": "purpose", "expression": "request.purpose == 'fraud-review'"}
    return every_row(changed(raw_policy(), "spec.users.matchConditions", [condition]))


def test_a_purpose_is_said_for_all_that_are_compared_and_must_be_one_that_could_be_asked_with(tmp_path: Path):
    old, new = folder(tmp_path / "old", ANNA), folder(tmp_path / "new", for_review(), ANNA)
    held = write(tmp_path, "catalog.yaml", catalog_text(WAREHOUSE, CATALOGS[WAREHOUSE], "yaml"))
    words = ["policy", "diff", str(old), str(new), "--catalog", str(held)]

    asked, silent, other, odd = (
        CliRunner().invoke(cli, [*words, *more])
        for more in (["--purpose", "fraud-review"], [], ["--purpose", "reporting"], ["--purpose", "x y"])
    )

    assert {each.split()[3] for each in asked.stdout.splitlines()[1:3]} == {"gains"}
    assert {tuple(each.split()[3:5]) for each in silent.stdout.splitlines()[1:]} == {("fraud-review", "gains")}
    assert other.stdout.startswith("nobody gains or loses anything, as far as it was compared\n")
    assert odd.exit_code == 2
    assert "'--purpose': 'x y' must be lower-case letters" in odd.output


def recorded(path: Path, *, days_ago: int = 1, request: Request = REQUEST, built: SnapshotBuild | None = None) -> Path:
    """A file with what the operator said of one grant and of one denial, each of them twice."""
    built = built or paint()
    granted = verdict(built, request=request)
    assert isinstance(granted, Granted)
    at = NOW - timedelta(days=days_ago)
    chain = Chain("/rolevend/clusters/c", "one")
    events = [
        role_events.granted(request, granted, built.snapshot, access_summary(granted.tables), at),
        role_events.denied(request, "NoPolicy", "no policy covers the user", built.snapshot, at),
    ]
    path.write_bytes(b"".join(chain.append(event) for event in events * 2) + b"no event\n")
    return path


HELD = {WAREHOUSE: Catalog.of(TABLES)}


def test_the_past_is_replayed_against_what_its_records_say(tmp_path: Path):
    unchanged = raw_policy()
    there = folder(tmp_path / "there", unchanged)
    narrower = folder(tmp_path / "narrower", changed(unchanged, "spec.columns", {"matchNames": ["id", "country"]}))
    events = recorded(tmp_path / "events.json")

    same, less = (backtest([each], [str(events)], None, HELD) for each in (there, narrower))

    # What was granted stays, and what was denied would be granted by either.
    assert [(each.change.direction, each.change.name) for each in same.outcomes] == [("gains", "claims.people")]
    assert [(str(each.change.direction), each.change.name) for each in less.outcomes] == [
        ("loses", "claims.people.full_name"),
        ("gains", "claims.people"),
    ]
    assert same.decisions == 2, "an event that was written twice is one"
    assert backtest([there], [str(events)], NOW, HELD).decisions == 0
    assert "nothing on warehouse was compared" in backtest([there], [str(events)], None, {}).notes[0]


@pytest.mark.parametrize("member", ["resourcesLeftOut", "attributesLeftOut", "agentAttributesLeftOut"])
def test_a_record_without_room_for_what_was_asked_or_known_is_named_and_not_compared(tmp_path: Path, member: str):
    events = recorded(tmp_path / "events.json")
    text = events.read_text()
    events.write_text(text.replace('"data":{', f'"data":{{"{member}":{1 if member == "resourcesLeftOut" else "[]"},'))

    found = backtest([folder(tmp_path / "gone")], [str(events)], None, HELD)

    assert (found.decisions, found.outcomes) == (2, [])
    assert found.notes == ["2 records had no room for all that was asked or known: these were not compared"]


def test_the_past_is_replayed_as_the_agent_combined_then(tmp_path: Path):
    own = changed(changed(raw_policy(), "spec.grantsTo", "Agents"), "spec.users", MISSING)
    own = changed(own, "spec.agents", {"matchAttributes": [{"key": "trust", "operator": "Exists"}]})
    union = parse(DataPlatform, changed(raw("DataPlatform", "warehouse", ""), "spec.agents[0].widestCombination", "Union"))
    agent = parse(Agent, changed(raw_agent(), "spec.combination", "Union"))
    objects = replace(OBJECTS, agents=[agent], policies=[parse(AccessPolicy, own)], platforms=[union])
    events = recorded(tmp_path / "events.json", built=paint(objects))

    same = backtest([folder(tmp_path / "there", own)], [str(events)], None, HELD)
    gone = backtest([folder(tmp_path / "gone")], [str(events)], None, HELD)

    assert "loses" not in {str(each.change.direction) for each in same.outcomes}
    assert [(str(each.change.direction), each.change.name) for each in gone.outcomes] == [("loses", "claims.people")]


def test_a_wider_combination_is_a_gain_of_those_who_are_granted_less(tmp_path: Path):
    own = changed(changed(analysts(name="own"), "spec.grantsTo", "Agents"), "spec.users", MISSING)
    own = changed(own, "spec.agents", {"matchAttributes": [{"key": "trust", "operator": "Exists"}]})
    own = every_row(own)
    one_table = every_row(analysts(("spec.tables", {"matchNames": [{"schema": "claims", "name": "people"}]})))
    agent = changed(changed(valid("Agent", "finbot"), "spec.onBehalfOf", {"assertion": "Trusted"}), "spec.combination", MISSING)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents", "labels": {"team": "claims"}}}
    old, new = (tmp_path / name for name in ("old", "new"))
    for each, widest in ((old, "UserCeiling"), (new, "Union")):
        permits = changed(platform(), "spec.agents[0].widestCombination", widest)
        write(each, "all.yaml", permits, one_table, own, agent, namespace, ANNA)

    assert told(diff(old, new, (), CATALOGS)) == {("anna", "agents/finbot", "gains", "claims.claims")}


def test_the_purpose_and_the_tables_that_were_asked_for_then_are_asked_for_again(tmp_path: Path):
    body = for_review()
    people, pets = (
        table("claims.people", column("id", Family.INTEGER), column("country")),
        table("claims.pets", column("id", Family.INTEGER)),
    )
    states = dict.fromkeys([WAREHOUSE], replace(STATES[WAREHOUSE], catalog=catalog(people, pets)))
    then = paint(replace(OBJECTS, policies=[parse(AccessPolicy, body)]), states)
    request = replace(REQUEST, purpose="fraud-review", resources=(people.id,))
    events = recorded(tmp_path / "events.json", request=request, built=then)
    held = {WAREHOUSE: catalog(people, pets)}
    there = folder(tmp_path / "there", body)
    closed = folder(tmp_path / "closed", changed(body, "spec.users.matchConditions[0].expression", "request.purpose == 'reporting'"))

    same, lost = (backtest([each], [str(events)], None, held) for each in (there, closed))

    # The denial is of the same request, and so of the same one table; another one was never asked for.
    assert {(str(each.who.purpose), str(each.change.direction), each.change.name) for each in same.outcomes} == {
        ("fraud-review", "gains", "claims.people")
    }
    assert [(str(each.change.direction), each.change.name) for each in lost.outcomes] == [("loses", "claims.people")]


def test_for_programs_a_backtest_says_what_was_asked_and_how_much_was_compared(tmp_path: Path):
    there, events = folder(tmp_path / "there", brief(10)), recorded(tmp_path / "events.json")
    held = write(tmp_path, "catalog.yaml", catalog_text(WAREHOUSE, HELD[WAREHOUSE], "yaml"))

    done = CliRunner().invoke(cli, ["policy", "backtest", str(there), "--audit", str(events), "--catalog", str(held), "-o", "json"])

    found = json.loads(done.stdout)
    assert (done.exit_code, found["decisions"], found["compared"]) == (0, 2, 2)
    assert [(each["change"], each["purpose"], each["expirationSeconds"]) for each in found["outcomes"]] == [("loses", "", 900)]


def stripped(events: Path, *members: str) -> Path:
    """As an older rolevend wrote them."""
    told = [json.loads(line) for line in events.read_text().splitlines() if line.startswith("{")]
    for event in told:
        event["data"] = {name: value for name, value in event["data"].items() if name not in members}
    path = events.with_suffix(".old")
    path.write_text("".join(f"{json.dumps(event)}\n" for event in told))
    return path


def test_a_request_of_the_past_is_replayed_with_its_time_and_not_with_another(tmp_path: Path):
    events = recorded(tmp_path / "events.json")
    long_enough, too_brief = folder(tmp_path / "long", brief(900)), folder(tmp_path / "brief", brief(10))

    for each in (events, stripped(events, "expirationSeconds")):
        same, less = (backtest([there], [str(each)], None, HELD) for there in (long_enough, too_brief))
        assert [str(outcome.change.direction) for outcome in same.outcomes] == ["gains"], "what was denied then"
        assert [(str(outcome.change.direction), outcome.who.seconds) for outcome in less.outcomes] == [("loses", 900)]
        # An older record of a denial does not say it.
        untimed = [note for note in less.notes if "do not say for how long" in note]
        assert untimed == ([] if each == events else ["1 records do not say for how long the role was asked for: 900 seconds were taken"])


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents", "labels": {"team": "claims"}}}


@pytest.mark.parametrize("agents", [(), (raw_agent(),)], ids=["an agent that is elsewhere", "an agent among the files"])
def test_what_the_platform_among_the_files_says_of_agents_counts_and_not_what_it_said_then(tmp_path: Path, agents: tuple[Body, ...]):
    own = changed(changed(raw_policy(), "spec.grantsTo", "Agents"), "spec.users", MISSING)
    own = changed(own, "spec.agents", {"matchAttributes": [{"key": "trust", "operator": "Exists"}]})
    agents = tuple(changed(each, "spec.combination", MISSING) for each in agents)
    union = changed(raw("DataPlatform", "warehouse", ""), "spec.agents[0].widestCombination", "Union")
    agent = parse(Agent, changed(raw_agent(), "spec.combination", MISSING))
    objects = replace(OBJECTS, agents=[agent], policies=[parse(AccessPolicy, own)], platforms=[parse(DataPlatform, union)])
    events = recorded(tmp_path / "events.json", built=paint(objects))
    there, narrower, silent = (tmp_path / name for name in ("there", "narrower", "silent"))
    write(there, "all.yaml", union, own, NAMESPACE, *agents)
    write(narrower, "all.yaml", changed(union, "spec.agents[0].widestCombination", "UserCeiling"), own, NAMESPACE, *agents)
    write(silent, "all.yaml", changed(union, "spec.agents[0].attributes", []), own, NAMESPACE, *agents)

    found = [backtest([each], [str(events)], None, HELD) for each in (there, narrower, silent)]

    assert [[str(outcome.change.direction) for outcome in each.outcomes] for each in found] == [["gains"], ["loses"], ["loses"]]
    assert [each.notes for each in found] == [[], [], []]


def test_where_the_files_do_not_say_which_terms_an_agent_has_its_record_counts_and_a_note_says_so(tmp_path: Path):
    there = folder(tmp_path / "there", raw_policy(), raw_agent())

    found = backtest([there], [str(recorded(tmp_path / "events.json"))], None, HELD)

    (note,) = found.notes
    assert note.startswith("agents of namespace agents were taken as the records have them")


def test_of_what_was_not_compared_nothing_good_is_said(tmp_path: Path):
    events, there = recorded(tmp_path / "events.json"), folder(tmp_path / "there", raw_policy())
    other = write(tmp_path, "crm.yaml", catalog_text(PlatformName("crm"), CATALOGS[WAREHOUSE], "yaml"))
    backtested = ["policy", "backtest", str(there), "--audit", str(events), "--catalog", str(other)]

    nothing = CliRunner().invoke(cli, backtested)
    late = CliRunner().invoke(cli, [*backtested, "--since", "2030-01-01"])

    first, second = nothing.stdout.splitlines()
    assert (nothing.exit_code, first) == (1, "2 decisions: none of them was compared")
    assert second == "note: nothing on warehouse was compared: its DataPlatform and its --catalog are needed"
    assert (late.exit_code, late.stdout) == (0, "no decision is in these files, or none since then: nothing was compared\n")
    with pytest.raises(InvalidInput, match="no audit event is in there"):
        backtest([there], [str(write(tmp_path, "log.txt", "no event\n"))], None, HELD)


def test_since_takes_days_hours_and_dates():
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    assert moment("30d", now) == datetime(2026, 10, 25, 12, tzinfo=UTC)
    assert moment("12h", now) == datetime(2026, 11, 24, 0, tzinfo=UTC)
    assert moment("2026-11-01", now) == datetime(2026, 11, 1, tzinfo=UTC)
    with pytest.raises(InvalidInput, match="write 30d, 12h"):
        moment("yesterday", now)
