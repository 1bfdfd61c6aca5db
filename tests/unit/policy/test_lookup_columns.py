"""Lookup columns: who declares and who forbids them, what becomes of them, and who is told what they give away."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from rolevend.audit.access_diff import LOOKUP, compare
from rolevend.audit.evidence import tables_of
from rolevend.catalog import Catalog, Family, TableId, TagAssignment
from rolevend.cli import cli
from rolevend.kinds.catalog_file import catalog_text
from rolevend.model import ClusterId
from rolevend.plan import Profile, contains, plan
from rolevend.policy.decision import Entitlement, decide
from rolevend.policy.index import compile_policies
from rolevend.policy.mask import Hash
from rolevend.policy.predicate import parse
from rolevend.policy.statement import Guardrail, Policy, TableSelector
from rolevend.policytools.check import check
from tests.support.as_code import CATALOGS, WAREHOUSE, analysts, platform, write
from tests.support.manifests import MISSING, Body, changed, valid
from tests.support.policies import catalog, column, guardrail, masked, policy, table, user

CLUSTER = ClusterId("5d4c9f0e-8d0c-4a44-9d7b-2d8f3a1c6b5e")
PEOPLE = table("claims.people", column("id", Family.INTEGER), column("ssn"), column("country"))
PAYMENTS = table("claims.payments", column("id", Family.INTEGER))
ID = TagAssignment("claims", "people", "id", lookup=True)


def tagged(*assignments: TagAssignment) -> Catalog:
    return catalog(PEOPLE, PAYMENTS).tagged(assignments)


def profile(*guardrails: Guardrail, of: Catalog, policies: tuple[Policy, ...] = (policy(),)) -> Profile:
    decision = decide(user(), compile_policies(of, policies, guardrails))
    assert isinstance(decision, Entitlement), decision
    return plan(decision, CLUSTER)


def lookups(of: Profile) -> set[str]:
    return {f"{shape.table.name}.{each.name}" for shape in of.tables for each in shape.columns if each.lookup}


class TestWhatBecomesOfThem:
    def test_no_column_is_one_unless_somebody_says_so(self):
        assert lookups(profile(of=tagged())) == set()

    def test_a_column_is_one_where_it_is_named_and_nowhere_else(self):
        assert lookups(profile(of=tagged(ID))) == {"people.id"}
        assert lookups(profile(of=tagged(replace(ID, table="*")))) == {"people.id", "payments.id"}
        assert lookups(profile(of=tagged(replace(ID, column="*")))) == {"people.id", "people.ssn", "people.country"}

    def test_a_tag_of_the_same_column_changes_nothing_of_it(self):
        also = TagAssignment("claims", "people", "*")
        assert lookups(profile(of=tagged(ID, also))) == lookups(profile(of=tagged(also, ID))) == {"people.id"}

    def test_taking_one_away_again_is_the_catalog_as_it_was(self):
        before, plain = tagged(ID), catalog(PEOPLE, PAYMENTS)
        assert plain.retagged(before, [ID], []).tables == plain.tables

    def test_a_guardrail_forbids_those_of_its_tables(self):
        of = tagged(replace(ID, table="*"))
        forbids = guardrail(tables=TableSelector(names=(TableId("claims", "people"),)), denies_lookup=True)
        assert lookups(profile(forbids, of=of)) == {"payments.id"}

    def test_another_guardrail_forbids_none(self):
        assert lookups(profile(guardrail(mask_floors=(masked(Hash(), "ssn"),)), of=tagged(ID))) == {"people.id"}

    def test_a_guardrail_with_a_row_restriction_forbids_them_too(self):
        forbids = guardrail(row_restriction=parse("id > 7"), denies_lookup=True)
        assert lookups(profile(forbids, of=tagged(ID))) == set()

    def test_it_is_another_profile(self):
        assert profile(of=tagged(ID)).name != profile(of=tagged()).name

    def test_a_live_role_may_gain_one_and_must_not_keep_one_that_is_gone(self):
        with_one, without = profile(of=tagged(ID)), profile(of=tagged())
        assert contains(with_one, without)
        assert not contains(without, with_one)


class TestWhoIsTold:
    def test_a_difference_says_who_gains_and_who_loses_them(self):
        old, new = (tables_of(profile(of=of).tables) for of in (tagged(), tagged(ID)))
        (gained,), (lost,) = compare(old, new), compare(new, old)
        assert (gained.direction, gained.what, gained.name, gained.before, gained.after) == (
            "gains",
            "lookup",
            "claims.people.id",
            None,
            LOOKUP,
        )
        assert (lost.direction, lost.before, lost.after) == ("loses", LOOKUP, None)

    @pytest.mark.parametrize(
        ("column_name", "more", "told"),
        [
            ("id", (), ()),
            ("country", (), ("claims.people.country is in the row filter of AccessPolicy domain-claims/analysts: how many hidden rows",)),
            (
                "full_name",
                (),
                ("claims.people.full_name is masked by AccessPolicy domain-claims/analysts with Hash: what the mask shows of hidden rows",),
            ),
            ("birth_date", ({"denyLookup": True},), ("claims.people.birth_date is no lookup column: Guardrail no-lookup forbids it",)),
            (
                "birth_date",
                ({"rowRestriction": "birth_date > '1950-01-01'"},),
                ("claims.people.birth_date is in the row filter of Guardrail no-lookup: how many hidden rows have which value",),
            ),
        ],
    )
    def test_check_warns_of_what_gives_away_something_that_is_hidden(
        self, tmp_path: Path, column_name: str, more: tuple[Body, ...], told: tuple[str, ...]
    ):
        name = "claims" if column_name == "id" else "people"
        of_policy = analysts(
            ("spec.rowFilter", "country = 'DE'"),
            ("spec.masks", [{"name": "names", "columns": {"matchNames": ["full_name"]}, "type": "Hash"}]),
        )
        write(tmp_path, "a.yaml", platform(), of_policy, binding(name, column_name), *map(guarding, more))

        found = check([tmp_path], CATALOGS).diagnostics

        assert [(each.level, each.field) for each in found] == [("warning", "spec.lookupColumns[0]")] * len(told)
        assert all(each.message.startswith(said) for each, said in zip(found, told, strict=True)), found

    def test_explain_names_them(self, tmp_path: Path):
        person = valid("UserAttributes")
        agent = changed(valid("Agent", "finbot", "agents"), "spec.tools", MISSING)
        write(tmp_path, "a.yaml", platform(), analysts(), binding("claims", "id"), person, agent)
        (tmp_path / "catalog").mkdir()
        written = tmp_path / "catalog" / "catalog.yaml"
        written.write_text(catalog_text(WAREHOUSE, CATALOGS[WAREHOUSE], "yaml"))
        where = ["--agent", "finbot", "--namespace", "agents", "--platform", WAREHOUSE, "--catalog", str(written)]
        who = ["--user", person["spec"]["user"]["subject"], "--issuer", person["spec"]["user"]["issuer"]]

        said = CliRunner().invoke(cli, ["explain", *where, *who, "--files", str(tmp_path / "a.yaml")], catch_exceptions=False)

        assert f"    {LOOKUP}: id (lookupColumns of a TagBinding)" in said.output, said.output


def binding(of_table: str, of_column: str) -> Body:
    body = valid("TagBinding", "lookups", "domain-claims")
    for path in ("spec.tables", "spec.columns"):
        body = changed(body, path, MISSING)
    return changed(body, "spec.lookupColumns", [{"schema": "claims", "table": of_table, "column": of_column}])


def guarding(spec: Body) -> Body:
    body = valid("Guardrail", "no-lookup")
    selects = {"platformRefs": body["spec"]["platformRefs"], "tables": {"matchNames": [{"schema": "claims", "name": "people"}]}}
    return {**body, "spec": {**selects, **spec}}
