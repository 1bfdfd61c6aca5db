"""Guardrails on a real cluster and a real platform: what they take away is gone for live roles, too, and for nobody else."""

import psycopg
import pytest

from tests.support.site import DOMAIN, WAREHOUSE, Body
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually


def guard(tenant: Tenant, table: str = "people", **spec: object) -> Body:
    """A guardrail for people of this tenant."""
    return tenant.make(
        "Guardrail",
        {
            "platformRefs": [{"name": WAREHOUSE}],
            "users": {"matchAttributes": [{"key": "tenant", "operator": "In", "values": [tenant.name]}]},
            "tables": {"matchNames": [{"schema": "claims", "name": table}]},
            **spec,
        },
    )


def test_a_guardrail_takes_rows_columns_and_masks_that_a_policy_grants(tenant: Tenant):
    tenant.ready_to_ask()
    made = guard(
        tenant,
        rowRestriction="person_id > 1",
        deny={"type": "Columns", "columns": {"matchNames": ["ssn"]}},
        maskFloors=[{"name": "names", "columns": {"matchNames": ["full_name"]}, "type": "Partial", "partial": {"keepLast": 2}}],
    )
    tenant.site.told(made, "Ready", "True", "InForce")

    asked = tenant.ask().ready()

    assert asked.rows("SELECT person_id, full_name FROM people") == [(2, "***er")]
    with pytest.raises(psycopg.errors.UndefinedColumn):
        asked.rows("SELECT ssn FROM people")


def test_a_new_guardrail_ends_the_roles_that_it_narrows_and_no_others(tenant: Tenant):
    tenant.ready_to_ask()
    tenant.person("bob", countries=["US"])
    payments = tenant.policy(f"{tenant.name}-pay", "payments", rowFilter="payment_id > 0", masks=[])
    tenant.site.told(payments, "Ready", "True")
    anna, bob = tenant.ask().ready(), tenant.ask("bob").ready()
    concerned = {"matchAttributes": [{"key": "countries", "operator": "In", "values": ["DE"]}]}

    guard(tenant, "payments", users=concerned, deny={"type": "Tables"})

    anna.gone()
    assert tenant.site.warehouse.ended(anna.role) == "Revoked"
    again = tenant.ask().ready()
    assert again.rows("SELECT count(*) FROM people") == [(2,)]
    with pytest.raises(psycopg.errors.UndefinedTable):
        again.rows("SELECT * FROM payments")
    assert bob.is_ready()
    assert bob.rows("SELECT payment_id FROM payments")


def test_a_guardrail_by_the_users_own_values_ends_the_roles_that_read_a_table_with_the_key_and_no_others(tenant: Tenant):
    tenant.ready_to_ask()
    live = tenant.ask().ready()
    key = f"region-{tenant.name}"
    by_region = {"matchTags": [{"key": key, "operator": "In", "valuesFromUserAttribute": "regions"}]}

    made = guard(tenant, tables=by_region, deny={"type": "Tables"})

    tenant.site.told(made, "Ready", "False", "NoMatch")
    assert live.rows("SELECT count(*) FROM people") == [(2,)]
    tagged = [{"schema": "claims", "name": "people", "tags": [{"key": key, "value": "eu"}]}]
    tenant.make("TagBinding", {"platformRefs": [{"name": WAREHOUSE}], "tables": tagged}, namespace=DOMAIN)
    tenant.site.told(made, "Ready", "True", "InForce")
    live.gone()  # of somebody without the attribute, too


def test_a_policy_counts_the_people_whom_it_covers_as_they_come_and_go(tenant: Tenant):
    policy = tenant.policy()
    tenant.person()
    bob = tenant.person("bob")

    def counted() -> int:
        return int(tenant.site.cluster.read(policy).body.get("status", {}).get("matchedUsers", -1))

    eventually(lambda: counted() == 2)
    tenant.site.remove(bob)
    eventually(lambda: counted() == 1)


def test_a_guardrail_that_denies_everything_is_named_in_the_denial(tenant: Tenant):
    tenant.ready_to_ask()
    tenant.site.told(guard(tenant, deny={"type": "Tables"}), "Ready", "True")

    assert tenant.name in tenant.ask().refused("GuardrailDenies", granted="False")


def test_a_guardrail_that_is_mended_gives_back_what_it_closed(tenant: Tenant):
    tenant.ready_to_ask()
    broken = guard(tenant, rowRestriction="person_id IN (SELECT 1)")
    tenant.site.told(broken, "Accepted", "False", "InvalidInput")
    asked = tenant.ask()
    asked.refused("GuardrailDenies", granted="False")

    tenant.site.patch(broken, {"rowRestriction": "person_id IN (1)"})

    assert asked.ready().rows("SELECT person_id FROM people") == [(1,)]
