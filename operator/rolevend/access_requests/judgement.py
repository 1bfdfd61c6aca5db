"""Judge one request: its state now, the reason, and when to look again. Deterministic: time and every other input are arguments.

The caller judges one request at a time, and knows the statuses that it wrote itself: limits are counted from `Circumstances.others`, so
two requests that were judged from the same history could both take the last place.
"""

from rolevend.access_requests.approved import ApprovedRequest
from rolevend.access_requests.circumstances import Circumstances, Judgement
from rolevend.access_requests.pending import PendingRequest
from rolevend.access_requests.request import Recorded, RequestedAccess
from rolevend.access_requests.states import RequestReason, RequestState


def judge(request: RequestedAccess, recorded: Recorded, now: Circumstances) -> Judgement:
    """Return the state of the request now. A final state stays."""
    if recorded.state is not None and recorded.state.is_final:
        reason = recorded.reason or RequestReason.STATUS_UNREADABLE
        return Judgement(recorded.state, reason, recorded.message, recorded.approval, recorded.offered)
    if recorded.approval is None and recorded.state in (None, RequestState.PENDING):
        return PendingRequest(request, recorded, now).judge()
    if recorded.approval is None or recorded.offered is None or recorded.state in (None, RequestState.PENDING):
        message = f"the recorded state is {recorded.state or 'missing'}, which does not go with the rest of the status"
        return Judgement(RequestState.REVOKED, RequestReason.STATUS_UNREADABLE, message, recorded.approval, recorded.offered)
    return ApprovedRequest(request, recorded, recorded.approval, recorded.offered, now).judge()
