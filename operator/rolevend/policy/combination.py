"""How grants to the user and grants to the agent itself combine."""

import enum
from collections.abc import Iterable


class GrantTarget(enum.Enum):
    """The subjects of a policy's grants."""

    USERS = "Users"
    AGENTS = "Agents"
    """The agents themselves, independent of the user."""


class Combination(enum.Enum):
    """Ordered, widest first: each shows at most as much as the one before it."""

    UNION = "Union"
    """The grants of both sides add up."""
    USER_CEILING = "UserCeiling"
    """The agent's own grants count only where the user has the grant too: only the user's grants are effective."""
    INTERSECTION = "Intersection"
    """Show the rows that both sides show, the columns that both sides grant, and of each cell no more than either side shows."""

    def is_wider_than(self, other: "Combination") -> bool:
        return _WIDEST_FIRST.index(self) < _WIDEST_FIRST.index(other)


_WIDEST_FIRST = tuple(Combination)


def widest(combinations: Iterable[Combination]) -> Combination | None:
    """Return the widest, or None if `combinations` is empty."""
    return min(combinations, key=_WIDEST_FIRST.index, default=None)
