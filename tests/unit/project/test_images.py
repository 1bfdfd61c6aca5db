"""What an image installs of ours is in the lock that it installs from: `make lock` and the Dockerfile each name the extras."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
IMAGES = {"Dockerfile": "pyproject.toml", "clients/python/Dockerfile": "clients/python/pyproject.toml"}
"""With what they install."""


def installed(dockerfile: str) -> set[str]:
    """The extras."""
    found = re.search(r"'rolevend(?:-client)?\[([a-z,]+)\]'", (ROOT / dockerfile).read_text(encoding="utf-8"))
    assert found is not None
    return set(found[1].split(","))


def locked(dockerfile: str) -> set[str]:
    """Names of packages."""
    (lock,) = set(re.findall(r"requirements/(?!build\.)\w+\.lock", (ROOT / dockerfile).read_text(encoding="utf-8")))
    return {line.partition("==")[0] for line in (ROOT / lock).read_text(encoding="utf-8").splitlines() if "==" in line.partition(" ")[0]}


def required(project: str, extras: set[str]) -> set[str]:
    """Names of packages, also of extras that extras bring."""
    about = tomllib.loads((ROOT / project).read_text(encoding="utf-8"))["project"]
    wanted = [*about["dependencies"], *(each for extra in extras for each in about["optional-dependencies"][extra])]
    ours = [re.fullmatch(rf"{about['name']}\[([a-z,]+)\]", each) for each in wanted]
    further = {extra for each in ours if each for extra in each[1].split(",")} - extras
    if further:
        return required(project, extras | further)
    return {re.match(r"[\w.-]+", each)[0].lower() for each, own in zip(wanted, ours, strict=True) if not own}


@pytest.mark.parametrize(("dockerfile", "project"), IMAGES.items())
def test_it_vends_on_every_kind_of_platform(dockerfile: str, project: str):
    extras = installed(dockerfile)

    assert required(project, extras) <= locked(dockerfile)
    assert {"psycopg", "snowflake-connector-python"} <= required(project, extras)
