"""An operator and an API over one cluster and two platforms, all in memory: both doors, and everything behind them but kopf, HTTP and SQL.

Services, executors, queues, Secrets, records of handles and checks of tokens are the real ones. The API server keeps its preconditions
and tells every change; the platforms keep roles and passwords.
"""

import asyncio
import base64
import copy
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import cast
from uuid import uuid4

from pydantic import SecretStr

from rolevend.api.authenticator import Authenticator
from rolevend.api.index import VendedRoleIndex
from rolevend.api.problems import Problem, of_error
from rolevend.api.rate_limiter import RateLimiter
from rolevend.api.refusals import RefusalLog
from rolevend.api.repository import VendedRoleRepository
from rolevend.api.schemas import Question
from rolevend.api.vend_service import VendService
from rolevend.atwork.executor import Executor
from rolevend.atwork.platforms import Platforms
from rolevend.errors import PlatformUnavailable, ProfileNotBuilt, RolevendError
from rolevend.identity.key_store import KeyStore
from rolevend.identity.token_check import TokenCheck
from rolevend.kube.client import SECRETS, AlreadyExists, Body, Cluster, NotFound, Resource
from rolevend.kube.credentials import CredentialSecrets
from rolevend.kube.handles import HandleRecords
from rolevend.kube.paths import VENDED_ROLES
from rolevend.kube.taken_tokens import TakenTokens
from rolevend.model import PlatformName, ProfileName, RoleName, Uid, Version
from rolevend.plan import Lease, Profile
from rolevend.platforms.base import Address, Credential, Dropped, Ending, PasswordCredential, Platform, Randomness, Secret, Vended
from rolevend.platforms.progress import Told
from rolevend.reconcile.api_vends import ApiVendSupervisor
from rolevend.reconcile.reconciler import VendedRoleReconciler
from rolevend.reconcile.reevaluator import Reevaluator
from rolevend.reconcile.watcher import VendedRoleWatcher
from rolevend.resources import API_VERSION, FINALIZER
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.build_progress import BuildProgressReporter
from rolevend.roles.door import Door
from rolevend.roles.dropper import RoleDropper
from rolevend.roles.ender import RoleEnder
from rolevend.roles.expiry import ExpiryScheduler
from rolevend.roles.immediate_drops import ImmediateDrops
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.quota import RoleQuota
from rolevend.roles.store import RoleStore
from rolevend.roles.user_authenticator import UserAuthenticator
from rolevend.roles.vender import Vender
from rolevend.telemetry.metrics import Metrics
from rolevend.vending.directory import Directory, Sources
from rolevend.vending.proof import ClientIdentity
from tests.support import registered, tokens
from tests.support.events import Trail
from tests.support.registered import AGENT, MINE, TERMS, WAREHOUSE, shapes, terms

ANNEX = PlatformName("annex")
NOW = tokens.NOW
PROVEN = replace(
    AGENT,
    identity=ClientIdentity(tokens.ISSUER, frozenset({"finbot"}), "finbot"),
    version=Version("Agent", "agents/finbot", Uid("a"), 1),
)
_SYSTEM = "rolevend-system"


def granting(*platforms: PlatformName, most_live: int | None = None) -> Directory:
    """Grants on these platforms. The agent is trusted to name its users, and may prove them as well."""
    admits = terms(replace(TERMS, may_prove=True, most_live=most_live))
    both = (WAREHOUSE, ANNEX)
    known = {each: shapes(MINE) if each in platforms else shapes() for each in both}
    sources = {each: Sources(Version("DataPlatform", each, Uid(each), 1), {}, (), "sha256:catalog") for each in both}
    issuers = {tokens.ISSUER: Version("IdentityProvider", "workforce", Uid("i"), 1)}
    return registered.directory(
        agents={PROVEN.name: PROVEN}, platforms=dict.fromkeys(both, admits), shapes=known, sources=sources, issuers=issuers
    )


