"""The package as agents install it, and its lock file."""

import json
import tarfile
from pathlib import Path

import pytest

from rolevend import __version__
from testbed import node

LOCK = node.PACKAGE / "package-lock.json"


@pytest.mark.long
@pytest.mark.usefixtures("built")
def test_the_archive_holds_what_the_exports_name_and_no_test(tmp_path: Path):
    """As the guide makes it."""
    node.npm("pack", "--pack-destination", str(tmp_path))
    with tarfile.open(tmp_path / f"rolevend-client-{__version__}.tgz") as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
        package = json.load(archive.extractfile("package/package.json"))
    named = {path.removeprefix("./") for export in package["exports"].values() for path in export.values()}
    assert named <= names
    modules = {path.stem for path in (node.PACKAGE / "src").glob("*.ts")}
    compiled = {f"dist/{module}{suffix}" for module in modules for suffix in (".js", ".d.ts")}
    assert names == {"LICENSE", "README.md", "package.json", *compiled}
    assert "dependencies" not in package
    assert package["private"] is True


def test_the_lock_has_a_digest_of_every_package_and_no_address():
    """An address would be the registry of the machine that wrote it."""
    packages = json.loads(LOCK.read_text())["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)
    assert '"resolved"' not in LOCK.read_text()
