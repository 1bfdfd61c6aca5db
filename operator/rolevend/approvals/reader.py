"""Read AccessRequests from a cluster, with the objects that an approver judges them by. I/O.

An approver may lack the right to read some of them. Their absence becomes a note, except that of the requests themselves.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from rolevend.approvals.details import RequestDetails
from rolevend.errors import ClusterUnavailable, InvalidInput, NotPermitted, Rejected
from rolevend.kinds import AccessDecision, AccessPolicy, AccessRequest, parse
from rolevend.kube.client import Body, KubeClient, NotFound, WatchExpired, path_of
from rolevend.model import ObjectName
from rolevend.policy.vocabulary import closest

REQUESTS: Final = path_of(AccessRequest)
DECISIONS: Final = path_of(AccessDecision)
_POLICIES: Final = path_of(AccessPolicy)
_WATCH_SECONDS: Final = 300
_RETRY_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    kubeconfig: str
    context: str | None = None
    namespace: str | None = None
    """Of the requests. None: the namespace of the context."""

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[KubeClient]:
        cluster = await KubeClient.connect(self.kubeconfig, context=self.context)
        try:
            yield cluster
        finally:
            await cluster.close()


async def open_names(access: ClusterAccess) -> list[str]:
    """Return the names of the requests that can still change, for the completion of a shell."""
    async with access.connected() as cluster:
        requests, _ = await RequestReader(cluster, access.namespace or cluster.namespace).list()
    return [each.name for each in requests if each.status.state in (None, "Pending", "Approved", "Used")]


@dataclass(slots=True)
class RequestReader:
    """Reads from one cluster. Reads each offer once."""

    cluster: KubeClient
    namespace: str | None
    """None: all namespaces."""
    notes: list[str] = field(default_factory=list)
    """Objects that could not be read."""
    _offers: dict[ObjectName, AccessPolicy | None] = field(default_factory=dict)

    async def list(self) -> tuple[list[AccessRequest], str]:
        """Return the requests, and the version to watch from."""
        try:
            items, version = await self.cluster.list(REQUESTS, self.namespace)
        except NotFound as error:
            raise Rejected("the cluster has no AccessRequests: rolevend is not installed there, or an older version of it is") from error
        except NotPermitted as error:
            raise self._may_not("list", error) from error
        return [each for each in map(self._parsed, items) if each is not None], version

    async def changes(self, version: str) -> AsyncIterator[tuple[str, AccessRequest]]:
        """Yield every change, without an end. After a gap it yields all requests again."""
        while True:
            try:
                async for kind, item in self.cluster.watch(REQUESTS, version, _WATCH_SECONDS, self.namespace):
                    version = item["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK" and (request := self._parsed(item)) is not None:
                        yield kind, request
            except (WatchExpired, ClusterUnavailable):
                await asyncio.sleep(_RETRY_SECONDS)
                requests, version = await self.list()
                for request in requests:
                    yield "MODIFIED", request

    async def offer(self, request: AccessRequest) -> AccessPolicy | None:
        name = ObjectName(request.spec.offer_ref.namespace, request.spec.offer_ref.name)
        if name not in self._offers:
            self._offers[name] = await self._offer(name)
        return self._offers[name]

    async def details(self, name: str) -> RequestDetails:
        """Raises Rejected if there is no request of this name."""
        request = await self._request(name)
        offer, votes, others = await self.offer(request), await self._votes(request), await self._others(request)
        return RequestDetails(request, offer, votes, others, datetime.now(UTC), tuple(self.notes))

    async def question(self, name: str) -> RequestDetails:
        """Return the details without votes, precedents and limits. Raises Rejected if there is no request of this name."""
        request = await self._request(name)
        return RequestDetails(request, await self.offer(request), None, None, datetime.now(UTC), tuple(self.notes))

    async def _request(self, name: str) -> AccessRequest:
        try:
            return parse(AccessRequest, await self.cluster.get(REQUESTS, name, self.namespace), unknown="ignore")
        except NotFound as error:
            known = await self._names()
            hint = closest(name, known) or "; name another one with --namespace"
            raise Rejected(f"there is no AccessRequest {name} in namespace {self.namespace}{hint}") from error
        except NotPermitted as error:
            raise self._may_not("get", error) from error

    def _may_not(self, verb: str, error: NotPermitted) -> NotPermitted:
        where = "all namespaces; name one" if self.namespace is None else f"namespace {self.namespace}; name another one"
        message = f"you may not {verb} AccessRequests in {where} with --namespace, or ask for the ClusterRole rolevend-viewer there"
        return NotPermitted(f"{message}: {error}")

    async def _names(self) -> tuple[str, ...]:
        """Return the names of the requests in the namespace, as far as the caller may list them."""
        try:
            return tuple(each.name for each in (await self.list())[0])
        except NotPermitted:
            return ()

    def _parsed(self, item: Body) -> AccessRequest | None:
        try:
            return parse(AccessRequest, item, unknown="ignore")
        except InvalidInput as error:
            self.notes.append(f"AccessRequest {item['metadata']['namespace']}/{item['metadata']['name']} cannot be read: {error}")
            return None

    async def _offer(self, name: ObjectName) -> AccessPolicy | None:
        try:
            return parse(AccessPolicy, await self.cluster.get(_POLICIES, name.name, name.namespace), unknown="ignore")
        except NotFound:
            self.notes.append(f"there is no AccessPolicy {name}")
        except (NotPermitted, InvalidInput) as error:
            self.notes.append(f"AccessPolicy {name} cannot be read: {error}")
        return None

    async def _votes(self, request: AccessRequest) -> tuple[AccessDecision, ...] | None:
        try:
            items, _ = await self.cluster.list(DECISIONS, request.spec.offer_ref.namespace)
        except NotPermitted as error:
            self.notes.append(f"the votes cannot be read: {error}")
            return None
        mine = [each for each in items if each["spec"]["requestRef"]["uid"] == request.uid and each["spec"]["verdict"] != "Preview"]
        votes = [parse(AccessDecision, each, unknown="ignore") for each in mine]
        return tuple(sorted(votes, key=lambda vote: (vote.metadata.creation_timestamp or datetime.now(UTC), vote.name)))

    async def _others(self, request: AccessRequest) -> tuple[AccessRequest, ...] | None:
        try:
            items, _ = await self.cluster.list(REQUESTS)
        except NotPermitted:
            try:
                items, _ = await self.cluster.list(REQUESTS, request.namespace)
            except NotPermitted as error:
                self.notes.append(f"precedents and limits cannot be counted: {error}")
                return None
            self.notes.append(f"precedents and limits are counted in namespace {request.namespace} alone, which you may read")
        return tuple(each for each in map(self._parsed, items) if each is not None)
