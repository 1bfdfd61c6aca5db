"""The commands of approvers without a cluster: options, texts and values of requests that a test spells out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from rolevend.approvals import ballot, details, effect_text, history, listing, narrowing, offer_text, wording
from rolevend.approvals.details import RequestDetails
from rolevend.approvals.listing import RequestTable
from rolevend.approvals.narrowing import VoteNarrowing, read_mask, read_seconds, read_tables
from rolevend.approvals.wording import CommandFlags
from rolevend.cli import cli
from rolevend.cli.approvals import STATES
from rolevend.errors import InvalidInput, Rejected
from rolevend.kinds import AccessDecision, AccessPolicy, AccessRequest, parse
from rolevend.kinds.previewed_effect import PreviewedEffect
from rolevend.kinds.schema import structural
from rolevend.kinds.status import body
from tests.support.manifests import MISSING, changed, offer, valid

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
DIGEST = f"sha256:{'a' * 64}"
SEEN = {"uid": "offer-uid", "generation": 1, "digest": DIGEST, "display": "SSNs of open claims in clear"}
FLAGS = CommandFlags()


def time(**ago: float) -> str:
    return (NOW - timedelta(**ago)).isoformat()


def request(name: str = "ask", *changes: tuple[str, Any], minutes: float = 5, **status: Any) -> AccessRequest:
    spelled = valid("AccessRequest", name)
    for path, value in changes:
        spelled = changed(spelled, path, value)
    spelled["metadata"] |= {"uid": f"uid-{name}", "creationTimestamp": time(minutes=minutes)}
    spelled["status"] = {"state": "Pending", "message": "people decide, 0 of 1 needed approvals", "offer": SEEN, **status}
    return parse(AccessRequest, spelled)


def approval(rule: str | None = None, **approver: Any) -> dict[str, Any]:
    people = [{"by": "alice", "decision": {"name": "ask-1", "uid": "u"}, "at": time(minutes=1), **approver}]
    terms = {"rule": rule} if rule else {"approvers": people}
    return {"decidedAt": time(minutes=1), "claimUntil": time(minutes=-30), "expirationSeconds": 600, **terms}


def policy(*changes: tuple[str, Any]) -> AccessPolicy:
    spelled = offer()
    for path, value in changes:
        spelled = changed(spelled, path, value)
    spelled["metadata"] |= {"uid": "offer-uid", "generation": 1}
    return parse(AccessPolicy, spelled)


def found(asked: AccessRequest | None = None, offered: AccessPolicy | None = None, **parts: Any) -> RequestDetails:
    asked = asked or request()
    known: dict[str, Any] = {"votes": (), "others": (asked,), "now": NOW, **parts}
    return RequestDetails(asked, offered or policy(), **known)


ALL_TABLES = ("spec.tables", MISSING)
ALL_COLUMNS = ("spec.columns", MISSING)


class TestOptions:
    @pytest.mark.parametrize(
        ("text", "seconds"), [("600", 600), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1d", 86_400), ("1h5s", 3605), (" 10m ", 600)]
    )
    def test_a_time_is_read_as_it_is_shown(self, text: str, seconds: int):
        assert read_seconds(text) == seconds
        assert read_seconds(wording.span(seconds)) == seconds

    @pytest.mark.parametrize("text", ["", "soon", "10 m", "-5m", "1m2h", "1.5h", "4s", "0", "9999999"])
    def test_no_time_is_refused(self, text: str):
        with pytest.raises(InvalidInput, match=r"is no time|too short"):
            read_seconds(text)

    def test_tables_are_schemas_and_names_with_quotes_where_needed(self):
        read = read_tables('claims.people, "a.b"."c, ""d""",claims.people')

        assert [(each.schema_name, each.table) for each in read] == [("claims", "people"), ("a.b", 'c, "d"')]

    @pytest.mark.parametrize("text", ["", "people", "a.b.c", "a.b,", ",a.b", "a.b c.d", 'a."b', "a..b", f"a.{'x' * 64}"])
    def test_no_tables_are_refused(self, text: str):
        with pytest.raises(InvalidInput, match="--tables"):
            read_tables(text)

    @pytest.mark.parametrize(
        ("text", "column", "shown"),
        [
            ("ssn=Partial(4)", "ssn", "Partial(4)"),
            ("ssn=partial( 4 )", "ssn", "Partial(4)"),
            ("*=Hash", "*", "Hash"),
            ("amount=Round(0.5)", "amount", "Round(0.5)"),
            ("born=DateTrunc(year)", "born", "DateTrunc(Year)"),
            ("note=Constant(a=b(c))", "note", 'Constant("a=b(c)")'),
            ("iban=Nullify", "iban", "Nullify"),
            ('"a=b"=Nullify', "a=b", "Nullify"),
        ],
    )
    def test_a_mask_is_a_column_and_a_type(self, text: str, column: str, shown: str):
        rule = read_mask(text, 3)

        assert rule.name == "mask-3"
        assert rule.columns.match_names == (column,)
        assert offer_text.mask_type(rule) == shown

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("ssn", "is no mask"),
            ("=Hash", "is no mask"),
            ("ssn=Partial", "needs the number of characters"),
            ("ssn=Partial(x)", "needs the number of characters"),
            ("ssn=Partial(0)", "partial.keepLast"),
            ("ssn=Partail(4)", "did you mean Partial?"),
            ("ssn=Hash(4)", "takes no parameter"),
            ("ssn=Round(0)", "more than zero"),
            ("ssn=DateTrunc(Week)", "dateTrunc.unit"),
            ("ssn=Regex(a)", "--dry-run"),
            ("=a(" * 20_000, "a mask of 60,000 characters is too long"),
        ],
    )
    def test_no_mask_is_refused(self, text: str, message: str):
        with pytest.raises(InvalidInput) as refused:
            read_mask(text, 1)
        assert message in str(refused.value)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("approve", "ask", "--for", "soon"), "Invalid value for '--for': 'soon' is no time"),
            (("approve", "ask", "--mask", "ssn"), "Invalid value for '--mask': 'ssn' is no mask"),
            (("approve", "ask", "--tables", "people"), "Invalid value for '--tables': 'people' names no tables"),
            (("approve", "ask"), "standard input is no terminal, so nobody can confirm: add --yes"),
            (("deny", "ask", "--yes"), "Missing option '--because'"),
            (("requests", "ask", "-A"), "are for the list"),
            (("requests", "-A", "-n", "agents"), "name either a --namespace, or --all-namespaces"),
            (("requests", "--state", "Open"), "'Open' is not one of"),
        ],
    )
    def test_a_wrong_command_line_is_refused_before_any_cluster_is_called(self, words: tuple[str, ...], said: str):
        answer = CliRunner().invoke(cli, [*words, "--kubeconfig", "/nowhere"])

        assert answer.exit_code == 2
        assert said in " ".join(answer.stderr.split())

    def test_the_states_are_those_of_the_kind(self):
        assert list(STATES) == structural(AccessRequest)["properties"]["status"]["properties"]["state"]["enum"]


