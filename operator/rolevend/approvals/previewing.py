"""Let the operator count the effect of an approval: create a preview, which is an AccessDecision, read its status, and delete it. I/O."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from rolevend.approvals import ballot
from rolevend.approvals.narrowing import VoteNarrowing
from rolevend.approvals.reader import DECISIONS, ClusterAccess
from rolevend.errors import NotPermitted, Rejected, RolevendError
from rolevend.kinds import AccessDecision, AccessRequest, parse
from rolevend.kinds.previewed_effect import PreviewedEffect
from rolevend.kube.client import KubeClient

WAIT_SECONDS: Final = 10.0
"""Longer than the operator lets the platform count."""
_POLL_SECONDS: Final = 0.1


async def preview(access: ClusterAccess, request: AccessRequest, by: str, narrowed: VoteNarrowing) -> PreviewedEffect:
    """Return the effect of an approval by the caller. A failure is the reason why it is not known."""
    try:
        async with access.connected() as cluster:
            return await effect_of(cluster, request, by, narrowed)
    except RolevendError as error:
        return _unknown(str(error))


async def effect_of(cluster: KubeClient, request: AccessRequest, by: str, narrowed: VoteNarrowing) -> PreviewedEffect:
    """Return the effect of an approval by `by`, whose rights `cluster` has. A failure is the reason why it is not known."""
    try:
        return await _previewed(cluster, request, by, narrowed)
    except NotPermitted:
        offer = request.spec.offer_ref
        return _unknown(f"you may not decide on the offer {offer.namespace}/{offer.name}")
    except RolevendError as error:
        return _unknown(str(error))


async def _previewed(cluster: KubeClient, request: AccessRequest, by: str, narrowed: VoteNarrowing) -> PreviewedEffect:
    namespace = request.spec.offer_ref.namespace
    created = parse(AccessDecision, await cluster.create(DECISIONS, ballot.preview(request, by, narrowed), namespace), unknown="ignore")
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            found = parse(AccessDecision, await cluster.get(DECISIONS, created.name, namespace), unknown="ignore")
            if found.status.effect is not None:
                return found.status.effect
            await asyncio.sleep(_POLL_SECONDS)
        raise Rejected(f"the operator did not answer within {WAIT_SECONDS:g} s")
    finally:
        with suppress(RolevendError):  # the operator deletes it later
            await cluster.delete(DECISIONS, created.name, created.uid, namespace)


def _unknown(reason: str) -> PreviewedEffect:
    return PreviewedEffect(counted_at=datetime.now(UTC), unknown=reason)
