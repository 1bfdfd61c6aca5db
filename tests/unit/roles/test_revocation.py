"""A change of policy reaches every live role, by the operator's own bookkeeping: what reads more than is granted ends, once; what
could only read more lives on; after a restart only what is the very same does."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from rolevend.catalog import TableId
from rolevend.controllers.api_vends import ApiVendSupervisor
from rolevend.controllers.reconciler import VendedRoleReconciler
from rolevend.controllers.reevaluator import Reevaluator
from rolevend.controllers.watcher import VendedRoleWatcher
from rolevend.decision.admission import Agent, AgentAdmission, PlatformAdmission
from rolevend.decision.outcome import Granted, Request
from rolevend.decision.profile_cache import ProfileCache
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import KnownUser
from rolevend.errors import ClusterUnavailable
from rolevend.kinds import API_VERSION, VendedRole, parse
from rolevend.kube.client import Body, KubeClient, ResourcePath
from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, PlatformName, Uid, User
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.platforms.protocol import Drift, DropRequest, DropResult
from rolevend.policy.index import compile_policies
from rolevend.policy.predicate import parse as parse_predicate
from rolevend.policy.statement import ColumnSelector, Policy
from rolevend.roles.build_progress import BuildProgressReporter
from rolevend.roles.decision import RoleDecision
from rolevend.roles.door import Door
from rolevend.roles.dropper import ImmediateDrops
from rolevend.roles.ender import RoleEnder
from rolevend.roles.expiry import ExpiryScheduler
from rolevend.roles.newest_decisions import NewestDecisions
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.quota import RoleQuota
from rolevend.roles.state import RoleState, role_request
from rolevend.roles.status import StatusBuilder
from rolevend.roles.store import RoleStore
from rolevend.roles.user_authenticator import UserAuthenticator
from rolevend.roles.vender import Vender
from rolevend.telemetry.metrics import Metrics
from tests.support.approvals import NoApprovals
from tests.support.policies import catalog, column, policy, table

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CLUSTER = ClusterId("cluster")
WAREHOUSE = PlatformName("warehouse")
FINBOT = ObjectName("agents", "finbot")
ANNA = User("https://idp.example.org", "anna")
PEOPLE = table("claims.people", column("country"), column("full_name"), column("ssn"))
PAYMENTS = table("claims.payments", column("country"), column("iban"))
NAMES = policy(
    tables=replace(policy().tables, names=(PEOPLE.id,)),
    columns=ColumnSelector(names=("country", "full_name")),
    row_filter=parse_predicate("country = user_attr('countries')"),
)
NARROWED = replace(NAMES, row_filter=parse_predicate("country = user_attr('countries') AND full_name = 'x'"))
WITHOUT_A_COLUMN = replace(NAMES, columns=ColumnSelector(names=("country",)))
WITH_ANOTHER_COLUMN = replace(NAMES, columns=ColumnSelector(names=("*",)))
ANOTHER_TABLE = policy("payments", tables=replace(policy().tables, names=(PAYMENTS.id,)))


def a_snapshot(*policies: Policy, **changes: Any) -> Snapshot:
    """In which finbot may act for anna, of the claims department and of DE."""
    attributes = Attributes.of({"department": ["claims"], "countries": ["DE"]}.items())
    fields: dict[str, Any] = {
        "agents": {FINBOT: Agent(FINBOT, AgentHandle("FINBOT"), True, (), 3600)},
        "people": {ANNA: KnownUser(ANNA, None, attributes)},
        "platforms": {WAREHOUSE: PlatformAdmission(WAREHOUSE, None, {}, (AgentAdmission({}, True, 3600),))},
        "namespaces": {"agents": {}},
        "shapes": {WAREHOUSE: ProfileCache(compile_policies(catalog(PEOPLE, PAYMENTS), policies), CLUSTER)},
        "pending": "",
    }
    return Snapshot(CLUSTER, b"k" * 32, **(fields | changes))


class ApiServer:
    """Remembers what it was asked to delete and to patch."""

    def __init__(self) -> None:
        self.deleted: list[str] = []
        self.patches: list[Body] = []
        self.failures = 0
        """So many deletions fail first."""

    async def delete(self, resource: ResourcePath, name: str, uid: str, namespace: str | None = None) -> None:
        if self.failures:
            self.failures -= 1
            raise ClusterUnavailable("not now")
        self.deleted.append(uid)

    async def merge(
        self, resource: ResourcePath, name: str, patch: Body, namespace: str | None = None, subresource: str | None = None
    ) -> Body:
        self.patches.append(patch)
        return {}

    @property
    def ended(self) -> list[Body]:
        return [patch["status"]["ended"] for patch in self.patches if "ended" in patch.get("status", {})]

    @property
    def reconsidered(self) -> list[str]:
        return [patch["metadata"]["uid"] for patch in self.patches if "annotations" in patch["metadata"]]


class Database:
    """A platform, and its executor, that only remembers what was dropped."""

    def __init__(self) -> None:
        self.dropped: list[str] = []

    async def appeared(self, name: PlatformName, _within: float) -> "Database":
        return self.get(name)

    def get(self, name: PlatformName) -> "Database":
        return self

    @property
    def executor(self) -> "Database":
        return self

    async def drop(self, ending: DropRequest, patience: float = 0.0) -> DropResult:
        self.dropped.append(ending.uid)
        return DropResult(ending.role)


class Operator:
    """Its review, over an API server and a platform that only remember; `directory` is the newest picture."""

    def __init__(self, known: Snapshot) -> None:
        self.snapshot = known
        self.server = ApiServer()
        self.database = Database()
        nothing: Any = None
        metrics, platforms = Metrics(), cast(PlatformRegistry, self.database)
        objects = VendedRoleWriter(cast(KubeClient, self.server), lambda: NOW)
        self.roles = RoleStore()
        drops = ImmediateDrops(platforms, metrics)
        quota, expiry = RoleQuota(self.roles, objects, NoApprovals()), ExpiryScheduler(lambda: NOW, metrics)
        ender = RoleEnder(self.roles, objects, drops, metrics)
        builds = BuildProgressReporter(objects)
        supervisor = ApiVendSupervisor(self.roles, objects, platforms, NewestDecisions(self, NoApprovals()), builds, timedelta(seconds=10))
        self._reevaluator = Reevaluator(self, self.roles, quota, objects, ender)
        self.watcher = VendedRoleWatcher(self.roles, quota, expiry, ender, supervisor, self._reevaluator)
        vender = Vender(self, platforms, nothing, objects, metrics, nothing)
        users = UserAuthenticator(nothing, nothing, nothing, lambda: NOW)
        self.reconciler = VendedRoleReconciler(self.roles, users, quota, vender, ender, Door(nothing, builds, NoApprovals()))

    def stands(self, number: int = 1, *, vended_here: bool, listed_ready: bool, resources: tuple[TableId, ...] | None = None) -> RoleState:
        """A VendedRole that was granted what the directory grants now."""
        name = f"ask-{number}"
        uid = Uid(f"0d5f1e7a-0000-4000-8000-{number:012}")
        request = Request(ObjectName("agents", name), uid, FINBOT, ANNA, WAREHOUSE, NOW - timedelta(seconds=5), 900, None, resources)
        given = self.snapshot.decide(request)
        assert isinstance(given, Granted)
        profile, attributes = (given.profile.name, given.lease.attributes) if listed_ready else ("", Attributes())
        verdict = ("True", f"{len(given.profile.tables)} tables")
        standing = RoleState(request, listed_ready, None, given.lease.role, profile, attributes, verdict)
        self.roles.upsert(standing)
        if vended_here:
            self.roles.record(uid).set_grant(WAREHOUSE, given)
        return standing

    def live(self, delivery: str = "Secret") -> Body:
        """A VendedRole as another process left it, of what the directory grants now; the watch has not told of it yet."""
        body: Body = {
            "apiVersion": API_VERSION,
            "kind": "VendedRole",
            "metadata": {"name": "ask", "namespace": "agents", "uid": "0d5f1e7a-0000-4000-8000-000000000001", "generation": 1},
            "spec": {
                "agentRef": {"name": FINBOT.name},
                "user": {"issuer": ANNA.issuer, "subject": ANNA.subject},
                "platformRefs": [{"name": WAREHOUSE}],
                "expirationSeconds": 900,
                "delivery": delivery,
            },
        }
        body["metadata"]["creationTimestamp"] = (NOW - timedelta(seconds=5)).isoformat()
        role = parse(VendedRole, body)
        request = role_request(role)
        return {**body, "status": StatusBuilder(role, NOW).ready_status(RoleDecision(((request, self.snapshot.decide(request)),)))}

    def waiting(self) -> Body:
        """One whose role was begun by another process, which is what its status says, and is not there yet."""
        body = self.live()
        role = parse(VendedRole, body)
        return {
            **body,
            "status": StatusBuilder(role, NOW).pending_status(
                RoleDecision(((role_request(role), self.snapshot.decide(role_request(role))),))
            ),
        }

    async def settled(self) -> None:
        """Whatever was begun is done."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others)

    async def swept(self) -> None:
        """What failed is done again, as after each sweep."""
        running = asyncio.create_task(self._reevaluator.run())
        self._reevaluator.retry()
        async with asyncio.timeout(5):
            while not self.server.deleted:
                await asyncio.sleep(0)
        running.cancel()

    async def review(self, *policies: Policy, **changes: Any) -> list[str]:
        """With these policies and nothing else of what was; the objects that were deleted so far."""
        self.snapshot = a_snapshot(*policies, **changes)
        await self._reevaluator.evaluate_all()
        await asyncio.gather(*self._reevaluator._actions.values())
        return self.server.deleted


