"""The catalogs of all platforms as the operator publishes them: one compressed text, cut into ConfigMaps with fixed names. Pure.

Each line of the text is the catalog of one platform. Every part names the digest of the whole text, so that a reader recognizes a set of
which only some parts are written. Equal catalogs are equal bytes.
"""

import base64
import binascii
import gzip
import io
import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, TypeVar

from rolevend.catalog import Catalog, ForeignKey, Table
from rolevend.errors import InvalidInput
from rolevend.kinds.catalog_file import catalog_members, parse_catalog
from rolevend.model import PlatformName

T = TypeVar("T")
Body = Mapping[str, Any]

FORMAT: Final = "rolevend.dev/published-catalogs/v1"
MOST_PARTS: Final = 16
PART_NAMES: Final = tuple(f"rolevend-catalogs-{number}" for number in range(MOST_PARTS))
"""The chart grants rights on these names alone, so their number is fixed."""
PART_BYTES: Final = 900_000
"""A ConfigMap holds at most 1 MiB."""
_TEXT_BYTES: Final = 512 * 1024 * 1024
_CHUNK: Final = 50
_BYTES: Final = "catalogs"
"""The key of the bytes in a ConfigMap."""


@dataclass(frozen=True, slots=True)
class PublishedCatalog:
    """The catalog of one platform."""

    platform: PlatformName
    changed: datetime
    """When the operator first read this content."""
    catalog: Catalog | None
    """None: it is too large to be published."""
    left_out: int = 0
    """The number of tables and other objects that a catalog's file cannot hold, such as one with a control character in its name."""


class TornSet(InvalidInput):
    """The parts belong to different sets: the operator is writing, or was interrupted."""


def publishable(platform: PlatformName, catalog: Catalog) -> tuple[Catalog, int]:
    """Return the part of a catalog that its file can hold, and the number of objects that are left out. One hostile name must not hide all
    other tables."""
    tables = [table for chunk in _chunks(list(catalog.tables.values())) for table in _readable_tables(platform, chunk)]
    if tables == [*catalog.tables.values()] and _is_readable(platform, Catalog.of([], catalog.functions, catalog.tools)):
        return catalog, 0
    held = Catalog.of(
        tables,
        (each for each in catalog.functions if _is_readable(platform, Catalog.of([], [each]))),
        (each for each in catalog.tools if _is_readable(platform, Catalog.of([], [], [each]))),
    )
    return held, sum(len(one) - len(other) for one, other in zip(_objects(catalog), _objects(held), strict=True))


def encoded(published: PublishedCatalog) -> bytes:
    """Return the compressed line of one platform."""
    members = None if published.catalog is None else catalog_members(published.platform, published.catalog)
    line = {
        "platform": str(published.platform),
        "changed": published.changed.isoformat(),
        "leftOut": published.left_out,
        "catalog": members,
    }
    return gzip.compress(json.dumps(line, separators=(",", ":")).encode() + b"\n", mtime=0)


def fitting(
    published: Mapping[PlatformName, tuple[PublishedCatalog, bytes]],
    most: int = MOST_PARTS * PART_BYTES,
    most_plain: int = _TEXT_BYTES,
) -> tuple[bytes, tuple[PlatformName, ...]]:
    """Return the text of all platforms, sorted by name, and the platforms whose catalogs are left out because the text would have more than
    `most` bytes, or `most_plain` uncompressed: the largest first. Before that, comments, allowed values and keys are left out."""
    lines = {name: line for name, (_, line) in sorted(published.items())}

    def excess(texts: Collection[bytes]) -> float:
        return max(sum(map(len, texts)) / most, sum(map(_plain_length, texts)) / most_plain)

    left_out: list[PlatformName] = []
    for shorter in (_without_notes, _without_catalog):
        others = set(lines)
        while others and excess(lines.values()) > 1:
            largest = max(others, key=lambda name: (excess([lines[name]]), name))
            others.remove(largest)
            lines[largest] = encoded(shorter(published[largest][0]))
            left_out += [largest] if shorter is _without_catalog else []
    return b"".join(lines.values()), tuple(left_out)


def _plain_length(line: bytes) -> int:
    """Return the length of a line before its compression, which is at the end of the format."""
    return int.from_bytes(line[-4:], "little")


def _without_notes(published: PublishedCatalog) -> PublishedCatalog:
    """Leave out all that no decision reads. Owners choose how much that is."""
    if published.catalog is None:
        return published
    tables = (
        replace(each, comment="", key=(), foreign_keys=(), columns=tuple(replace(one, comment="", values=()) for one in each.columns))
        for each in published.catalog.tables.values()
    )
    return replace(published, catalog=Catalog.of(tables, published.catalog.functions, published.catalog.tools))


def _without_catalog(published: PublishedCatalog) -> PublishedCatalog:
    return PublishedCatalog(published.platform, published.changed, None)


def parts_of(text: bytes, part_bytes: int = PART_BYTES) -> tuple[Body, ...]:
    """Return `data` and `binaryData` of each ConfigMap of the set."""
    digest = f"sha256:{sha256(text).hexdigest()}"
    pieces = [text[start : start + part_bytes] for start in range(0, len(text), part_bytes)]
    return tuple(
        {
            "data": {"format": FORMAT, "digest": digest, "part": str(number), "parts": str(len(pieces))},
            "binaryData": {_BYTES: base64.b64encode(piece).decode()},
        }
        for number, piece in enumerate(pieces)
    )


