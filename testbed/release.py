"""Build everything that a release publishes, except the image, and prove it: `make release-dry-run`, or `python -m testbed.release`.

The release workflow runs the same and then publishes the files of build/release: wheels and sources of both packages, the chart, and a
list of all components of the image (SBOM, CycloneDX).
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rolevend import __version__
from rolevend.policytools.embedded.errors import BenchError, Unusable
from rolevend.policytools.embedded.progress import StepProgress, progress_for
from testbed.binaries import obtain

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "release"
PACKAGES = (ROOT, ROOT / "clients" / "python")


def build(folder: Path, progress: StepProgress) -> list[Path]:
    """Build into `folder`, which is emptied, and return the files. Raises `BenchError`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        with progress.step("building wheels and sources twice", 15):
            _build_packages(folder)
            _build_packages(again := Path(scratch, "again"))
            _expect_equal(folder, again)
        with progress.step("installing them into an empty environment", 120):
            environment = _installed(folder, Path(scratch, "environment"))
        with progress.step("running the commands from it", 10):
            _try(environment)
        with progress.step("listing the components", 20):
            _list_components(environment, folder / f"rolevend-{__version__}.cdx.json")
    with progress.step("packaging the chart", 5):
        _package_chart(folder)
    return sorted(folder.iterdir())


def _build_packages(folder: Path) -> None:
    for package in PACKAGES:
        _run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--target", "wheel", "--directory", folder, cwd=package)


def _expect_equal(first: Path, second: Path) -> None:
    names = {each.name for each in (*first.iterdir(), *second.iterdir())}
    differing = sorted(name for name in names if _digest(first / name) != _digest(second / name))
    if differing:
        raise Unusable(f"two builds differ: {', '.join(differing)}")


def _installed(folder: Path, environment: Path) -> Path:
    """Return an environment with the locked packages of the image, and both wheels."""
    _run(sys.executable, "-I", "-m", "venv", environment)
    pip = (environment / "bin" / "python", "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet")
    for lock in ("image.lock", "mcp.lock"):
        _run(*pip, "--require-hashes", "--requirement", ROOT / "requirements" / lock)
    _run(*pip, "--no-deps", "--no-index", *sorted(folder.glob("*.whl")))
    _run(environment / "bin" / "python", "-I", "-m", "pip", "--disable-pip-version-check", "check")
    return environment


def _try(environment: Path) -> None:
    said = _run(environment / "bin" / "rolevend", "--version")
    if __version__ not in said:
        raise Unusable(f"rolevend --version says {said.strip()}, not {__version__}")
    _run(environment / "bin" / "rolevend", "policy", "check", ROOT / "examples" / "00-minimal")
    _run(environment / "bin" / "rolevend-mcp", "--help")


def _list_components(environment: Path, file: Path) -> None:
    inventory = ("cyclonedx_py", "environment", "--output-reproducible", "--output-format", "JSON", "--output-file", file)
    _run(sys.executable, "-m", *inventory, environment / "bin" / "python")
    listed = json.loads(file.read_text(encoding="utf-8"))
    for each in listed["components"]:  # where a wheel lay on this machine
        references = [known for known in each.get("externalReferences", ()) if not known["url"].startswith("file:")]
        each["externalReferences"] = references
    file.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def _package_chart(folder: Path) -> None:
    helm = obtain(("helm",))["helm"]
    _run(helm, "package", ROOT / "charts" / "rolevend", "--version", __version__, "--app-version", __version__, "--destination", folder)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "missing"


def _run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Return the output. Raises `Unusable` with it."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1577836800"}  # 2020-01-01: a build depends on nothing but the sources
    answer = subprocess.run(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603
    if answer.returncode != 0:
        raise Unusable(f"{' '.join(map(str, command))} failed\n{answer.stdout.strip()}")
    return answer.stdout


def main() -> int:
    """Build, print the digests, and return the exit status."""
    try:
        files = build(FOLDER, progress_for())
    except BenchError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    sums = "".join(f"{_digest(each)}  {each.name}\n" for each in files)
    (FOLDER / "SHA256SUMS").write_text(sums, encoding="utf-8")
    print(f"{sums}\nNothing was published. The files are in {FOLDER.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
