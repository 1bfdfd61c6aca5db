"""The ledger of used tokens on a site: which DataPlatform it is, and which tokens Kubernetes has a record of."""

from rolevend.kinds import API_VERSION
from rolevend.kube.token_replay import PREFIX, token_digest
from tests.support.proving import Proven
from tests.support.site import WAREHOUSE, Body, Site

PLATFORM: Body = {"apiVersion": API_VERSION, "kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}


def become(site: Site, mode: str, platform: Body = PLATFORM) -> None:
    """Set the mode of the warehouse, or of another platform, in one step, and wait until the operator has read it."""
    site.patch(platform, {"postgres": {"ledger": mode}})
    site.told(platform, "Ledger", "False" if mode == "Disabled" else "True", mode)


def has_lease(proven: Proven, token_id: str) -> bool:
    """True if a Lease records the token with this `jti`."""
    return f"{PREFIX}{token_digest(proven.issuer, f'jti {token_id}')}" in {each["metadata"]["name"] for each in proven.records()}