@pytest.fixture
def operator() -> Operator:
    return Operator(a_snapshot(NAMES))


LIVE = [
    pytest.param({"vended_here": True, "listed_ready": True}, id="vended-here"),
    pytest.param({"vended_here": True, "listed_ready": False}, id="vended-here-and-not-yet-listed-as-ready"),
    pytest.param({"vended_here": False, "listed_ready": True}, id="after-a-restart"),
]


@pytest.mark.parametrize("how", LIVE)
@pytest.mark.parametrize("policies", [(NARROWED,), (WITHOUT_A_COLUMN,), (), (ANOTHER_TABLE,)], ids=["rows", "column", "policy", "table"])
async def test_a_role_that_reads_more_than_is_granted_is_revoked_once_however_often_it_is_reviewed(operator, how, policies):
    standing = operator.stands(**how)

    await asyncio.gather(operator.review(*policies), operator.review(*policies))
    await operator.review(*policies)

    assert operator.server.deleted == [standing.request.uid]
    (ended,) = operator.server.ended
    assert (ended["reason"], ended["by"]) == ("Revoked", "PolicyChanged")


async def test_a_newer_snapshot_ends_roles_while_the_revocations_of_the_one_before_are_being_written(operator):
    first = operator.stands(1, vended_here=True, listed_ready=True)
    second = operator.stands(2, vended_here=True, listed_ready=True)
    async with operator._reevaluator._writing:  # the API server does not answer
        async with asyncio.timeout(5):
            operator.snapshot = a_snapshot(ANOTHER_TABLE)
            await operator._reevaluator.evaluate_all()
            await operator._reevaluator.evaluate_all()
            while len(operator.database.dropped) < 2:
                await asyncio.sleep(0)
        assert operator.server.deleted == []

    await operator.settled()

    assert sorted(operator.database.dropped) == sorted(operator.server.deleted) == sorted([first.request.uid, second.request.uid])


