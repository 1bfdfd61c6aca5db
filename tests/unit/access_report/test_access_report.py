"""`rolevend access` without a cluster: the answers agree with each single decision, and say what they rest on."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from rolevend.access_ledger.selection import Selection
from rolevend.access_report import text
from rolevend.access_report.answer import Basis, PossibleAccess, RoleAccess
from rolevend.access_report.audited import AuditedAccess
from rolevend.access_report.live import LiveAccess, LiveRoles
from rolevend.access_report.possible import PossibleReaders
from rolevend.access_report.target import AccessQuestion, AccessTarget, read_target
from rolevend.audit.evidence import tables_of
from rolevend.catalog import TableId
from rolevend.cli import cli
from rolevend.decision.offers import ApprovedBy, available_offers
from rolevend.decision.outcome import Granted
from rolevend.decision.proof import Presented, Proof, UserProof
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import InvalidInput
from rolevend.kinds import API_VERSION, VendedRole, parse
from rolevend.kube.client import Body
from rolevend.model import ObjectName, User
from rolevend.policytools.decisions import Requester
from rolevend.policytools.request_variants import joined
from rolevend.roles.state import role_requests
from tests.support.as_code import WAREHOUSE, write
from tests.support.pglogs import OTHER_ROLE, ROLE, dropped, granted
from tests.support.reading_world import ISSUER, cluster_objects, person, policy, snapshot_of, write_catalog

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
PEOPLE = TableId("claims", "people")
SSN, TABLE, COUNTRY = AccessTarget(PEOPLE, "ssn"), AccessTarget(PEOPLE), AccessTarget(PEOPLE, "country")
PURPOSES, SECONDS = (None, "fraud-review", "reporting"), (5, 300, 600, 601, 900, 1800, 3600, 3601)
UID = "82ccdfa0-a03f-46a6-b123-035112b452a0"
TOKEN = Proof(UserProof.TOKEN, "workforce", "AccessToken", "d", NOW + timedelta(days=9))
ISSUERS = {ISSUER: frozenset({"job", "countries", "employment"})}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return snapshot_of(cluster_objects(tmp_path_factory.mktemp("world")))


def possible(snapshot: Snapshot, target: AccessTarget, purpose: str | None = None, **chosen: str) -> list[PossibleAccess]:
    return list(PossibleReaders(snapshot, WAREHOUSE, AccessQuestion(target, Selection(**chosen), purpose=purpose), ISSUERS))


def requester(snapshot: Snapshot, user: User, agent: ObjectName, purpose: str | None, seconds: int) -> Requester:
    who = Requester(user, agent, WAREHOUSE, purpose or "", seconds)
    return who if snapshot.agents[agent].may_assert else replace(who, token=Presented(), proof=TOKEN)


def single_decisions(snapshot: Snapshot, target: AccessTarget) -> Iterator[tuple[Any, ...]]:
    """Every request, each decided alone, without groups."""
    for user, agent, purpose, seconds in product(sorted(snapshot.people), sorted(snapshot.agents), PURPOSES, SECONDS):
        request = requester(snapshot, user, agent, purpose, seconds).request
        found = snapshot.decide(request, role_exists=True)
        for each in tables_of(found.tables) if isinstance(found, Granted) else ():
            if each.table == str(target.table) and target.is_shown_by(each):
                yield str(agent), user.subject, purpose, seconds, None, target.shown_by(each), each.rows
        for offer in available_offers(snapshot, request, role_exists=True):
            for each in tables_of(offer.effect.profile.tables):
                if offer.purpose == purpose and each.table == str(target.table) and target.is_shown_by(each):
                    yield str(agent), user.subject, purpose, seconds, offer.how, target.shown_by(each), each.rows


def spelled_out(snapshot: Snapshot, target: AccessTarget, entries: Iterable[PossibleAccess]) -> Iterator[tuple[Any, ...]]:
    for each in entries:
        name = ObjectName(*each.acting.agent.split("/"))
        longest = min(3600, snapshot.agents[name].longest_seconds)
        for purpose, seconds in product(PURPOSES, SECONDS):
            said = each.when.purposes is None or (purpose or "") in each.when.purposes
            within = seconds <= longest if each.when.lifetimes is None else any(seconds in one for one in joined(each.when.lifetimes))
            if said and within:
                shown = target.shown_by(each.access)
                yield each.acting.agent, each.acting.user_subject, purpose, seconds, each.how, shown, each.access.rows


class TestWhoCould:
    @pytest.mark.parametrize("target", [SSN, TABLE, COUNTRY], ids=str)
    def test_the_answer_is_that_of_every_single_decision(self, snapshot: Snapshot, target: AccessTarget):
        known = [each for each in possible(snapshot, target) if not each.is_stranger]

        expected = set(single_decisions(snapshot, target))

        assert len(expected) > 50
        assert set(spelled_out(snapshot, target, known)) == expected

    def test_a_denied_column_a_missing_attribute_a_foreign_issuer_and_agents_that_get_nothing_are_left_out(self, snapshot: Snapshot):
        known = [each for each in possible(snapshot, SSN) if not each.is_stranger]

        assert {each.acting.user_subject for each in known} == {"anna", "bob", "mia", "zed"}
        assert {each.how for each in known if each.acting.user_subject == "bob"} == {ApprovedBy.PEOPLE}, "he has no countries"
        assert {each.acting.agent for each in known if each.acting.user_subject == "zed"} == {"agents/finbot", "agents/ratebot"}
        assert {each.acting.agent for each in known} == {"agents/finbot", "agents/ratebot", "agents/chatbot"}
        assert {each.acting.user_subject for each in possible(snapshot, COUNTRY, agent="ratebot")} >= {"carl", "nina", "anyone"}

    def test_filters_choose_users_agents_and_a_purpose(self, snapshot: Snapshot):
        assert {each.acting.user_subject for each in possible(snapshot, SSN, user="ANNA")} == {"anna"}
        assert {each.acting.agent for each in possible(snapshot, SSN, agent="agents/chatbot")} == {"agents/chatbot"}
        (entry,) = (each for each in possible(snapshot, SSN, "reporting", user="mia", agent="ratebot"))
        assert (entry.policies, entry.how) == (("domain-claims/managers",), None)

    def test_people_whom_no_object_names_are_stood_for_where_a_token_gives_what_a_policy_asks_for(self, snapshot: Snapshot):
        strangers = {each.acting.user_subject: each for each in possible(snapshot, SSN) if each.is_stranger}

        staff = "employment NotIn (contractor)"
        assert set(strangers) == {
            f"anyone with job In (analyst) and {staff}",
            f"anyone with job In (analyst) and countries Exists and {staff}",
            f"anyone with job In (manager) and {staff}",
        }
        assert "anyone with job In (manager)" in {each.acting.user_subject for each in possible(snapshot, COUNTRY)}
        assert {each.proof for each in strangers.values()} == {"Token"}
        assert {each.acting.agent for each in strangers.values()} == {"agents/chatbot"}, "no other agent has an identity for a token"
        without = PossibleReaders(snapshot, WAREHOUSE, AccessQuestion(SSN, Selection()), {ISSUER: frozenset({"countries", "employment"})})
        assert not [each for each in without if each.is_stranger], "no token gives the job"

    def test_a_policy_for_which_no_stand_in_can_be_made_is_named(self, tmp_path: Path):
        both = policy("odd", "analyst")
        both["spec"]["users"]["matchAttributes"].append({"key": "job", "operator": "In", "values": ["manager"]})
        readers = PossibleReaders(snapshot_of(cluster_objects(tmp_path, both)), WAREHOUSE, AccessQuestion(SSN, Selection()), ISSUERS)

        assert list(readers)
        assert [note for note in readers.notes if "AccessPolicy domain-claims/odd" in note]

    @pytest.mark.parametrize(
        ("user", "note"),
        [("anna", f"countries, employment, job, which tokens of {ISSUER} may give"), ("eve", "a user whom no UserAttributes names")],
    )
    def test_what_the_token_of_a_chosen_user_may_add_is_named(self, snapshot: Snapshot, user: str, note: str):
        readers = PossibleReaders(snapshot, WAREHOUSE, AccessQuestion(SSN, Selection(user=user)), ISSUERS)

        assert [each for each in readers.notes if each.startswith("not tried") and note in each]
        assert not PossibleReaders(snapshot, WAREHOUSE, AccessQuestion(SSN, Selection(user=user)), {}).notes


def role(snapshot: Snapshot, name: str = "ask", user: str = "anna", agent: str = "finbot", state: str = "Live", **changes: Any) -> Body:
    """A VendedRole as the operator leaves it, with the profile that it decided."""
    resources = {"resources": changes.pop("resources")} if "resources" in changes else {}
    body: Body = {
        "apiVersion": API_VERSION,
        "kind": "VendedRole",
        "metadata": {
            "name": name,
            "namespace": "agents",
            "uid": UID,
            "creationTimestamp": NOW.isoformat(),
            "finalizers": ["rolevend.dev/drop"],
        },
        "spec": {
            "agentRef": {"name": agent},
            "user": {"issuer": ISSUER, "subject": user},
            "platformRefs": [{"name": WAREHOUSE}],
            "expirationSeconds": 300,
            **resources,
        },
    }
    decision = snapshot.decide(role_requests(parse(VendedRole, body))[0], role_exists=True)
    tables = [each.table.quoted for each in decision.tables] if isinstance(decision, Granted) else []
    profile = decision.profile.name if isinstance(decision, Granted) else "rv_p_0"
    on = {"name": WAREHOUSE, "state": state, "profile": profile, "tableCount": len(tables), "tables": tables, **changes}
    body["status"] = {
        "roleName": ROLE,
        "expirationTimestamp": (NOW + timedelta(minutes=5)).isoformat(),
        "user": {"handle": user.upper(), "proof": "Asserted"},
        "platforms": [on],
    }
    return body


def live(snapshot: Snapshot | None, target: AccessTarget, *bodies: Body, events: Iterable[Body] = ()) -> tuple[list[RoleAccess], list[str]]:
    audited = AuditedAccess(target)
    for event in events:
        audited.learn(event)
    answer = LiveAccess(AccessQuestion(target, Selection()), snapshot, {}, audited)
    return list(answer.of(LiveRoles.of(bodies))), answer.notes


class TestWhoReadsNow:
    def test_the_decision_that_gives_the_profile_of_the_role_says_rows_mask_and_policies(self, snapshot: Snapshot):
        (entry,), notes = live(snapshot, SSN, role(snapshot))

        assert (entry.basis, entry.policies, entry.state, notes) == (Basis.DECISION, ("domain-claims/analysts",), "Live", [])
        assert entry.access is not None
        assert (SSN.shown_by(entry.access), entry.access.rows) == ("Hash", ("\"country\" IN (user_attr('countries'))",))

    def test_a_role_that_does_not_have_the_table_or_the_column_is_left_out(self, snapshot: Snapshot):
        assert live(snapshot, AccessTarget(TableId("claims", "claims")), role(snapshot))[0] == []
        assert live(snapshot, SSN, role(snapshot, user="carl"))[0] == [], "a guardrail denies it"
        assert live(snapshot, COUNTRY, role(snapshot, user="carl"))[0] != []

    def test_a_role_with_another_profile_is_shown_by_its_status_alone(self, snapshot: Snapshot):
        (entry,), notes = live(snapshot, SSN, role(snapshot, profile="rv_p_before"))

        assert (entry.basis, entry.access, entry.policies) == (Basis.STATUS, None, None)
        assert "1 roles on warehouse were vended when the objects or the catalog were others" in notes[0]

    def test_its_audit_event_says_what_it_shows_unless_it_is_of_another_profile(self, snapshot: Snapshot):
        event = event_of({"table": "claims.people", "rows": ["x"], "clear": ["ssn"], "masked": []}, profile="rv_p_before")

        (entry,), _ = live(snapshot, SSN, role(snapshot, profile="rv_p_before"), events=[event])
        (other,), _ = live(snapshot, SSN, role(snapshot, profile="rv_p_other"), events=[event])

        assert (entry.basis, entry.access and SSN.shown_by(entry.access)) == (Basis.AUDIT_EVENT, "Clear")
        assert other.basis is Basis.STATUS

    def test_without_a_catalog_the_status_answers_and_a_role_with_more_tables_than_listed_is_perhaps_one(self, snapshot: Snapshot):
        listed, cut, elsewhere = (
            role(snapshot, "listed"),
            role(snapshot, "cut", tables=["claims.claims"], tableCount=60),
            role(snapshot, "elsewhere", tables=["claims.claims"], tableCount=1),
        )

        entries, notes = live(None, SSN, listed, cut, elsewhere)

        assert [(each.object, each.basis) for each in entries] == [("agents/listed", Basis.STATUS), ("agents/cut", Basis.UNKNOWN)]
        assert "--catalog" in notes[0]
        assert "1 of these roles does not list all of their tables" in notes[1]

    def test_a_role_narrowed_to_other_tables_is_left_out(self, snapshot: Snapshot, tmp_path: Path):
        more = policy("notes", "analyst", tables={"matchNames": [{"schema": "claims", "name": "claims"}]})
        wider = snapshot_of(cluster_objects(tmp_path, more))
        narrowed = role(wider, resources=[{"schema": "claims", "table": "claims"}])

        assert live(wider, SSN, narrowed)[0] == []
        assert len(live(wider, SSN, role(wider))[0]) == 1

    def test_ending_pending_and_gone_roles(self, snapshot: Snapshot):
        ending, gone = role(snapshot, "ending", state="Dropping"), role(snapshot, "gone")
        gone["metadata"] |= {"deletionTimestamp": NOW.isoformat(), "finalizers": []}

        entries, _ = live(snapshot, SSN, ending, gone, role(snapshot, "pending", state="Pending"), role(snapshot, "out", state="LeftOut"))

        assert [(each.object, each.state) for each in entries] == [("agents/ending", "Ending"), ("agents/pending", "Pending")]

    def test_the_table_escapes_what_could_imitate_another_line(self, snapshot: Snapshot):
        (entry,), _ = live(snapshot, SSN, role(snapshot))
        forged = replace(entry, acting=replace(entry.acting, user_subject="anna\n\x1b[2Jbob"))

        shown = text.live_text(SSN, [forged], NOW)

        assert "\x1b" not in shown
        assert len(shown.splitlines()) == 4


def event_of(*tables: Body, **data: Any) -> Body:
    event = granted(ROLE, tableCount=data.pop("tableCount", len(tables)), **data)
    event["data"]["tables"] = list(tables)
    return event


class TestWhoDid:
    def found(self, target: AccessTarget = TABLE, *events: Body, **period: datetime) -> list[RoleAccess]:
        audited = AuditedAccess(target)
        for event in events or (granted(), dropped()):
            audited.learn(event)
        return list(audited.ended(Selection(**period), None, None))

    @pytest.mark.parametrize(
        ("since", "until", "is_there"),
        [
            ("12:00", "12:10", True),
            ("10:00", "11:55", False),
            ("11:54", "11:56", True),
            ("12:30", "13:00", False),
            ("12:29", "13:00", True),
        ],
    )
    def test_a_role_counts_if_it_lived_at_some_time_of_the_period(self, since: str, until: str, is_there: bool):
        moments = {name: datetime.fromisoformat(f"2026-11-24T{time}:00+00:00") for name, time in (("since", since), ("until", until))}

        assert bool(self.found(**moments)) is is_there

    def test_a_role_without_an_event_of_its_end_counts_until_it_expires(self):
        assert self.found(TABLE, granted(), since=datetime(2026, 11, 24, 12, 59, tzinfo=UTC))
        assert not self.found(TABLE, granted(), since=datetime(2026, 11, 24, 13, 1, tzinfo=UTC))

    def test_a_column_that_the_event_does_not_have_was_not_read(self):
        event = event_of({"table": "claims.people", "rows": [], "clear": ["country"], "masked": [{"name": "ssn", "shows": "Hash"}]})

        assert [each.access and SSN.shown_by(each.access) for each in self.found(SSN, event)] == ["Hash"]
        assert not self.found(AccessTarget(PEOPLE, "full_name"), event)

    def test_an_event_without_room_for_all_tables_is_a_perhaps(self):
        cut = event_of({"table": "claims.a", "rows": [], "clear": ["x"], "masked": []}, tableCount=400)

        assert [each.basis for each in self.found(SSN, cut)] == [Basis.UNKNOWN]

    def test_a_malformed_event_is_counted(self):
        audited = AuditedAccess(TABLE)
        audited.learn(event_of({"rows": []}))
        audited.learn(granted(OTHER_ROLE, expiresAt="tomorrow"))

        assert audited.roles.malformed == 2


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("claims.people", TABLE),
        ("claims.people.ssn", SSN),
        ('"a.b"."c d"', AccessTarget(TableId("a.b", "c d"))),
        ('claims.people."a""b"', AccessTarget(PEOPLE, 'a"b')),
    ],
)
def test_a_target_is_read_and_printed_as_it_is_written(written: str, target: AccessTarget):
    assert read_target(written) == target
    assert str(target) == written


@pytest.mark.parametrize("written", ["people", "", "a.b.c.d", "claims.", "a b.c"])
def test_a_target_that_names_no_table_is_refused(written: str):
    with pytest.raises(InvalidInput, match=r"SCHEMA\.TABLE\.COLUMN"):
        read_target(written)


class TestTheCommand:
    @pytest.fixture
    def ask(self, tmp_path: Path) -> Any:
        cluster_objects(tmp_path)
        files = ("--files", str(tmp_path / "objects"), "--catalog", str(write_catalog(tmp_path)))

        def run(*words: str) -> Result:
            return CliRunner().invoke(cli, ["access", *words, *(files if "--could" in words else ())])

        return run

    def test_text_json_and_yaml_say_the_same(self, ask: Any):
        shown, as_json, as_yaml = (ask("claims.people.ssn", "--could", "--user", "mia", "-o", each) for each in ("text", "json", "yaml"))

        assert json.loads(as_json.stdout) == yaml.safe_load(as_yaml.stdout)
        entries = json.loads(as_json.stdout)["entries"]
        assert len(shown.stdout.splitlines()) == len(entries) + 3
        assert {each["shows"] for each in entries} == {"Partial(4)", "Clear"}
        assert "tickets" not in shown.stderr

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("claims.peple", "--could"), "TABLE: no table claims.peple is known; did you mean claims.people?"),
            (("people.ssn", "--could"), "did you mean claims.people.ssn?"),
            (("claims.people.sn", "--could"), "has no column sn; did you mean ssn?"),
            (("claims.people", "--could", "--user", "anan"), "--user: no user anan is known; did you mean ANNA?"),
            (("claims.people", "--could", "--agent", "agents/finbott"), "did you mean agents/finbot?"),
            (("claims.people", "--could", "--agent", "xyz"), "--agent: no Agent xyz is known"),
            (("claims.people", "--could", "--purpose", "fraud-revue"), "did you mean fraud-review?"),
            (("claims.people", "--could", "--platform", "wherehouse"), "did you mean warehouse?"),
            (("claims.people", "--could", "--now"), "ask one"),
            (("claims.people", "--since", "2026-11-22"), "--audit"),
            (("claims.people", "--since", "yesterday"), "is no time"),
            (("people",), "SCHEMA.TABLE.COLUMN"),
        ],
    )
    def test_a_misspelled_name_is_an_error_that_says_which_one_was_meant(self, ask: Any, words: tuple[str, ...], message: str):
        answer = ask(*words)

        assert answer.exit_code == 2, answer.output
        assert message in answer.output

    def test_objects_for_which_nothing_is_vended_now_are_named(self, tmp_path: Path):
        condition = {
            "type": "Ready",
            "status": "False",
            "reason": "Drift",
            "message": "a view was changed",
            "lastTransitionTime": NOW.isoformat(),
        }
        held = cluster_objects(tmp_path)
        bodies = [document.body for document, _ in held.folder.found.values()]
        bodies[0]["status"] = {"conditions": [condition]}
        write(tmp_path, "objects/all.yaml", *bodies)
        words = ("access", "claims.people", "--could", "--files", str(tmp_path / "objects"), "--catalog", str(write_catalog(tmp_path)))

        answer = CliRunner().invoke(cli, words)

        assert "DataPlatform warehouse: the operator vends nothing there or for it now: Drift: a view was changed" in answer.stderr
        assert "Agent idle: the operator vends nothing there or for it now: spec.suspend is true" in answer.stderr

    def test_without_a_catalog_could_says_what_to_do(self, tmp_path: Path):
        cluster_objects(tmp_path, person("olga"))

        answer = CliRunner().invoke(cli, ["access", "claims.people", "--could", "--files", str(tmp_path / "objects")])

        assert answer.exit_code == 2
        assert "rolevend platform catalog" in answer.output

    def test_the_past_is_answered_from_files_alone(self, tmp_path: Path):
        log = tmp_path / "audit.ndjson"
        log.write_text("".join(f"{json.dumps(each)}\n" for each in (granted(), dropped())))

        answer = CliRunner().invoke(cli, ["access", "claims.people", "--since", "2026-11-24", "--audit", str(log), "-o", "json"])

        assert answer.exit_code == 0, answer.output
        (entry,) = json.loads(answer.stdout)["entries"]
        assert (entry["subject"], entry["agent"], entry["until"], entry["state"]) == (
            "anna",
            "agents/finbot",
            "2026-11-24T12:30:00Z",
            "Ended",
        )
