"""Read the parts of kubeconfig files that the library reads differently, or not at all."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes.aio import config as kubernetes_config

DEFAULT_NAMESPACE: Final = "default"
"""As in kubectl, if the context names none."""


def current_context(files: Iterable[Path]) -> str | None:
    """Return the context of the first file that names one, as kubectl does. The library takes the last."""
    return next(filter(None, [each.get("current-context") for each in _documents(files)]), None)


def namespace_of(files: Iterable[Path], context: str | None) -> str:
    """Return the namespace of the first context of this name."""
    for document in _documents(files):
        for each in document.get("contexts") or ():
            if isinstance(each, dict) and each.get("name") == context:
                return str((each.get("context") or {}).get("namespace") or DEFAULT_NAMESPACE)
    return DEFAULT_NAMESPACE


def contexts_of(files: Iterable[Path]) -> list[str]:
    """Return the names of all contexts."""
    listed = (each for document in _documents(files) for each in document.get("contexts") or ())
    return [str(each["name"]) for each in listed if isinstance(each, dict) and "name" in each]


def _documents(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Iterate over the files. Raises ConfigException if one is no kubeconfig."""
    for file in files:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise kubernetes_config.ConfigException(f"{file} is no kubeconfig")
        yield document