async def test_drifted_tables_end_all_their_roles_while_other_revocations_are_being_written(operator):
    states = [operator.stands(number, vended_here=True, listed_ready=True) for number in (1, 2)]
    uids = sorted(each.request.uid for each in states)
    drift = Drift(PEOPLE.id, "row security is off", tuple(each.role for each in states))
    async with operator._reevaluator._writing:  # the API server does not answer
        revoking = asyncio.create_task(operator._reevaluator.drifted(WAREHOUSE, [drift]))
        async with asyncio.timeout(5):
            while len(operator.database.dropped) < 2:
                await asyncio.sleep(0)
        assert operator.server.deleted == []

    await revoking

    assert sorted(operator.server.deleted) == sorted(operator.database.dropped) == uids
    assert {(each["by"], each["message"]) for each in operator.server.ended} == {
        ("Drift", f"{WAREHOUSE}: {PEOPLE.id}: row security is off")
    }


@pytest.mark.parametrize("how", LIVE)
async def test_a_role_that_is_revoked_says_why(operator, how):
    operator.stands(**how)

    await operator.review()

    assert operator.server.ended[0]["message"] == "no policy covers the user; no policy is in force here"


@pytest.mark.parametrize("how", LIVE)
async def test_a_role_that_reads_just_what_is_granted_lives_on(operator, how):
    operator.stands(**how)

    assert await operator.review(NAMES) == []
    assert operator.server.patches == []