class TestNarrowing:
    def test_a_longer_time_is_cut_and_the_command_says_so(self):
        assert narrowing.compare(VoteNarrowing(7200), found()) == (
            VoteNarrowing(600),
            ("--for 2h is longer than was requested: it is cut to 10m",),
        )
        short = policy(("spec.onRequest.maxExpirationSeconds", 60), ("spec.onRequest.automatic", MISSING))
        cut, notes = narrowing.compare(VoteNarrowing(300), found(offered=short))
        assert (cut.seconds, notes) == (60, ("--for 5m is longer than the offer permits: it is cut to 1m",))

    def test_a_table_of_the_offer_is_known_by_its_patterns(self):
        whole = found(request("ask", ALL_TABLES))

        assert narrowing.compare(VoteNarrowing(tables=read_tables("claims.anything")), whole)[1] == ()
        with pytest.raises(InvalidInput, match=r"hr\.people is not in the offer"):
            narrowing.compare(VoteNarrowing(tables=read_tables("hr.people")), whole)

    def test_a_mask_of_a_column_that_nobody_can_check_is_noted(self):
        unknown = found(request("ask", ALL_COLUMNS))
        exact = found(request("ask", ALL_COLUMNS), policy(("spec.columns", {"matchNames": ["ssn", "iban"]})))

        assert "check the name" in narrowing.compare(VoteNarrowing(masks=(read_mask("snn=Hash", 1),)), unknown)[1][0]
        with pytest.raises(InvalidInput, match="column snn is not in the offer; did you mean ssn"):
            narrowing.compare(VoteNarrowing(masks=(read_mask("snn=Hash", 1),)), exact)
        assert narrowing.compare(VoteNarrowing(masks=(read_mask("s*=Hash", 1),)), exact)[1] == ()


