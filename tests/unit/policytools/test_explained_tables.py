"""`rolevend explain` describes the tables of a role to somebody who may not know the values that the user has."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from rolevend.catalog import Catalog, Column, Family, ForeignKey, Table, TableId, digest
from rolevend.cli import cli
from rolevend.errors import InvalidInput
from rolevend.kinds.catalog_file import catalog_members, catalog_text, parse_catalog
from tests.support.as_code import WAREHOUSE, analysts, platform, write
from tests.support.manifests import valid

PEOPLE = Table(
    TableId("claims", "people"),
    (
        Column("person_id", Family.INTEGER, "bigint"),
        Column("country", Family.TEXT, "text", comment="ISO code", values=("DE", "AT")),
        Column("ssn", Family.TEXT, "text", comment="Social security number", values=("1", "")),
    ),
    comment="Everybody whom a claim names",
    key=("person_id",),
    foreign_keys=(ForeignKey(("country",), TableId("claims", "countries"), ("code",)),),
)
COUNTRIES = Table(TableId("claims", "countries"), (Column("code", Family.TEXT, "text"),), key=("code",))
HELD = Catalog.of([PEOPLE, COUNTRIES])
OWN = ("spec.rowFilter", "country IN (user_attr('countries'))")
PEOPLE_ONLY = ("spec.tables", {"matchNames": [{"schema": "claims", "name": "people"}]})
NO_SSN = ("spec.columns", {"matchNames": ["person_id", "country"]})
HASHED = ("spec.masks", [{"name": "hashed", "columns": {"matchNames": ["person_id"]}, "type": "Nullify"}])


def explained(folder: Path, output: str) -> str:
    write(folder, "objects/all.yaml", platform(), valid("UserAttributes"), analysts(PEOPLE_ONLY, OWN, NO_SSN, HASHED))
    held = write(folder, "catalog.yaml", catalog_text(WAREHOUSE, HELD, "yaml"))
    asked = ["explain", "--user", "anna", "--files", str(folder / "objects"), "--catalog", str(held), "-o", output]
    answer = CliRunner().invoke(cli, asked, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_a_role_is_described_without_values_of_the_user(tmp_path: Path):
    said = explained(tmp_path, "json")

    assert json.loads(said)["tables"] == [
        {
            "table": "claims.people",
            "view": "people",
            "comment": "Everybody whom a claim names",
            "rows": "country in (user attribute countries)",
            "primaryKey": [],
            "joins": [],
            "columns": [
                {"name": "person_id", "type": "bigint", "comment": "", "mask": "NULL", "values": []},
                {"name": "country", "type": "text", "comment": "ISO code", "mask": "", "values": ["DE", "AT"]},
            ],
        }
    ]
    assert "Social" not in said


def test_the_text_has_the_comments_of_what_the_role_reads(tmp_path: Path):
    lines = [each for each in explained(tmp_path, "text").splitlines() if each.startswith("comment")]

    assert lines == ["comment on claims.people: Everybody whom a claim names", "comment on claims.people.country: ISO code"]


def test_a_file_has_the_notes_of_a_catalog_and_its_digest_does_not_depend_on_them():
    for form in ("yaml", "json"):
        assert parse_catalog(yaml.safe_load(catalog_text(WAREHOUSE, HELD, form))) == (WAREHOUSE, HELD)
    bare = Catalog.of([replace(PEOPLE, comment="", foreign_keys=(), key=()), COUNTRIES])
    assert digest(bare) == digest(HELD)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda table: table.update(comment="x" * 301),
        lambda table: table["columns"][1].update(values=["x"] * 21),
        lambda table: table["columns"][1].update(values=["x" * 61]),
        lambda table: table["foreignKeys"][0].update(to="elsewhere"),
    ],
)
def test_notes_beyond_their_bounds_are_refused(spoil: Callable[[Any], None]):
    members = yaml.safe_load(json.dumps(catalog_members(WAREHOUSE, HELD)))
    spoil(next(each for each in members["tables"] if each["name"] == "people"))

    with pytest.raises(InvalidInput):
        parse_catalog(members)


def test_a_comment_in_a_file_is_made_plain():
    members = yaml.safe_load(json.dumps(catalog_members(WAREHOUSE, HELD)))
    members["tables"][0]["comment"] = "one\n\x1b[2Jtwo"

    assert parse_catalog(members)[1].tables[COUNTRIES.id].comment == "one [2Jtwo"
