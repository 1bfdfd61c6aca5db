"""Convert the narrowing of a request, or of a vote on it, to a value of the core. Pure."""

from rolevend.catalog import TableId
from rolevend.kinds.access_decision import AccessDecisionSpec
from rolevend.kinds.access_request import AccessRequestSpec, Approver
from rolevend.kinds.parse import Faults
from rolevend.kinds.statements import masks
from rolevend.policy.offer import Narrowing


def narrowing(part: AccessRequestSpec | AccessDecisionSpec | Approver) -> Narrowing:
    """Return the narrowing. Raises InvalidInput, which names the first invalid mask of a vote."""
    only = None if part.tables is None else frozenset(TableId(each.schema_name, each.table) for each in part.tables)
    if isinstance(part, AccessRequestSpec):
        return Narrowing(only, None if part.columns is None else frozenset(part.columns))
    faults = Faults()
    added = masks(part.masks or (), "spec.masks" if isinstance(part, AccessDecisionSpec) else "masks", faults)
    faults.raise_first()
    return Narrowing(only, masks=added)
