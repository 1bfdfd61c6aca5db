"""All that one person gets, without a cluster: it agrees with each decision, and names what is missing."""

from dataclasses import replace
from pathlib import Path

import pytest

from rolevend.access_report.person import PersonPlatform, PersonQuestion, person_answer
from rolevend.access_report.possible import proven
from rolevend.access_report.reader import AccessSources
from rolevend.audit.evidence import tables_of
from rolevend.decision.outcome import Granted
from rolevend.errors import InvalidInput
from rolevend.policytools.decisions import Requester
from tests.support.as_code import WAREHOUSE
from tests.support.reading_world import CATALOG, FOREIGN, PEOPLE, cluster_objects, person, policy

CLAIMS = [{"schema": "claims", "name": "claims"}]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> AccessSources:
    more = [
        policy("auditors", "auditor", tables={"matchNames": CLAIMS}),
        policy("notes", "clerk", tables={"matchNames": CLAIMS}, onRequest={"display": "Notes", "maxExpirationSeconds": 600}),
        person("mia2", FOREIGN, job=["manager"]) | {"metadata": {"name": "mia2"}},
    ]
    return AccessSources({WAREHOUSE: CATALOG}, objects=cluster_objects(tmp_path_factory.mktemp("world"), *more))


def on_warehouse(sources: AccessSources, user: str, agent: str | None = None, **chosen: str) -> PersonPlatform:
    (platform,) = person_answer(PersonQuestion(user, agent, **chosen), sources).platforms
    return platform


@pytest.mark.parametrize("agent", ["finbot", "ratebot", "chatbot"])
def test_the_tables_of_a_person_are_those_of_the_decision(sources: AccessSources, agent: str):
    assert sources.snapshot is not None
    (name,) = (each for each in sources.snapshot.agents if each.name == agent)
    for user in sources.snapshot.people:
        request = proven(sources.snapshot, Requester(user, name, WAREHOUSE, seconds=600)).request
        decision = sources.snapshot.decide(request, role_exists=True)
        expected = tables_of(decision.tables) if isinstance(decision, Granted) else ()

        found = on_warehouse(sources, str(user), agent)

        assert tuple(each.access for each in found.granted) == expected, user
        assert all(each.missing for each in found.others)


def test_each_table_has_rows_masks_hidden_columns_policies_and_offers(sources: AccessSources):
    (anna,) = on_warehouse(sources, "anna").granted
    assert (anna.rows, anna.hidden, anna.policies) == ("country in (user attribute countries)", (), ("domain-claims/analysts",))
    assert anna.access is not None
    assert [(each.name, each.shows) for each in anna.access.masked] == [("ssn", "Hash")]
    assert anna.asking == ("AccessPolicy domain-claims/ssn-clear, by people",)
    (carl,) = on_warehouse(sources, "carl").granted
    assert carl.hidden == ("ssn",), "a guardrail denies it"


@pytest.mark.parametrize(
    ("user", "missing"),
    [
        ("bob", "the row filter of policy domain-claims/analysts reads the user attribute 'countries'"),
        ("nina", "policy domain-claims/analysts asks for job In (analyst)"),
    ],
)
def test_the_smallest_missing_piece_is_of_this_table(sources: AccessSources, user: str, missing: str):
    missing_here = {str(each.table): each.missing for each in on_warehouse(sources, user, "finbot").others}
    assert missing_here["claims.people"].startswith(missing)
    assert missing_here["claims.claims"] == "policy domain-claims/auditors asks for job In (auditor)"


def test_without_a_policy_it_is_the_nearest_offer_or_the_guardrail(tmp_path: Path):
    offer = policy("notes", "clerk", tables={"matchNames": CLAIMS}, onRequest={"display": "Notes", "maxExpirationSeconds": 600})
    everybody = {"platformRefs": [{"name": WAREHOUSE}], "tables": {"matchNames": PEOPLE}, "deny": {"type": "Tables"}}
    closed = {"apiVersion": offer["apiVersion"], "kind": "Guardrail", "metadata": {"name": "closed"}, "spec": everybody}
    world = AccessSources({WAREHOUSE: CATALOG}, objects=cluster_objects(tmp_path, offer, closed))

    found = {str(each.table): each.missing for each in on_warehouse(world, "mia", "finbot").others}

    assert found["claims.claims"] == "to ask for it: offer domain-claims/notes asks for job In (clerk)"
    assert found["claims.people"] == "guardrails deny every table that policies grant the user here: closed"


def test_an_agent_that_is_not_admitted_gets_nothing_for_anybody(sources: AccessSources):
    for agent, reason in (("stray", "admits no agents of namespace elsewhere"), ("idle", "Agent agents/idle is suspended")):
        for user in ("anna", "nina"):
            found = on_warehouse(sources, user, agent)
            assert (found.granted, found.others) == ((), ())
            assert reason in found.refusal


def test_a_part_of_the_name_chooses_tables_and_names_are_checked(sources: AccessSources):
    assert [str(each.table) for each in on_warehouse(sources, "nina", tables="PEOP").others] == ["claims.people"]
    for question, said in (
        (PersonQuestion("ana"), "no user ana is known; did you mean"),
        (PersonQuestion("nobody-at-all"), "no accepted UserAttributes names nobody-at-all"),
        (PersonQuestion("anna", "fin"), "no Agent fin is known"),
        (PersonQuestion("anna", platform="warehous"), "no DataPlatform warehous is known; did you mean warehouse?"),
    ):
        with pytest.raises(InvalidInput, match=said.replace("?", r"\?")):
            person_answer(question, sources)
    with pytest.raises(InvalidInput, match="holds is not known"):
        person_answer(PersonQuestion("anna"), replace(sources, catalogs={}))


def test_what_takes_too_long_is_left_out_and_told(sources: AccessSources):
    whole = on_warehouse(sources, "anna")
    looks = iter([False, False, True, True, True, True])
    late = PersonQuestion("anna", is_over=lambda: next(looks))
    (cut,) = person_answer(late, sources).platforms
    assert (cut.granted, cut.others) == (whole.granted[:1], ())
    assert cut.left_out == len(whole.granted) + len(whole.others) - 1

    none = person_answer(replace(late, is_over=lambda: True), sources)
    assert none.platforms == ()
    assert f"not tried: DataPlatform {WAREHOUSE}, because that took too long; choose one" in none.notes
