"""When policy, tags, attributes or agents change: every standing VendedRole is decided again.

A live role whose grants are no longer all granted is ended; one that only could see more lives on, and the next vend sees more.
A request that waited, or was denied, is taken up again as soon as its verdict would be another.
"""

import logging

from rolevend.errors import RolevendError
from rolevend.reconcile.lifecycle import Lifecycle
from rolevend.reconcile.roles import Standing
from rolevend.reconcile.status import verdict_of
from rolevend.vending.directory import Directory, Granted, Verdict

_log = logging.getLogger(__name__)


async def review(lifecycle: Lifecycle, directory: Directory) -> None:
    for standing in lifecycle.roles:
        if standing.ending_since is not None:
            continue
        verdict = directory.verdict(standing.request)
        if standing.ready:
            await _revoke_if_narrower(lifecycle, standing, verdict)
        elif verdict_of(verdict) != standing.verdict:
            await lifecycle.reconsider(standing, "verdict changed")


async def _revoke_if_narrower(lifecycle: Lifecycle, standing: Standing, verdict: Verdict) -> None:
    if isinstance(verdict, Granted):
        if _carried(standing, verdict):
            return
        why = "policy, tags or attributes changed: what the role reads is no longer granted unchanged"
    elif verdict.withdrawn:
        why = verdict.message
    else:
        return  # not knowing is no reason to end anything: the platform may be down, or we have just started
    try:
        await lifecycle.revoke(standing, "PolicyChanged", why)
    except RolevendError as error:
        # The next review, which every later change and every sweep brings, tries again.
        _log.warning("revoking: %s", error, extra={"role": standing.role})


def _carried(standing: Standing, verdict: Granted) -> bool:
    if standing.granted is not None:
        return verdict.still_carries(standing.granted)
    # After a restart only the profile's name is known, which is a digest of what it grants.
    return verdict.profile.name == standing.profile and verdict.lease.attributes == standing.attributes
