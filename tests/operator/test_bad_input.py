"""What people write by mistake, on a real API server: each is told where it stands, and what is sound beside it goes on."""

import json
from functools import partial

import pytest

from tests.support.governed import SCHEMA
from tests.support.site import DOMAIN, WAREHOUSE, Body
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

EVERYTHING = {"rowFilter": "person_id > -1", "masks": []}
"""Wider than what the sound policy of a tenant shows."""

WRONG = {
    "contradiction": (
        {"tables": {"matchTags": [{"key": "domain", "operator": each, "values": ["claims"]} for each in ("In", "NotIn")]}},
        ("Accepted", "InvalidInput", "exclude each other, so nothing can be matched"),
    ),
    "always-true": (
        {"rowFilter": "person_id = 1 OR person_id <> 1 OR person_id IS NULL"},
        ("Accepted", "InvalidInput", "this is true in every row that has a value"),
    ),
    "no-column": ({"rowFilter": "contry = 'DE'"}, ("Ready", "NotGranted", "did you mean country?")),
    "no-attribute": (
        {"users": {"matchAttributes": [{"key": "tenannt", "operator": "Exists"}]}},
        ("NamesKnown", "Unknown", "has the attribute tenannt; did you mean tenant?"),
    ),
    "no-tag": (
        {"masks": [{"name": "ids", "columns": {"matchTags": [{"key": "piii", "operator": "Exists"}]}, "type": "Hash"}]},
        ("Ready", "NotGranted", "so nothing is granted"),
    ),
    "slow": (
        {"users": {"matchConditions": [{"name": "it", "expression": "user.attributes.a.all(x, user.attributes.b.all(y, x != y))"}]}},
        ("Accepted", "InvalidInput", "a condition has at most one loop"),
    ),
    "types": (
        {"users": {"matchConditions": [{"name": "it", "expression": "request.expirationSeconds != '900'"}]}},
        ("Accepted", "InvalidInput", "a number and a text are never equal"),
    ),
    "constant": (
        {"users": {"matchConditions": [{"name": "it", "expression": "1 < 2"}]}},
        ("Accepted", "InvalidInput", "the same for every request"),
    ),
}


def test_bad_policies_are_told_one_by_one_and_change_nothing_for_whom_a_sound_one_covers(tenant: Tenant):
    tenant.ready_to_ask()

    made = {name: tenant.policy(f"{tenant.name}-{name}", **(EVERYTHING | spec)) for name, (spec, _) in WRONG.items()}

    for name, (_, (type_, reason, message)) in WRONG.items():
        says = partial(tenant.site.told, made[name], type_, "False", reason)
        eventually(lambda says=says, message=message: message in says())  # it may be told before all is known that it names
        if type_ != "NamesKnown":
            events = partial(tenant.site.events, DOMAIN, f"{tenant.name}-{name}")
            eventually(lambda events=events, reason=reason: reason in {told for told, _ in events()})
    asked = tenant.ask().ready()
    assert asked.rows("SELECT DISTINCT ssn FROM people") == [(None,)]


@pytest.mark.long
@pytest.mark.parametrize("how", ["let in", "refused"])
def test_a_megabyte_of_tags_is_let_in_or_refused_by_its_field_and_holds_up_nobody(tenant: Tenant, how: str):
    tenant.ready_to_ask()

    def entries(count: int) -> list[Body]:
        tags = [{"key": f"{'k' * 25}{number}", "value": "v"} for number in range(32)]
        return [{"schema": SCHEMA, "table": f"table_{number}", "column": "*", "tags": tags} for number in range(count)]

    binding = tenant.described(
        "TagBinding", {"platformRefs": [{"name": WAREHOUSE}], "columns": entries(512 if how == "let in" else 513)}, namespace=DOMAIN
    )
    assert len(json.dumps(binding)) > 900_000
    if how == "let in":
        tenant.site.told(tenant.make("TagBinding", binding["spec"], namespace=DOMAIN), "Ready", "False", "NoMatch")
    else:
        answer = tenant.site.cluster.create(binding)
        assert (answer.status, "spec.columns: Too many" in answer.message) == (422, True)
    assert tenant.ask().ready().rows("SELECT count(*) FROM people") == [(2,)]
