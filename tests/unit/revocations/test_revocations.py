"""`rolevend revoke`: which roles it selects, what it prints, and what it does when the API server errs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

import pytest

from rolevend.catalog import TableId
from rolevend.errors import ClusterUnavailable, InvalidInput, NotPermitted, Rejected, RolevendError
from rolevend.kube.client import Body, KubeClient, NotFound, ResourceConflict
from rolevend.model import ObjectName
from rolevend.revocations import texts
from rolevend.revocations.ending import Revocation, RevocationPlan
from rolevend.revocations.selection import (
    RoleFilter,
    RoleSelection,
    SelectedRole,
    read_agent,
    read_reason,
    read_table,
    select,
)
from rolevend.revocations.texts import RevocationOutcome, RoleLeft
from tests.support.manifests import MISSING, changed, valid
from tests.support.registered import NOW

FINALIZER = "rolevend.dev/drop"
PEOPLE = TableId("claims", "people")


def role(name: str = "ask", *changes: tuple[str, Any], status: Mapping[str, Any] | None = None, **metadata: Any) -> Body:
    body = changed(valid("VendedRole", name), "spec.resources", MISSING)
    for path, value in changes:
        body = changed(body, path, value)
    body["metadata"] |= {"uid": f"uid-{name}", "creationTimestamp": NOW.isoformat(), "finalizers": [FINALIZER], **metadata}
    body["status"] = live("claims.people") if status is None else dict(status)
    return body


def live(*tables: str, count: int | None = None, **platform: Any) -> Body:
    on = {"name": "warehouse", "state": "Live", "tableCount": len(tables) if count is None else count, "tables": list(tables), **platform}
    return {
        "roleName": "IMMUTA_VENDED_FINBOT_ANNA_X",
        "expirationTimestamp": (NOW + timedelta(minutes=5)).isoformat(),
        "user": {"handle": "ANNA", "proof": "Token"},
        "platforms": [{member: value for member, value in on.items() if value is not MISSING}],
    }


def names(bodies: list[Body], wanted: RoleFilter) -> list[str]:
    return [each.name.name for each in select(bodies, wanted).roles]


def chosen(*bodies: Body) -> tuple[SelectedRole, ...]:
    return select(bodies, RoleFilter()).roles


class TestTheSelection:
    @pytest.mark.parametrize(
        ("wanted", "matches"),
        [
            (RoleFilter(), True),
            (RoleFilter(agent=ObjectName("agents", "finbot")), True),
            (RoleFilter(agent=ObjectName("elsewhere", "finbot")), False),
            (RoleFilter(user="anna"), True),
            (RoleFilter(user="ANNA"), True),
            (RoleFilter(user="Anna"), False),
            (RoleFilter(user=""), False),
            (RoleFilter(platform="warehouse"), True),
            (RoleFilter(platform="annex"), False),
            (RoleFilter(table=PEOPLE), True),
            (RoleFilter(table=TableId("claims", "payments")), False),
            (RoleFilter(purpose="fraud-review"), True),
            (RoleFilter(purpose="reporting"), False),
            (RoleFilter(ObjectName("agents", "finbot"), "anna", "warehouse", PEOPLE, "fraud-review"), True),
            (RoleFilter(ObjectName("agents", "finbot"), "bob", "warehouse", PEOPLE, "fraud-review"), False),
        ],
        ids=str,
    )
    def test_all_filters_must_match(self, wanted: RoleFilter, matches: bool):
        assert bool(names([role()], wanted)) is matches

    def test_labels_that_say_otherwise_let_no_role_escape(self):
        forged = {
            "rolevend.dev/agent": "other",
            "rolevend.dev/user-handle": "BOB",
            "rolevend.dev/purpose": "reporting",
            "platform.rolevend.dev/annex": "",
        }
        wanted = RoleFilter(ObjectName("agents", "finbot"), "ANNA", "warehouse", PEOPLE, "fraud-review")

        assert names([role("forged", labels=forged), role("without")], wanted) == ["forged", "without"]
        assert names([role(labels=forged)], RoleFilter(user="BOB")) == []
        assert names([role(labels=forged)], RoleFilter(agent=ObjectName("agents", "other"))) == []

    def test_a_role_that_may_come_to_life_is_selected_and_one_that_is_denied_or_gone_is_not(self):
        denied = {"conditions": [condition("Granted", "False")]}
        bodies = [
            role("new", status={}),
            role("begun", status={**live("claims.people"), **denied}),
            role("denied", status=denied),
            role("let-go", deletionTimestamp=NOW.isoformat(), finalizers=["example.org/hold"]),
        ]

        assert names(bodies, RoleFilter()) == ["begun", "new"]

    def test_a_handle_is_known_before_the_status_of_a_role_of_the_api_is_written(self):
        shown = role(status={}, annotations={"rolevend.dev/handles": "FINBOT_ANNA"})

        assert names([shown], RoleFilter(user="ANNA")) == ["ask"]
        assert names([shown], RoleFilter(user="FINBOT")) == []
        assert names([role(status={})], RoleFilter(user="ANNA")) == []

    def test_a_role_whose_handle_is_not_known_yet_is_noted_unless_its_subject_matches(self):
        new = role("new", status={})

        assert [note[:14] for note in select([new, role()], RoleFilter(user="ANNA")).notes] == ["1 VendedRoles "]
        assert select([new, role()], RoleFilter(user="anna")).notes == ()
        assert select([new, role()], RoleFilter(agent=ObjectName("agents", "finbot"))).notes == ()

    def test_a_role_that_is_ending_is_waited_for_but_not_ended_again(self):
        selection = select([role("a", deletionTimestamp=NOW.isoformat()), role("b")], RoleFilter())

        assert [(each.name.name, each.is_ending) for each in selection.roles] == [("a", True), ("b", False)]
        assert [each.name.name for each in selection.live] == ["b"]

    @pytest.mark.parametrize(
        ("status", "resources", "may_read"),
        [
            (live("claims.people"), None, True),
            (live("claims.payments"), None, False),
            (live("claims.payments", count=51), None, True),
            (live("claims.payments", count=51), "payments", False),
            (live(count=4, tables=MISSING), None, True),
            ({}, None, True),
            ({}, "people", True),
            ({}, "payments", False),
            (live("claims.people", state="LeftOut"), None, False),
            (live("claims.people", state="Gone"), None, False),
            (live("claims.people", state="Dropping"), None, True),
        ],
        ids=str,
    )
    def test_a_role_matches_a_table_unless_it_is_known_not_to_read_it(self, status: Body, resources: str | None, may_read: bool):
        asked = () if resources is None else (("spec.resources", [{"schema": "claims", "table": resources}]),)

        assert bool(names([role("ask", *asked, status=status)], RoleFilter(table=PEOPLE))) is may_read

    def test_the_table_must_be_read_on_the_platform_that_is_named(self):
        both = live("claims.people")
        both["platforms"].append({"name": "annex", "state": "Live", "tableCount": 1, "tables": ["claims.payments"]})
        asked = role("ask", ("spec.platformRefs", [{"name": "warehouse"}, {"name": "annex"}]), status=both)

        assert names([asked], RoleFilter(platform="warehouse", table=PEOPLE))
        assert not names([asked], RoleFilter(platform="annex", table=PEOPLE))
        (found,) = chosen(asked)
        assert (found.tables, found.table_count, found.platforms) == (("claims.people", "claims.payments"), 2, ("warehouse", "annex"))

    def test_a_name_that_needs_quotes_is_found_by_the_quoted_name(self):
        strange = TableId("a.b", 'c "d"')

        assert read_table(strange.quoted) == strange
        assert names([role(status=live(strange.quoted))], RoleFilter(table=read_table('"a.b"."c ""d"""')))

    def test_an_object_that_cannot_be_read_ends_with_everything_and_is_noted_otherwise(self):
        broken = role("broken", ("spec.agentRef", "finbot"))

        assert names([broken], RoleFilter()) == ["broken"]
        selection = select([broken], RoleFilter(user="anna"))
        assert selection.roles == ()
        assert selection.notes[0].startswith("VendedRole agents/broken cannot be read, so it may match: ")

    def test_the_order_is_by_agent_and_user(self):
        bodies = [role("a", ("spec.agentRef.name", "zbot")), role("b", ("spec.user.subject", "zoe")), role("c")]

        assert names(bodies, RoleFilter()) == ["c", "b", "a"]

    @pytest.mark.parametrize(
        ("wanted", "hint"),
        [
            (RoleFilter(agent=ObjectName("agents", "finbt")), "; did you mean agents/finbot?"),
            (RoleFilter(user="ana"), "; did you mean ANNA?"),
            (RoleFilter(platform="warehose"), "; did you mean warehouse?"),
            (RoleFilter(table=TableId("claims", "peple")), "; did you mean claims.people?"),
            (RoleFilter(purpose="fraud-revew"), "; did you mean fraud-review?"),
            (RoleFilter(user="anna", purpose="nothing-like-it"), ""),
        ],
        ids=str,
    )
    def test_a_similar_name_of_a_live_role_is_suggested_if_nothing_matches(self, wanted: RoleFilter, hint: str):
        selection = select([role()], wanted)

        assert (selection.roles, selection.hint) == ((), hint)
        assert texts.nothing(wanted, selection, None) == f"no live role matches {wanted}: nothing to end{hint}"


