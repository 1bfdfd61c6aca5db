"""The rows of one answer, and data frames of them. With pyarrow they have Arrow's types, which keep numbers and times exact."""

import importlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from rolevend_client.errors import Misconfigured

LIBRARIES = ("pandas", "polars", "pyarrow")
"""The libraries of data frames; the first that is installed is the default."""
_ARROW_TYPES = {
    "bool": "bool_",
    "int2": "int16",
    "int4": "int32",
    "int8": "int64",
    "float4": "float32",
    "float8": "float64",
    "date": "date32",
    "bytea": "binary",
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "uuid", "json", "jsonb"), "string"),
}


@dataclass(frozen=True, slots=True, repr=False)
class Rows(Sequence[tuple[Any, ...]]):
    """A sequence of tuples. Its repr shows no values."""

    columns: tuple[str, ...]
    """The names, in the order of the values."""
    types: tuple[str, ...]
    """The names of the database's types, such as `int4`; empty where the type has none."""
    rows: tuple[tuple[Any, ...], ...]

    def dicts(self) -> list[dict[str, Any]]:
        """Return each row by the names of its columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    @overload
    def __getitem__(self, place: int) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[tuple[Any, ...], ...]: ...
    def __getitem__(self, place: int | slice) -> Any:
        return self.rows[place]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return f"<{len(self.rows)} rows of {', '.join(self.columns)}>"


def library_for_frames(wanted: str | None) -> str:
    """Return the name of the library to use. Raises `Misconfigured` if it is not installed, or none is."""
    if wanted is not None and wanted not in LIBRARIES:
        raise Misconfigured(f"library: there is no {wanted}; name one of {', '.join(LIBRARIES)}")
    found = next((each for each in ([wanted] if wanted else LIBRARIES) if _is_installed(each)), None)
    if found is None:
        lacks = wanted or "neither pandas nor polars"
        raise Misconfigured(f"cannot make a data frame: {lacks} is {'not ' if wanted else ''}installed; both are extras of rolevend-client")
    return found


def frame(rows: Rows, library: str) -> Any:
    """Return the rows as a data frame of this library, or as a table of pyarrow."""
    table = _arrow_table(rows) if _is_installed("pyarrow") else None
    if library == "pyarrow":
        return table
    frames = importlib.import_module(library)
    if library == "polars" and table is not None:
        return frames.from_arrow(table)
    if library == "polars":
        return frames.DataFrame(list(rows.rows), schema=list(rows.columns), orient="row", infer_schema_length=None)
    if table is None:  # by default, NULL would make floating-point numbers of whole ones
        return frames.DataFrame(list(rows.rows), columns=list(rows.columns), dtype=object).convert_dtypes()
    return table.to_pandas(types_mapper=frames.ArrowDtype)


def _is_installed(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


def _arrow_table(rows: Rows) -> Any:
    import pyarrow  # type: ignore[import-untyped]

    values = list(zip(*rows.rows, strict=True)) if rows.rows else [()] * len(rows.columns)
    arrays = [_arrow_array(pyarrow, column, kind) for column, kind in zip(values, rows.types, strict=True)]
    return pyarrow.Table.from_arrays(arrays, names=list(rows.columns))


def _arrow_array(arrow: Any, values: Sequence[Any], kind: str) -> Any:
    """Return the column. Values that Arrow has no type for become texts."""
    try:
        return arrow.array(_plain(values, kind), _arrow_type(arrow, kind))
    except (arrow.ArrowException, OverflowError):
        return arrow.array([None if each is None else str(each) for each in values], arrow.string())


def _arrow_type(arrow: Any, kind: str) -> Any:
    """Return the type, or None: Arrow takes it from the values."""
    if kind in ("timestamp", "timestamptz"):
        return arrow.timestamp("us", tz="UTC" if kind == "timestamptz" else None)
    return getattr(arrow, _ARROW_TYPES[kind])() if kind in _ARROW_TYPES else None


def _plain(values: Sequence[Any], kind: str) -> Sequence[Any]:
    if kind in ("json", "jsonb"):
        return [None if each is None else json.dumps(each) for each in values]
    return [None if each is None else str(each) for each in values] if kind == "uuid" else values