class ApiServer:
    """Keeps objects, and tells `listeners` of every change of a VendedRole."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Body] = {}
        self.listeners: list[Callable[[str, Body], None]] = []
        self._version = 0

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Body:
        try:
            return copy.deepcopy(self.objects[resource.plural, namespace or "", name])
        except KeyError:
            raise NotFound(f"GET {name}: 404") from None

    async def create(self, resource: Resource, body: Body, namespace: str | None = None) -> Body:
        key = (resource.plural, namespace or "", body["metadata"]["name"])
        if key in self.objects:
            raise AlreadyExists(f"POST {key}: 409")
        body = copy.deepcopy(body)
        body["metadata"] |= {"uid": str(uuid4()), "generation": 1, "creationTimestamp": NOW.isoformat(), "namespace": namespace}
        if "stringData" in body:
            body["data"] = {name: base64.b64encode(text.encode()).decode() for name, text in body.pop("stringData").items()}
        self.objects[key] = body
        return self._changed(key, "ADDED")

    async def merge(
        self, resource: Resource, name: str, patch: Body, namespace: str | None = None, _subresource: str | None = None
    ) -> Body:
        key = (resource.plural, namespace or "", name)
        if key not in self.objects:
            raise NotFound(f"PATCH {name}: 404")
        there = self.objects[key]["metadata"]
        if any(there[each] != patch["metadata"][each] for each in ("uid", "resourceVersion") if each in patch["metadata"]):
            raise AlreadyExists(f"PATCH {name}: 409")
        _merge(self.objects[key], patch)
        return self._changed(key, "MODIFIED")

    async def delete(self, resource: Resource, name: str, uid: str, namespace: str | None = None) -> None:
        key = (resource.plural, namespace or "", name)
        there = self.objects.get(key)
        if there is None or there["metadata"]["uid"] != uid:
            return
        if there["metadata"].get("finalizers"):
            there["metadata"].setdefault("deletionTimestamp", NOW.isoformat())
            self._changed(key, "MODIFIED")
        else:
            self._tell(key, "DELETED", self.objects.pop(key))

    async def pages(self, resource: Resource, namespace: str | None = None, _selector: str = "") -> AsyncIterator[Body]:
        yield {"items": [body for key, body in self.objects.items() if key[:2] == (resource.plural, namespace)]}

    def all_of(self, plural: str) -> list[Body]:
        return [copy.deepcopy(body) for key, body in self.objects.items() if key[0] == plural]

    def release(self, body: Body) -> None:
        """Without its finalizer: the object is gone."""
        key = ("vendedroles", body["metadata"]["namespace"], body["metadata"]["name"])
        self._tell(key, "DELETED", self.objects.pop(key))

    def _changed(self, key: tuple[str, str, str], event: str) -> Body:
        self._version += 1
        self.objects[key]["metadata"]["resourceVersion"] = str(self._version)
        self._tell(key, event, self.objects[key])
        return copy.deepcopy(self.objects[key])

    def _tell(self, key: tuple[str, str, str], event: str, body: Body) -> None:
        for listener in self.listeners if key[0] == "vendedroles" else ():
            listener(event, copy.deepcopy(body))


def _merge(body: Body, patch: Body) -> None:
    for name, value in patch.items():
        if isinstance(value, dict) and isinstance(body.get(name), dict):
            _merge(body[name], value)
        elif value is None:
            body.pop(name, None)
        else:
            body[name] = value


@dataclass
class Database:
    """One platform's server."""

    roles: dict[RoleName, str] = field(default_factory=dict)
    """Those that can log in, and their passwords."""
    built: set[ProfileName] | None = None
    """None: every profile."""
    is_away: bool = False
    failure: Exception | None = None
    """The answer to every vend."""
    on_vend: Callable[[], object] = lambda: None
    """Called when a role was created."""


class Driver:
    """Of one process. `builds`: it has the programmer's credential."""

    vends_at_once = None

    def __init__(self, database: Database, *, builds: bool) -> None:
        self._database = database
        self._builds = builds

    def is_built(self, profile: ProfileName) -> bool:
        return self._database.built is None or profile in self._database.built

    def ensure(self, profile: Profile, _told: Told) -> None:
        self._answers()
        if not self._builds:
            raise ProfileNotBuilt(f"{profile.name} is not built yet")
        if self._database.built is not None:
            self._database.built.add(profile.name)

    def credential(self, lease: Lease, randomness: Randomness) -> Credential:
        return PasswordCredential(lease.role, Secret(randomness(8).hex()), Address("db.example.org", 5432, "claims"))

    def vend(self, vends: list[tuple[Lease, Credential]]) -> list[Vended]:
        self._answers()
        return [self._vend(lease, credential) for lease, credential in vends]

    def _vend(self, lease: Lease, credential: Credential) -> Vended:
        if self._database.failure is not None:
            return Vended(lease.role, None, self._database.failure)
        assert isinstance(credential, PasswordCredential)
        self._database.roles[lease.role] = credential.password.reveal()
        self._database.on_vend()
        return Vended(lease.role, lease.expires_at)

    def drop(self, endings: list[Ending]) -> list[Dropped]:
        self._answers()
        for each in endings:
            self._database.roles.pop(each.role, None)
        return [Dropped(each.role) for each in endings]

    def close(self) -> None: ...

    def _answers(self) -> None:
        if self._database.is_away:
            raise PlatformUnavailable("db.example.org:5432 does not answer")


class Connected:
    """The platforms of one process."""

    def __init__(self, databases: dict[PlatformName, Database], *, builds: bool) -> None:
        drivers = {name: cast(Platform, Driver(database, builds=builds)) for name, database in databases.items()}
        self._connected = {name: Connection(Executor(name, driver, 2)) for name, driver in drivers.items()}

    def get(self, name: PlatformName) -> "Connection | None":
        return self._connected.get(name)

    def disconnect(self, name: PlatformName) -> None:
        self._connected[name].is_up = False

    async def close(self) -> None:
        for each in self._connected.values():
            await each.kept.close()


