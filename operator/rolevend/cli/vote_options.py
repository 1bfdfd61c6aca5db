"""Read the options of a vote: errors name the option."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from rolevend.kinds.access_policy import MaskRule
    from rolevend.kinds.vended_role import TableName

T = TypeVar("T")


def read_seconds(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    from rolevend.approvals import narrowing

    return None if text is None else _read(narrowing.read_seconds, text)


def read_tables(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> "tuple[TableName, ...] | None":
    from rolevend.approvals import narrowing

    return tuple(dict.fromkeys(each for text in texts for each in _read(narrowing.read_tables, text))) or None


def read_masks(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> "tuple[MaskRule, ...]":
    from rolevend.approvals import narrowing

    return tuple(_read(partial(narrowing.read_mask, number=number), text) for number, text in enumerate(texts, 1))


def _read(read: Callable[[str], T], text: str) -> T:
    """Return the value of an option, or raise the error of a wrong command line."""
    from rolevend.errors import InvalidInput

    try:
        return read(text)
    except InvalidInput as error:
        raise click.BadParameter(error.message) from error
