"""Sets of list indexes as integers: bit n stands for index n."""

from collections.abc import Iterable, Iterator


def bits(places: Iterable[int]) -> int:
    """Return the set of these indexes."""
    listed = list(places)
    if len(listed) == 1:
        return 1 << listed[0]
    held = bytearray((max(listed, default=-8) >> 3) + 1)
    for place in listed:
        held[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(held, "little")


def places(of: int) -> Iterator[int]:
    """Yield the indexes in `of`, ascending."""
    written = f"{of:b}"[::-1]
    place = written.find("1")
    while place >= 0:
        yield place
        place = written.find("1", place + 1)


def first(of: int) -> int:
    """Return the smallest index in `of`, which is not empty."""
    return (of & -of).bit_length() - 1


def union(sets: Iterable[int]) -> int:
    found = 0
    for each in sets:
        found |= each
    return found
