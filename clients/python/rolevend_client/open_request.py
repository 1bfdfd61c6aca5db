"""A request for an offer, as the program holds it: its last known state."""

from rolevend_client.values import AccessRequest, Approval, Confirmation


class OpenRequest:
    """The base of AccessRequested and AsyncAccessRequested."""

    def __init__(self, found: AccessRequest) -> None:
        self.found = found
        """The request, as the API described it last."""

    @property
    def id(self) -> str:
        """The id, with which another process can resume: `client.access_request(id)`."""
        return self.found.id

    @property
    def state(self) -> str:
        return self.found.state

    @property
    def reason(self) -> str:
        """The reason of the state, in one word."""
        return self.found.reason

    @property
    def message(self) -> str:
        """The reason of the state, for people."""
        return self.found.message

    @property
    def offer(self) -> str:
        return self.found.offer

    @property
    def approval(self) -> Approval | None:
        return self.found.approval

    @property
    def is_pending(self) -> bool:
        """True if people still have to decide."""
        return self.found.state == "Pending"

    @property
    def confirmation(self) -> Confirmation | None:
        """The page on which the user confirms it; None: there is nothing to confirm. Give its URL to the user, and do not open it."""
        return self.found.confirmation if self.is_pending else None

    @property
    def waits_for_user(self) -> bool:
        """True until the answer of the user is taken into account; `confirmation` is gone a moment before."""
        return self.is_pending and (self.found.confirmation is not None or self.found.reason == "UserConfirms")

    @property
    def is_approved(self) -> bool:
        """True if a role can be vended with it. The vend decides again."""
        return self.found.state in {"Approved", "Used"}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} for {self.offer}: {self.state}>"


def id_of(approval: OpenRequest | str | None) -> str | None:
    return approval.id if isinstance(approval, OpenRequest) else approval