def condition(kind: str, status: str) -> Body:
    return {"type": kind, "status": status, "reason": "NoPolicy", "message": "no", "lastTransitionTime": NOW.isoformat()}


class TestOptions:
    @pytest.mark.parametrize("text", ["", "finbot", "/finbot", "agents/", "agents/finbot/x"])
    def test_no_agent_is_refused(self, text: str):
        with pytest.raises(InvalidInput, match="write NAMESPACE/NAME"):
            read_agent(text, None)

    def test_an_agent_may_leave_the_namespace_to_its_option_and_not_contradict_it(self):
        assert read_agent("finbot", "agents") == read_agent("agents/finbot", "agents") == ObjectName("agents", "finbot")
        with pytest.raises(InvalidInput, match="in another namespace than --namespace elsewhere"):
            read_agent("agents/finbot", "elsewhere")

    @pytest.mark.parametrize("text", ["people", "", "a.b.c", "claims.people,claims.payments"])
    def test_no_table_and_several_are_refused(self, text: str):
        with pytest.raises(InvalidInput, match="--table"):
            read_table(text)

    @pytest.mark.parametrize(
        ("text", "why"), [(" ", "is empty"), ("a\nb", "on one line"), ("\u202ea", "one line"), ("x" * 257, "most 256")]
    )
    def test_a_reason_is_one_visible_line(self, text: str, why: str):
        with pytest.raises(InvalidInput, match=why):
            read_reason(text)
        assert read_reason(f" {'x' * 256} ") == "x" * 256


