"""Print the result of a command in the format that `--output` names. Every command prints its result through here.

The functions that render a result return texts or values; only this module knows how values are encoded.
"""

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, Final, TypeVar

import click

from rolevend.cli.colour import Palette, is_coloured, painted

T = TypeVar("T")
PROGRAMS: Final = ("json", "yaml")
"""The formats for programs, with all there is."""


def show(output: str, value: Callable[[], object], palette: Palette = (), **texts: Callable[[], str]) -> None:
    """Print the text that the function named like the format returns; for `json` and `yaml` print the value, indented.

    On a terminal the `palette` colours the format `text`."""
    match output:
        case "json":
            click.echo(_json(value(), indent=2))
        case "yaml":
            click.echo(yaml_text(value()), nl=False)
        case "text":
            show_text(texts[output](), palette)
        case _:
            click.echo(texts[output]())


def show_text(text: str, palette: Palette) -> None:
    click.echo(painted(text, palette) if is_coloured() else text)


def show_each(output: str, results: Iterable[T], text: Callable[[T], str]) -> None:
    """Print each result when it arrives: for `json` as an object on one line, for `yaml` as a document, otherwise as a text."""
    for result in results:
        show_item(output, result, "" if output in PROGRAMS else text(result))


def show_item(output: str, value: object, text: str) -> None:
    """Print one item of a stream: for `json` as an object on one line, for `yaml` as a document of its own."""
    match output:
        case "json":
            click.echo(_json(value))
        case "yaml":
            click.echo(f"---\n{yaml_text(value)}", nl=False)
        case _:
            click.echo(text)


def findings(problems: Iterable[str], notes: Iterable[str]) -> list[str]:
    """Return the lines of a verification's text that name what is wrong, and what a person should know."""
    return [*(f"PROBLEM {each}" for each in problems), *(f"note: {each}" for each in notes)]


def note(notes: Iterable[str]) -> None:
    """Print notes on standard error, each once: standard output holds the result alone."""
    for each in dict.fromkeys(notes):
        click.echo(f"note: {each}", err=True)


def exit_if(failed: object) -> None:
    """Exit with status 1 if the command did its work and found something wrong."""
    if failed:
        sys.exit(1)


def yaml_text(value: object) -> str:
    """Return the YAML of a value that is written as JSON, too. Invisible characters in it are escaped."""
    import yaml

    return yaml.safe_dump(json.loads(_json(value)), sort_keys=False, width=120)


def _json(value: object, indent: int | None = None) -> str:
    encode: Callable[[Any], Any] = asdict
    return json.dumps(value, indent=indent, default=encode)
