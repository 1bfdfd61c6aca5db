"""Complete the names of objects in a shell, by click's own mechanism: from `--files`, otherwise from the cluster.

A name that a shell could read as more than a word is left out: somebody else chose it, and the line that it ends in is run. Nothing else
is printed, because a shell shows it in the line that the person types.
"""

import logging
import os
import re
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

from rolevend.cli import options

if TYPE_CHECKING:
    from rolevend.approvals.reader import ClusterAccess

T = TypeVar("T")
Body = dict[str, Any]
Completer = Callable[[click.Context, click.Parameter, str], list[str]]
COMPLETION_SECONDS: Final = 2.0
"""For everything that a completion waits for: an API server, and the plugin of a kubeconfig."""

_WORD: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.@+:/=]*")
"""A word that is itself in bash, zsh and fish."""


def quietly(complete: Completer) -> Completer:
    """Decorate a completer: it prints nothing, offers nothing if anything fails, and reads no key that the person presses."""

    @wraps(complete)
    def run(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
        logging.disable()
        try:
            with _nothing_to_read():
                return complete(context, parameter, begun)
        except Exception:  # of a file or a kubeconfig that nobody checked before, too
            return []
        finally:
            logging.disable(logging.NOTSET)

    return run


def soon(reading: Coroutine[Any, Any, T]) -> T:
    """Return the result. Raises TimeoutError after COMPLETION_SECONDS, and ends the plugin of the kubeconfig, which does not end itself."""
    import asyncio

    class Loop(asyncio.SelectorEventLoop):
        async def subprocess_exec(self, *arguments: Any, **options: Any) -> Any:
            transport, protocol = await super().subprocess_exec(*arguments, **options)
            plugins.append(transport)
            return transport, protocol

    async def within() -> T:
        try:
            async with asyncio.timeout(COMPLETION_SECONDS):
                return await reading
        finally:
            for each in plugins:
                each.close()
                while each.get_returncode() is None:
                    await asyncio.sleep(0.01)

    plugins: list[asyncio.SubprocessTransport] = []
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(within())


@contextmanager
def _nothing_to_read() -> Iterator[None]:
    """Give an empty standard input to programs that start here."""
    kept = os.dup(0)
    try:
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def _completer(kind: str, names: Callable[[Body], Iterable[object]], *, in_namespace: bool = False) -> Completer:
    """Return a completer with the names that objects of this kind have; with `in_namespace` only of those in the command's namespace."""

    @quietly
    def complete(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        found = {str(name) for body in _bodies(context, kind, in_namespace) for name in names(body) if name}
        return sorted(name for name in found if name.startswith(begun) and _WORD.fullmatch(name))

    return complete


def _bodies(context: click.Context, kind: str, in_namespace: bool) -> Iterable[Body]:
    given = context.params
    if given.get("files"):
        namespace = given.get("namespace") or "default"
        return [each for each in _in_files(given["files"], kind) if not in_namespace or each["metadata"].get("namespace") == namespace]
    from rolevend.app.object_names import named_bodies

    return soon(named_bodies(cluster_access(context), kind, in_namespace=in_namespace))


def cluster_access(context: click.Context) -> "ClusterAccess":
    """Return how the command would reach the cluster."""
    from rolevend.approvals.reader import ClusterAccess

    given = context.params
    return ClusterAccess(options.own(given.get("kubeconfig")), given.get("context"), given.get("namespace"))


def _in_files(paths: Iterable[Any], kind: str) -> list[Body]:
    from rolevend.policytools.folder import Folder

    return [document.body for document, each in Folder.read(map(Path, paths)).found.values() if each.kind == kind]


def _name(body: Body) -> list[object]:
    return [body["metadata"]["name"]]


def _qualified(body: Body) -> list[object]:
    return [f"{body['metadata'].get('namespace')}/{body['metadata']['name']}"]


def _subject(body: Body) -> list[object]:
    return [body["spec"]["user"]["subject"]]


def _role_names(body: Body) -> list[object]:
    return [body.get("status", {}).get("roleName")]


AGENT_NAMES = _completer("Agent", _name, in_namespace=True)
AGENTS = _completer("Agent", _qualified)
PLATFORMS = _completer("DataPlatform", _name)
SUBJECTS = _completer("UserAttributes", _subject)
ISSUERS = _completer("UserAttributes", lambda body: [body["spec"]["user"]["issuer"]])
VENDED_ROLES = _completer("VendedRole", _name, in_namespace=True)
ROLE_NAMES = _completer("VendedRole", _role_names)
"""The names of roles in databases."""


@add_completion_class
class BashLineComplete(BashComplete):
    """Completes the words of a line as a person sees them: bash itself begins a new one after each `@`, `:` and `=`."""

    source_template: ClassVar[str] = BashComplete.source_template.replace(
        "env ", 'env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORD="$2" ', 1
    )
    _already_there: str = ""
    """The beginning of the word that bash keeps."""

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ.get("COMP_LINE")
        if not line:  # of a shell that has the script of an earlier version
            return super().get_completion_args()
        words = split_arg_string(line)
        incomplete = words.pop() if words and not line[-1:].isspace() else ""
        kept = incomplete.removesuffix(os.environ["COMP_WORD"]) if incomplete.endswith(os.environ["COMP_WORD"]) else ""
        option, _, value = kept.partition("=")
        self._already_there = value if option.startswith("--") else kept
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        return f"{item.type},{str(item.value).removeprefix(self._already_there)}"
