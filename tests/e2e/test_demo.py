"""The demo shows the main job, and fails when the main job is not done."""

import io
import signal
import time
from pathlib import Path
from typing import cast

import pytest

from demo import story
from demo.acts import Scene
from demo.checks import CheckFailed
from demo.stage import Stage
from demo.telling import Teller
from demo.witness import Witness
from rolevend.policytools.embedded.progress import Lines
from testbed.binaries import Binaries
from tests.e2e.command import ROOT, fences, rolevend, section, shows
from tests.support.tiers import with_the_rest_full

pytestmark = pytest.mark.long

MAIN_LINES = (
    "1. The agent finbot asks the same question for two people who have no account on the database",
    "✓ after … s two roles are in PostgreSQL, until … UTC; all they can do is read",
    "Anna AT denied …",
    "Bob US denied …",
    "✓ of 100,000 claims Anna's role reads … and Bob's …, none of them the same: …",
    "✓ all … people of Anna's role and all … of Bob's are masked like this",
    "2. The agent tries to get out of Anna's role",
    "SET ROLE <Bob's role> permission denied to set role …",
    "✓ afterwards the role has the rights and the expiry that it had, and the tables hold what they held",
    "3. Two policies and a guardrail meet on one table, …",
    "AT analysts ***… … …-01-01",
    "CH fraud-review … … NULL",
    "DE both … … …-01-01",
    "✓ all … rows are so: each cell as the clearest policy of its row says, and no ssn clearer than the guardrail",
    "… is narrowed to other tables than claims.claims…",
    "AccessPolicy domain-claims/fraud-review covers the user",
    "birth_date: DateTrunc(Year) where … else Nullify",
    "4. The time to live passes in the middle of a query",
    "terminating connection due to administrator command",
    "✓ the role is gone from pg_roles, with its sessions; the VendedRole is gone; the lease says Expired",
    "✓ the role is gone from pg_roles, with its sessions; the VendedRole is gone; the lease says Released",
    "✓ the role is gone from pg_roles, with its sessions; the VendedRole is gone; the lease says Revoked",
    "user anna (https://idp.example.org) [the record of its handle]",
    "9. The same policies on a second platform: one role name on PostgreSQL and on Snowflake",
    "No account is at hand, so this one is a model of Snowflake, and not Snowflake. …",
    "✓ each role has one name, on both platforms",
    "Anna warehouse … ***… … …-01-01 …",
    "crm … ***… … …-01-01 … … asked for a call",
    "crm … NULL NULL …-01 US (withheld)",
    "✓ of 1,000 customers each person sees the same on both platforms, row by row and mask by mask",
    "USE ROLE RV_PROGRAMMER … is not assigned to the executing user",
    "✓ kubectl delete returns when the roles are gone from both platforms",
    "10. In a case of fraud Anna's agent needs names and births in clear: it asks for an offer of the data's owner",
    "rule once-a-day approves it for 300 seconds",
    "people decide, 0 of 1 needed approvals; rule once-a-day: its limit of 1 a day for a user is used up",
    "use the approval that is not there yet … AccessRequest large-case is Pending: it cannot be used",
    "approve it itself User … cannot create resource …",
    "vote in the owner's name, even as administrator spec.by: an AccessDecision is the vote of its creator; …",
    "✓ the role that waited is vended as …_FINBOT_ANNA_…, until … UTC: ten minutes, not fifteen",
    'approved by olga@example.org … Mia Schmid … 1960-06-11 DE relation "payments" does not exist',
    "… ms after the yes was deleted the query has ended:",
    "All of it was checked against the database. …",
)


def files() -> list[Path]:
    """What is in the folders that it reads, and beside them."""
    folders = (ROOT / name for name in ("charts", "crds", "examples"))
    return sorted([*ROOT.iterdir(), *(path for folder in folders for path in folder.rglob("*"))])


@pytest.fixture(scope="module")
def told(binaries: Binaries) -> str:
    """All that `make demo` says when all is well."""
    with rolevend(program="demo") as demo:
        status = demo.end()
        assert status == 0, demo.output
        assert demo.remains() == []
        return demo.output


@pytest.mark.parametrize("line", MAIN_LINES)
def test_it_shows(told: str, line: str) -> None:
    assert shows(told.splitlines(), line)