class TestTexts:
    def test_the_table_and_the_counts(self):
        many = live("claims.a", "claims.b", "claims.c", "claims.d", count=60)
        roles = chosen(
            role("one"),
            role("two", ("spec.user.subject", "bob smith"), ("spec.purpose", MISSING), status=many),
            role("new", ("spec.agentRef.name", "zbot"), status={}),
            role("old", ("spec.agentRef.name", "zbot"), status=live(count=4), deletionTimestamp=NOW.isoformat()),
        )

        lines = texts.table(roles, NOW).splitlines()
        assert lines[0].split("  ")[0] == "ROLE"
        assert [" ".join(line.split()) for line in lines[1:]] == [
            "agents/one agents/finbot anna (ANNA) warehouse claims.people fraud-review Token 5m",
            'agents/two agents/finbot "bob smith" (ANNA) warehouse claims.a, claims.b, claims.c +57 - Token 5m',
            "agents/new agents/zbot anna warehouse not decided fraud-review - -",
            "agents/old agents/zbot anna (ANNA) warehouse 4, not listed fraud-review Token ending",
        ]
        assert [" ".join(line.split()) for line in texts.counts(roles).splitlines()] == [
            "agents/finbot 2 roles of 2 users",
            "agents/zbot 2 roles of 1 user",
            "4 roles of 2 agents and 2 users; 1 of them are ending already",
        ]

    def test_a_long_table_is_cut_before_a_real_run_only(self):
        roles = chosen(*(role(f"r{number:03}") for number in range(103)))

        assert texts.table(roles, NOW).splitlines()[-1] == "... and 3 more; --dry-run lists all"
        assert len(texts.table(roles, NOW, None).splitlines()) == 104

    def test_the_result_names_each_role_that_is_left_and_counts_the_others_by_reason(self):
        left = tuple(RoleLeft(ObjectName("agents", f"r{number}"), "it is being dropped: no answer") for number in range(23))

        lines = texts.result(RevocationOutcome(2, left), 60).splitlines()

        assert lines[0] == "2 of 25 roles are gone; after 60 s 23 are left:"
        assert lines[1] == "left: agents/r0: it is being dropped: no answer"
        assert lines[-2:] == [
            "left: 3 more: it is being dropped: no answer",
            "The operator continues to drop them. Run the command again to wait for them.",
        ]
        assert texts.result(RevocationOutcome(1), 60) == "1 of 1 role is gone"

    def test_roles_that_appeared_are_noted(self):
        assert list(texts.notes(RevocationOutcome(1))) == []
        assert next(iter(texts.notes(RevocationOutcome(1, appeared=2)))).startswith("2 roles that match appeared meanwhile")


