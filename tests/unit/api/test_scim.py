"""SCIM without a cluster: what is kept of a user, which operations concern it, and the index of users."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from rolevend.api.scim.directory import USERS, ScimDirectory
from rolevend.api.scim.failures import ScimRefusal
from rolevend.api.scim.records import MANAGED_BY, ScimUserRecord
from rolevend.api.scim.schemas import ENTERPRISE_SCHEMA, USER_SCHEMA, Kept
from rolevend.api.scim.users import ScimCaller, ScimUsers, change_of
from rolevend.audit.scim_events import scim_changed
from rolevend.kinds.scim import SCIM_ANNOTATION, SCIM_MANAGER, Scim
from rolevend.kube.client import KubeClient, ResourceConflict
from rolevend.kube.informer import Informer

KEPT = Kept(
    Scim.model_validate(
        {
            "tokenSecretRef": {"name": "okta"},
            "attributes": [
                {"key": "department", "attribute": "department"},
                {"key": "mail", "attribute": "emails", "type": "work"},
                {"key": "roles", "attribute": "roles"},
            ],
        }
    )
)


def test_a_process_without_scim_does_not_import_its_library():
    code = "import sys, rolevend.app.api; sys.exit('scim2_models' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_keeps_what_the_mapping_names_in_any_spelling():
    sent = {
        "USERNAME": "anna",
        "nickName": "An",
        "name": {"givenName": "Anna"},
        "password": "geheim",
        ENTERPRISE_SCHEMA.upper(): {"Department": "claims", "manager": {"value": "x"}},
        "urn:x": {"department": "other"},
    }
    assert KEPT.cut(sent) == {"userName": "anna", ENTERPRISE_SCHEMA: {"department": "claims"}}


def test_it_keeps_only_the_entries_of_a_type_that_it_names():
    work, home = {"value": "a@x.org", "type": "Work", "display": "A"}, {"value": "a@home.org", "type": "home"}
    user = KEPT.entries({"emails": [work, home], "roles": [{"value": "lead"}]})
    assert user == {"emails": [{"value": "a@x.org", "type": "Work"}], "roles": [{"value": "lead"}]}
    assert dict(KEPT.values(user)) == {"mail": ["a@x.org"], "roles": ["lead"]}


@pytest.mark.parametrize(
    ("path", "concerns"),
    [
        ("active", True),
        ("ACTIVE", True),
        ('emails[type eq "work"].value', True),
        ("emails.value", True),
        (f"{ENTERPRISE_SCHEMA}:department", True),
        (f"{ENTERPRISE_SCHEMA}:manager", False),
        (f"{ENTERPRISE_SCHEMA}", True),
        (f"{USER_SCHEMA}:userName", True),
        ("name.givenName", False),
        ('addresses[type eq "work"].country', False),
        ("bogus", True),  # the library refuses it, or drops it
    ],
)
def test_operations_on_attributes_that_are_not_kept_are_left_out(path: str, concerns: bool):
    assert KEPT.concerns(path) is concerns


async def _unwritten(_: object) -> None:
    """Nothing is put on record."""


class OneUser:
    """A directory of anna alone."""

    def __init__(self) -> None:
        user = {"userName": "anna", "active": True}
        self.record = ScimUserRecord("scim-user-1", "okta", user, issuer="https://i", subject="anna", created="2026-11-24T12:00:00Z")

    async def user(self, _: str) -> ScimUserRecord:
        return self.record

    def owners(self, *_: str) -> set[str]:
        return set()

    async def create_user(self, _: object) -> ScimUserRecord:
        return self.record

    async def change_user(self, _: object) -> ScimUserRecord:
        return self.record


class Busy(OneUser):
    """The directory of a deleted user, whose object the operator writes as often as the client, at first."""

    def __init__(self, conflicts: int) -> None:
        super().__init__()
        self.record = replace(self.record, deleted=True)
        self.conflicts = conflicts

    def owners(self, *_: str) -> set[str]:
        return {self.record.name}

    def find(self, *_: str) -> list[ScimUserRecord]:
        return []

    async def change_user(self, _: object) -> ScimUserRecord:
        self.conflicts -= 1
        if self.conflicts >= 0:
            raise ResourceConflict("it changed")
        return replace(self.record, deleted=False)


def test_a_user_is_created_over_a_tombstone_that_changes_meanwhile():
    def pushed(conflicts: int) -> ScimUserRecord:
        users = ScimUsers(cast(ScimDirectory, Busy(conflicts)), _unwritten, lambda: datetime.now(UTC))
        return asyncio.run(users.create(ScimCaller("okta", "https://i", KEPT, "r"), {"schemas": [USER_SCHEMA], "userName": "anna"}))

    assert not pushed(3).deleted
    with pytest.raises(ResourceConflict):
        pushed(1000)


PATCHED = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}


def patching(operations: list[dict[str, Any]]) -> Coroutine[Any, Any, ScimUserRecord]:
    users = ScimUsers(cast(ScimDirectory, OneUser()), _unwritten, lambda: datetime.now(UTC))
    return users.patch(ScimCaller("okta", "https://i", KEPT, "r"), "scim-user-1", {**PATCHED, "Operations": operations})


ADD = {"op": "add", "path": "roles", "value": [{"value": "lead"}]}
SLOW = {
    "operations": [ADD] * 101,
    "values of lists": [{**ADD, "value": [{"value": str(number)} for number in range(100)]}] * 3,
    "values of lists without a path": [{"op": "add", "value": {"roles": [{"value": "lead"}] * 257}}],
    "a long path": [{**ADD, "path": 'roles[type eq "' + "x" * 2_000 + '"].value'}],
    "a long path as a name": [{"op": "add", "value": {'roles[type eq "' + "x" * 2_000 + '"].value': "lead"}}],
}


@pytest.mark.parametrize("case", SLOW)
def test_what_would_take_the_library_minutes_is_refused(case: str):
    """A body of 450 kB took more than a minute."""
    with pytest.raises(ScimRefusal, match="at most"):
        asyncio.run(patching(SLOW[case]))


def test_other_calls_go_on_while_the_library_applies_operations():
    async def turns() -> int:
        task = asyncio.create_task(patching([{**ADD, "path": f'roles[type eq "{number}"].value', "value": "x"} for number in range(20)]))
        count = 0
        while not task.done():
            await asyncio.sleep(0)
            count += 1
        await task
        return count

    assert asyncio.run(turns()) > 10


class Watch(Informer):
    """Without a cluster."""

    def __init__(self) -> None:
        super().__init__(cast(KubeClient, None), USERS, lambda: None, lambda: datetime.now(UTC))

    def put(self, name: str, user: str, version: int, *, groups: tuple[str, ...] = ()) -> dict[str, Any]:
        known = json.dumps({"provider": "okta", "user": {"userName": user}, "groups": dict.fromkeys(groups, "G")})
        metadata = {
            "name": name,
            "resourceVersion": str(version),
            "labels": {MANAGED_BY: SCIM_MANAGER},
            "annotations": {SCIM_ANNOTATION: known},
        }
        body = {"metadata": metadata, "spec": {"user": {"issuer": "i", "subject": user}}}
        self.on_upsert(body)
        return body


@pytest.fixture
def watch() -> Watch:
    return Watch()


def directory(watch: Watch, clock: list[float]) -> ScimDirectory:
    return ScimDirectory(cast(KubeClient, None), "ns", watch, lambda: clock[0])


def names(found: ScimDirectory, attribute: str, value: str) -> list[str]:
    return [each.name for each in found.find("okta", attribute, value)]


def test_the_index_follows_the_watch(watch: Watch):
    found = directory(watch, [0.0])
    watch.put("a", "Anna", 1, groups=("g",))
    assert (names(found, "userName", "ANNA"), names(found, "group", "g"), found.owners("i", "Anna")) == (["a"], ["a"], {"a"})

    berta = watch.put("a", "Berta", 2)
    assert (names(found, "userName", "anna"), names(found, "userName", "berta"), names(found, "group", "g")) == ([], ["a"], [])
    assert not found.owners("i", "Anna")

    watch.drop(berta)
    assert not names(found, "userName", "berta")
    assert not found.owners("i", "Berta")


def test_its_own_write_counts_until_the_watch_shows_it(watch: Watch):
    clock = [0.0]
    found, written = directory(watch, clock), Watch().put("a", "Anna", 5)
    found._keep(written)
    assert names(found, "userName", "anna") == ["a"]

    watch.put("a", "Old", 4)
    assert names(found, "userName", "anna") == ["a"]

    watch.put("a", "Newer", 6)
    assert names(found, "userName", "newer") == ["a"]


def test_a_write_that_the_watch_never_shows_is_forgotten(watch: Watch):
    clock = [0.0]
    found = directory(watch, clock)
    found._keep(Watch().put("a", "Anna", 5))
    assert names(found, "id", "a") == ["a"]

    clock[0] = 60.0
    assert not names(found, "id", "a")


@pytest.mark.parametrize("name", ["..", ".", "", "anna", "rolevend-suspension"])
async def test_a_name_that_scim_does_not_give_is_not_asked_for(watch: Watch, name: str):
    """`..` would be another path of the API server, whose answer is no object."""
    found = directory(watch, [0.0])  # without a cluster

    assert await found.user(name) is None
    assert await found.group(name) is None


def test_the_event_of_a_change_has_names_and_no_values():
    caller = ScimCaller("okta", "https://okta.example.org", KEPT, "request-1")
    before = ScimUserRecord("scim-user-1", "okta", {"userName": "anna", "active": True}, issuer=caller.issuer, subject="anna")
    after = replace(before, user={"userName": "anna", "active": False, "emails": [{"value": "a@x.org"}]}, groups={"g": "Analysts"})

    event = scim_changed(change_of(caller, after, before), datetime(2026, 1, 1, tzinfo=UTC))

    assert (event.subject, event.change, event.members) == ("UserAttributes scim-user-1", "Deactivated", ("active", "emails", "groups"))
    assert event.data["userSubject"] == "anna"
    assert not [each for each in ("a@x.org", "Analysts") if each in event.data_text]
    for record, known, change in (
        (before, None, "Created"),
        (before, replace(before, user={}, deleted=True), "Created"),
        (replace(before, user={}, deleted=True), before, "Deleted"),
        (before, replace(before, user={"userName": "anna", "active": False}), "Activated"),
        (replace(before, groups={"g": "G"}), before, "Changed"),
    ):
        assert change_of(caller, record, known).change == change
