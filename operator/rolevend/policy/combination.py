"""To whom policies grant, and how what the user may read and what the agent itself may read become what the agent reads for the user."""

import enum
from collections.abc import Iterable


class GrantTarget(enum.Enum):
    """To whom a policy grants."""

    USERS = "Users"
    AGENTS = "Agents"
    """To agents themselves, whichever user they act for."""


class Combination(enum.Enum):
    """The widest first: each shows at most what the one before it shows."""

    UNION = "Union"
    """The grants of both sides are one set."""
    USER_CEILING = "UserCeiling"
    """What the agent itself is granted counts only where the user is granted it, too: so the user's grants are all there is."""
    INTERSECTION = "Intersection"
    """A row that both sides show; of each cell no more than either shows; no column that one side does not grant."""

    def is_wider_than(self, other: "Combination") -> bool:
        return _WIDEST_FIRST.index(self) < _WIDEST_FIRST.index(other)


_WIDEST_FIRST = tuple(Combination)


def widest(combinations: Iterable[Combination]) -> Combination | None:
    """None where none is given."""
    return min(combinations, key=_WIDEST_FIRST.index, default=None)