class TestBallot:
    def test_a_vote_has_the_name_of_request_and_author(self):
        name = ballot.decision_name("ask", "alice@example.org")

        assert name == ballot.decision_name("ask", "alice@example.org")
        assert name != ballot.decision_name("ask", "bob@example.org")
        assert len(name) == len("ask-") + 8
        longest = ballot.decision_name(f"{'a' * 243}.{'b' * 9}", "alice")
        assert len(longest) <= 253
        assert ".-" not in longest

    def test_an_approval_is_a_valid_object_with_what_its_author_saw(self):
        wanted = VoteNarrowing(300, read_tables("claims.people"), (read_mask("ssn=Partial(4)", 1),))

        made = ballot.decision(request(), "alice", "Approve", wanted, None)

        parsed = parse(AccessDecision, made)
        assert (parsed.namespace, parsed.spec.digest, parsed.spec.request_ref.uid) == ("domain-claims", DIGEST, "uid-ask")
        assert body(parsed.spec)["tables"] == [{"schema": "claims", "table": "people"}]

    def test_a_comment_that_is_too_long_is_refused_before_the_cluster_is_asked(self):
        with pytest.raises(InvalidInput, match=r"spec\.comment"):
            ballot.decision(request(), "alice", "Deny", VoteNarrowing(), "x" * 501)

    def test_a_request_that_the_operator_has_not_read_is_not_approved_blindly(self):
        for unread in (request(state=None), request(offer=None, message="the offer is not read yet: no catalog")):
            with pytest.raises(Rejected, match="the operator has not read the offer yet"):
                ballot.require_open(unread, "Approve", FLAGS)

    def test_the_vote_is_summed_up_before_it_is_cast(self):
        wanted = VoteNarrowing(None, None, (read_mask("ssn=Partial(4)", 1),))

        lines = ballot.summary(found(request("ask", ALL_COLUMNS)), "alice", "Approve", wanted, 'now "really"').splitlines()

        assert lines == [
            "You approve AccessRequest agents/ask, as alice:",
            "  tables      claims.people",
            "  columns     all of the offer",
            "  masks       those of the offer, and Partial(4) on ssn",
            "  for         10m",
            "  permits     2 roles, one after the other, vended within 1h after the approval",
            "  comment     the approver says: \"now 'really'\"",
        ]


class TestTexts:
    @pytest.mark.parametrize(
        ("seconds", "text"), [(0, "0s"), (59.9, "59s"), (90, "1m30s"), (3600, "1h"), (3665, "1h1m"), (90_061, "1d1h"), (-3, "0s")]
    )
    def test_an_age_has_two_units(self, seconds: float, text: str):
        assert wording.about(seconds) == text

    @pytest.mark.parametrize(
        ("text", "shown"), [("people", "people"), ("a b", '"a b"'), ('x"y', '"x\\"y"'), ("a\u200bb", '"a\\u200bb"'), ("straße", "straße")]
    )
    def test_a_name_that_is_no_plain_word_is_quoted(self, text: str, shown: str):
        assert wording.name(text) == shown

    def test_the_words_of_an_agent_are_quoted_cut_and_harmless(self):
        asked = request("ask", ("spec.justification.text", 'She said "yes".\n- ok <b>now</b> password=hunter2 ' + "x" * 100))

        shown = wording.justification(asked.spec.justification, 60)

        assert shown.startswith("the agent says (not verified): \"She said 'yes'. - ok ＜b＞now")
        assert shown.endswith('…"')
        assert "hunter2" not in shown
        assert "hunter2" not in details.question(found(asked))

    def test_the_answer_of_the_user_is_stated_with_its_words(self):
        login = {"provider": "workforce", "tokenDigest": "0" * 64}
        answer = {"verdict": "Confirm", "at": "2026-11-30T12:00:05Z", "digest": f"sha256:{'1' * 64}", "text": "a <b>", "login": login}
        asked = request("ask", confirmation=answer)

        shown = details.question(found(asked))

        assert 'answer      confirmed by the user at 2026-11-30 12:00:05 UTC; the user says: "a ＜b＞"' in shown

    def test_receivers_that_were_notified_are_listed_with_their_failures(self):
        told = {"receiver": "desk", "event": "Pending", "state": "Failed", "attempts": 10, "at": "2026-11-30T12:00:05Z"}
        asked = request("ask", notifications=[{**told, "message": "status 500"}])

        shown = details.question(found(asked))

        assert 'notified    desk (Pending) Failed at 2026-11-30 12:00:05 UTC: "status 500"' in shown

    @pytest.mark.parametrize(
        ("user", "said"),
        [
            (None, "not checked yet"),
            ({"handle": "A", "proof": "Asserted"}, "named by the agent, without a token"),
            (
                {"handle": "A", "proof": "Exchanged", "token": {"provider": "workforce", "type": "Exchanged", "digest": "0"}},
                "proven by an exchanged token of workforce, which names the agent",
            ),
        ],
    )
    def test_the_proof_of_the_user_is_stated(self, user: dict[str, Any] | None, said: str):
        assert wording.proof(request(user=user)) == said

    def test_the_printed_commands_find_the_same_cluster(self):
        flags = CommandFlags("the other")

        assert flags.rolevend("approve", request()) == "rolevend approve ask --namespace agents --context 'the other'"
        assert flags.revoke("ns", "d").startswith("kubectl --context 'the other' --namespace ns delete ")


