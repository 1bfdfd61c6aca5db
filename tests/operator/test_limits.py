"""A role that runs away is stopped by the operator, and people are told; the role of an agent that crashed is given back."""

import psycopg
import pytest

from tests.operator.test_ending import answer_of, endless
from tests.support.site import BOUNDED
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import DEADLINE, eventually

LONG_AGO = "UPDATE rolevend.lease SET active_at = clock_timestamp() - interval '1 hour' WHERE role = %s"


@pytest.fixture
def bounded(tenant: Tenant) -> Asked:
    """A live role with tight limits."""
    tenant.ready_to_ask(namespace=BOUNDED)
    return tenant.ask(namespace=BOUNDED).ready()


def test_a_statement_that_runs_away_is_cancelled_and_its_object_says_so_while_others_run_on(tenant: Tenant, bounded: Asked):
    tenant.agent(handle=f"{tenant.handle}B")
    other = endless(tenant.ask().ready())
    counted = tenant.site.metric("rolevend_curbed_total", platform="warehouse", act="Cancelled")

    with tenant.site.warehouse.session(bounded.login()) as session:
        session.execute("SET statement_timeout = 0")
        thread, answers = answer_of(lambda: session.execute("SELECT count(*) FROM people, pg_sleep(600)"))
        thread.join(DEADLINE)

        assert isinstance(answers[0], psycopg.errors.QueryCanceled)
        assert session.execute("SELECT count(*) FROM people").fetchall() == [(2,)]
    eventually(lambda: any(reason == "StatementCancelled" and "where 5 are allowed" in text for reason, text in bounded.events()))
    eventually(lambda: tenant.site.metric("rolevend_curbed_total", platform="warehouse", act="Cancelled") > counted)
    assert bounded.is_ready(), "the role lives on"
    assert other[0].is_alive()


def test_a_transaction_that_is_kept_open_loses_its_session_and_its_object_says_so(tenant: Tenant, bounded: Asked):
    with tenant.site.warehouse.session(bounded.login()) as session:
        session.execute("SET idle_in_transaction_session_timeout = 0")
        session.execute("BEGIN")
        session.execute("SELECT count(*) FROM people")

        eventually(lambda: any(reason == "SessionEnded" for reason, _ in bounded.events()))

        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")


def test_an_agent_that_crashed_gives_its_role_back(tenant: Tenant, bounded: Asked):
    held = {"metadata": {"finalizers": ["rolevend.dev/drop", "example.org/hold"]}}
    assert tenant.site.cluster.patch(bounded.body, held).ok

    tenant.site.warehouse.ask(LONG_AGO, bounded.role)

    ended = eventually(lambda: bounded.status.get("ended") or {})
    assert (ended["reason"], ended["by"]) == ("Released", "IdleRelease")
    eventually(lambda: not bounded.has_role())
    assert tenant.site.cluster.patch(bounded.body, {"metadata": {"finalizers": []}}).ok
    bounded.gone()
    assert tenant.site.warehouse.ended(bounded.role) == "Released"
    eventually(lambda: tenant.site.metric("rolevend_revoked_roles_total", platform="warehouse", reason="IdleRelease") >= 1)
    eventually(lambda: any(reason == "Dropped" and "Released by IdleRelease" in text for reason, text in bounded.events()))


def test_a_role_that_the_platform_locked_out_by_itself_ends(tenant: Tenant, bounded: Asked):
    """Row security that is off for a moment only: no look finds it, and the platform has locked the role out all the same."""
    tenant.site.warehouse.ask("ALTER TABLE claims.people DISABLE ROW LEVEL SECURITY; ALTER TABLE claims.people ENABLE ROW LEVEL SECURITY")

    bounded.gone()

    assert tenant.site.warehouse.ended(bounded.role) == "Revoked"
    again = tenant.ask(namespace=BOUNDED).ready()
    assert again.rows("SELECT count(*) FROM people") == [(2,)]


@pytest.mark.long
def test_an_agent_that_is_at_work_keeps_its_role_also_over_a_restart_of_the_operator(tenant: Tenant, bounded: Asked):
    idle = tenant.ask(namespace=BOUNDED).ready()
    with tenant.site.warehouse.session(bounded.login()) as session:
        session.execute("SELECT 1")
        tenant.site.operator.kill()
        for role in (bounded.role, idle.role):
            tenant.site.warehouse.ask(LONG_AGO, role)

        tenant.site.start_operator()

        idle.gone()
        assert bounded.is_ready()
        assert session.execute("SELECT count(*) FROM people").fetchall() == [(2,)]
