"""A cluster and platforms in memory. The API server keeps its preconditions and tells every change of a VendedRole; the platforms keep
roles and passwords behind the real executors and queues."""

import base64
import copy
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

from rolevend.errors import PlatformUnavailable, ProfileNotBuilt
from rolevend.kube.client import Body, NotFound, ResourceConflict, ResourcePath
from rolevend.model import PlatformName, ProfileName, RoleName
from rolevend.plan import Lease, Profile
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platforms.progress import ProgressCallback
from rolevend.platforms.protocol import (
    Address,
    CreatedRole,
    Credential,
    DropRequest,
    DropResult,
    PasswordCredential,
    Platform,
    Randomness,
    Secret,
)
from tests.support import tokens

NOW = tokens.NOW


class ApiServer:
    """Keeps objects, and tells `listeners` of every change of a VendedRole."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Body] = {}
        self.listeners: list[Callable[[str, Body], None]] = []
        self._version = 0

    async def get(self, resource: ResourcePath, name: str, namespace: str | None = None) -> Body:
        try:
            return copy.deepcopy(self.objects[resource.plural, namespace or "", name])
        except KeyError:
            raise NotFound(f"GET {name}: 404") from None

    async def create(self, resource: ResourcePath, body: Body, namespace: str | None = None) -> Body:
        key = (resource.plural, namespace or "", body["metadata"]["name"])
        if key in self.objects:
            raise ResourceConflict(f"POST {key}: 409")
        body = copy.deepcopy(body)
        body["metadata"] |= {"uid": str(uuid4()), "generation": 1, "creationTimestamp": NOW.isoformat(), "namespace": namespace}
        if "stringData" in body:
            body["data"] = {name: base64.b64encode(text.encode()).decode() for name, text in body.pop("stringData").items()}
        self.objects[key] = body
        return self._changed(key, "ADDED")

    async def merge(
        self, resource: ResourcePath, name: str, patch: Body, namespace: str | None = None, _subresource: str | None = None
    ) -> Body:
        key = (resource.plural, namespace or "", name)
        if key not in self.objects:
            raise NotFound(f"PATCH {name}: 404")
        there = self.objects[key]["metadata"]
        if any(there[each] != patch["metadata"][each] for each in ("uid", "resourceVersion") if each in patch["metadata"]):
            raise ResourceConflict(f"PATCH {name}: 409")
        _merge(self.objects[key], patch)
        return self._changed(key, "MODIFIED")

    async def delete(self, resource: ResourcePath, name: str, uid: str, namespace: str | None = None) -> None:
        key = (resource.plural, namespace or "", name)
        there = self.objects.get(key)
        if there is None or there["metadata"]["uid"] != uid:
            return
        if there["metadata"].get("finalizers"):
            there["metadata"].setdefault("deletionTimestamp", NOW.isoformat())
            self._changed(key, "MODIFIED")
        else:
            self._tell(key, "DELETED", self.objects.pop(key))

    async def pages(self, resource: ResourcePath, namespace: str | None = None, _selector: str = "") -> AsyncIterator[Body]:
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

    records = None
    max_parallel_vends = None

    def __init__(self, database: Database, *, builds: bool) -> None:
        self._database = database
        self._builds = builds

    def prepares_slowly(self, _credential: Credential) -> bool:
        return False

    def is_built(self, profile: ProfileName) -> bool:
        return self._database.built is None or profile in self._database.built

    def ensure(self, profile: Profile, _on_progress: ProgressCallback) -> None:
        self._answers()
        if not self._builds:
            raise ProfileNotBuilt(f"{profile.name} is not built yet")
        if self._database.built is not None:
            self._database.built.add(profile.name)

    def credential(self, lease: Lease, randomness: Randomness) -> Credential:
        return PasswordCredential(lease.role, Secret(randomness(8).hex()), Address("db.example.org", 5432, "claims"), lease.profile)

    def prepare(self, credential: Credential) -> Credential:
        return credential

    def vend(self, vends: list[tuple[Lease, Credential]]) -> list[CreatedRole]:
        self._answers()
        return [self._vend(lease, credential) for lease, credential in vends]

    def _vend(self, lease: Lease, credential: Credential) -> CreatedRole:
        if self._database.failure is not None:
            return CreatedRole(lease.role, None, self._database.failure)
        assert isinstance(credential, PasswordCredential)
        self._database.roles[lease.role] = credential.password.reveal()
        self._database.on_vend()
        return CreatedRole(lease.role, lease.expires_at)

    def drop(self, endings: list[DropRequest]) -> list[DropResult]:
        self._answers()
        for each in endings:
            self._database.roles.pop(each.role, None)
        return [DropResult(each.role) for each in endings]

    def close(self) -> None: ...

    def _answers(self) -> None:
        if self._database.is_away:
            raise PlatformUnavailable("db.example.org:5432 does not answer")


class Connected:
    """The platforms of one process."""

    def __init__(self, databases: dict[PlatformName, Database], *, builds: bool) -> None:
        drivers = {name: cast(Platform, Driver(database, builds=builds)) for name, database in databases.items()}
        self._connected = {name: Connection(PlatformExecutor(name, driver, 2)) for name, driver in drivers.items()}

    def get(self, name: PlatformName) -> "Connection | None":
        return self._connected.get(name)

    async def appeared(self, name: PlatformName, _within: float) -> "Connection | None":
        return self._connected.get(name)

    def disconnect(self, name: PlatformName) -> None:
        self._connected[name].is_up = False

    async def close(self) -> None:
        for each in self._connected.values():
            await each.kept.close()


@dataclass
class Connection:
    kept: PlatformExecutor
    is_up: bool = True

    @property
    def executor(self) -> PlatformExecutor | None:
        return self.kept if self.is_up else None

    async def connected(self, _within: float) -> PlatformExecutor | None:
        return self.executor
