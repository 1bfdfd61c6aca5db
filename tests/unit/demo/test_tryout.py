"""The file with the environment of `make dev`, which two of them in one checkout share."""

from pathlib import Path
from typing import Any, cast

import pytest

from demo import tryout
from demo.stage import Stage

STAGE = cast(Stage, None)


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    def environment(_: Any) -> dict[str, str]:
        return {"KUBECONFIG": "'/a b'"}

    monkeypatch.setattr(tryout, "checkout", lambda: tmp_path)
    monkeypatch.setattr(tryout, "_environment_of", environment)
    return tmp_path / tryout.ENVIRONMENT_FILE


def test_it_is_there_as_long_as_the_demo_and_for_its_user_alone(file: Path):
    with tryout._environment_file(STAGE):
        assert file.read_text() == "export KUBECONFIG='/a b'\n"
        assert file.stat().st_mode & 0o077 == 0
    assert not file.exists()


def test_the_demo_that_ends_first_leaves_the_file_of_the_other(file: Path):
    first, second = tryout._environment_file(STAGE), tryout._environment_file(STAGE)
    first.__enter__()
    second.__enter__()

    first.__exit__(None, None, None)
    assert file.exists()

    second.__exit__(None, None, None)
    assert not file.exists()