class TestDetails:
    def test_the_grant_of_the_offer_is_shown_as_its_owner_wrote_it(self):
        shown = dict(offer_text.facts(policy()))

        assert shown["tables"] == "claims.* tagged domain in (claims) and region not in (the user's regions) and without retired"
        assert shown["masks"].startswith("Hash on all tagged pii in (id); Partial(2) on full_name; DateTrunc(Year) on birth_*; ")
        assert shown["approval"] == "one person, who already has this access"
        plain = policy(("spec.masks", []), ("spec.rowFilter", MISSING), ("spec.rows", "All"), ("spec.onRequest.approval.required", 0))
        assert dict(offer_text.facts(plain)).items() >= {
            ("rows", "all"),
            ("masks", "none: every granted column is shown in clear"),
            ("approval", "by rules only"),
        }

    def test_a_changed_offer_is_named(self):
        changed_offer = policy().model_copy(update={"metadata": policy().metadata.model_copy(update={"generation": 2})})

        assert "CHANGED     after the request" in details.as_text(found(offered=changed_offer), FLAGS)
        assert "CHANGED" not in details.as_text(found(), FLAGS)

    def test_without_the_rights_there_are_fewer_sections_and_no_false_counts(self):
        text = details.as_text(RequestDetails(request(), None, None, None, NOW), FLAGS)

        for absent in ("Votes", "Lately", "The offer grants", "decided the same"):
            assert absent not in text
        assert "rolevend approve ask" in text

    def test_votes_are_shown_with_their_narrowing_and_whether_they_count(self):
        vote = valid("AccessDecision", "v", "domain-claims")
        spelled = {**vote, "status": {"counted": False, "message": "an earlier vote counts"}}

        text = details.as_text(found(votes=(parse(AccessDecision, spelled),)), FLAGS)

        by = vote["spec"]["by"]
        assert f"Approve     by {by}; only claims.people; masked Partial(4) on ssn; for 10m; does not count: an earlier vote" in text
        assert 'the approver says: "Only the open case. Ask again tomorrow."' in text

    def test_people_who_voted_against_each_other_are_told_with_what_became_of_it(self):
        vote = changed(valid("AccessDecision", "v", "domain-claims"), "metadata.creationTimestamp", "2026-11-24T11:59:00Z")
        approved = parse(AccessDecision, vote)
        spec = {"requestRef": vote["spec"]["requestRef"], "offerRef": vote["spec"]["offerRef"], "by": "bob", "verdict": "Deny"}
        denied = parse(AccessDecision, {**vote, "spec": spec})
        became = request(state="Denied", message="denied by bob")

        text = details.as_text(found(became, votes=(approved, denied)), FLAGS)

        by = vote["spec"]["by"]
        assert f"opposed     {by} approved, and bob denied; one denial decides, and the request is Denied: denied by bob" in text
        assert f"by {by} at 2026-11-24 11:59:00 UTC; only claims.people" in text
        assert "has not counted the denial yet" in details.as_text(found(votes=(approved, denied)), FLAGS)
        for one_sided in ((approved, approved), (denied,), ()):
            assert "opposed" not in details.as_text(found(became, votes=one_sided), FLAGS)

    def test_an_approved_request_says_how_it_is_revoked(self):
        people = details.as_text(found(request(state="Approved", approval=approval())), FLAGS)
        rule = details.as_text(found(request(state="Approved", approval=approval("small"))), FLAGS)

        assert "kubectl --namespace domain-claims delete accessdecisions.rolevend.dev ask-1" in people
        assert "rolevend deny ask --namespace agents" in rule
        assert "30m left to use it" in people


