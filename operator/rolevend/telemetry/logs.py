"""One JSON object per line on standard error: time, level, logger, message, and whatever `extra` says (`role`, `platform`, `object`).

So are the warnings of Python and its libraries, which would otherwise be plain text."""

import logging
import sys

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

_OF_KOPF = ("k8s_ref", "k8s_skip", "settings")
"""What kopf attaches to each record of its own. The settings cannot even be written as JSON."""


def configure(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_name_object)
    handler.setFormatter(
        JsonFormatter(
            "%(levelname)s %(name)s %(message)s",
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger"},
            reserved_attrs=[*RESERVED_ATTRS, *_OF_KOPF],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    for noisy in ("kopf.activities", "kopf.objects", "kopf._core", "aiohttp.access", "snowflake.connector"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _name_object(record: logging.LogRecord) -> bool:
    """kopf names the object that a record is about in its own way; all our records say `object`."""
    reference = getattr(record, "k8s_ref", None)
    if reference and not hasattr(record, "object"):
        record.object = "/".join(part for part in (reference.get("namespace"), reference.get("name")) if part)
    return True
