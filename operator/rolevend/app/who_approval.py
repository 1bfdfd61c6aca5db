"""The approval that a role used, for `rolevend who`: from an audit event, or from the VendedRole and its AccessRequest."""

from collections.abc import Iterator, Sequence

from rolevend.kinds import AccessRequest
from rolevend.kube.client import Body, KubeClient, NotFound, path_of

_FACT = "approval"


def approval_of_event(data: Body) -> Iterator[tuple[str, str]]:
    """Yield the fact from the data of an event of the role, unless the role used no approval, or the event knows only its name."""
    approval = data.get("approval", {})
    if "approvedBy" in approval:
        yield _FACT, _sentence(approval["approvedBy"], approval["offer"])


async def approval_of_role(cluster: KubeClient, role: Body) -> list[tuple[str, str]]:
    """Return the fact for a VendedRole, or nothing if it names no approval, or if its AccessRequest has none or is gone."""
    reference = role["spec"].get("approvalRef")
    if reference is None:
        return []
    try:
        request = await cluster.get(path_of(AccessRequest), reference["name"], role["metadata"]["namespace"])
    except NotFound:
        return []
    approval = request.get("status", {}).get("approval")
    if approval is None:
        return []
    people = [each["by"] for each in approval.get("approvers", [])]
    return [(_FACT, _sentence(people or [f"rule {approval.get('rule')}"], request["spec"]["offerRef"]["name"]))]


def _sentence(by: Sequence[str], offer: str) -> str:
    return f"approved by {', '.join(by)} ({offer.rpartition('/')[2]})"
