"""Texts that are kept word for word. UPDATE_GOLDEN=1 writes them again: read the difference before you commit it."""

import os
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "unit" / "golden"


def golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
