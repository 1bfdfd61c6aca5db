"""Read the docstrings below the fields of a model, for its JSON schema.

pydantic's `use_attribute_docstrings` reads them at the import, which takes a tenth of the start of each command.
"""

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise

from pydantic import BaseModel


@cache
def docs_of_fields(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring of each field that has one, with those of the model's bases. The source must be there."""
    docs: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            docs |= _docs_in(base)
    return {name: text for name, text in docs.items() if name in model.model_fields}


def _docs_in(part: type[BaseModel]) -> dict[str, str]:
    docs = {}
    for member, below in pairwise(_classes_of(part.__module__)[part.__name__].body):
        match member, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                docs[name] = inspect.cleandoc(text)
    return docs


@cache
def _classes_of(module: str) -> dict[str, ast.ClassDef]:
    """Return the definitions of the module's classes. To read one class alone, `inspect` looks at every module of the process."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {each.name: each for each in ast.walk(tree) if isinstance(each, ast.ClassDef)}
