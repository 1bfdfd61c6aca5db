"""An operator and an API over one cluster and two platforms, all in memory: both doors, and everything behind them but kopf, HTTP and SQL.

Services, executors, queues, Secrets, records of handles and checks of tokens are the real ones. The API server keeps its preconditions
and tells every change; the platforms keep roles and passwords.
"""

import asyncio
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast
from uuid import uuid4

from pydantic import SecretStr

from rolevend.api.authenticator import Authenticator
from rolevend.api.cluster_consent import ClusterConsent
from rolevend.api.index import VendedRoleIndex
from rolevend.api.problems import Problem, error_problem
from rolevend.api.rate_limiter import RateLimiter
from rolevend.api.recorded_roles import RecordedRoles
from rolevend.api.refusals import RefusalLog
from rolevend.api.repository import VendedRoleRepository
from rolevend.api.schemas import VendRequest
from rolevend.api.vend_service import VendService
from rolevend.controllers.api_vends import ApiVendSupervisor
from rolevend.controllers.reconciler import VendedRoleReconciler
from rolevend.controllers.reevaluator import Reevaluator
from rolevend.controllers.watcher import VendedRoleWatcher
from rolevend.decision.proof import ClientIdentity
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import SourceVersions
from rolevend.errors import RolevendError
from rolevend.identity.key_store import KeyStore
from rolevend.identity.token_check import TokenCheck
from rolevend.kinds import API_VERSION, FINALIZER
from rolevend.kube.client import SECRETS, VENDED_ROLES, Body, KubeClient
from rolevend.kube.credentials import CredentialSecrets
from rolevend.kube.handles import HandleRegistry
from rolevend.kube.token_replay import TokenReplayStore
from rolevend.model import ClusterId, PlatformName, RoleName, Uid, Version
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.build_progress import BuildProgressReporter
from rolevend.roles.door import Door
from rolevend.roles.dropper import ImmediateDrops, RoleDropper
from rolevend.roles.ender import RoleEnder
from rolevend.roles.expiry import ExpiryScheduler
from rolevend.roles.newest_decisions import NewestDecisions
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.protocols import ApprovalUses
from rolevend.roles.quota import RoleQuota
from rolevend.roles.seal import LeaseSeal
from rolevend.roles.store import RoleStore
from rolevend.roles.token_ledger import TokenLedger
from rolevend.roles.user_authenticator import UserAuthenticator
from rolevend.roles.vender import Vender
from rolevend.telemetry.metrics import Metrics
from tests.support import registered, tokens
from tests.support.approvals import NoApprovals
from tests.support.events import Trail
from tests.support.in_memory import NOW, ApiServer, Connected, Database
from tests.support.registered import AGENT, MINE, TERMS, WAREHOUSE, shapes, terms

ANNEX = PlatformName("annex")
PROVEN = replace(
    AGENT,
    identity=ClientIdentity(tokens.ISSUER, frozenset({"finbot"}), "finbot"),
    version=Version("Agent", "agents/finbot", Uid("a"), 1),
)
_SYSTEM = "rolevend-system"


def granting(*platforms: PlatformName, most_live: int | None = None) -> Snapshot:
    """Grants on these platforms. The agent is trusted to name its users, and may prove them as well."""
    admits = terms(replace(TERMS, may_prove=True, most_live=most_live))
    both = (WAREHOUSE, ANNEX)
    known = {each: shapes(MINE) if each in platforms else shapes() for each in both}
    sources = {each: SourceVersions(Version("DataPlatform", each, Uid(each), 1), {}, (), "sha256:catalog") for each in both}
    issuers = {tokens.ISSUER: Version("IdentityProvider", "workforce", Uid("i"), 1)}
    return registered.a_snapshot(
        agents={PROVEN.name: PROVEN}, platforms=dict.fromkeys(both, admits), shapes=known, sources=sources, issuers=issuers
    )


@dataclass(frozen=True)
class Fate:
    """What became of a request."""

    lives_on: frozenset[PlatformName]
    """Where its role is Ready."""
    reason: str
    """At kubectl's door that of the condition Ready, or who ended it. Of a call the problem's code, or what its answer says."""


