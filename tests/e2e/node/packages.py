"""The Debian packages that a node is made of."""

import os
import shutil
import subprocess

from rolevend.policytools.embedded.errors import MissingProgram
from rolevend.policytools.embedded.progress import StepProgress

_PACKAGES = (
    "buildah",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "iptables",
    "mmdebstrap",
    "nftables",
    "runc",
    "socat",
)


def install_packages(progress: StepProgress) -> None:
    """`MissingProgram` where that is no Debian, or its archive cannot be reached."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-query") is None:
        raise MissingProgram(f"a node needs Debian, for its packages {', '.join(_PACKAGES)}: this system has no apt-get")
    missing = [package for package in _PACKAGES if not _installed(package)]
    if not missing:
        return
    with progress.step(f"installing the Debian packages {', '.join(missing)}"):
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", *missing)


def _installed(package: str) -> bool:
    answer = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package], capture_output=True, text=True, check=False
    )
    return answer.stdout == "installed"


def _apt(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    answer = subprocess.run(["apt-get", "-qq", *arguments], env=environment, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise MissingProgram(f"apt-get {' '.join(arguments)} failed, as root on Debian it should not:\n{answer.stderr.strip()}")
