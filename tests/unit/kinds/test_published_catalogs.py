"""The set of ConfigMaps that holds the published catalogs: read as it was written, or refused with the reason."""

import base64
import copy
import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from rolevend.catalog import Catalog, Column, Family, ForeignKey, Table, TableId, TypeLimits
from rolevend.errors import InvalidInput
from rolevend.kinds.published_catalogs import (
    FORMAT,
    PublishedCatalog,
    TornSet,
    count_of,
    encoded,
    fitting,
    parts_of,
    publishable,
    published_in,
    text_of,
)
from rolevend.model import PlatformName, Tag

CHANGED = datetime(2026, 11, 1, 10, 30, tzinfo=UTC)
STRANGE = 'a "quoted", table; 😀 $$'
HOSTILE = ("two\nlines", "\x1b[2J", "\u202ebidirectional", "")
"""Names that a catalog's file cannot hold."""


def catalog(*names: str) -> Catalog:
    column = Column("id", Family.INTEGER, "smallint", frozenset({Tag("pii", "no")}), TypeLimits(places=0))
    return Catalog.of(Table(TableId("claims", name), (column,)) for name in names)


def lines(**catalogs: Catalog | None) -> dict[PlatformName, tuple[PublishedCatalog, bytes]]:
    found = [PublishedCatalog(PlatformName(name), CHANGED, held) for name, held in catalogs.items()]
    return {each.platform: (each, encoded(each)) for each in found}


def whole() -> list[dict[str, Any]]:
    """A set of three parts."""
    text, _ = fitting(lines(warehouse=catalog(*(f"t{number}" for number in range(9))), annex=catalog("people")))
    parts = [copy.deepcopy(dict(each)) for each in parts_of(text, len(text) // 3 + 1)]
    assert len(parts) == 3
    return parts


def set_of(text: bytes) -> list[dict[str, Any]]:
    """A set whose digest is right, of any bytes."""
    held = {"format": FORMAT, "digest": f"sha256:{sha256(text).hexdigest()}", "part": "0", "parts": "1"}
    return [{"data": held, "binaryData": {"catalogs": base64.b64encode(text).decode()}}]


def test_a_set_is_read_as_it_was_written_with_names_of_every_kind():
    held = {"warehouse": catalog("people", STRANGE), "annex": Catalog()}

    text, left_out = fitting(lines(**held))
    read = published_in(text_of(parts_of(text)))

    assert left_out == ()
    assert [(each.platform, each.changed) for each in read] == [("annex", CHANGED), ("warehouse", CHANGED)]
    assert {each.platform: each.catalog for each in read} == held


def test_a_hostile_name_hides_no_other_table():
    held, left_out = publishable(PlatformName("warehouse"), catalog("people", *HOSTILE))

    assert (held, left_out) == (catalog("people"), len(HOSTILE))
    read = published_in(encoded(PublishedCatalog(PlatformName("warehouse"), CHANGED, held, left_out)))
    assert [(each.catalog, each.left_out) for each in read] == [(catalog("people"), len(HOSTILE))]


def test_a_table_that_refers_to_a_hostile_name_is_held_without_that_key():
    """The owner of the other table chose its name."""
    (table,) = catalog("people").tables.values()
    keys = tuple(ForeignKey(("id",), TableId("crm", name), ("id",)) for name in ("places", HOSTILE[0]))
    held, left_out = publishable(PlatformName("warehouse"), Catalog.of([replace(table, foreign_keys=keys)]))

    assert (held, left_out) == (Catalog.of([replace(table, foreign_keys=keys[:1])]), 0)


def test_equal_catalogs_are_equal_bytes_in_whatever_order_they_are_read():
    one, other = lines(a=catalog("x", "y"), b=catalog("z")), lines(b=catalog("z"), a=catalog("y", "x"))

    assert parts_of(fitting(one)[0]) == parts_of(fitting(other)[0])


def test_a_set_of_several_parts_is_joined():
    parts = whole()

    assert [count_of(each) for each in parts] == [3, 3, 3]
    assert [each.platform for each in published_in(text_of(parts))] == ["annex", "warehouse"]


def test_the_largest_catalog_is_left_out_if_all_do_not_fit_and_is_named():
    large, small = catalog(*(f"table-{number**7}" for number in range(400))), catalog("people")

    text, left_out = fitting(lines(large=large, small=small), most=1000)

    assert left_out == ("large",)
    assert len(text) <= 1000
    assert {each.platform: each.catalog for each in published_in(text)} == {"large": None, "small": small}


def test_owners_cannot_hide_catalogs_by_comments_and_values():
    """They are left out first. What compresses well must fit uncompressed, too: readers refuse a longer text, for all platforms."""
    bare = tuple(Column(f"id{number:02}", Family.TEXT, "text") for number in range(50))
    columns = tuple(replace(each, comment="x" * 300, values=tuple(f"{number:060}" for number in range(20))) for each in bare)
    small, noted = catalog("people"), Catalog.of([Table(TableId("claims", "noted"), columns, comment="x", key=("id00",))])

    for limits in ({"most": 800}, {"most_plain": 20_000}):
        text, left_out = fitting(lines(noted=noted, small=small), **limits)
        read = {each.platform: each.catalog for each in published_in(text, 20_000)}
        assert (left_out, read[PlatformName("small")]) == ((), small)
        assert read[PlatformName("noted")] == Catalog.of([Table(TableId("claims", "noted"), bare)])
    assert fitting(lines(noted=noted, small=small), most_plain=1000)[1] == ("noted",)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_part_of_another_set_is_a_torn_set_in_every_place(missing: int):
    old, new = whole(), whole()
    for part in new:
        part["data"]["digest"] = f"sha256:{'0' * 64}"
    old[missing] = new[missing]

    with pytest.raises(TornSet, match="the operator is writing them"):
        text_of(old)


@pytest.mark.parametrize("spoil", ["cut", "swapped", "changed", "emptied"])
def test_a_set_that_is_not_whole_is_never_read(spoil: str):
    parts = whole()
    match spoil:
        case "cut":
            parts.pop()
        case "swapped":
            parts[1], parts[2] = parts[2], parts[1]
        case "changed":
            parts[1]["binaryData"]["catalogs"] = base64.b64encode(b"other bytes").decode()
        case "emptied":
            parts[2] = {"data": parts[2]["data"]}

    with pytest.raises(TornSet):
        text_of(parts)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (None, "data.format"),
        ({"format": "rolevend.dev/published-catalogs/v2"}, "data.format"),
        ({"format": FORMAT}, "data.parts"),
        ({"format": FORMAT, "parts": "0"}, "data.parts"),
        ({"format": FORMAT, "parts": "17"}, "data.parts"),
        ({"format": FORMAT, "parts": "٣"}, "data.parts"),
        ({"format": FORMAT, "parts": "9" * 5000}, "data.parts"),
    ],
)
def test_another_version_and_another_object_are_refused_with_the_field(data: dict[str, str] | None, field: str):
    with pytest.raises(InvalidInput) as refused:
        count_of({"data": data})

    assert refused.value.field == field