class World:
    def __init__(self, approvals: ApprovalUses | None = None) -> None:
        self.snapshot = granting(WAREHOUSE, ANNEX)
        """The newest snapshot of both processes."""
        self.approvals = approvals or NoApprovals()
        self.server = ApiServer()
        self.databases = {WAREHOUSE: Database(), ANNEX: Database()}
        self.trail = Trail()
        self.gone: dict[str, Body] = {}
        """Objects that were dropped, as they said last; by uid."""
        cluster, metrics = cast(KubeClient, self.server), Metrics()
        self.of_operator, self.of_api = Connected(self.databases, builds=True), Connected(self.databases, builds=False)
        check = TokenCheck(KeyStore(_unread, self.now, lambda: 0.0), self.now)
        check.follow(tokens.PROVIDERS)
        used = TokenLedger(TokenReplayStore(cluster, _SYSTEM, self.now), cast(PlatformRegistry, self.of_operator), self)
        users = UserAuthenticator(cluster, check, used, self.now)
        recorder = AuditRecorder(self.trail, HandleRegistry(cluster, _SYSTEM), self.now)
        objects = VendedRoleWriter(cluster, self.now)
        self._operator(users, recorder, objects, metrics)
        self._api(check, users, recorder, objects, metrics)

    def _operator(self, users: UserAuthenticator, recorder: AuditRecorder, objects: VendedRoleWriter, metrics: Metrics) -> None:
        platforms, roles = cast(PlatformRegistry, self.of_operator), RoleStore()
        credentials, builds = CredentialSecrets(cast(KubeClient, self.server), b"k" * 32), BuildProgressReporter(objects)
        drops, quota, expiry = (
            ImmediateDrops(platforms, metrics),
            RoleQuota(roles, objects, self.approvals),
            ExpiryScheduler(self.now, metrics),
        )
        ender = RoleEnder(roles, objects, drops, metrics)
        vender = Vender(self, platforms, recorder, objects, metrics, secrets.token_bytes)
        supervisor = ApiVendSupervisor(roles, objects, platforms, NewestDecisions(self, self.approvals), builds, timedelta(seconds=10))
        watcher = VendedRoleWatcher(roles, quota, expiry, ender, supervisor, Reevaluator(self, roles, quota, objects, ender))
        self.reconciler = VendedRoleReconciler(roles, users, quota, vender, ender, Door(credentials, builds, self.approvals))
        self._dropper = RoleDropper(roles, objects, drops, credentials, recorder, expiry)
        self.server.listeners.append(watcher.on_event)

    def _api(
        self, check: TokenCheck, users: UserAuthenticator, recorder: AuditRecorder, objects: VendedRoleWriter, metrics: Metrics
    ) -> None:
        index = VendedRoleIndex(cast(KubeClient, self.server), self.now)
        informer = index.informer
        self.server.listeners.append(lambda event, body: informer.drop(body) if event == "DELETED" else informer.on_upsert(body))
        platforms = cast(PlatformRegistry, self.of_api)
        consent = ClusterConsent(cast(KubeClient, self.server), lambda: 0.0)
        self.service = VendService(
            Authenticator(check, users, RefusalLog(recorder, lambda: 0.0)),
            VendedRoleRepository(objects, index, self.approvals, uuid4, ClusterId("cluster")),
            RecordedRoles(self, platforms, objects, LeaseSeal(b"k" * 32), consent),
            Vender(self, platforms, recorder, objects, metrics, secrets.token_bytes),
            RateLimiter(lambda: 0.0),
            timedelta(seconds=9),
        )

    def now(self) -> datetime:
        return NOW

    async def by_kubectl(self, *, partial: bool, token: str | None = None, name: str = "ask", approval: str | None = None) -> Fate:
        spec: Body = {
            "agentRef": {"name": AGENT.name.name},
            "user": {"issuer": tokens.ISSUER, "subject": "anna"},
            "platformRefs": [{"name": WAREHOUSE}, {"name": ANNEX}],
            "expirationSeconds": 300,
            "allowPartial": partial,
        }
        if approval is not None:  # of one platform
            del spec["platformRefs"][1:], spec["allowPartial"]
            spec["approvalRef"] = {"name": approval}
        if token is not None:
            spec["userTokenSecretRef"] = {"name": f"{name}-token"}
            secret = {"metadata": {"name": f"{name}-token"}, "type": "rolevend.dev/user-token", "stringData": {"token": token}}
            await self.server.create(SECRETS, secret, "agents")
        body = {"apiVersion": API_VERSION, "kind": "VendedRole", "metadata": {"name": name, "finalizers": [FINALIZER]}, "spec": spec}
        created = await self.server.create(VENDED_ROLES, body, "agents")
        await self.settle()
        there = self.server.objects.get(("vendedroles", "agents", name))
        status = (there or self.gone[created["metadata"]["uid"]]).get("status", {})
        return Fate(self._lives_on(there), str(status["ended"]["by"] if "ended" in status else _ready(status)["reason"]))

    async def by_http(self, *, partial: bool, token: str | None = None) -> Fate:
        try:
            answer = await self.service.vend(PROVEN, self.question(partial=partial, token=token), None, "call-1")
        except (Problem, RolevendError) as error:
            await self.settle()
            return Fate(frozenset(), (error if isinstance(error, Problem) else error_problem(error)).code)
        await self.settle()
        there = self.server.objects[("vendedroles", "agents", answer.request.name.name)]
        assert {each.platform for each in answer.grants} == self._lives_on(there)
        return Fate(self._lives_on(there), "Partial" if answer.skipped else str(_ready(there["status"])["reason"]))

    @staticmethod
    def question(*, partial: bool, token: str | None = None) -> VendRequest:
        """The body of a call."""
        user = None if token is not None else {"issuer": tokens.ISSUER, "subject": "anna"}
        presented = None if token is None else SecretStr(token)
        platforms = [WAREHOUSE, ANNEX]
        told = {"user": user, "userToken": presented, "platforms": platforms, "allowPartial": partial, "expirationSeconds": 300}
        return VendRequest.model_validate(told)

    async def settle(self) -> None:
        """What kopf does: reconcile and drop until nothing changes any more, or fails three times."""
        for _ in range(3):
            for body in self.server.all_of("vendedroles"):
                await (self._drop if "deletionTimestamp" in body["metadata"] else self._reconcile)(body)
        await asyncio.sleep(0)

    async def _reconcile(self, body: Body) -> None:
        try:
            status = (await self.reconciler.reconcile(body)).status
        except RolevendError as error:
            status = self.reconciler.not_ready_status(body, error)
        if status:
            await self._write(body, status)

    async def _drop(self, body: Body) -> None:
        try:
            await self._dropper.drop(body, 0.0, is_retry=True)
        except RolevendError as error:
            await self._write(body, self._dropper.failed_status(body, error))
        else:
            self.gone[body["metadata"]["uid"]] = body
            self.server.release(body)

    async def _write(self, body: Body, status: Body) -> None:
        metadata = body["metadata"]
        await self.server.merge(VENDED_ROLES, metadata["name"], {"metadata": {"uid": metadata["uid"]}, "status": status}, "agents")

    def _lives_on(self, body: Body | None) -> frozenset[PlatformName]:
        status = (body or {}).get("status", {})
        if not status.get("conditions") or _ready(status)["status"] != "True":
            return frozenset()
        live = frozenset(PlatformName(each["name"]) for each in status["platforms"] if each["state"] == "Live")
        assert all(RoleName(status["roleName"]) in self.databases[each].roles for each in live), "the status says so, and it is not there"
        return live

    async def end(self) -> None:
        """Every object is deleted, on platforms that answer."""
        for each in self.databases.values():
            each.is_away, each.failure = False, None
        for body in self.server.all_of("vendedroles"):
            await self.server.delete(VENDED_ROLES, body["metadata"]["name"], body["metadata"]["uid"], "agents")
        async with asyncio.timeout(10):
            while self.server.all_of("vendedroles"):
                await self.settle()
                await asyncio.sleep(0.01)

    def left(self) -> list[str]:
        """Roles and credentials that are still there."""
        roles = [f"{role} on {name}" for name, database in self.databases.items() for role in database.roles]
        return roles + [each["metadata"]["name"] for each in self.server.all_of("secrets") if each["type"] == "rolevend.dev/credential"]

    async def close(self) -> None:
        await asyncio.gather(self.of_operator.close(), self.of_api.close())


def _ready(status: Body) -> Body:
    (ready,) = (each for each in status["conditions"] if each["type"] == "Ready")
    return dict(ready)


async def _unread(_: object) -> bytes:
    raise AssertionError("inline keys are asked of nobody")
