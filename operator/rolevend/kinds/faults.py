"""What is wrong with one object: all of it, so that somebody learns of it at once."""

from collections.abc import Callable
from typing import TypeVar

from rolevend.errors import InvalidInput

Read = TypeVar("Read")


class Faults:
    """Reading goes on behind what cannot be read, which is noted here."""

    def __init__(self) -> None:
        self.found: list[InvalidInput] = []

    def reading(self, read: Callable[[], Read]) -> Read | None:
        """None where `read` raises InvalidInput."""
        try:
            return read()
        except InvalidInput as error:
            self.found.append(error)
            return None

    def told(self) -> None:
        """Raises InvalidInput where there is one: the first, and how many others there are."""
        if self.found:
            first, *others = self.found
            more = f" (and {len(others)} more; rolevend policy check names all of them)" if others else ""
            raise InvalidInput(first.field, first.message + more) from first
