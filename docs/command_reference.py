"""The page docs/reference/cli.md, from the commands and their options."""

import inspect
import re
from collections.abc import Iterator

import click
from tables import code, table

from rolevend.cli import cli


def page() -> Iterator[str]:
    yield "# Command line"
    yield ""
    yield "An error that a person can fix is one line on standard error. Exit codes: 0 for success, 1 for such an error, 2 for a wrong"
    yield "command line, 130 where the command was interrupted; `rolevend revoke` has one more. Each command has `--help`."
    yield from _command(cli, click.Context(cli, info_name="rolevend", help_option_names=cli.context_settings["help_option_names"]))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield from ("", f"## {context.command_path}", "", "```text", command.get_usage(context).removeprefix("Usage: "), "```", "")
    yield from _examples(inspect.cleandoc(command.help or "")).replace("\b\n", "").splitlines()
    options = [
        each for each in command.get_params(context) if isinstance(each, click.Option) and not each.hidden and "--help" not in each.opts
    ]
    if options:
        yield ""
        yield from table(("Option", "Meaning"), ((_option_name(each, context), _option_meaning(each, context)) for each in options))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _command(below, click.Context(below, info_name=name, parent=context))


def _examples(text: str) -> str:
    """Return the help with its examples as a block of code."""
    found = re.search(r"\x08\n(Examples?:)\n((?: {4}.+\n?)+)", text)
    if found is None:
        return text
    lines = [f"$ {line.strip()}" for line in found[2].splitlines()]
    return "\n".join([f"{text[: found.start()]}{found[1]}", "", "```console", *lines, "```", text[found.end() :]]).rstrip()


def _option_name(option: click.Option, context: click.Context) -> str:
    value = "" if option.is_flag else f" {option.make_metavar(context)}"
    return ", ".join(f"`{name}{value}`" for name in option.opts)


def _option_meaning(option: click.Option, context: click.Context) -> str:
    default = option.get_default(context)
    words = [option.help or ""]
    if option.required:
        words.append("Required.")
    if isinstance(default, str | int) and not isinstance(default, bool):
        words.append(f"Default: {code(default)}.")
    if option.envvar:
        words.append(f"Environment: {code(option.envvar)}.")
    return " ".join(words)
