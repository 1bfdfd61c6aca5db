"""The approval that a role used, for `rolevend who`: from an audit event, or from the VendedRole and its AccessRequest."""

from collections.abc import Iterator

from rolevend.audit.access import approval_sentence, approval_sentence_of
from rolevend.kinds import AccessRequest
from rolevend.kube.client import Body, KubeClient, NotFound, path_of

_FACT = "approval"


def approval_of_event(data: Body) -> Iterator[tuple[str, str]]:
    """Yield the fact from the data of an event of the role, unless the role used no approval, or the event knows only its name."""
    sentence = approval_sentence_of(data)
    if sentence is not None:
        yield _FACT, sentence


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
    return [(_FACT, approval_sentence(people or [f"rule {approval.get('rule')}"], request["spec"]["offerRef"]["name"]))]
