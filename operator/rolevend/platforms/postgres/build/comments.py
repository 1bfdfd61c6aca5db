"""The owners' comments as they were read last, so that profiles with others are looked at again."""

from collections.abc import Iterator

from rolevend.catalog import Catalog, TableId
from rolevend.plan import Profile, ViewComment

_Place = tuple[TableId, str | None]


class OwnerComments:
    def __init__(self) -> None:
        self._known: dict[_Place, str] | None = None

    def read(self, catalog: Catalog) -> bool:
        """Take the comments of a catalog. Returns True if they differ from those before."""
        before, self._known = self._known, dict(_places(catalog))
        return before is not None and before != self._known

    def are_those_of(self, profile: Profile) -> bool:
        """True if the profile, which may be of an earlier catalog, has the comments that were read last, or if none were read."""
        known = self._known
        if known is None:
            return True
        places = ((shape, name) for shape in profile.tables for name in (None, *(each.name for each in shape.columns)))
        wanted = {ViewComment(shape.view, name, known[shape.table, name]) for shape, name in places if (shape.table, name) in known}
        return wanted == set(profile.comments)


def _places(catalog: Catalog) -> Iterator[tuple[_Place, str]]:
    for table in catalog.tables.values():
        if table.comment:
            yield (table.id, None), table.comment
        yield from (((table.id, each.name), each.comment) for each in table.columns if each.comment)
