"""The chapter "One vend" of the architecture names every file of a vend at both doors: a real vend is traced, and compared with it."""

import ast
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType

import pytest

import rolevend
from tests.support.tokens import access_token
from tests.support.two_doors import PROVEN, World

PACKAGE = Path(rolevend.__file__).parent
PAGE = PACKAGE.parents[1] / "docs" / "explanation" / "architecture.md"
MAX_FILES, MAX_HOPS, MAX_LINES, MAX_SERVICES = 28, 10, 65, 6
"""Files at either door, hops from an event to SQL, lines of the chapter, arguments of a constructor."""
NOT_NAMED = (
    *("model.py", "naming.py", "catalog.py", "plan.py", "kinds/", "audit/", "settings.py", "errors.py"),
    *("api/schemas.py", "api/access/missing.py"),
    *("policy/", "decision/", "identity/", "platforms/protocol.py", "platforms/progress.py"),
    *("kube/client.py", "kube/client.py", "telemetry/"),
)
"""As the chapter says. What it names all the same is not left out."""
STAND_INS = {"roles/door.py", "platform_runtime/registry.py", "platforms/postgres/driver.py", "platforms/postgres/vend/vends.py"}
NOT_TRACED = {"kubectl": STAND_INS | {"controllers/handlers.py"}, "HTTP": STAND_INS | {"api/routes.py", "api/responses.py"}}
"""What the traced world leaves out or has a stand-in for; the hops show that they are on the way. A Door is a value: nothing runs there."""
DOORS = ("kubectl", "HTTP")


def chapter() -> str:
    return re.split(r"\n## ", PAGE.read_text().partition("\n## One vend\n")[2])[0]


def hops(door: str) -> list[tuple[str, str]]:
    """File and function."""
    lines = chapter().partition("```text\n")[2].partition("```")[0].splitlines()[1:]
    columns = [re.split(r"\s+", line.strip()) for line in lines]
    first = DOORS.index(door) * 2
    return [(each[first], each[first + 1]) for each in columns]


def named(door: str) -> set[str]:
    rows = [line.strip("|").split("|") for line in chapter().splitlines() if line.startswith("|") and not line.startswith("|---")][1:]
    steps = {file for row in rows if row[1 + DOORS.index(door)].strip() for file in re.findall(r"`([^`]+)`", row[3])}
    return steps | {file for file, _ in hops(door)}


@contextmanager
def traced() -> Iterator[set[str]]:
    """The files of the package of which a function ran within, in any thread that begins within."""
    seen: set[CodeType] = set()
    files: set[str] = set()
    inside = threading.Event()
    inside.set()

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and inside.is_set():
            seen.add(frame.f_code)

    before = sys.getprofile(), threading.getprofile()
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield files
    finally:
        inside.clear()
        sys.setprofile(before[0])
        threading.setprofile(before[1])
        paths = {Path(code.co_filename) for code in seen if not code.co_name.startswith("<")}
        files |= {str(path.relative_to(PACKAGE)) for path in paths if path.is_relative_to(PACKAGE)}


async def on_the_way(door: str) -> set[str]:
    """Of a vend with a token. At kubectl's door its profiles are built on the way."""
    world = World()
    world.server.listeners.pop(DOORS.index("HTTP" if door == "kubectl" else "kubectl"))  # of the process that has no part in it
    try:
        if door == "kubectl":
            for each in world.databases.values():
                each.built = set()
            with traced() as files:
                fate = await world.by_kubectl(partial=False, token=access_token())
            assert fate.reason == "Live"
        else:
            with traced() as files:
                answer = await world.service.vend(PROVEN, world.question(partial=False, token=access_token()), None, "call-1")
            assert len(answer.credentials) == 2
    finally:
        await world.close()
    return files


@pytest.mark.parametrize("door", DOORS)
async def test_the_chapter_names_the_files_that_a_vend_runs_and_no_others(door: str):
    ran, said = await on_the_way(door), named(door)

    assert {file for file in ran - said - BESIDE if not file.startswith(NOT_NAMED)} == set(), "a vend runs these, and nobody reads of them"
    assert said - ran - NOT_TRACED[door] == set(), "the chapter names these, and no vend runs them"


BESIDE = {
    "kube/informer.py",
    "controllers/watcher.py",
    "controllers/api_vends.py",
    "controllers/vended_events.py",
    "controllers/reevaluator.py",
    "roles/expiry.py",
    "due_queue.py",
}
"""Of the events that the vend's own writes cause."""


@pytest.mark.parametrize("door", DOORS)
def test_a_vend_is_short(door: str):
    assert len(named(door)) <= MAX_FILES
    assert len(hops(door)) <= MAX_HOPS
    assert len(chapter().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("door", DOORS)
def test_each_hop_is_a_call_of_the_next_one(door: str):
    way = hops(door)
    for (file, _), (next_file, function) in pairwise(way):
        assert function in functions(next_file), f"{next_file} has no {function}"
        handed_on = function in calls(next_file)  # as a queue is given what it calls
        assert function in calls(file) or handed_on, f"{file} does not call {function}, which {next_file} has"


def test_every_file_that_the_chapter_names_is_there():
    for file in re.findall(r"`([a-z_/]+\.py)`", chapter()):
        assert (PACKAGE / file).is_file() or (PACKAGE.parents[1] / file).is_file(), file


def functions(file: str) -> set[str]:
    return {each.name for each in ast.walk(tree(file)) if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))}


def calls(file: str) -> set[str]:
    """Names that are called, or handed on to be called."""
    return {each.attr for each in ast.walk(tree(file)) if isinstance(each, ast.Attribute)} | {
        each.id for each in ast.walk(tree(file)) if isinstance(each, ast.Name)
    }


def tree(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text())


@pytest.mark.parametrize("package", ["roles", "controllers", "api", "snapshot", "platform_runtime", "kube", "app"])
def test_no_service_takes_more_than_six_others(package: str):
    """Who needs more does two things."""
    taken = {
        f"{file.name}: {each.name}": len(function.args.args) + len(function.args.kwonlyargs) - 1
        for file in (PACKAGE / package).glob("*.py")
        for each in ast.walk(tree(f"{package}/{file.name}"))
        if isinstance(each, ast.ClassDef)
        for function in each.body
        if isinstance(function, ast.FunctionDef) and function.name == "__init__"
    }
    assert taken
    assert {name: count for name, count in taken.items() if count > MAX_SERVICES} == {}
