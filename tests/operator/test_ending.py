"""Release, expiry and revocation: the role is gone, and so is everybody who still used it."""

import threading
from collections.abc import Callable

import psycopg
import pytest

from tests.support.site import AGENTS, DOOMED
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import DEADLINE, eventually


def answer_of(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Runs `work` beside the test; its result, or the error it ended with, is in the list when the thread is over."""
    answers: list[object] = []

    def run() -> None:
        try:
            answers.append(work())
        except psycopg.Error as error:
            answers.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, answers


def endless(asked: Asked) -> tuple[threading.Thread, list[object]]:
    """A statement of the role that would not end by itself, and runs already."""
    login = asked.login()

    def run() -> None:
        with asked.database.session(login) as session:
            session.execute("SELECT count(*) FROM people, pg_sleep(600)")

    working = answer_of(run)
    active = "SELECT pid FROM pg_stat_activity WHERE usename = %s AND state = 'active'"
    eventually(lambda: asked.database.ask(active, asked.role))
    return working


def test_deleting_ends_live_sessions_and_returns_only_when_the_role_is_gone(tenant: Tenant):
    asked = tenant.ready_to_ask().ask().ready()
    login = asked.login()
    thread, answers = endless(asked)

    tenant.site.cluster.kubectl("delete", "vr", asked.name, "--namespace", AGENTS, "--timeout=300s")

    assert not asked.has_role()
    thread.join(DEADLINE)
    assert isinstance(answers[0], psycopg.errors.AdminShutdown | psycopg.OperationalError)
    assert tenant.site.warehouse.refuses(login)
    assert tenant.site.warehouse.ended(asked.role) == "Released"


def test_at_the_expiry_a_running_statement_is_ended_and_role_and_object_go_by_themselves(tenant: Tenant):
    asked, (login, (thread, answers)) = tenant.ready_to_ask().ask_briefly(lambda asked: (asked.ready().login(), endless(asked)))

    asked.expired()

    assert not asked.has_role()
    thread.join(DEADLINE)
    assert isinstance(answers[0], psycopg.Error)
    assert tenant.site.warehouse.refuses(login)
    assert tenant.site.warehouse.ended(asked.role) == "Expired"
    eventually(lambda: any(reason == "Dropped" and "Expired" in message for reason, message in asked.events()))


def test_a_request_that_was_denied_goes_away_at_its_expiry(tenant: Tenant):
    tenant.agent()

    asked, _ = tenant.ask_briefly(lambda asked: asked.refused("NoPolicy", granted="False"))

    asked.expired()


def test_a_policy_that_is_narrowed_ends_the_roles_that_rest_on_it_and_no_others(tenant: Tenant):
    tenant.agent()
    tenant.person("anna", job=["analyst"])
    tenant.person("bob", job=["actuary"], countries=["US"])
    analysts = {"matchAttributes": [{"key": "job", "operator": "In", "values": ["analyst"]}, *mine(tenant)]}
    actuaries = {"matchAttributes": [{"key": "job", "operator": "In", "values": ["actuary"]}, *mine(tenant)]}
    policy = tenant.policy(f"{tenant.name}-analysts", users=analysts)
    tenant.policy(f"{tenant.name}-actuaries", users=actuaries)
    anna, bob = tenant.ask("anna").ready(), tenant.ask("bob").ready()
    with tenant.site.warehouse.session(anna.login()) as session:
        tenant.site.patch(policy, {"rowFilter": "country IN (user_attr('countries')) AND country = 'AT'"})

        anna.gone()

        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert tenant.site.warehouse.ended(anna.role) == "Revoked"
    assert not anna.has_role()
    assert bob.is_ready()
    assert bob.rows("SELECT person_id FROM people") == [(3,)]
    again = tenant.ask("anna").ready()
    assert again.rows("SELECT person_id FROM people") == [(2,)]


def test_a_session_reads_as_it_was_granted_until_it_is_ended_and_never_as_a_new_policy_says(tenant: Tenant):
    tenant.agent()
    tenant.person()
    policy = tenant.policy()
    asked = tenant.ask().ready()
    answers: list[list[tuple[object, ...]]] = []
    with tenant.site.warehouse.session(asked.login()) as session:

        def ended() -> bool:
            try:
                answers.extend(session.execute("SELECT * FROM people ORDER BY person_id").fetchall() for _ in range(20))
            except psycopg.Error:
                return True
            return False

        assert not ended()
        tenant.site.patch(policy, {"rowFilter": "country = 'AT'", "masks": [], "columns": {"matchNames": ["person_id"]}})
        eventually(ended)

    assert all(answer == answers[0] for answer in answers)
    asked.gone()
    assert tenant.ask().ready().rows("SELECT * FROM people") == [(2,)]


def mine(tenant: Tenant) -> list[dict[str, object]]:
    return [{"key": "tenant", "operator": "In", "values": [tenant.name]}]


def test_a_revoked_object_says_so_for_as_long_as_it_is_there(tenant: Tenant):
    asked = tenant.ready_to_ask().ask()
    asked.ready()
    held = {"metadata": {"finalizers": ["rolevend.dev/drop", "example.org/hold"]}}
    assert tenant.site.cluster.patch(asked.body, held).ok
    tenant.site.remove(tenant.described("AccessPolicy", {}, namespace="domain-claims"))

    ended = eventually(lambda: asked.status.get("ended") or {})
    assert ended["reason"] == "Revoked"
    assert ended["by"] == "PolicyChanged"
    assert "no policy covers the user" in ended["message"]
    eventually(lambda: not asked.has_role())
    assert tenant.site.cluster.patch(asked.body, {"metadata": {"finalizers": []}}).ok
    asked.gone()


def test_a_policy_that_is_widened_by_a_table_leaves_live_roles_alone_and_counts_from_the_next_vend(tenant: Tenant):
    tenant.ready_to_ask()
    asked = tenant.ask().ready()

    policy = tenant.described("AccessPolicy", {}, namespace="domain-claims")
    tenant.site.patch(policy, {"tables": {"matchNames": [{"schema": "claims", "name": table} for table in ("people", "payments")]}})
    tenant.site.told(policy, "Ready", "True")

    wider = tenant.ask().ready()
    assert wider.rows("SELECT payment_id FROM payments") == [(21,)]
    assert asked.is_ready()
    with pytest.raises(psycopg.errors.UndefinedTable):
        asked.rows("SELECT payment_id FROM payments")
    assert asked.rows("SELECT count(*) FROM people") == [(2,)]


def test_a_person_whose_attributes_are_deleted_loses_every_live_role(tenant: Tenant):
    tenant.agent()
    tenant.policy()
    anna, bob = tenant.person("anna"), tenant.person("bob")
    roles = [tenant.ask("anna").ready(), tenant.ask("anna").ready()]
    other = tenant.ask("bob").ready()

    tenant.site.remove(anna)

    for asked in roles:
        asked.gone()
        assert tenant.site.warehouse.ended(asked.role) == "Revoked"
    assert other.is_ready(), bob


def test_a_person_whose_values_change_loses_the_roles_that_read_them(tenant: Tenant):
    tenant.ready_to_ask()
    asked = tenant.ask().ready()

    person = tenant.described("UserAttributes", {}, f"anna.{tenant.name}")
    tenant.site.patch(person, tenant.person_spec(countries=["AT"]))

    asked.gone()
    assert tenant.site.warehouse.ended(asked.role) == "Revoked"
    assert tenant.ask().ready().rows("SELECT person_id FROM people") == [(2,)]


def test_an_agent_that_is_deleted_loses_every_live_role(tenant: Tenant):
    tenant.person()
    tenant.policy()
    agent = tenant.agent()
    asked = tenant.ask().ready()

    tenant.site.remove(agent)

    asked.gone()
    assert tenant.site.warehouse.ended(asked.role) == "Revoked"


def test_an_agent_that_may_no_longer_act_for_a_person_loses_their_roles(tenant: Tenant):
    tenant.ready_to_ask()
    asked = tenant.ask().ready()

    agent = tenant.described("Agent", {}, namespace=AGENTS)
    others = {"matchAttributes": [{"key": "tenant", "operator": "In", "values": ["somebody-else"]}]}
    tenant.site.patch(agent, {"onBehalfOf": {"assertion": "Trusted", "users": others}})

    asked.gone()
    assert tenant.site.warehouse.ended(asked.role) == "Revoked"


@pytest.mark.long
def test_a_namespace_can_be_deleted_with_live_roles_in_it_and_none_of_them_remains(tenant: Tenant):
    tenant.ready_to_ask(namespace=DOOMED)
    roles = [tenant.ask(namespace=DOOMED) for _ in range(5)]
    for asked in roles:
        asked.ready()

    tenant.site.cluster.call("DELETE", f"/api/v1/namespaces/{DOOMED}")

    eventually(lambda: tenant.site.cluster.call("GET", f"/api/v1/namespaces/{DOOMED}").status == 404, within=300)
    assert not tenant.site.warehouse.roles() & {asked.role for asked in roles}
