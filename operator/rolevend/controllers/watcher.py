"""Pass each event of a VendedRole to the services that follow the object, and end expired roles."""

import logging

from rolevend.controllers.api_vends import BY, MESSAGE, ApiVendSupervisor
from rolevend.controllers.reevaluator import Reevaluator
from rolevend.errors import RolevendError
from rolevend.kube.client import Body
from rolevend.model import Uid
from rolevend.roles.ender import RoleEnder
from rolevend.roles.expiry import ExpiryScheduler
from rolevend.roles.objects import uid_of
from rolevend.roles.quota import RoleQuota
from rolevend.roles.state import for_deletion, role_states
from rolevend.roles.store import RoleStore

_log = logging.getLogger(__name__)


class VendedRoleWatcher:
    def __init__(
        self,
        roles: RoleStore,
        quota: RoleQuota,
        expiry: ExpiryScheduler,
        ender: RoleEnder,
        api_vends: ApiVendSupervisor,
        reevaluator: Reevaluator,
    ) -> None:
        self._roles = roles
        self._quota = quota
        self._expiry = expiry
        self._ender = ender
        self._api_vends = api_vends
        self._reevaluator = reevaluator

    def on_event(self, event: str | None, body: Body) -> None:
        """Handle an event of the watch, or an object of its first listing."""
        uid = uid_of(body)
        if event == "DELETED":
            self._roles.remove(uid)
            self._quota.release(uid)
            self._expiry.forget(uid)
            return
        try:
            states = role_states(for_deletion(body))
        except RolevendError as error:
            name = f"{body['metadata'].get('namespace', '')}/{body['metadata'].get('name', '')}"
            _log.error("cannot read a VendedRole: %s", error, extra={"object": name})
            self._roles.mark_unreadable(uid)
            return
        first, *_ = states = self._roles.upsert(*states).states
        for state in states:
            self._quota.observe(state)
        if first.ending_since is not None:
            self._expiry.cancel(uid)
            self._api_vends.forget(uid)
            if first.let_go:
                self._quota.release(uid)
            return
        if not first.ready:
            self._expiry.poke()
        self._expiry.schedule(uid, self._api_vends.deadline(first), first.request.platform)
        for state in states:
            self._api_vends.on_state(state)
            if state.ready and state.absent:  # the role could not be created there, and a partial one must be dropped
                self._ender.begin_drop(state)
        self._reevaluator.on_states(states)

    async def expire(self, uid: Uid) -> None:
        """End the expired role."""
        state = self._roles.get(uid)
        if state is None:
            return
        if not self._api_vends.is_abandoned(state):
            await self._ender.delete(state.request)
        elif await self._api_vends.give_up(state):
            await self._ender.revoke(state, BY, MESSAGE)
        else:  # its call completed at the last moment
            self._expiry.forget(uid)
            self._expiry.schedule(uid, state.request.expires_at, state.request.platform)