@dataclass
class Connection:
    kept: Executor
    is_up: bool = True

    @property
    def executor(self) -> Executor | None:
        return self.kept if self.is_up else None

    async def connected(self, _within: float) -> Executor | None:
        return self.executor


@dataclass(frozen=True)
class Fate:
    """What became of a request."""

    lives_on: frozenset[PlatformName]
    """Where its role is Ready."""
    reason: str
    """At kubectl's door that of the condition Ready, or who ended it. Of a call the problem's code, or what its answer says."""


class World:
    def __init__(self) -> None:
        self.directory = granting(WAREHOUSE, ANNEX)
        """The newest snapshot of both processes."""
        self.server = ApiServer()
        self.databases = {WAREHOUSE: Database(), ANNEX: Database()}
        self.trail = Trail()
        self.gone: dict[str, Body] = {}
        """Objects that were dropped, as they said last; by uid."""
        cluster, metrics = cast(Cluster, self.server), Metrics()
        self.of_operator, self.of_api = Connected(self.databases, builds=True), Connected(self.databases, builds=False)
        check = TokenCheck(KeyStore(_unread, self.now, lambda: 0.0), self.now)
        check.follow(tokens.PROVIDERS)
        users = UserAuthenticator(cluster, check, TakenTokens(cluster, _SYSTEM, self.now), self.now)
        recorder = AuditRecorder(self.trail, HandleRecords(cluster, _SYSTEM), self.now)
        objects = VendedRoleWriter(cluster, self.now)
        self._operator(users, recorder, objects, metrics)
        self._api(check, users, recorder, objects, metrics)

    def _operator(self, users: UserAuthenticator, recorder: AuditRecorder, objects: VendedRoleWriter, metrics: Metrics) -> None:
        platforms, roles = cast(Platforms, self.of_operator), RoleStore()
        credentials, builds = CredentialSecrets(cast(Cluster, self.server), b"k" * 32), BuildProgressReporter(objects)
        drops, quota, expiry = ImmediateDrops(platforms, metrics), RoleQuota(roles, objects), ExpiryScheduler(self.now, metrics)
        ender = RoleEnder(roles, objects, drops, metrics)
        vender = Vender(self, platforms, recorder, objects, metrics, secrets.token_bytes)
        supervisor = ApiVendSupervisor(roles, objects, platforms, self, builds, timedelta(seconds=10))
        watcher = VendedRoleWatcher(roles, quota, expiry, ender, supervisor, Reevaluator(self, roles, quota, objects, ender))
        self.reconciler = VendedRoleReconciler(roles, users, quota, vender, ender, Door(credentials, builds))
        self._dropper = RoleDropper(roles, objects, drops, credentials, recorder, expiry)
        self.server.listeners.append(watcher.on_event)

    def _api(
        self, check: TokenCheck, users: UserAuthenticator, recorder: AuditRecorder, objects: VendedRoleWriter, metrics: Metrics
    ) -> None:
        index = VendedRoleIndex(cast(Cluster, self.server), self.now)
        informer = index.informer
        self.server.listeners.append(lambda event, body: informer.drop(body) if event == "DELETED" else informer.keep(body))
        self.service = VendService(
            Authenticator(check, users, RefusalLog(recorder, lambda: 0.0)),
            VendedRoleRepository(objects, index, uuid4),
            Vender(self, cast(Platforms, self.of_api), recorder, objects, metrics, secrets.token_bytes),
            RateLimiter(lambda: 0.0),
            metrics,
            timedelta(seconds=9),
        )

    def now(self) -> datetime:
        return NOW

    async def by_kubectl(self, *, partial: bool, token: str | None = None, name: str = "ask") -> Fate:
        spec: Body = {
            "agentRef": {"name": AGENT.name.name},
            "user": {"issuer": tokens.ISSUER, "subject": "anna"},
            "platformRefs": [{"name": WAREHOUSE}, {"name": ANNEX}],
            "expirationSeconds": 300,
            "allowPartial": partial,
        }
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
            return Fate(frozenset(), (error if isinstance(error, Problem) else of_error(error)).code)
        await self.settle()
        there = self.server.objects[("vendedroles", "agents", answer.request.name.name)]
        assert {each.platform for each in answer.grants} == self._lives_on(there)
        return Fate(self._lives_on(there), "Partial" if answer.skipped else str(_ready(there["status"])["reason"]))

    @staticmethod
    def question(*, partial: bool, token: str | None = None) -> Question:
        """The body of a call."""
        user = None if token is not None else {"issuer": tokens.ISSUER, "subject": "anna"}
        presented = None if token is None else SecretStr(token)
        platforms = [WAREHOUSE, ANNEX]
        told = {"user": user, "userToken": presented, "platforms": platforms, "allowPartial": partial, "expirationSeconds": 300}
        return Question.model_validate(told)

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