@pytest.mark.parametrize(
    "text",
    [
        b"\x00\xff no gzip",
        gzip.compress(b"no json\n"),
        gzip.compress(b"{}\n")[:-4],
        gzip.compress(b'{"platform": "a", "changed": "yesterday", "catalog": null}'),
        gzip.compress(b'{"platform": "a", "changed": "2026-11-01T10:30:00", "leftOut": 0, "catalog": null}'),
        gzip.compress(b"[" * 100_000),
        gzip.compress(b'{"platform": "a", "changed": "2026-11-01T10:30:00Z", "leftOut": 0, "catalog": {"format": "x"}}'),
        gzip.compress(
            json.dumps(
                {
                    "platform": "a",
                    "changed": "2026-11-01T10:30:00Z",
                    "leftOut": 0,
                    "catalog": {"format": "rolevend.dev/catalog/v1", "platform": "b"},
                }
            ).encode()
        ),
    ],
    ids=["bytes", "text", "cut", "no time", "no time zone", "nested", "no catalog", "of another platform"],
)
def test_bytes_that_are_no_catalogs_are_refused(text: bytes):
    with pytest.raises(InvalidInput):
        published_in(text_of(set_of(text)))


def test_a_bomb_is_refused_before_it_fills_the_memory():
    with pytest.raises(InvalidInput, match="holds more than 10000 bytes"):
        published_in(gzip.compress(b" " * 1_000_000), most=10_000)


def test_bytes_that_are_no_base64_are_refused():
    parts = set_of(b"")
    parts[0]["binaryData"]["catalogs"] = "no base64!"

    with pytest.raises(InvalidInput, match="of part 0 is no base64"):
        text_of(parts)
