"""Files of cases: what is wrong in them is told before they are tried, and what was seen is compared as values of its column."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rolevend.catalog import Family
from rolevend.cli import cli
from rolevend.kinds.catalog_file import catalog_text
from rolevend.policytools.case_runner import comparable
from rolevend.policytools.check import check
from tests.support.as_code import CATALOGS, WAREHOUSE, analysts, offer, platform, write
from tests.support.manifests import MISSING, Body, changed, on_snowflake, valid

CASES: Body = {
    "format": "rolevend.dev/policy-test/v1",
    "platform": "warehouse",
    "tables": [{"schema": "claims", "name": "people", "rows": [{"full_name": "Lena Bauer", "birth_date": "1980-05-17", "country": "DE"}]}],
    "cases": [
        {
            "name": "an analyst sees people of their own countries",
            "user": {"issuer": "https://idp.example.org", "subject": "anna"},
            "agent": {"namespace": "agents", "name": "finbot"},
            "purpose": "fraud-review",
            "expirationSeconds": 900,
            "approved": [{"offer": "domain-claims/countries", "tables": [{"schema": "claims", "table": "people"}]}],
            "offers": ["domain-claims/countries", "domain-claims/reviewed"],
            "schema": "claims",
            "table": "people",
            "sees": [{"full_name": "Lena Bauer", "birth_date": "1980-05-17", "country": "DE"}],
        }
    ],
}
AGENT = changed(changed(valid("Agent", "finbot"), "spec.tools", MISSING), "spec.onBehalfOf", {"assertion": "Trusted"})
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents", "labels": {"team": "claims"}}}


def folder(path: Path, cases: Body) -> Path:
    reviewed = offer(name="reviewed", asks={"purposes": ["fraud-review"]})
    write(path, "all.yaml", platform(), analysts(), offer(), reviewed, valid("UserAttributes"), AGENT, NAMESPACE)
    return write(path, "cases.yaml", cases)


def test_cases_that_can_be_tried_are_not_complained_of(tmp_path: Path):
    folder(tmp_path, CASES)

    checked = check([tmp_path], CATALOGS)

    assert (checked.diagnostics, checked.notes) == ((), ())


WRONG = {
    "a table of rows that is not there": (
        "tables[0].name",
        "peple",
        "error",
        "claims.peple is not in the catalog of warehouse; did you mean claims.people?",
    ),
    "a table that is not there": (
        "cases[0].table",
        "peple",
        "error",
        "claims.peple is not in the catalog of warehouse; did you mean claims.people?",
    ),
    "a column of a row that is not there": (
        "tables[0].rows[0].contry",
        "DE",
        "error",
        "table claims.people has no column contry; did you mean country?",
    ),
    "a column that nobody can see": (
        "cases[0].sees[0].contry",
        "DE",
        "error",
        "table claims.people has no column contry; did you mean country?",
    ),
    "a text that YAML takes for a number": ("cases[0].sees[0].country", 7, "error", "column country is text: write its value in quotes"),
    "an agent that is not there": (
        "cases[0].agent.name",
        "finbott",
        "error",
        "no accepted Agent is named agents/finbott; did you mean agents/finbot?",
    ),
    "a platform that is not there": ("platform", "warehose", "error", "no DataPlatform is named warehose; did you mean warehouse?"),
    "a field that is not there": ("cases[0].see", [], "error", "is not a field of this kind; did you mean sees?"),
    "a time that is too short": ("cases[0].expirationSeconds", 1, "error", "must be greater than or equal to 5"),
    "another format": ("format", "rolevend.dev/policy-test/v2", "error", "must be rolevend.dev/policy-test/v1, or rolevend.dev/catalog/v1"),
    "an offer that is not there": (
        "cases[0].approved[0].offer",
        "domain-claims/countrys",
        "error",
        "no accepted offer is named domain-claims/countrys on DataPlatform warehouse; did you mean domain-claims/countries?",
    ),
    "a policy that is no offer": (
        "cases[0].approved[0].offer",
        "domain-claims/analysts",
        "error",
        "AccessPolicy domain-claims/analysts is no offer, because it has no spec.onRequest",
    ),
    "an offer without a namespace": ("cases[0].offers[0]", "countries", "error", "must be the namespace and the name of an object"),
    "an expected offer that is not there": (
        "cases[0].offers[1]",
        "x/y",
        "error",
        "no accepted offer is named x/y on DataPlatform warehouse",
    ),
    "a mask of an approval that cannot be read": (
        "cases[0].approved[0].masks",
        [{"name": "m", "columns": {"matchNames": ["country"]}, "type": "Regex", "regex": {"pattern": "(a*)*", "replacement": ""}}],
        "error",
        "a group with a repetition or alternatives in it is repeated",
    ),
    "two approvals": ("cases[0].approved", [{"offer": "a/b"}, {"offer": "a/b"}], "error", "at most 1 item"),
    "somebody who is probably somebody else": ("cases[0].user.subject", "annna", "warning", "no accepted UserAttributes names annna"),
    "a purpose that nobody may say": ("cases[0].purpose", "fraud-reviw", "warning", "lets no agent say fraud-reviw, so"),
}


@pytest.mark.parametrize(("field", "value", "level", "told"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_in_a_case_is_told_where_it_is_written(tmp_path: Path, field: str, value: Any, level: str, told: str):
    path = folder(tmp_path, changed(CASES, field, value))

    (found,) = check([tmp_path], CATALOGS).diagnostics

    assert (found.level, found.place.file, told in found.message) == (level, str(path), True), found
    assert field.startswith(found.field) or found.field.startswith(field)
    assert found.object == "", "a file of cases is no object"
    line = path.read_text().splitlines()[found.place.line - 1]
    assert found.field.rpartition(".")[2] in line or "user" in line or str(value) in line


def test_a_purpose_that_the_offer_does_not_ask_for_could_not_be_approved(tmp_path: Path):
    folder(tmp_path, changed(changed(CASES, "cases[0].approved[0].offer", "domain-claims/reviewed"), "cases[0].purpose", MISSING))

    (found,) = check([tmp_path], CATALOGS).diagnostics

    assert (found.level, found.field) == ("error", "cases[0].purpose")
    assert found.message == "AccessPolicy domain-claims/reviewed can be asked for only with the purpose fraud-review"


def test_without_the_platform_a_note_says_that_cases_were_only_read(tmp_path: Path):
    write(tmp_path, "cases.yaml", changed(CASES, "cases[0].table", "peple"), changed(CASES, "cases", []))

    checked = check([tmp_path], CATALOGS)

    assert [each.field for each in checked.diagnostics] == ["cases"]
    assert "no DataPlatform is among these files, so whom and what the cases name was not judged" in checked.notes


def test_cases_for_an_account_of_snowflake_are_refused_since_they_are_tried_on_postgresql(tmp_path: Path):
    write(tmp_path, "cases.yaml", CASES)
    account = on_snowflake({"account": "myorg-account1", "database": "SALES", "warehouse": "AGENTS_WH"})
    write(tmp_path, "all.yaml", changed(account, "metadata.name", WAREHOUSE), analysts(), AGENT, NAMESPACE)

    (found,) = [each for each in check([tmp_path], CATALOGS).diagnostics if each.object == ""]

    assert (found.level, found.field) == ("error", "platform")
    assert "DataPlatform warehouse is a Snowflake account, and cases are tried on PostgreSQL" in found.message


def test_nothing_is_tried_where_something_is_wrong_and_it_says_how_much(tmp_path: Path):
    path = folder(tmp_path, changed(changed(CASES, "cases[0].table", "peple"), "cases[0].agent.name", "finbott"))
    held = write(tmp_path, "catalog.txt", catalog_text(WAREHOUSE, CATALOGS[WAREHOUSE], "yaml"))

    done = CliRunner().invoke(cli, ["policy", "test", str(tmp_path), "--catalog", str(held)])

    said = f"{done.stderr}{done.exception}"
    assert done.exit_code != 0
    assert "cases[0].agent.name: no accepted Agent is named agents/finbott" in said
    assert f"{path}:" in said
    assert "and 1 more; rolevend policy check names everything" in said


@pytest.mark.parametrize(
    ("family", "one", "other", "same"),
    [
        (Family.TEXT, "007", "7", False),
        (Family.TEXT, "1e3", "1000", False),
        (Family.TEXT, "12.50", "12.5", False),
        (Family.OTHER, "1.0", "1", False),
        (Family.INTEGER, "007", "7", True),
        (Family.NUMERIC, "12.50", "12.5", True),
        (Family.NUMERIC, "1e3", "1000", True),
        (Family.NUMERIC, "12345678901234567890123456789.1", "12345678901234567890123456789.2", False),
        (Family.NUMERIC, "NaN", "NaN", True),
        (Family.FLOAT, "1e+20", "100000000000000000000", True),
        (Family.BOOLEAN, "TRUE", "true", True),
        (Family.DATE, "1980-05-17", "1980-05-18", False),
        (Family.TIMESTAMP, "2024-01-31T10:00:00", "2024-01-31 10:00:00", True),
        (Family.TIMESTAMP_TZ, "2024-01-31 10:00:00+00", "2024-01-31T11:00:00+01:00", True),
        (Family.TIMESTAMP_TZ, "2024-01-31 10:00:00+00", "2024-01-31T10:00:00+01:00", False),
        (Family.UUID, "6F1C0A9E-1F2D-4C3B-8A59-0D1E2F3A4B5C", "6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c", True),
    ],
)
def test_two_spellings_are_the_same_where_they_are_one_value_of_the_column(family: Family, one: str, other: str, same: bool):
    assert (comparable(one, family) == comparable(other, family)) is same
