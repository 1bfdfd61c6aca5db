"""`rolevend revoke` ends roles that a database records, by the VendedRoles that show them, and their record says who and why."""

from pathlib import Path

import pytest

from tests.support.calling import Caller
from tests.support.recorded import Trail, lease, living, shown
from tests.support.responding import RESPONDER, Responder
from tests.support.site import AGENTS
from tests.support.waiting import eventually

WHY = "INC-4711: prompt injection"


@pytest.fixture
def responder(recorder: Caller, tmp_path: Path) -> Responder:
    return Responder(recorder.proven.site, tmp_path)


def tables(recorder: Caller) -> dict[str, list[str]]:
    """By the name of each VendedRole that shows a role. Its status is written after its creation."""
    return {name: each["status"]["platforms"][0]["tables"] for name, each in shown(recorder).items() if "status" in each}


def test_a_role_that_is_shown_ends_and_its_record_says_who_and_why(recorder: Caller, trail: Trail, responder: Responder):
    roles = [recorder.vended() for _ in range(3)]
    agent = f"{AGENTS}/{recorder.proven.tenant.name}"
    eventually(lambda: tables(recorder) == {role["id"]: ["claims.people"] for role in roles})

    done = responder.revoke("--agent", agent, "--table", "claims.people", "--because", WHY, "--yes")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "3 of 3 roles are gone"
    assert "the database of DataPlatform warehouse records roles" in done.stderr
    assert not living(recorder) & {role["roleName"] for role in roles}
    for role in roles:
        row = lease(recorder, role)
        assert (row["reason"], row["ended_by"], row["ended_message"]) == ("Revoked", f"User {RESPONDER}", WHY)
        (event,) = eventually(lambda role=role: trail.ends(role))
        assert event.items() >= {"ended": "Revoked", "endedBy": f"User {RESPONDER}", "message": WHY}.items()
    again = responder.revoke("--agent", agent, "--because", WHY, "--yes")
    assert again.returncode == 0
    assert again.stdout.startswith(f"no live role matches --agent {agent}: nothing to end")  # it may suggest another test's agent
