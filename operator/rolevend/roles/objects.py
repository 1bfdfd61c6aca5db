"""From a grant to a role that can log in: the steps in the order in which a crash leaves nothing behind that nobody finds.

On several platforms everything is on record before anything is made, and all is prepared before the first role exists.
"""

import asyncio

from rolevend.atwork.executor import Executor
from rolevend.errors import Overtaken
from rolevend.kube.client import Body, Cluster
from rolevend.kube.paths import VENDED_ROLES
from rolevend.model import ObjectName, PlatformName, Uid
from rolevend.platforms.base import Credential, Randomness
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.decision import RoleDecision, Vend
from rolevend.roles.state import assigned_role_name
from rolevend.roles.status import StatusBuilder, granted, receipts_told
from rolevend.vending.directory import Directory
from rolevend.vending.protocols import CredentialStore, Live, prepare, vend
from rolevend.vending.verdict import Request


class Making:
    def __init__(self, cluster: Cluster, record: AuditRecorder, randomness: Randomness) -> None:
        self._cluster = cluster
        self._record = record
        self._randomness = randomness

    async def begin(self, whole: RoleDecision, directory: Directory, report: StatusBuilder, *, intend: bool = True) -> Body | None:
        """On record before anything exists on a platform: whom the handles stand for, why it may, and the intent, for a drop needs
        nothing but the object. Without `intend` that is left out where the object names its role from the start, and no receipt is to be
        in it. Answers the object with the intent, if it was written. Raises Conflict where a handle is somebody else's, Overtaken where
        the role was begun under another name."""
        status, begun, request = report.role.status, assigned_role_name(report.role), whole.vends[0].request
        if begun is not None and begun != whole.role:
            raise Overtaken(f"{begun} was begun under another handle")
        await self._record.handles(request, whole.vends[0].granted, directory)
        if self._record.gives_receipts:  # one after the other, so that the object names no receipt that was never written
            receipts = await self._granted(whole, directory)
            if status.role_name is None:
                return await self._intend(request, granted(report, whole, receipts))
            if told_again := receipts_told(report, whole, receipts):  # by another process: the end names this one
                await write_status(self._cluster, request, told_again)
            return None
        on_record = self._granted(whole, directory)
        if begun is not None and (status.role_name is not None or not intend):
            await on_record
            return None
        told, intended = await asyncio.gather(on_record, self._intend(request, granted(report, whole)), return_exceptions=True)
        if isinstance(told, BaseException):
            raise told
        if isinstance(intended, BaseException):
            raise intended
        return intended

    async def prepare(self, each: Vend, executor: Executor, store: CredentialStore) -> Credential:
        """Of what was begun, on one platform. Again is the same; see vending.protocols."""
        return await prepare(each.request, each.granted, executor, store, self._randomness)

    async def make(self, each: Vend, credential: Credential, executor: Executor) -> Live:
        """What was prepared. Again is the same; see vending.protocols."""
        return await vend(each.granted, credential, executor)

    async def _granted(self, whole: RoleDecision, directory: Directory) -> dict[PlatformName, str | None]:
        """The digests of the receipts."""
        return {each.platform: await self._record.granted(each.request, each.granted, directory) for each in whole.vends}

    async def _intend(self, request: Request, status: Body) -> Body:
        return await write_status(self._cluster, request, status)


async def write_status(cluster: Cluster, request: Request, status: Body) -> Body:
    """See `write_status_of`."""
    return await write_status_of(cluster, request.name, request.uid, status)


async def write_status_of(cluster: Cluster, name: ObjectName, uid: Uid, status: Body) -> Body:
    """The object as it is then. Raises AlreadyExists where it is another one of that name by now, NotFound where it is gone."""
    patch = {"metadata": {"uid": uid}, "status": status}
    return await cluster.merge(VENDED_ROLES, name.name, patch, name.namespace, "status")


async def delete(cluster: Cluster, request: Request) -> None:
    """Begins the end of exactly this object; one that is gone is fine."""
    await cluster.delete(VENDED_ROLES, request.name.name, request.uid, request.name.namespace)