@pytest.mark.parametrize("how", LIVE[:2])
@pytest.mark.parametrize("policies", [(NAMES, ANOTHER_TABLE), (WITH_ANOTHER_COLUMN,), (WITH_ANOTHER_COLUMN, ANOTHER_TABLE)])
async def test_a_role_that_could_read_another_table_or_column_now_lives_on(operator, how, policies):
    operator.stands(**how)

    assert await operator.review(*policies) == []
    assert operator.server.patches == []


async def test_a_role_that_lived_on_when_it_could_read_more_ends_when_it_could_read_less_than_it_does(operator):
    standing = operator.stands(vended_here=True, listed_ready=True)
    await operator.review(WITH_ANOTHER_COLUMN, ANOTHER_TABLE)

    assert await operator.review(WITHOUT_A_COLUMN, ANOTHER_TABLE) == [standing.request.uid]


@pytest.mark.parametrize("how", LIVE)
async def test_a_role_whose_values_changed_ends(operator, how):
    standing = operator.stands(**how)
    elsewhere = Attributes.of({"department": ["claims"], "countries": ["AT"]}.items())

    assert await operator.review(NAMES, people={ANNA: KnownUser(ANNA, None, elsewhere)}) == [standing.request.uid]


@pytest.mark.parametrize("how", LIVE)
async def test_a_role_whose_agent_is_gone_ends(operator, how):
    standing = operator.stands(**how)

    assert await operator.review(NAMES, agents={}) == [standing.request.uid]


@pytest.mark.parametrize("how", LIVE)
@pytest.mark.parametrize(
    "unknown",
    [
        {"pending": "the operator has not listed all agents yet", "agents": {}},
        {"platforms": {}},
        {"namespaces": {}},
        {"shapes": {}},
        {"shapes": {}, "unsure": {WAREHOUSE: "a TagBinding cannot be read"}},
    ],
    ids=["starting", "platform", "namespace", "catalog", "tags"],
)
async def test_what_is_not_known_ends_nothing(operator, how, unknown):
    operator.stands(**how)

    assert await operator.review(**unknown) == []
    assert operator.server.ended == []


@pytest.mark.parametrize("how", LIVE)
async def test_a_platform_that_takes_no_new_roles_keeps_those_it_has_and_ends_what_is_withdrawn(operator, how):
    closed = {WAREHOUSE: PlatformAdmission(WAREHOUSE, "it is being deleted", {}, (AgentAdmission({}, True, 3600),))}
    standing = operator.stands(**how)

    assert await operator.review(NAMES, platforms=closed) == []
    assert await operator.review(platforms=closed) == [standing.request.uid]


@pytest.mark.parametrize("policies", [(WITH_ANOTHER_COLUMN,), (NAMES, ANOTHER_TABLE)])
async def test_after_a_restart_only_the_name_of_its_profile_is_known_so_any_other_one_ends_a_role(operator, policies):
    standing = operator.stands(vended_here=False, listed_ready=True)

    assert await operator.review(*policies) == [standing.request.uid]
    assert "while the operator was down" in operator.server.ended[0]["message"]


async def test_what_a_role_was_vended_with_before_a_restart_is_known_again_once_it_was_seen_to_be_granted(operator):
    standing = operator.stands(vended_here=False, listed_ready=True)
    await operator.review(NAMES)

    assert await operator.review(WITH_ANOTHER_COLUMN, ANOTHER_TABLE) == []
    assert await operator.review(WITHOUT_A_COLUMN, ANOTHER_TABLE) == [standing.request.uid]


