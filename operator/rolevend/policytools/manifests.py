"""Objects in files, with the position of each field. A file may hold several objects, and so may a `List`."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from rolevend.errors import InvalidInput

_SUFFIXES = (".yaml", ".yml", ".json")
_STEP = re.compile(r'\[([^\[\]]+)\]|"((?:[^"\\]|\\.)*)"|([^.\[\]"]+)')
_PLAIN = re.compile(r"\S")
_VISIBLE = {
    "'": re.compile(r"''|\S"),
    '"': re.compile(r"(?P<space>\\(?:[ntrvfNLP_ ]|\r?\n))|\\(?:x..|u.{4}|U.{8}|.)|\S"),
}
"""One character of a quoted value as it is written; the group `space` is none that can be seen."""
_INNER = re.compile(r"line (\d+), column (\d+): ")


@dataclass(frozen=True, slots=True, order=True)
class FilePosition:
    file: str
    line: int = 1
    column: int = 1
    """Both count from 1."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Unreadable(InvalidInput):
    """A file, or a part of it, that cannot be read. `field` is empty."""

    def __init__(self, place: FilePosition, message: str) -> None:
        super().__init__("", f"{place}: {message}")
        self.place = place
        self.problem = message


@dataclass(frozen=True)
class Document:
    file: str
    body: dict[str, Any]
    text: str
    """The whole file."""
    trail: tuple[int, ...] = (0,)
    """Index of the document in the text, then of the item in its `List`, and so on."""

    @property
    def name(self) -> str:
        """`Kind namespace/name`, without missing parts; empty for a file of rolevend that is no object."""
        if "format" in self.body and "kind" not in self.body:
            return ""
        metadata = self.body.get("metadata")
        fields = metadata if isinstance(metadata, dict) else {}
        parts = [str(fields[part]) for part in ("namespace", "name") if part in fields]
        return f"{self.body.get('kind', 'object')} {'/'.join(parts)}".strip()

    def place(self, field: str = "", message: str = "") -> FilePosition:
        """Return the position of `field`, such as `spec.masks[0].type`, or `spec.masks[ids].type` by the name of an item, which takes
        precedence over a number. A missing field has the position of its nearest parent.
        If `message` begins with a line and a column, return that position inside the text of `field`."""
        node = self._node
        mark = node.start_mark
        for item, quoted, name in _STEP.findall(field):
            below = _below(node, item, quoted or name)
            if below is None:
                break
            mark, node = below
        inner = _INNER.match(message)
        if inner is not None and isinstance(node, yaml.ScalarNode):
            return self._inside(node, int(inner[1]), int(inner[2]))
        return FilePosition(self.file, mark.line + 1, mark.column + 1)

    def _inside(self, node: yaml.ScalarNode, line: int, column: int) -> FilePosition:
        """Return the position of a line and column of a scalar's value, by the visible characters before it: folding and quoting change
        only spaces and escapes."""
        lines = node.value.split("\n")
        before = "".join("".join([*lines[: line - 1], lines[min(line, len(lines)) - 1][: column - 1]]).split())
        begin, end = node.start_mark.index, node.end_mark.index
        begin = self.text.index("\n", begin) if node.style in ("|", ">") else begin + (node.style in ("'", '"'))
        starts = [found.start() for found in _VISIBLE.get(node.style, _PLAIN).finditer(self.text, begin, end) if found.lastgroup is None]
        offset = starts[min(len(before), len(starts) - 1)] if starts else begin
        return FilePosition(self.file, self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset))

    @cached_property
    def _node(self) -> yaml.Node:
        # Parsed again for the few documents whose positions are needed: nodes of all take more memory and time than the rest.
        node = next(islice(_nodes(_Loader(self.text)), self.trail[0], None))
        for item in self.trail[1:]:
            node = (_items(node) or [])[item]
        return node


def files_below(paths: Iterable[Path]) -> list[Path]:
    """Return these files and all manifests in these folders, sorted. Skips hidden ones (`.git`).

    Raises InvalidInput if a path does not exist."""
    found: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise InvalidInput(str(path), "is not there")
        if path.is_file():
            found.add(path)
            continue
        found |= {
            each
            for each in path.rglob("*")
            if each.suffix in _SUFFIXES and each.is_file() and not any(part.startswith(".") for part in each.relative_to(path).parts)
        }
    return sorted(found)


def read_documents(path: Path) -> Iterator[Document | Unreadable]:
    """Yield the objects in one file. A syntax error ends the file."""
    file = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        yield Unreadable(FilePosition(file), f"cannot be read: {error}")
        return
    yield from documents_in(file, text)


def documents_in(file: str, text: str) -> Iterator[Document | Unreadable]:
    """Yield the objects in a text; `file` is the file of their positions."""
    loader = None
    try:
        loader = _Loader(text)
        for number, node in enumerate(_nodes(loader)):
            yield from _documents(Document(file, loader.construct_document(node), text, (number,)), node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = FilePosition(file, mark.line + 1, mark.column + 1) if mark else FilePosition(file)
        yield Unreadable(place, " ".join(f"{error.context or ''} {error.problem or 'is no YAML'}".split()))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        yield Unreadable(FilePosition(file), f"is no YAML: {' '.join(str(error).split())[:200]}")
    finally:
        if loader is not None:
            loader.dispose()


def _nodes(loader: "_Loader") -> Iterator[yaml.Node]:
    while loader.check_node():
        yield loader.get_node()


def _documents(found: Document, node: yaml.Node) -> Iterator[Document | Unreadable]:
    """Yield the objects in `found`, whose body is not checked yet."""
    twice = _twice(node)
    if twice is not None:
        yield Unreadable(FilePosition(found.file, twice.start_mark.line + 1, twice.start_mark.column + 1), f"{twice.value} is there twice")
    elif isinstance(found.body, dict):
        items = _items(node) if str(found.body.get("kind", "")).endswith("List") else None
        if items is None:
            yield found
        for number, below in enumerate(items or ()):
            yield from _documents(replace(found, body=found.body["items"][number], trail=(*found.trail, number)), below)
    elif found.body is not None:
        yield Unreadable(
            FilePosition(found.file, node.start_mark.line + 1, node.start_mark.column + 1), "is no mapping, as every object is"
        )


def _items(node: yaml.Node) -> list[yaml.Node] | None:
    items = _below(node, "", "items")
    return items[1].value if items is not None and isinstance(items[1], yaml.SequenceNode) else None


def _below(node: yaml.Node, item: str, name: str) -> tuple[Any, yaml.Node] | None:
    """Return the mark and the node of a member or item, or None."""
    if isinstance(node, yaml.SequenceNode) and item:
        named = [each for each in node.value if (below := _below(each, "", "name")) is not None and below[1].value == item]
        found = next(iter(named or (node.value[int(item) :] if item.isdecimal() else ())), None)
        return None if found is None else (found.start_mark, found)
    if isinstance(node, yaml.MappingNode) and name:
        return next(((key.start_mark, value) for key, value in node.value if key.value == name), None)
    return None


def _twice(node: yaml.Node) -> yaml.ScalarNode | None:
    """Return a key that its mapping has twice, or None. YAML parsers differ in which one they use."""
    seen: set[int] = set()
    left = [node]
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in each.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in keys:
                        return key
                    keys.add(key.value)
                left.append(value)
        elif isinstance(each, yaml.SequenceNode):
            left += each.value
    return None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C loader, if available
    """A YAML loader like that of Kubernetes: a date is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