class TestCounts:
    def test_only_whole_approvals_of_people_with_the_same_effect_are_precedents(self):
        asked = request()
        others = [
            request("same", state="Spent", approval=approval()),
            request("by-rule", state="Spent", approval=approval("small")),
            request("revoked", state="Revoked", approval=approval()),
            request("narrowed", state="Spent", approval=approval(tables=[{"schema": "claims", "table": "people"}])),
            request("other-tables", ALL_TABLES, state="Spent", approval=approval()),
            request("other-effect", state="Spent", approval=approval(), offer={**SEEN, "digest": f"sha256:{'b' * 64}"}),
            request("old", state="Spent", approval={**approval(), "decidedAt": time(days=31)}),
            request("denied", state="Denied", reason="DeniedByPerson", stateSince=time(days=1)),
            request("cooled", state="Denied", reason="CoolDown", stateSince=time(days=1)),
        ]

        assert history.precedents(asked, [asked, *others], NOW) == history.Precedents(approved=1, denied=1)

    def test_the_limits_of_a_rule_are_counted_for_user_agent_and_all(self):
        asked = request()
        others = [
            request("one", state="Spent", approval=approval("small")),
            request("two", ("spec.user.subject", "ben"), state="Used", approval=approval("small")),
            request("three", ("spec.agentRef.name", "other"), state="Spent", approval={**approval("small"), "decidedAt": time(days=2)}),
            request("four", state="Spent", approval=approval()),
        ]

        uses = history.limit_uses(asked, policy(), [asked, *others], NOW)

        assert [(each.limit, each.used) for each in uses] == [
            ("a day for a user", 1),
            ("an hour for an agent", 2),
            ("at once", 1),
        ]


def test_the_oldest_pending_request_comes_first_and_the_newest_of_the_others():
    old, new = request("old", minutes=50), request("new", minutes=1)
    done = [request(name, minutes=age, state="Spent") for name, age in (("gone", 90), ("fresh", 2))]

    assert [each.name for each in listing.in_order([*done, new, old])] == ["old", "new", "fresh", "gone"]


def test_a_row_that_comes_later_may_be_wider_than_the_table():
    table = RequestTable(everywhere=True)
    text = table.text([table.row(request(), policy(), NOW)])
    late = table.line(table.row(request("a-longer-name"), None, NOW, "deleted"))

    assert text.splitlines()[1].startswith(
        "agents     ask   Pending  finbot  anna (not checked)  domain-claims/ssn-clear  10m  5m   1h55m  the agent"
    )
    assert late.startswith("agents     a-longer-name  deleted  finbot")


class TestTheEffectInNumbers:
    def test_rows_and_cells_of_today_are_beside_those_of_the_approval(self):
        counted = {
            "countedAt": "2026-11-28T14:03:09Z",
            "tables": [
                {
                    "schema": "claims",
                    "table": "people",
                    "rowsToday": 25581,
                    "rowsGranted": 25581,
                    "columns": [
                        {
                            "name": name,
                            "today": [{"shown": "Partial(4)", "rows": 25581}],
                            "granted": [{"shown": "Clear", "rows": 37}, {"shown": "Partial(4)", "rows": 25544}],
                        }
                        for name in ("ssn", "tax id")
                    ],
                },
                {"schema": "claims", "table": "payments", "rowsGranted": 1, "columns": [{"name": "iban", "granted": []}]},
                {"schema": "claims", "table": "claims", "unknown": "it takes too long"},
            ],
            "moreTables": 3,
        }

        text = list(effect_text.section(PreviewedEffect.model_validate(counted)))

        assert text == [
            "",
            "Today, and with this approval, counted by the platform at 14:03:09 UTC:",
            "  claims.people: 25,581 rows today, 25,581 rows with this",
            '    ssn, "tax id"',
            "      today     Partial(4) in all 25,581 rows",
            "      with this in clear in 37 rows, Partial(4) in 25,544 rows",
            "  claims.payments: 0 rows today, 1 row with this",
            "    iban",
            "      today     no rows",
            "      with this hidden",
            "  claims.claims: not counted: it takes too long",
            "  and 3 more tables, which were not counted",
        ]

    def test_long_lists_are_wrapped(self):
        names = [{"name": f"a_column_with_the_number_{number}", "granted": [{"shown": "Clear", "rows": 2}]} for number in range(20)]
        table = {"schema": "claims", "table": "people", "rowsGranted": 2, "columns": names}

        text = "\n".join(effect_text.section(PreviewedEffect.model_validate({"countedAt": "2026-11-28T14:03:09Z", "tables": [table]})))

        assert max(map(len, text.splitlines())) <= 80
        assert text.count("in clear in all 2 rows") == 1

    def test_the_reason_without_a_count_is_one_line(self):
        effect = PreviewedEffect.model_validate({"countedAt": "2026-11-28T14:03:09Z", "unknown": "rows are not counted on Snowflake"})

        assert list(effect_text.section(effect)) == ["", "Rows and cells were not counted: rows are not counted on Snowflake"]
