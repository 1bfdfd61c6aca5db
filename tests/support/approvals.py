"""A fake for tests that are not about approvals: no request names one."""

from rolevend.decision.outcome import Request
from rolevend.model import ObjectName


class NoApprovals:
    """See `roles.protocols.ApprovalUses`."""

    async def refresh(self, name: ObjectName) -> None:
        raise AssertionError(name)

    def resolve(self, request: Request) -> Request:
        assert request.approval is None
        return request

    async def use(self, request: Request) -> None:
        assert request.approval is None
