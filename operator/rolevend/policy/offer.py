"""An offer that an approval activates, and its narrowings."""

from dataclasses import dataclass

from rolevend.catalog import TableId
from rolevend.model import ObjectName
from rolevend.policy.statement import MaskRule


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The part of an offer that was asked for or approved."""

    tables: frozenset[TableId] | None = None
    """The only tables; None: all of the offer."""
    columns: frozenset[str] | None = None
    """The only columns, by name; None: all of the offer."""
    masks: tuple[MaskRule, ...] = ()
    """Added to the masks of the offer: a column shows no more than each of them."""


@dataclass(frozen=True, slots=True)
class Activation:
    """An offer that is active for one request."""

    offer: ObjectName
    narrowings: tuple[Narrowing, ...] = ()
    """The one of the request, and those of its approvers. All apply."""