@pytest.mark.parametrize("how", LIVE)
async def test_a_role_lives_on_when_a_table_is_lost_that_it_did_not_ask_for(operator, how):
    await operator.review(NAMES, ANOTHER_TABLE)
    narrow = operator.stands(1, **how, resources=(PEOPLE.id,))
    whole = operator.stands(2, **how)
    await operator.review(NAMES, ANOTHER_TABLE)

    assert await operator.review(NAMES) == [whole.request.uid]
    operator.server.deleted.clear()
    operator.roles.remove(whole.request.uid)
    assert await operator.review(NARROWED) == [narrow.request.uid]


async def test_a_revocation_that_the_api_server_refuses_is_tried_again_by_the_next_review(operator):
    standing = operator.stands(vended_here=True, listed_ready=True)
    operator.server.failures = 1

    assert await operator.review() == []
    assert await operator.review() == [standing.request.uid]


async def test_a_role_that_cannot_be_revoked_keeps_no_other_from_it(operator):
    for number in range(1, 101):
        operator.stands(number, vended_here=True, listed_ready=True)
    operator.server.failures = 1

    assert len(await operator.review()) == 99
    assert len(await operator.review()) == 100


async def test_a_role_that_is_ending_already_is_left_alone(operator):
    standing = operator.stands(vended_here=True, listed_ready=True)
    operator.roles.upsert(replace(standing, ending_since=NOW))

    assert await operator.review() == []


async def test_a_request_is_taken_up_again_when_its_verdict_is_another_and_only_then(operator):
    standing = operator.stands(vended_here=False, listed_ready=False)

    await operator.review(NAMES)
    assert operator.server.reconsidered == []

    await operator.review()
    assert operator.server.reconsidered == [standing.request.uid]
    assert operator.server.deleted == []


async def test_a_verdict_that_the_object_does_not_say_yet_is_the_one_that_another_is_compared_with(operator):
    """After a restart: what was granted before waits for a catalog, and the catalog is read before that is written down."""
    body = operator.waiting()
    operator.watcher.on_event(None, body)
    operator.snapshot = a_snapshot(NAMES, shapes={})
    outcome = await operator.reconciler.reconcile(body)
    assert outcome.status["conditions"][0]["status"] == "Unknown"

    operator.watcher.on_event("MODIFIED", body)
    await operator.review(NAMES)

    assert operator.server.reconsidered == [body["metadata"]["uid"]]


async def test_of_a_crowd_every_role_is_dropped_also_while_the_api_server_refuses_to_hear_of_it(operator):
    crowd = [operator.stands(number, vended_here=True, listed_ready=True).request.uid for number in range(100)]
    operator.server.failures = len(crowd)

    assert await operator.review(NARROWED) == []
    assert sorted(operator.database.dropped) == sorted(crowd)

    assert sorted(await operator.review(NARROWED)) == sorted(crowd)
    assert len(operator.database.dropped) == len(crowd)


async def test_who_reads_as_before_is_not_dropped(operator):
    operator.stands(vended_here=True, listed_ready=True)

    await operator.review(WITH_ANOTHER_COLUMN)

    assert operator.database.dropped == []


@pytest.mark.parametrize("delivery", ["Secret", "Response"])
@pytest.mark.parametrize(("policies", "ends"), [((NAMES,), False), ((NARROWED,), True), ((), True)], ids=["as-it-was", "narrowed", "gone"])
async def test_a_role_that_is_first_listed_when_the_review_is_over_is_judged_then(operator, delivery, policies, ends):
    body = operator.live(delivery)
    assert await operator.review(*policies) == []

    operator.watcher.on_event(None, body)
    await operator.settled()

    assert operator.server.deleted == ([body["metadata"]["uid"]] if ends else [])
    assert [each["by"] for each in operator.server.ended] == (["PolicyChanged"] if ends else [])


async def test_a_role_that_could_not_be_ended_when_it_was_first_listed_ends_at_the_next_sweep(operator):
    body = operator.live()
    operator.snapshot, operator.server.failures = a_snapshot(NARROWED), 1
    operator.watcher.on_event(None, body)
    await operator.settled()
    assert operator.server.deleted == []

    await operator.swept()

    assert operator.server.deleted == [body["metadata"]["uid"]]
