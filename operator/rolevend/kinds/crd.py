"""The CustomResourceDefinitions, generated from the models: `python -m rolevend.kinds.crd --write .` at the top of a checkout. Written
as plain manifests and as templates of the Helm chart. `--check .` fails on any difference."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rolevend.kinds.registry import KINDS, Column, Kind
from rolevend.kinds.schema import Schema, structural
from rolevend.kinds.shared import GROUP, NEVER_OBSERVED, VERSION
from rolevend.kinds.vended_role import VendedRole

_HEADER = "# Generated from rolevend.kinds by `make crds`; edit the models instead.\n"


def documents() -> dict[str, str]:
    """Return the manifests by file name, for `kubectl apply`. The same on every run."""
    return {file_name(kind): _HEADER + _yaml(definition(kind)) for kind in KINDS}


def chart_templates() -> dict[str, str]:
    """Return the same as templates, because Helm never upgrades the files in a chart's `crds` folder."""
    return {file_name(kind): _template(definition(kind)) for kind in KINDS}


def file_name(kind: Kind) -> str:
    return f"{GROUP}_{kind.plural}.yaml"


def definition(kind: Kind) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": kind.scope,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short_name],
                "categories": ["rolevend"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in kind.columns],
                    **({"selectableFields": [{"jsonPath": f".{field}"} for field in kind.selectable]} if kind.selectable else {}),
                    "schema": {"openAPIV3Schema": _object_schema(kind)},
                }
            ],
        },
    }


def generated() -> dict[Path, dict[str, str]]:
    """Return the generated files by folder of a checkout."""
    return {Path("crds"): documents(), Path("charts/rolevend/templates/crds"): chart_templates()}


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write these files, and remove every other definition of ours from the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in _definitions_in(folder) - files.keys():
        (folder / stale).unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def differences(folder: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of missing, stale or different files; () if the folder is up to date."""
    there = _definitions_in(folder)
    changed = {name for name in files.keys() & there if (folder / name).read_text(encoding="utf-8") != files[name]}
    return tuple(sorted(changed | (files.keys() ^ there)))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rolevend.kinds.crd", description="Write or check the generated definitions.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", type=Path, metavar="DIR", help="make the checkout in DIR hold what the models say")
    action.add_argument("--check", type=Path, metavar="DIR", help="fail where the checkout in DIR holds something else")
    chosen = parser.parse_args(arguments)
    different = []
    for folder, files in generated().items():
        if chosen.write is not None:
            write(chosen.write / folder, files)
        else:
            different += [folder / name for name in differences(chosen.check / folder, files)]
    for path in different:
        print(f"{path}: not what the models say; run make crds", file=sys.stderr)
    return 1 if different else 0


def _object_schema(kind: Kind) -> Schema:
    schema = structural(kind.model)
    # The API server has its own schema of these three, and accepts no other.
    schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    schema["required"] = ["spec"]
    if kind.model is not VendedRole:
        # Without it Flux and `kubectl wait` would treat an object without a status as ready.
        schema["properties"]["status"]["default"] = {"observedGeneration": NEVER_OBSERVED}
    return schema


def _column(column: Column) -> dict[str, Any]:
    wide = {"priority": column.priority} if column.priority else {}
    return {"name": column.name, "type": column.type, "jsonPath": column.json_path, "description": column.description, **wide}


def _template(manifest: dict[str, Any]) -> str:
    text = _yaml(manifest)
    if "{{" in text:
        raise ValueError(f"{manifest['metadata']['name']}: two braces in a row would be read as a template")
    name = f"  name: {manifest['metadata']['name']}\n"
    head = (
        '  labels:\n    {{- include "rolevend.labels" . | nindent 4 }}\n'
        "  {{- if .Values.crds.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n"
    )
    return f"{_HEADER}{{{{- if .Values.crds.enabled }}}}\n{text.replace(name, name + head, 1)}{{{{- end }}}}\n"


def _yaml(manifest: dict[str, Any]) -> str:
    text: str = yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def _definitions_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob(f"{GROUP}_*.yaml")}


class _Dumper(yaml.SafeDumper):
    """No anchors, for readability."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


if __name__ == "__main__":
    sys.exit(main())
