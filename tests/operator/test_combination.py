"""What an agent is granted itself, on a real cluster and a real platform: what a role reads in each combination, and what ends it."""

import psycopg
import pytest

from tests.support.site import BOUNDED, Body
from tests.support.tenancy import Tenant

PEOPLE = "SELECT person_id, full_name, ssn FROM people ORDER BY 1"


def both_granted(tenant: Tenant, combination: str) -> Body:
    """The user reads people of DE and AT without the ssn, and the agent itself those above the first, and half of their names."""
    agent = tenant.agent(combination=combination)
    tenant.site.told(tenant.person(), "Ready", "True")
    names = {"name": "names", "columns": {"matchNames": ["full_name"]}, "type": "Partial", "partial": {"keepLast": 2}}
    tenant.site.told(tenant.policy(), "Ready", "True")
    granted = tenant.grant_to_agent(
        rowFilter="person_id > 1", columns={"matchNames": ["person_id", "full_name", "ssn", "country"]}, masks=[names]
    )
    tenant.site.told(granted, "Ready", "True")
    return agent


def test_an_intersection_reads_exactly_what_both_may(tenant: Tenant):
    both_granted(tenant, "Intersection")

    asked = tenant.ask().ready()

    assert asked.rows(PEOPLE) == [(2, "***er", None)]
    with pytest.raises(psycopg.errors.UndefinedColumn):
        asked.rows("SELECT birth_date FROM people")


def test_a_user_ceiling_reads_what_the_user_may_and_a_union_what_either_may(tenant: Tenant):
    agent = both_granted(tenant, "UserCeiling")
    ceiling = tenant.ask().ready()
    assert ceiling.rows(PEOPLE) == [(1, "Lena Bauer", None), (2, "Anton Huber", None)]

    tenant.site.patch(agent, {"combination": "Union"})
    tenant.site.told(agent, "Ready", "True")

    union = tenant.ask().ready()
    assert union.rows(PEOPLE) == [
        (1, "Lena Bauer", None),
        (2, "Anton Huber", "900-01-0002"),
        (3, "***es", "900-01-0003"),
        (4, "***rd", "900-01-0004"),
    ]


def test_a_combination_that_gets_narrower_ends_the_live_roles_of_its_agent_and_no_others(tenant: Tenant):
    agent = both_granted(tenant, "Union")
    other = tenant.agent(f"{tenant.name}-other", handle=f"{tenant.handle}O", combination="UserCeiling")
    tenant.site.told(other, "Ready", "True")
    wide, elsewhere = tenant.ask().ready(), tenant.ask(agent=f"{tenant.name}-other").ready()

    tenant.site.patch(agent, {"combination": "Intersection"})

    wide.gone()
    assert tenant.site.warehouse.ended(wide.role) == "Revoked"
    assert tenant.ask().ready().rows(PEOPLE) == [(2, "***er", None)]
    assert elsewhere.is_ready()


def test_what_was_granted_to_the_agent_and_is_taken_away_ends_its_live_roles(tenant: Tenant):
    tenant.agent(combination="Union")
    tenant.site.told(tenant.person(countries=[]), "Ready", "True")
    granted = tenant.grant_to_agent("payments")
    tenant.site.told(granted, "Ready", "True")
    asked = tenant.ask().ready()
    assert asked.rows("SELECT payment_id FROM payments ORDER BY 1") == [(21,), (22,)]

    tenant.site.patch(granted, {"columns": {"matchNames": ["payment_id"]}})

    asked.gone()


def test_a_combination_that_the_platform_does_not_permit_is_refused_and_named(tenant: Tenant):
    agent = tenant.agent(namespace=BOUNDED, combination="Union")
    tenant.site.told(tenant.person(), "Ready", "True")
    tenant.site.told(tenant.policy(), "Ready", "True")
    told = tenant.site.told(agent, "Ready", "False", "NotPermitted")
    assert told.startswith(f"spec.combination: Union of Agent {tenant.name} is wider than UserCeiling")

    message = tenant.ask(namespace=BOUNDED).refused("NotPermitted", granted="False")

    assert f"spec.combination Union of Agent {tenant.name} is wider than UserCeiling" in message


def test_an_agent_that_is_granted_nothing_itself_reads_nothing_in_an_intersection(tenant: Tenant):
    tenant.agent(combination="Intersection")
    tenant.site.told(tenant.person(), "Ready", "True")
    tenant.site.told(tenant.policy(), "Ready", "True")

    tenant.ask().refused("AgentNotGranted", granted="False")