def test_the_transcripts_in_the_readme_and_on_its_page_are_what_the_demo_says(told: str) -> None:
    transcript = "\n".join(
        [*fences(section("Try it"), "text"), *fences((ROOT / "docs" / "tutorial" / "demo.md").read_text(encoding="utf-8"), "text")]
    )
    said = told.splitlines()
    for line in transcript.splitlines():
        assert shows(said, line), line


BREAKS = [
    ("fence", "what the agent finds out of the person of claim"),
    ("guardrail", "guardrail: no ssn is clearer than its hash"),
    ("expiry", "expiry: the query ends with the role's time to live"),
    ("approval", "approval: the query ends when the yes is deleted"),
    ("mask", "mask: all people of Anna's role"),
    ("row-security", "the agent's question is answered"),
]


@pytest.mark.parametrize(("broken", "check"), with_the_rest_full(*BREAKS))
def test_it_fails_at_the_check_that_names_what_is_broken(binaries: Binaries, broken: str, check: str) -> None:
    with rolevend("--claims", "2000", "--break", broken, program="demo") as demo:
        status = demo.end()
        assert status == 1, demo.output
        assert f"✗ check failed: {check}" in demo.output
        assert "expected:" in demo.output
        assert "seen:" in demo.output
        assert demo.remains() == []


@pytest.mark.full
def test_it_fails_at_the_check_that_names_what_is_broken_on_the_second_platform(binaries: Binaries) -> None:
    """Both on one stage. A view that was replaced stays so, and is therefore the last."""
    told = io.StringIO()
    with Stage(1000, Lines(told), story.UNDISTURBED) as stage, Witness(stage.superuser, stage.evidence.statements) as witness:
        with pytest.raises(CheckFailed, match=r"_ANNA_\w+ is gone from Snowflake, with its user\n  expected: .*\n  seen:     .*_ANNA_"):
            story.tell_all(Scene(stage, Teller(told), witness, "crm-role"), time.monotonic())
        assert "✓ of 250 customers each person sees the same on both platforms" in told.getvalue()
        with pytest.raises(CheckFailed, match=r"crm: the customers of Anna's role\n  expected: .* rows; .*\n  seen:     250 rows"):
            story.tell_all(Scene(stage, Teller(told), witness, "crm-view"), time.monotonic())


def test_a_break_that_no_check_notices_is_a_failure() -> None:
    told = io.StringIO()
    scene = Scene(cast(Stage, None), Teller(told), cast(Witness, None), "mask")
    with pytest.raises(CheckFailed, match=r"check failed: --break mask is noticed\n  expected: a check that fails\n  seen: "):
        story.tell_acts(scene, time.monotonic(), lambda _: None)
    assert "All of it was checked" not in told.getvalue()


MOMENTS = [
    ("starting Kubernetes", signal.SIGINT, 130),
    ("installing rolevend", signal.SIGTERM, 128 + signal.SIGTERM),
    ("2. The agent tries", signal.SIGHUP, 128 + signal.SIGHUP),
    ("and is busy with:", signal.SIGINT, 130),
]


@pytest.mark.parametrize(("moment", "number", "status"), with_the_rest_full(*MOMENTS))
def test_an_interrupted_demo_leaves_nothing_and_the_checkout_as_it_was(
    binaries: Binaries, moment: str, number: signal.Signals, status: int
) -> None:
    before = files()
    with rolevend("--claims", "2000", program="demo") as demo:
        demo.read_until(moment)
        assert files() == before
        assert demo.interrupt(number) == status, demo.output
        assert "Traceback" not in demo.output
        assert demo.remains() == []
    assert files() == before


PARTS = [("kube-apiserver", "kube-apiserver"), ("postgres", "PostgreSQL 17 (postgres)")]


@pytest.mark.parametrize(("program", "called"), with_the_rest_full(*PARTS))
def test_what_is_left_up_says_when_one_of_its_parts_has_ended(binaries: Binaries, program: str, called: str) -> None:
    with rolevend("--dev", "--claims", "1000", program="demo") as dev:
        dev.read_until("Ctrl-C here")
        dev.kill(program)

        assert dev.end() == 1, dev.output
        assert f"{called} ended by itself with SIGKILL" in dev.output
        assert "Traceback" not in dev.output
        assert dev.remains() == []
