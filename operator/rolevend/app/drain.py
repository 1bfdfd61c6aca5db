"""`rolevend drain`: stops vending and revokes all roles, so that the operator can be removed.

The operator drops the roles, so it must run meanwhile.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rolevend.api.cluster_consent import LONGEST_SECONDS
from rolevend.errors import NotPermitted, Rejected, RolevendError, Unavailable
from rolevend.kinds import API_VERSION, DataPlatform
from rolevend.kube.client import (
    DEPLOYMENTS,
    PODS,
    VALIDATING_BINDINGS,
    VALIDATING_POLICIES,
    VENDED_ROLES,
    Body,
    KubeClient,
    NotFound,
    ResourceConflict,
    ResourcePath,
    WatchExpired,
    path_of,
)
from rolevend.platforms.protocol import EndReason
from rolevend.roles.recorded import DRAINED_BECAUSE, DRAINED_BY
from rolevend.roles.state import is_let_go
from rolevend.snapshot.conditions.ledger import is_or_was_ledger
from rolevend.snapshot.controller import ready_condition

_POLL_SECONDS = 0.5
_POLL_SECONDS_PER_THOUSAND = 1.0
"""Additional seconds for each thousand objects that are left, because each poll lists them all."""
_CONSENT_SECONDS = LONGEST_SECONDS + 10.0
"""After vending was closed, a running API creates recorded roles for this long: its last consent counts, and then its call ends."""
_PROBE = "rolevend-drain"
"""The name of a VendedRole that is only created as a dry run, of its Agent, and of the field manager."""
_CLOSED = "vending is closed"
"""The beginning of the policy's message."""
_WHY = "rolevend.dev/closed-because"
_FINISHES = "the API still finishes what it began"
_OVER = ("Succeeded", "Failed")
"""Phases of pods in which nothing runs. An evicted pod stays for inspection."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Left:
    """An object that still exists."""

    kind: str
    name: str
    """With its namespace, if it has one."""
    message: str
    """The reason, from its status."""


async def drain(
    kubeconfig: str | None, namespace: str, policy: str, timeout: float, *, api: str | None, platforms: bool, report: Report
) -> tuple[Left, ...]:
    """Stop the API, close vending, revoke every VendedRole, and delete every DataPlatform if `platforms`.

    Returns what is left after `timeout` seconds. If something is left, the API is started again.

    `api` is the Deployment of the API in `namespace`, or None to leave it running. `policy` is the chart's ValidatingAdmissionPolicy, which
    refuses requests while a binding of its name exists. A dry run in `namespace`, where no agent is, shows that it does.
    """
    cluster = await KubeClient.connect(kubeconfig)
    try:
        deadline = asyncio.get_running_loop().time() + timeout
        return await Drain(cluster, deadline, report).run(namespace, policy, api=api, platforms=platforms)
    finally:
        await cluster.close()


@dataclass(frozen=True, slots=True)
class _Stopped:
    """A Deployment that was scaled to 0."""

    namespace: str
    name: str
    replicas: int
    """Before it was scaled."""
    selector: str
    """The label selector of its pods."""


class Drain:
    """Keeps the names of the objects that are left, and one page of them in memory, because its pod has little."""

    def __init__(
        self, cluster: KubeClient, deadline: float, report: Report, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._cluster = cluster
        self._deadline = deadline
        self._report = report
        self._sleep = sleep
        self._has_ledger = False
        """True if a DataPlatform is or was the ledger: only then databases record roles."""

    async def run(self, namespace: str, policy: str, *, api: str | None, platforms: bool) -> tuple[Left, ...]:
        owner = await self._find(policy)
        stopped = await self._stop(namespace, api) if api else None
        left: tuple[Left, ...] | None = None
        try:
            await self._close(namespace, policy, owner)
            left = await self._end_all(stopped, platforms=platforms)
        finally:
            if stopped and left != ():  # the operator stays, so agents must be able to release
                await self._scale(stopped, stopped.replicas)
        return left

    async def _end_all(self, stopped: _Stopped | None, *, platforms: bool) -> tuple[Left, ...]:
        objects, records = await asyncio.gather(self._end(VENDED_ROLES, "VendedRole", self._revoke), self._end_records())
        left = (*objects, *records)
        if stopped and not left:  # a running API pod could vend when no operator drops
            left = await self._see_off(stopped)
        if self._has_ledger and not left:  # a call that began before may have recorded a role since
            if not stopped:
                await self._sleep(min(_CONSENT_SECONDS, max(0.0, self._deadline - asyncio.get_running_loop().time())))
            left = await self._end_records()
        if platforms and not left:  # the operator needs the DataPlatform to drop its roles
            left = await self._end(path_of(DataPlatform), "DataPlatform", self._delete_platform)
        return left

    async def _stop(self, namespace: str, api: str) -> _Stopped | None:
        """Scale the Deployment to 0, or return None if there is none."""
        try:
            scale = await self._cluster.get(DEPLOYMENTS, api, namespace, "scale")
        except NotFound:
            return None
        stopped = _Stopped(namespace, api, scale["spec"].get("replicas", 0), scale["status"]["selector"])
        await self._scale(stopped, 0)
        self._report(f"the API stops: Deployment {api}")
        return stopped

    async def _scale(self, stopped: _Stopped, replicas: int) -> None:
        """Set the number of replicas through the subresource, so that helm can still overwrite it at the next upgrade."""
        await self._cluster.merge(DEPLOYMENTS, stopped.name, {"spec": {"replicas": replicas}}, stopped.namespace, "scale")

    async def _see_off(self, stopped: _Stopped) -> tuple[Left, ...]:
        """Wait until all pods ended, and return those that still run at the deadline."""
        while True:
            try:
                pods = [pod async for page in self._cluster.pages(PODS, stopped.namespace, stopped.selector) for pod in page["items"]]
                left = tuple(Left("Pod", _name(pod), _FINISHES) for pod in pods if pod["status"].get("phase") not in _OVER)
            except (Unavailable, WatchExpired) as error:
                left = (Left("API server", "-", str(error)),)
            if not left or not self._has_time():
                return left
            await self._sleep(_POLL_SECONDS)

    async def _find(self, policy: str) -> Body:
        """The metadata of the policy that closes."""
        try:
            owner: Body = (await self._cluster.get(VALIDATING_POLICIES, policy))["metadata"]
        except NotFound as error:
            raise Rejected(
                f"there is no ValidatingAdmissionPolicy {policy}: name that of your release of the chart with --policy"
            ) from error
        return owner

    async def _close(self, namespace: str, policy: str, owner: Body) -> None:
        """Returns when the API server refuses requests: it takes up a change of this kind a moment after it was made."""
        group = "admissionregistration.k8s.io/v1"
        # It goes with the policy, so that rolevend is open when it is installed again.
        reference = {"apiVersion": group, "kind": "ValidatingAdmissionPolicy", "name": policy, "uid": owner["uid"]}
        binding = {
            "apiVersion": group,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": policy, "annotations": {_WHY: DRAINED_BECAUSE}, "ownerReferences": [reference]},
            "spec": {"policyName": policy, "validationActions": ["Deny"]},
        }
        with contextlib.suppress(ResourceConflict):  # somebody closed it before, and says another reason
            await self._cluster.apply(VALIDATING_BINDINGS, binding, _PROBE)
        answer = "the API server did not say so"
        while self._has_time():
            answer = await self._probe(namespace)
            if _CLOSED in answer:
                self._report(f"{_CLOSED}: ValidatingAdmissionPolicyBinding {policy}")
                return
            await self._sleep(_POLL_SECONDS)
        raise Unavailable(f"closing vending: requests are not refused yet: {answer}")

    async def _probe(self, namespace: str) -> str:
        """Return the API server's answer to a dry run of a request."""
        spec = {"agentRef": {"name": _PROBE}, "user": {"issuer": _PROBE, "subject": _PROBE}, "platformRefs": [{"name": _PROBE}]}
        body = {"apiVersion": API_VERSION, "kind": "VendedRole", "metadata": {"name": _PROBE, "namespace": namespace}, "spec": spec}
        try:
            await self._cluster.create(VENDED_ROLES, body, namespace, dry_run=True)
        except (NotPermitted, Unavailable) as error:
            return str(error)
        return "a request was accepted"

    async def _end(self, kind: ResourcePath, name: str, ask: Callable[[Body], Awaitable[None]]) -> tuple[Left, ...]:
        """Asks each object once to go; those that are left at the deadline. Those that only finalizers of others keep are not: nothing is
        left of them on a platform, and nobody here can make them go."""
        asked: set[str] = set()
        known = -1
        while True:
            left: list[Left] = []
            kept: set[str] = set()
            try:
                async for page in self._cluster.pages(kind):
                    new = [each for each in page["items"] if each["metadata"]["uid"] not in asked]
                    await asyncio.gather(*(ask(each) for each in new))
                    asked |= {each["metadata"]["uid"] for each in new}
                    left += [Left(name, _name(each), _message(each)) for each in page["items"] if not is_let_go(each)]
                    kept |= {_name(each) for each in page["items"] if is_let_go(each)}
                if len(left) != known:
                    self._report(f"{name}s left: {len(left)}")
                    known = len(left)
                if not left:
                    if kept:
                        self._report(f"{name}s that are done with, and that finalizers of others keep: {', '.join(sorted(kept))}")
                    return ()
            except (Unavailable, WatchExpired) as error:  # WatchExpired: the list expired between two pages
                left = [Left("API server", "-", str(error))]
            if not self._has_time():
                return tuple(left)
            until = self._deadline - asyncio.get_running_loop().time()  # it polls once more at the deadline
            await self._sleep(max(0.0, min(until, _POLL_SECONDS + known / 1000 * _POLL_SECONDS_PER_THOUSAND)))

    async def _end_records(self) -> tuple[Left, ...]:
        """Have the operator end all roles that databases record, and return the platforms on which some are left at the deadline.

        The request is in the status of each DataPlatform, as the reason of an end is in that of a VendedRole, so that the right to write
        it includes no change of a spec. In the end it is withdrawn, because vending may open again.
        """
        request = secrets.token_hex(8)
        asked: dict[str, str] = {}
        known: tuple[str, ...] = ()
        try:
            while True:
                try:
                    left = await self._undrained(request, asked)
                except (Unavailable, WatchExpired) as error:
                    left = (Left("API server", "-", str(error)),)
                if (names := tuple(each.name for each in left)) != known:
                    self._report(f"DataPlatforms that may record live roles: {', '.join(names) or 'none'}")
                    known = names
                if not left or not self._has_time():
                    return left
                await self._sleep(max(0.0, min(_POLL_SECONDS, self._deadline - asyncio.get_running_loop().time())))
        finally:
            for name, uid in asked.items():
                with contextlib.suppress(RolevendError):
                    await self._request(name, uid, None)

    async def _undrained(self, request: str, asked: dict[str, str]) -> tuple[Left, ...]:
        """Ask the platforms that are not in `asked`, and return those that have not answered this request.

        A platform that never answered the operator has no roles.
        """
        platforms = [item async for page in self._cluster.pages(path_of(DataPlatform)) for item in page["items"]]
        self._has_ledger = self._has_ledger or any(map(is_or_was_ledger, platforms))
        if not self._has_ledger:
            return ()
        left = []
        for platform in platforms:
            metadata, status = platform["metadata"], platform.get("status", {})
            if "postgres" not in platform["spec"] or "serverIdentifier" not in status or status.get("drained") == request:
                continue
            if metadata["name"] not in asked:
                await self._request(metadata["name"], metadata["uid"], request)
                asked[metadata["name"]] = metadata["uid"]
            left.append(Left("DataPlatform", metadata["name"], _undrained_message(platform)))
        return tuple(left)

    async def _request(self, name: str, uid: str, request: str | None) -> None:
        patch = {"metadata": {"uid": uid}, "status": {"drainRequested": request}}
        with contextlib.suppress(NotFound, ResourceConflict):  # it is gone already
            await self._cluster.merge(path_of(DataPlatform), name, patch, None, "status")

    async def _revoke(self, role: Body) -> None:
        """Write the reason, then delete the object."""
        metadata = role["metadata"]
        if metadata.get("deletionTimestamp"):
            return
        ended = {"reason": EndReason.REVOKED.value, "by": DRAINED_BY, "message": DRAINED_BECAUSE}
        patch = {"metadata": {"uid": metadata["uid"]}, "status": {"ended": ended}}
        try:
            await self._cluster.merge(VENDED_ROLES, metadata["name"], patch, metadata["namespace"], "status")
        except (NotFound, ResourceConflict):
            return  # it is gone already
        await self._cluster.delete(VENDED_ROLES, metadata["name"], metadata["uid"], metadata["namespace"])

    async def _delete_platform(self, platform: Body) -> None:
        await self._cluster.delete(path_of(DataPlatform), platform["metadata"]["name"], platform["metadata"]["uid"])

    def _has_time(self) -> bool:
        return asyncio.get_running_loop().time() < self._deadline


def _name(body: Body) -> str:
    metadata = body["metadata"]
    return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))


def _message(body: Body) -> str:
    ready = ready_condition(body)
    return str(ready["message"]) if ready else "no operator has looked at it"


def _undrained_message(platform: Body) -> str:
    ready = ready_condition(platform)
    if ready is not None and ready["status"] != "True":
        return f"its database may record live roles, and is not ready: {ready['message']}"
    return "its database still records live roles; the operator's log names those that it cannot drop"
