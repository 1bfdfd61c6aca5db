"""The index of live roles is what a computation from all objects finds, after any changes."""

from datetime import UTC, datetime
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from rolevend.catalog import TableId
from rolevend.console.objects import WatchedObjects
from rolevend.console.role_index import RoleIndex
from rolevend.kinds import API_VERSION
from rolevend.kube.client import Body, KubeClient
from rolevend.kube.informer import Informer
from rolevend.model import ObjectName
from rolevend.revocations.selection import RoleFilter, SelectedRole
from rolevend.roles.state import FINALIZER, for_deletion

NAMES = ("a", "b", "c", "d")
SUBJECTS = ("Zoe", "anna", "ben")


def role(name: str, subject: str, version: int, *, ended: bool = False, let_go: bool = False) -> Body:
    metadata: Body = {"name": name, "namespace": "agents", "uid": f"uid-{name}", "resourceVersion": str(version), "generation": 1}
    metadata |= {"creationTimestamp": "2026-11-30T05:00:00Z", "finalizers": [] if let_go else [FINALIZER]}
    if ended or let_go:
        metadata["deletionTimestamp"] = "2026-11-30T05:10:00Z"
    user = {"issuer": "https://idp.example.org", "subject": subject}
    spec = {"agentRef": {"name": f"bot-of-{name}"}, "user": user, "platformRefs": [{"name": "warehouse"}], "expirationSeconds": 600}
    return {"apiVersion": API_VERSION, "kind": "VendedRole", "metadata": metadata, "spec": spec, "status": {"roleName": f"R_{name}"}}


CHANGES = st.lists(
    st.one_of(
        st.just("ask"),
        st.tuples(st.just("put"), st.sampled_from(NAMES), st.sampled_from(SUBJECTS), st.booleans(), st.booleans()),
        st.tuples(st.just("drop"), st.sampled_from(NAMES)),
        st.just("list again"),
    ),
    max_size=30,
)


@given(CHANGES)
def test_it_is_what_all_objects_say(changes: list[str | tuple[str, ...]]) -> None:
    watched = objects()
    informer = informer_of(watched)
    index = RoleIndex(watched)
    for version, change in enumerate(changes):
        match change:
            case ("put", name, subject, ended, let_go):
                informer.on_upsert(role(name, subject, version, ended=bool(ended), let_go=bool(let_go)))
            case ("drop", name):
                informer.drop(role(name, "anna", version))
            case "list again":
                for body in list(informer.objects.values()):
                    informer.on_upsert(body)
            case _:
                index.roles()

    fresh = RoleIndex(watched).roles()

    assert index.roles() == fresh
    assert {each.key for each in fresh} == {key for key, body in informer.objects.items() if FINALIZER in body["metadata"]["finalizers"]}
    assert [each.order for each in fresh] == sorted(each.order for each in fresh)


def test_a_role_that_did_not_change_is_not_computed_again() -> None:
    watched = objects()
    informer = informer_of(watched)
    for name in NAMES:
        informer.on_upsert(role(name, "anna", 1))
    index = RoleIndex(watched)
    before = {each.key: each for each in index.roles()}

    for name in NAMES:
        informer.on_upsert(role(name, "anna", 1 if name != "b" else 2))

    changed = [each.key[1] for each in index.roles() if each is not before[each.key]]
    assert changed == ["b"]


TABLES = ("raw.people", "raw.claims", "raw.notes")
STATES = st.fixed_dictionaries(
    {"name": st.sampled_from(("warehouse", "crm")), "state": st.sampled_from(("Live", "LeftOut", "Gone", "Pending"))},
    optional={"tables": st.lists(st.sampled_from(TABLES), unique=True), "tableCount": st.integers(0, 4)},
)
FILTERS = st.builds(
    RoleFilter,
    agent=st.sampled_from((None, ObjectName("agents", "bot-of-a"), ObjectName("agents", "other"))),
    user=st.sampled_from((None, "anna", "USER", "zoe")),
    platform=st.sampled_from((None, "warehouse", "crm")),
    table=st.sampled_from((None, *(TableId(*each.split(".")) for each in TABLES))),
    purpose=st.sampled_from((None, "fraud", "other")),
)


@given(FILTERS, st.lists(STATES, max_size=2, unique_by=lambda each: each["name"]), st.booleans(), st.booleans(), st.booleans())
def test_a_row_matches_a_filter_as_its_object_does(wanted: RoleFilter, states: list[Body], both: bool, has_user: bool, asks: bool) -> None:
    body = role("a", "anna", 1)
    body["spec"]["platformRefs"] += [{"name": "crm"}] if both else []
    body["spec"] |= {"purpose": "fraud"} if has_user else {}
    body["spec"] |= {"resources": [{"schema": "raw", "table": "people"}]} if asks else {}
    body["status"] |= {"platforms": states}
    if has_user:
        body["status"] |= {"user": {"handle": "USER", "proof": "Token"}}
    found = for_deletion(body)
    assert wanted.of_rows()(SelectedRole.of(found), found) == wanted.matches(found)


def objects() -> WatchedObjects:
    return WatchedObjects(cast(KubeClient, None), lambda: datetime.now(UTC), lambda: None, lambda: None)


def informer_of(watched: WatchedObjects) -> Informer:
    return next(each for each in watched.informers if each.resource.plural == "vendedroles")