class Roles:
    """An API server with VendedRoles. Each look at the list drops those that are being deleted."""

    def __init__(self, *bodies: Body) -> None:
        self.bodies = {each["metadata"]["name"]: each for each in bodies}
        self.errors: dict[str, list[Exception]] = {}
        """The next errors by verb."""
        self.calls: Counter[str] = Counter()
        self.drops = True

    def _raise(self, verb: str) -> None:
        self.calls[verb] += 1
        if left := self.errors.get(verb):
            raise left.pop(0)

    async def get(self, _resource: object, name: str, _namespace: str) -> Body:
        if name not in self.bodies:
            raise NotFound("gone")
        return self.bodies[name]

    async def merge(self, _resource: object, name: str, patch: Body, _namespace: str) -> Body:
        self._raise("patch")
        body = await self.get(_resource, name, _namespace)
        if body["metadata"]["uid"] != patch["metadata"]["uid"]:
            raise ResourceConflict("another uid")
        if "deletionTimestamp" in body["metadata"]:
            raise NotPermitted("not after its deletion began")
        body["metadata"]["annotations"] = patch["metadata"]["annotations"]
        return body

    async def delete(self, _resource: object, name: str, uid: str, _namespace: str) -> None:
        self._raise("delete")
        assert self.bodies[name]["metadata"]["uid"] == uid
        self.bodies[name]["metadata"]["deletionTimestamp"] = NOW.isoformat()

    async def list(self, _resource: object, _namespace: str | None) -> tuple[list[Body], str]:
        self._raise("list")
        if self.drops:
            self.bodies = {name: each for name, each in self.bodies.items() if "deletionTimestamp" not in each["metadata"]}
        return list(self.bodies.values()), "1"

    async def revoke(self, roles: tuple[SelectedRole, ...], seconds: float = 600) -> tuple[RevocationOutcome, Sequence[str]]:
        said: list[str] = []

        async def pause(_seconds: float) -> None:
            self.calls["pause"] += 1

        run = Revocation(cast(KubeClient, self), "rita", "INC-1", said.append, pause)
        plan = RevocationPlan(RoleSelection(roles), (None,), "rita", None, (), NOW)
        await run.begin(plan.selection.live)
        return await run.finish(plan, RoleFilter(), seconds), said


