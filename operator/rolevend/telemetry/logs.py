"""One JSON object per line on standard error: time, level, logger, message, and the fields in `extra` (`role`, `platform`, `object`).
Warnings of Python and its libraries have the same form."""

import logging
import sys

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

_OF_KOPF = ("k8s_ref", "k8s_skip", "settings")
"""Attributes that kopf adds to its records. The settings cannot be written as JSON."""


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
    """Rename kopf's field of the object to `object`, as in our records."""
    reference = getattr(record, "k8s_ref", None)
    if reference and not hasattr(record, "object"):
        record.object = "/".join(part for part in (reference.get("namespace"), reference.get("name")) if part)
    return True
