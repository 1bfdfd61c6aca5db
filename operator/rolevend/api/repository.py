"""The object of a call, on the API server: made or found again, told that its role is Ready, and undone where nothing comes of it."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from rolevend.api.objects import body_of
from rolevend.api.problems import Problem, of_error
from rolevend.api.quotas import Quotas
from rolevend.api.vended_roles import VendedRoles
from rolevend.errors import PlatformDrifted, ProfileNotBuilt, RolevendError
from rolevend.kube.client import AlreadyExists, Body, Cluster, NotFound
from rolevend.kube.paths import VENDED_ROLES
from rolevend.model import ObjectName
from rolevend.picture.objects import Observed
from rolevend.platforms.base import EndReason
from rolevend.resources import VendedRole, parse
from rolevend.resources.shared import CALL
from rolevend.roles.decision import Vend
from rolevend.roles.objects import delete, write_status
from rolevend.roles.state import NOTHING_BEGUN, role_request
from rolevend.roles.status import how_far, waits_for_a_person
from rolevend.vending.verdict import Request

LONGEST_BEGINNING_SECONDS: Final = 1.0
LONGEST_UNDO_SECONDS: Final = 5.0
_ASKED: Final = (
    *("agent", "user", "delivery", "requested_by", "purpose", "resources", "task", "allow_partial"),
    "expiration_seconds",
)
"""What two requests have in common that are of one call."""


class VendedRoleRepository:
    def __init__(self, cluster: Cluster, observed: Observed, vended_roles: VendedRoles, quotas: Quotas) -> None:
        self._cluster = cluster
        self._observed = observed
        self._vended_roles = vended_roles
        self._quotas = quotas

    async def object(self, asked: Sequence[Vend], name: ObjectName, digest: str) -> tuple[VendedRole, bool]:
        """The object of this question, and whether this call made it."""
        draft = asked[0].request
        most = min((most for each in asked if (most := self._observed.directory.most_live(each.request)) is not None), default=None)
        if most is not None and self._vended_roles.get(name) is None:  # what is there has its place
            self._quotas.expect_room(draft.agent, self._vended_roles.count(draft.agent), most)
        try:
            return parse(VendedRole, await self._cluster.create(VENDED_ROLES, body_of(asked, name, digest), name.namespace)), True
        except AlreadyExists:
            pass
        try:
            there = await self._cluster.get(VENDED_ROLES, name.name, name.namespace)
        except NotFound as error:
            raise ended(name.name) from error
        if there["metadata"].get("annotations", {}).get(CALL) != digest:
            raise _conflict("the same key came with another body before; take a key of its own for each question")
        if not _is_of(there, draft):  # whoever may make VendedRoles chooses their names and annotations
            raise _conflict("an object that this API did not make for this agent and user has the name of this key; take another key")
        expect_standing(there)
        # Perhaps the first call is in the middle of it: that a role is begun must not be said once more when it is Ready already.
        begun = await self._vended_roles.begun(name, there["metadata"]["uid"], LONGEST_BEGINNING_SECONDS)
        return parse(VendedRole, begun or there), False

    def not_built(self, name: ObjectName, error: ProfileNotBuilt) -> Problem:
        """Why a call waits no longer for its profile, as far as the operator has said it in the object: how far it is, or what it needs."""
        there = self._vended_roles.get(name)
        role = None if there is None else parse(VendedRole, there, unknown="ignore")
        if role is not None and waits_for_a_person(role):
            return of_error(PlatformDrifted())
        problem, told = of_error(error), None if role is None else how_far(role)
        return replace(problem, detail=f"{problem.detail} ({told})") if told else problem

    async def ready(self, role: VendedRole, status: Body) -> None:
        """Nobody is told a credential of a role that ends already."""
        try:
            body = await write_status(self._cluster, role_request(role), status)
        except (NotFound, AlreadyExists) as error:
            raise ended(role.name) from error
        expect_standing(body)

    async def undo(self, role: VendedRole, *, untouched: bool) -> None:
        """What could not be brought to its end goes at once; where that fails, too, the operator does it in seconds. With `untouched` no
        platform needs to be asked for a role, unless somebody wrote to the object since it was made: another call with its key, perhaps,
        which then makes the role, or is told by what we write here that it may not."""
        with contextlib.suppress(RolevendError, TimeoutError):
            async with asyncio.timeout(LONGEST_UNDO_SECONDS):
                if untouched:
                    await self._say_untouched(role)
                await delete(self._cluster, role_request(role))

    async def _say_untouched(self, role: VendedRole) -> None:
        end = {"reason": EndReason.REVOKED.value, "by": NOTHING_BEGUN, "message": "the call was refused before anything was made"}
        patch = {"metadata": {"uid": role.uid, "resourceVersion": role.metadata.resource_version}, "status": {"ended": end}}
        with contextlib.suppress(AlreadyExists):
            await self._cluster.merge(VENDED_ROLES, role.name, patch, role.namespace, "status")


def _conflict(why: str) -> Problem:
    return Problem(409, "IdempotencyConflict", why, field="Idempotency-Key")


def _is_of(there: Body, draft: Request) -> bool:
    """True if the API made the object for what `draft` asks. Admission lets nobody else write `delivery: Response`, and stamps the name of
    who made it on everybody else's."""
    found = role_request(parse(VendedRole, there, unknown="ignore"))
    return all(getattr(found, name) == getattr(draft, name) for name in _ASKED)


def expect_standing(body: Body | None) -> None:
    """Raises Problem where the object ends, as far as it was read or written."""
    if body is not None and (body["metadata"].get("deletionTimestamp") or body.get("status", {}).get("ended")):
        raise ended(body["metadata"]["name"])


def ended(name: str) -> Problem:
    return Problem(409, "Ended", f"the role {name} was ended, or made under another decision; ask anew")