async def test_each_role_has_the_reason_before_it_is_deleted_and_all_are_waited_for():
    roles = Roles(role("a"), role("b"))
    before = list(roles.bodies.values())

    outcome, said = await roles.revoke(chosen(*before))

    assert outcome == RevocationOutcome(2)
    assert [each["metadata"]["annotations"] for each in before] == [
        {"rolevend.dev/revoked-by": "rita", "rolevend.dev/revoked-because": "INC-1"}
    ] * 2
    assert said == []  # the outcome says that both are gone


async def test_the_progress_of_a_crowd_is_reported():
    bodies = [role(f"r{number}") for number in range(250)]

    outcome, said = await Roles(*bodies).revoke(chosen(*bodies))

    assert outcome == RevocationOutcome(250)
    assert said == ["100 of 250 roles are ending", "200 of 250 roles are ending"]


async def test_a_role_that_ended_meanwhile_or_has_another_uid_now_is_gone_and_left_alone():
    selected = chosen(role("gone"), role("ending"), role("replaced"))
    roles = Roles(role("ending", deletionTimestamp=NOW.isoformat()), role("replaced", uid="uid-of-another"))

    outcome, _ = await roles.revoke(selected)

    assert (outcome.gone, outcome.left, outcome.appeared) == (3, (), 1)
    assert roles.calls["delete"] == 0
    assert "annotations" not in roles.bodies["replaced"]["metadata"]


@pytest.mark.parametrize("verb", ["patch", "delete", "list"])
async def test_an_api_server_that_does_not_answer_for_a_moment_is_asked_again(verb: str):
    roles = Roles(role("a"))
    roles.errors[verb] = [ClusterUnavailable("no answer"), ClusterUnavailable("no answer")]

    outcome, _ = await roles.revoke(chosen(role("a")))

    assert outcome == RevocationOutcome(1)
    assert roles.calls[verb] >= 3


async def test_a_conflict_is_tried_again_and_a_refusal_is_the_reason_of_the_result_and_stops_no_other():
    roles = Roles(role("a"), role("b"))
    refusal = NotPermitted("you may not delete it")
    roles.errors["delete"] = [ResourceConflict("changed"), refusal, refusal]

    outcome, _ = await roles.revoke(chosen(role("a"), role("b")))

    assert outcome.gone == 1
    assert [each.reason for each in outcome.left] == ["you may not delete it"]


@pytest.mark.parametrize(
    "error", [Rejected("annotations: Too long"), NotPermitted("a policy refuses it"), ClusterUnavailable("a webhook is down")]
)
async def test_a_role_whose_reason_cannot_be_written_ends_without_it_and_is_named(error: RolevendError):
    roles = Roles(role("a"))
    roles.errors["patch"] = [error] * 6

    outcome, _ = await roles.revoke(chosen(role("a")))

    assert (outcome.gone, outcome.left) == (1, ())
    (note,) = texts.notes(outcome)
    assert note.endswith(f"ends without your name and reason, which could not be written: {error}")


async def test_roles_that_are_not_dropped_in_time_are_left_with_the_reason_of_the_operator():
    ready = {"type": "Ready", "status": "False", "reason": "Dropping", "message": "PlatformUnavailable: no answer"}
    roles = Roles(role("a"), role("b", status={"conditions": [ready]}))
    roles.drops = False

    outcome, said = await roles.revoke(chosen(role("a"), role("b")), seconds=0)

    assert (outcome.gone, [each.reason for each in outcome.left]) == (
        0,
        ["the operator has not begun to drop it: see if it runs", "it is being dropped: PlatformUnavailable: no answer"],
    )
    assert said == []
