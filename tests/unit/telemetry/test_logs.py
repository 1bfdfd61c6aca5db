"""Every line of the log is one JSON object, whoever wrote it."""

import json
import logging
import warnings
from collections.abc import Iterator

import kopf
import pytest

from rolevend.telemetry.logs import configure


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def test_it_says_what_extra_says(capsys: pytest.CaptureFixture[str]):
    configure("INFO")
    logging.getLogger("rolevend.x").info("vended", extra={"role": "R", "object": "agents/a"})
    line = json.loads(capsys.readouterr().err)
    assert "T" in line["time"]
    assert line.items() >= {"level": "INFO", "logger": "rolevend.x", "message": "vended", "role": "R", "object": "agents/a"}.items()


@pytest.mark.filterwarnings("default")
def test_a_warning_of_a_library_is_a_line_too(capsys: pytest.CaptureFixture[str]):
    configure("INFO")
    warnings.warn("not closed", FutureWarning, stacklevel=1)
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["logger"]) == ("WARNING", "py.warnings")
    assert "FutureWarning: not closed" in line["message"]


def test_a_failure_that_kopf_tells_of_names_the_object_and_nothing_internal(capsys: pytest.CaptureFixture[str]):
    configure("INFO")
    body = kopf.Body({"kind": "VendedRole", "metadata": {"name": "a", "namespace": "agents", "uid": "u"}})
    reference = {"kind": body["kind"], **body["metadata"]}
    extra = {"settings": kopf.OperatorSettings(), "k8s_skip": False, "k8s_ref": reference}
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("kopf.objects").exception("handler failed", extra=extra)
    (text,) = capsys.readouterr().err.splitlines()
    line = json.loads(text)
    assert line["object"] == "agents/a"
    assert "ValueError: no" in line["exc_info"]
    assert not {"settings", "k8s_ref", "k8s_skip"} & set(line)
