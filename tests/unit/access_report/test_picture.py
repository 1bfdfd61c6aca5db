"""The picture of one table for one person: it agrees with the decision, and its example values go through the masks as real ones do."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from rolevend.access_report.example_values import EXAMPLES, masked, shown
from rolevend.access_report.person import PersonQuestion
from rolevend.access_report.picture import TablePicture, picture_answer
from rolevend.access_report.reader import AccessSources
from rolevend.access_report.target import read_target
from rolevend.catalog import Column, Family, TypeLimits
from rolevend.decision.outcome import Granted
from rolevend.errors import InvalidInput
from rolevend.model import PlatformName
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit, carries
from rolevend.policytools.decisions import ANY_AGENT, Requester, decide, opened
from tests.support.as_code import WAREHOUSE
from tests.support.manifests import valid
from tests.support.mask_cases import CASES
from tests.support.reading_world import CATALOG, cluster_objects

FAMILIES = {
    "text": Family.TEXT,
    "character varying(20)": Family.TEXT,
    "integer": Family.INTEGER,
    "bigint": Family.INTEGER,
    "numeric": Family.NUMERIC,
    "numeric(8,2)": Family.NUMERIC,
    "date": Family.DATE,
    "timestamp": Family.TIMESTAMP,
}
OF_VALUES = [
    each for each in CASES if each[1] in FAMILIES and each[3] is not None and not (isinstance(each[2], Constant) and each[1] != "text")
]


def text_of(value: object) -> object:
    """Numbers are compared as numbers."""
    return Decimal(value) if isinstance(value, int | Decimal) else str(value) if isinstance(value, date | datetime) else value


@pytest.mark.parametrize(("kind", "mask", "value", "expected"), [each[1:] for each in OF_VALUES], ids=[each[0] for each in OF_VALUES])
def test_a_mask_leaves_of_a_text_what_a_platform_leaves_of_the_value(kind: str, mask: Mask, value: object, expected: object):
    family = FAMILIES[kind]
    found = masked(mask, str(value)) if carries(mask, family, None) else None
    number = found is not None and family in (Family.INTEGER, Family.NUMERIC)
    if family is Family.TIMESTAMP and found is not None:
        found = found.removesuffix(".000000")
    assert (Decimal(found or "") if number else found) == text_of(expected)


def test_every_family_has_an_example_and_a_column_that_cannot_hold_a_mask_shows_null():
    assert EXAMPLES.keys() == set(Family)
    for family in Family:
        column = Column("c", family, "t")
        assert shown(Clear(), column) == EXAMPLES[family]
        assert shown(Nullify(), column) is None
        for mask in (Partial(4), Round("100"), DateTrunc(Unit.QUARTER), Regex("[0-9]+", "#"), Hash()):
            assert (shown(mask, column) is not None) == carries(mask, family, None), (family, mask)
    assert shown(Round("0.001"), Column("c", Family.NUMERIC, "t", limits=TypeLimits(step_places=2, places=4))) is None
    assert shown(Regex("[0-9]+", "#"), Column("c", Family.TEXT, "text")) == "Example #"
    assert shown(DateTrunc(Unit.QUARTER), Column("c", Family.TIMESTAMP_TZ, "t")) == "2024-04-01 00:00:00+00"
    assert shown(Round("100"), Column("c", Family.FLOAT, "t")) == "1200.00"
    assert len(shown(Hash(), Column("c", Family.TEXT, "text")) or "") == 64


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> AccessSources:
    return AccessSources({WAREHOUSE: CATALOG}, objects=cluster_objects(tmp_path_factory.mktemp("world")))


def picture(sources: AccessSources, user: str, agent: str | None = None, purpose: str | None = None) -> TablePicture:
    (found,) = picture_answer(PersonQuestion(user, agent, purpose=purpose), read_target("claims.people"), sources).pictures
    return found


def states(found: TablePicture) -> dict[str, str]:
    return {each.name: each.state for each in found.columns}


@pytest.mark.parametrize("purpose", [None, "fraud-review"])
def test_the_result_is_that_of_the_decision_for_every_person(sources: AccessSources, purpose: str | None):
    assert sources.snapshot is not None
    snapshot = opened(sources.snapshot, purposes=["fraud-review"])
    for user in snapshot.people:
        decision = decide(snapshot, Requester(user, ANY_AGENT, WAREHOUSE, purpose or ""))
        shapes = decision.tables if isinstance(decision, Granted) else ()
        expected = {column.name: "shown" if column.is_clear else "masked" for shape in shapes for column in shape.columns}

        found = picture(sources, str(user), purpose=purpose)

        assert {name: state for name, state in states(found).items() if state != "hidden"} == expected, user
        assert bool(found.missing) == (not shapes)
        assert any(each.grants for each in found.policies) == bool(shapes), "no guardrail closes the table here"


def test_conditions_are_met_or_not_guardrails_take_columns_and_both_sides_count(sources: AccessSources):
    found = picture(sources, "carl", "ratebot")
    by_name = {each.name: each for each in found.policies}

    assert [name for name, each in by_name.items() if each.grants] == ["domain-claims/analysts", "domain-claims/rates"]
    assert (by_name["domain-claims/rates"].target, found.combination != "") == ("the agent itself", True)
    brief = by_name["domain-claims/brief"]
    assert [(each.requirement, each.met) for each in brief.asked] == [
        ("job In (manager)", False),
        ("c0: request.purpose == 'fraud-review'", False),
        ("c1: request.expirationSeconds <= 600", False),
    ], "the role would live for 900 seconds"
    assert [(each.requirement, each.met) for each in by_name["domain-claims/rates"].asked] == [("one: agent.name == 'ratebot'", True)]
    assert (found.seconds, picture(sources, "carl", "finbot").seconds) == (900, 600)
    assert found.guardrails == (("contractors", ("claims.people.ssn: not there",)),)
    assert states(found) == {"full_name": "masked", "ssn": "hidden", "country": "shown"}
    name = next(each for each in found.columns if each.name == "full_name")
    assert [(each.where, each.value) for each in name.cells] == [("country in (user attribute countries)", "Example 1234"), ("", None)]
    assert found.rows == "every row"


def test_a_mask_is_in_words_and_on_the_example(sources: AccessSources):
    ssn = next(each for each in picture(sources, "mia").columns if each.name == "ssn")
    assert [(each.mask, each.value) for each in ssn.cells] == [("*** and its last 4 characters, at most half of it", "***1234")]


def test_what_is_missing_and_offers_are_part_of_it(sources: AccessSources):
    found = picture(sources, "bob")
    assert "reads the user attribute 'countries'" in found.missing
    assert found.offers == ("AccessPolicy domain-claims/ssn-clear: SSNs, by people",)
    assert "is suspended" in picture(sources, "anna", "idle").refusal


def test_a_table_that_no_catalog_has_is_named_with_a_similar_one(sources: AccessSources, tmp_path: Path):
    for target, said in (("claims.peopel", "did you mean claims.people"), ("crm.nothing", "no table crm.nothing is known")):
        with pytest.raises(InvalidInput, match=said):
            picture_answer(PersonQuestion("anna"), read_target(target), sources)


def test_late_the_first_platform_is_explained_and_the_others_are_named(tmp_path: Path):
    lake = PlatformName("lake")
    sources = AccessSources({WAREHOUSE: CATALOG, lake: CATALOG}, objects=cluster_objects(tmp_path, valid("DataPlatform", lake)))
    found = picture_answer(PersonQuestion("anna", is_over=lambda: True), read_target("claims.people"), sources)
    assert [each.platform for each in found.pictures] == [lake]
    assert f"not tried: DataPlatform {WAREHOUSE}, because that took too long; choose one" in found.notes
