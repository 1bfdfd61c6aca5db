"""The mutants of a module, and the module with all of them in it."""

import difflib
import importlib.util
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from mutmut.mutation.file_mutation import MutatedFile, mutate_file_contents

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "operator"
_THEIRS = "from mutmut.mutation.trampoline import wrap_in_trampoline as _mutmut_mutated, MutantDict"
_OURS = "from tests.mutants.switch import switched as _mutmut_mutated, MutantDict"


@dataclass(frozen=True, order=True)
class Mutant:
    module: str
    function: str
    """`function`, or `Class.method`."""
    name: str
    """mutmut's own, within the module."""
    was: str
    now: str
    """The lines that differ."""

    @property
    def host(self) -> tuple[str, str]:
        """The function that it is a mutant of, as `switch.called` names it."""
        return self.module, self.name.partition("__mutmut")[0]

    def __str__(self) -> str:
        return f"{self.module}.{self.function} ({self.name.rpartition('_')[2]})\n    - {self.was}\n    + {self.now}"


class Mutated(MetaPathFinder, Loader):
    """Imports `modules` with their mutants in them, of which none runs before one is chosen."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._files = {module: SOURCES.joinpath(*module.split(".")).with_suffix(".py") for module in modules}
        self._made = {module: mutate_file_contents(str(path), path.read_text(encoding="utf-8")) for module, path in self._files.items()}
        assert not set(modules) & set(sys.modules), "they are imported already, as they are"

    @property
    def mutants(self) -> list[Mutant]:
        return [mutant for module, made in self._made.items() for mutant in _mutants(module, made)]

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self, origin=str(self._files[fullname])) if fullname in self._made else None

    def exec_module(self, module: ModuleType) -> None:
        code = self._made[module.__name__].code
        assert _THEIRS in code
        exec(compile(code.replace(_THEIRS, _OURS), str(self._files[module.__name__]), "exec"), module.__dict__)


def _mutants(module: str, made: MutatedFile) -> list[Mutant]:
    lines = made.code.splitlines()

    def text(name: str, function: str) -> list[str]:
        span = made.line_span_by_function_name[name]
        return [line.strip().replace(name, function) for line in lines[span.start - 1 : span.end]]

    found = []
    for name in made.mutant_names:
        host = name.partition("__mutmut")[0]
        function = host.removeprefix("x_") if host.startswith("x_") else ".".join(host.split("ǁ")[1:])
        bare = function.rpartition(".")[2]
        differing = list(difflib.ndiff(text(f"{host}__mutmut_orig", bare), text(name, bare)))
        was, now = ("\n".join(line[2:] for line in differing if line.startswith(sign)) for sign in "-+")
        found.append(Mutant(module, function, name, was, now))
    return found


Equivalents = Mapping[tuple[str, str, str, str], str]
"""Module, function, the lines as they were and as they are in the mutant -> why nobody can tell them apart."""


def equivalents() -> Equivalents:
    listed = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text(encoding="utf-8"))
    return {(*each["in"].split(":"), each["was"], each["now"]): each["reason"] for each in listed.get("mutant", [])}


def listing(mutant: Mutant) -> tuple[str, str, str, str]:
    return mutant.module, mutant.function, mutant.was, mutant.now
