"""From a grant to a role that can log in: the steps in the order in which a crash leaves nothing behind that nobody finds."""

import asyncio

from rolevend.atwork.executor import Executor
from rolevend.errors import Overtaken
from rolevend.kube.client import Body, Cluster
from rolevend.kube.paths import VENDED_ROLES
from rolevend.platforms.base import Randomness
from rolevend.requests.record import Record
from rolevend.requests.roles import begun_as
from rolevend.requests.status import Report, granted
from rolevend.vending.directory import Directory
from rolevend.vending.vend import CredentialStore, Live, vend
from rolevend.vending.verdict import Granted, Request


class Making:
    def __init__(self, cluster: Cluster, record: Record, randomness: Randomness) -> None:
        self._cluster = cluster
        self._record = record
        self._randomness = randomness

    async def begin(self, request: Request, verdict: Granted, directory: Directory, report: Report, *, intend: bool = True) -> Body | None:
        """On record before anything exists on a platform: whom the handles stand for, why it may, and the intent, for a drop needs
        nothing but the object. Without `intend` that is left out where the object names its role from the start, and no receipt is to be
        in it. Answers the object with the intent, if it was written. Raises Conflict where a handle is somebody else's, Overtaken where
        the role was begun under another name."""
        status, begun = report.role.status, begun_as(report.role)
        if begun is not None and begun != verdict.lease.role:
            raise Overtaken(f"{begun} was begun under another handle")
        await self._record.handles(request, verdict, directory)
        if self._record.gives_receipts:  # one after the other, so that the object names no receipt that was never written
            receipt = await self._record.granted(request, verdict, directory)
            if status.role_name is None:
                return await self._intend(request, verdict, report, receipt)
            if status.receipt_digest != receipt:  # told again by another process: its end names this one
                await write_status(self._cluster, request, {"receiptDigest": receipt})
            return None
        granted = self._record.granted(request, verdict, directory)
        if begun is not None and (status.role_name is not None or not intend):
            await granted
            return None
        told, intended = await asyncio.gather(granted, self._intend(request, verdict, report), return_exceptions=True)
        if isinstance(told, BaseException):
            raise told
        if isinstance(intended, BaseException):
            raise intended
        return intended

    async def make(self, request: Request, verdict: Granted, executor: Executor, store: CredentialStore) -> Live:
        """What was begun. Again is the same; see vending.vend."""
        return await vend(request, verdict, executor, store, self._randomness)

    async def _intend(self, request: Request, verdict: Granted, report: Report, receipt_digest: str | None = None) -> Body:
        return await write_status(self._cluster, request, granted(report, verdict, request, receipt_digest))


async def write_status(cluster: Cluster, request: Request, status: Body) -> Body:
    """The object as it is then. Raises AlreadyExists where it is another one of that name by now, NotFound where it is gone."""
    patch = {"metadata": {"uid": request.uid}, "status": status}
    return await cluster.merge(VENDED_ROLES, request.name.name, patch, request.name.namespace, "status")


async def delete(cluster: Cluster, request: Request) -> None:
    """Begins the end of exactly this object; one that is gone is fine."""
    await cluster.delete(VENDED_ROLES, request.name.name, request.uid, request.name.namespace)
