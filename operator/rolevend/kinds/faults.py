"""Collect all errors of one object, so that a report names all of them."""

from collections.abc import Callable
from typing import TypeVar

from rolevend.errors import InvalidInput

Read = TypeVar("Read")


class Faults:
    """Collects errors, so that parsing continues after the first one."""

    def __init__(self) -> None:
        self.found: list[InvalidInput] = []

    def reading(self, read: Callable[[], Read]) -> Read | None:
        """Return the result of `read`, or None if it raises InvalidInput."""
        try:
            return read()
        except InvalidInput as error:
            self.found.append(error)
            return None

    def raise_first(self) -> None:
        """Raise InvalidInput if there are errors: the first one, and the number of others."""
        if self.found:
            first, *others = self.found
            more = f" (and {len(others)} more; rolevend policy check names all of them)" if others else ""
            raise InvalidInput(first.field, first.message + more) from first
