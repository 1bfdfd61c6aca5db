"""A class of the product has a name of its own, so that a reader who meets the name knows which one is meant."""

import ast
from collections import defaultdict
from pathlib import Path

import rolevend

PACKAGE = Path(rolevend.__file__).parent
DOCUMENTS = ("kinds", "api/schemas.py")
"""What users write and read: their names are the words of the fields, also where a value of the core has the same name."""


def test_every_class_has_a_name_of_its_own():
    found = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        if file.startswith(DOCUMENTS):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(file)

    assert len(found) > 400
    assert {name: files for name, files in found.items() if len(files) > 1} == {}
