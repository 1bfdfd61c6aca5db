"""The consent of the API server to a vend that it does not record.

Who may vend, whether vending is closed, and what other people's admission policies say is decided by the API server. A role that a
database records is no object there, so each replica asks by a dry run about once a second, for each agent that vends, and for each of its
platforms and purposes: a policy about users, tables or times is asked about one call of each second.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rolevend.errors import ClusterUnavailable, RolevendError
from rolevend.kube.client import VENDED_ROLES, Body, KubeClient
from rolevend.model import ObjectName

FRESH_SECONDS: Final = 1.0
"""Consent that is older is asked for again, beside the call."""
LONGEST_SECONDS: Final = 3.0
"""Consent that is older counts no more: the call waits for a new one."""
_MOST: Final = 10_000


@dataclass(slots=True)
class _Consent:
    at: float | None = None
    """When the API server last consented."""
    refusal: RolevendError | None = None
    """Why it refused since then, or None."""
    asking: asyncio.Task[None] | None = None


class ClusterConsent:
    def __init__(self, cluster: KubeClient, moment: Callable[[], float], unreachable_seconds: float = 0.0, patience: float = 3.0) -> None:
        """`moment` is a monotonic clock, in seconds. `unreachable_seconds`: for how long consent counts longer while the API server does
        not answer. `patience`: the seconds that a call waits for an answer."""
        self._cluster = cluster
        self._moment = moment
        self._unreachable_seconds = unreachable_seconds
        self._patience = patience
        self._known: dict[tuple[ObjectName, str], _Consent] = {}

    async def require(self, agent: ObjectName, body: Body) -> None:
        """Return if the API server would admit the VendedRole `body` of the agent now, or would have within LONGEST_SECONDS. Raises
        NotPermitted or Rejected if it refuses, and ClusterUnavailable if it did not answer for too long."""
        about = agent, json.dumps([body["spec"]["platformRefs"], body["spec"].get("purpose")])
        if len(self._known) >= _MOST and about not in self._known:
            self._known.clear()
        consent = self._known.setdefault(about, _Consent())
        age = self._age(consent)
        if consent.refusal is None and age <= FRESH_SECONDS:
            return
        if consent.asking is None or consent.asking.done():
            consent.asking = asyncio.create_task(self._ask(consent, body))
            consent.asking.add_done_callback(_read)
        if consent.refusal is None and age <= LONGEST_SECONDS:
            return
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.shield(consent.asking)
        except (ClusterUnavailable, TimeoutError) as error:
            if consent.refusal is not None or self._age(consent) > LONGEST_SECONDS + self._unreachable_seconds:
                raise ClusterUnavailable("the API server does not say whether the role may be created") from error
        else:
            if self._age(consent) > LONGEST_SECONDS + self._unreachable_seconds:  # asked for another call, and answered late
                raise ClusterUnavailable("the API server answered too late whether the role may be created")

    def _age(self, consent: _Consent) -> float:
        return float("inf") if consent.at is None else self._moment() - consent.at

    async def _ask(self, consent: _Consent, body: Body) -> None:
        asked_at = self._moment()
        metadata = {member: value for member, value in body["metadata"].items() if member != "name"}
        metadata["generateName"] = f"{body['metadata']['name']}-"  # an object that shows the role may have its name
        try:
            await self._cluster.create(VENDED_ROLES, {**body, "metadata": metadata}, metadata["namespace"], dry_run=True)
        except ClusterUnavailable:
            raise
        except RolevendError as error:
            consent.refusal = error
            raise
        consent.at, consent.refusal = asked_at, None


def _read(asking: asyncio.Task[None]) -> None:
    """Mark the result as read: nobody may wait for it."""
    if not asking.cancelled():
        asking.exception()