def count_of(first: Body) -> int:
    """Return the number of parts, from part 0. Raises InvalidInput if the ConfigMap is no part of a set of this version."""
    held = first.get("data") or {}
    if held.get("format") != FORMAT:
        raise InvalidInput(
            "data.format",
            f"is {str(held.get('format'))[:60]!r}, and must be {FORMAT}: use the rolevend of the operator's version, or --catalog",
        )
    count = str(held.get("parts"))
    if count not in map(str, range(1, MOST_PARTS + 1)):
        raise InvalidInput("data.parts", f"is {count[:20]!r}, and must be a number from 1 to {MOST_PARTS}: rolevend did not write it")
    return int(count)


def text_of(parts: Sequence[Body]) -> bytes:
    """Return the text of the whole set. Raises TornSet if the parts are no whole set, and InvalidInput if one is unreadable."""
    digest = (parts[0].get("data") or {}).get("digest")
    pieces = []
    for number, part in enumerate(parts):
        held = part.get("data") or {}
        if count_of(part) != len(parts) or held.get("part") != str(number) or held.get("digest") != digest:
            raise TornSet("data.digest", f"part {number} is of another set than part 0: the operator is writing them; try again")
        try:
            pieces.append(base64.b64decode((part.get("binaryData") or {}).get(_BYTES) or "", validate=True))
        except (binascii.Error, TypeError) as error:
            raise InvalidInput(f"binaryData.{_BYTES}", f"of part {number} is no base64: rolevend did not write it") from error
    text = b"".join(pieces)
    if f"sha256:{sha256(text).hexdigest()}" != digest:
        raise TornSet(
            "data.digest", "is not the digest of the parts: the operator is writing them, or somebody else changed one; try again"
        )
    return text


def published_in(text: bytes, most: int = _TEXT_BYTES) -> tuple[PublishedCatalog, ...]:
    """Return the catalogs in the text of a set. Raises InvalidInput if it is not one, or has more than `most` bytes uncompressed."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(text)) as compressed:
            plain = compressed.read(most + 1)
        if len(plain) > most:
            raise InvalidInput(f"binaryData.{_BYTES}", f"holds more than {most} bytes: rolevend did not write it")
        return tuple(_published(json.loads(line)) for line in plain.splitlines())
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput(f"binaryData.{_BYTES}", f"cannot be read: {' '.join(str(error).split())[:200]}") from error


def same_content(one: Body, other: Body) -> bool:
    return all((one.get(key) or {}) == (other.get(key) or {}) for key in ("data", "binaryData"))


def by_platform(published: Iterable[PublishedCatalog]) -> dict[PlatformName, PublishedCatalog]:
    return {each.platform: each for each in published}


def _published(line: Body) -> PublishedCatalog:
    platform, changed = PlatformName(str(line["platform"])), datetime.fromisoformat(line["changed"])
    if changed.tzinfo is None:
        raise ValueError("a time has no time zone")
    if line["catalog"] is None:
        return PublishedCatalog(platform, changed, None, int(line["leftOut"]))
    named, catalog = _parsed(dict(line["catalog"]))
    if named != platform:
        raise ValueError(f"the catalog of {named} is in the place of that of {platform}")
    return PublishedCatalog(platform, changed, catalog, int(line["leftOut"]))


def _chunks(tables: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the tables in parts: the check of ten thousand at once would stop all other threads for seconds."""
    return (tables[start : start + _CHUNK] for start in range(0, len(tables), _CHUNK))


def _readable_tables(platform: PlatformName, tables: Sequence[Table]) -> Sequence[Table]:
    if _is_readable(platform, Catalog.of(tables)):
        return tables
    held = (replace(each, foreign_keys=tuple(key for key in each.foreign_keys if _is_held(platform, each, key))) for each in tables)
    return [each for each in held if _is_readable(platform, Catalog.of([each]))]


def _is_held(platform: PlatformName, table: Table, key: ForeignKey) -> bool:
    """True unless the other table or its columns have names that a file cannot hold: these are of another owner."""
    return _is_readable(platform, Catalog.of([Table(table.id, (), foreign_keys=(key._replace(columns=()),))]))


def _parsed(members: dict[str, Any]) -> tuple[PlatformName, Catalog]:
    tables = members.get("tables", [])
    if not isinstance(tables, list):
        return parse_catalog(members)
    platform, others = parse_catalog({**members, "tables": []})
    head = {key: members[key] for key in ("format", "platform")}
    found = [table for chunk in _chunks(tables) for table in parse_catalog({**head, "tables": chunk})[1].tables.values()]
    return platform, Catalog.of(found, others.functions, others.tools)


def _is_readable(platform: PlatformName, catalog: Catalog) -> bool:
    try:
        parse_catalog(catalog_members(platform, catalog))
    except InvalidInput:
        return False
    return True


def _objects(catalog: Catalog) -> tuple[Collection[object], ...]:
    return catalog.tables, catalog.functions, catalog.tools
