"""Conditions in CEL on the user, the agent and the request, and their conversion to conditions of the core."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Annotated

from pydantic import Field

from rolevend.kinds.parse import Faults
from rolevend.kinds.part import KeyedBy, Part
from rolevend.kinds.text import Condition, Label
from rolevend.policy import condition


class MatchCondition(Part):
    """A condition in CEL on the user, the agent and the request."""

    name: Label
    """Names the condition in messages. Unique in the policy."""
    expression: Condition
    """The condition: `request.purpose in ['fraud-review']`. It reads `user.issuer`, `user.subject`, `agent.namespace`, `agent.name`,
    `request.platform`, `request.purpose`, `request.expirationSeconds`, and lists of values such as `user.attributes.department` and
    `agent.attributes.trust`. At most one loop, such as exists(). A comparison of values of different types is refused. An expression
    that cannot be evaluated is false.
    """


MatchConditions = Annotated[tuple[MatchCondition, ...], Field(min_length=1, max_length=16), KeyedBy(("name",))]


def admitted(
    spelled_out: Iterable[MatchCondition], place: str, faults: Faults, *, of_agent: bool = False
) -> Iterator[condition.MatchCondition]:
    """Yield the valid conditions of `place`, and collect an error for each of the others. With `of_agent` they must not read the user."""
    for each in spelled_out:
        field = f"{place}.matchConditions[{each.name}].expression"
        known = faults.reading(partial(condition.admit, each.name, each.expression, field, of_agent=of_agent))
        if known is not None:
            yield known
