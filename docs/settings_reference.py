"""The pages docs/reference/settings.md, chart.md and metrics.md, from the settings, the chart's values and the metrics."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import yaml
from tables import code, table

from rolevend.settings import PREFIX, ApiSettings, ConsoleSettings, Settings
from rolevend.telemetry.ledger_metrics import LedgerMetrics
from rolevend.telemetry.metrics import Metrics

_CHART = Path(__file__).resolve().parents[1] / "charts" / "rolevend"
_COMPONENTS = ("api", "mcp", "accessLedger")
_SET_BY_THE_CHART = {
    "namespace",
    "kubeconfig",
    "pod_name",
    "probe_host",
    "probe_port",
    "audit_file",
    "audit_key_file",
    "receipt_key_file",
    "notifications_folder",
}
"""Settings that the chart's Deployment decides: `values.yaml` has no place for them."""


def metrics() -> Iterator[str]:
    yield "# Metrics"
    yield ""
    yield "The operator, and each replica of the API, serves them at `/metrics`, in the text format of OpenMetrics. No label holds a user,"
    yield "a role, an agent or a policy. Those of calls and steps are the API's, most others the operator's; vends and denials are of both."
    yield "How to use them: [monitor](../how-to/monitor.md)."
    yield ""
    yield from _metrics(Metrics())
    yield from ("", "## Of the access ledger", "")
    yield "Each process of the [access ledger](../how-to/see-what-agents-read.md#run-it-in-the-cluster) serves these."
    yield ""
    yield from _metrics(LedgerMetrics(""))


def _metrics(metrics: Metrics | LedgerMetrics) -> Iterator[str]:
    labels = {collector._name: collector._labelnames for collector in vars(metrics).values() if hasattr(collector, "_labelnames")}
    yield from table(
        ("Metric", "Type", "Labels", "What it is"),
        (
            (
                code(f"{family.name}_total" if family.type == "counter" else family.name),
                family.type,
                ", ".join(map(code, labels.get(family.name, ("version",)))) or "-",
                family.documentation,
            )
            for family in metrics.registry.collect()
            if not family.name.endswith("_created")
        ),
    )


def settings() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield "Operator, API and console read their settings from the environment. The chart sets those in the third column from its value"
    yield "`settings`, for both, and the others itself. A value that cannot be is an error that names the variable."
    yield ""
    head = ("Variable", "Default", "Chart value", "Meaning")
    yield from table(head, (_setting(Settings, name, field) for name, field in Settings.model_fields.items()))
    for title, kind in (("Of the API alone", ApiSettings), ("Of the console alone", ConsoleSettings)):
        yield from ("", f"## {title}", "")
        own = {name: field for name, field in kind.model_fields.items() if name not in Settings.model_fields}
        yield from table(head, (_setting(kind, name, field) for name, field in own.items()))


def _setting(kind: type[Settings], name: str, field: Any) -> tuple[str, str, str, str]:
    property_schema = kind.model_json_schema()["properties"][name]
    bounds = [f"{word} {property_schema[key]:g}" for key, word in _BOUNDS.items() if key in property_schema]
    pattern = property_schema.get("pattern", "")
    if re.fullmatch(r"\^\([\w|]+\)\$", pattern):
        bounds.append("one of " + ", ".join(re.findall(r"\w+", pattern)))
    meaning = " ".join([field.description or "The least important level that is logged.", *([f"({', '.join(bounds)})"] if bounds else [])])
    value = "-" if name in _SET_BY_THE_CHART or name not in Settings.model_fields else code(f"settings.{_camel(name)}")
    return code(PREFIX + name.upper()), "-" if field.default is None else code(field.default), value, meaning


_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def chart() -> Iterator[str]:
    yield "# Values of the chart"
    yield ""
    yield f"The chart is in `charts/rolevend`, and needs Kubernetes {_kubernetes()}. Unknown values are refused."
    yield "What the chart makes: [rbac.md](rbac.md)."
    yield ""
    yield from table(("Value", "Default", "Meaning"), _leaves("settings.md"))


def chart_readme() -> Iterator[str]:
    """The page that `helm show readme` and chart registries show."""
    about = _about()
    home = about["home"]
    yield f"# {about['name']}"
    yield ""
    yield f"{about['description']}. Version {about['version']}; needs Kubernetes {_kubernetes()}."
    yield ""
    yield from ("```console", "$ kubectl create namespace agents")
    yield "$ helm upgrade --install rolevend charts/rolevend --namespace rolevend-system --create-namespace --wait \\"
    yield "    --set image.repository=registry.example.org/rolevend --set 'agentNamespaces={agents}'"
    yield from ("$ helm test rolevend --namespace rolevend-system", "```", "")
    yield f"[Install]({home}/how-to/install/) has each step, [rights and admission]({home}/reference/rbac/) what the chart creates, and"
    yield f"[the end of roles]({home}/how-to/end-roles/#uninstall) how to uninstall it: `helm uninstall` ends all live roles first."
    yield "`registry.example.org` stands for your own registry. Other names are not ours yet:"
    yield f"[placeholders]({home}/how-to/release/#names-that-are-not-ours-yet)."
    yield from ("", "## Components", "")
    yield from table(
        ("Component", "Values", "Replicas", "ServiceAccount"),
        (
            ("operator", "at the top level", "`replicaCount`: one leads", "with permissions"),
            ("HTTP API", "`api`, off by default", "`api.replicaCount`: all serve", "with permissions of its own"),
            ("MCP server", "`mcp`, off by default", "1: sessions are in its memory", "without permissions and token"),
            ("access ledger", "`accessLedger`, off by default", "1 for each source: it has the state", "without permissions and token"),
        ),
    )
    yield ""
    yield "Labels, annotations, security contexts and scheduling at the top level are for every pod, also those of `helm test` and of the"
    yield "uninstallation. Components with one replica have no PodDisruptionBudget: it would block the drain of their node, or do nothing."
    yield from ("", "## Upgrade", "")
    yield "Use `helm upgrade --reset-then-reuse-values`, so that new values get their defaults. `--reuse-values` works, too."
    yield from ("", "## Values", "")
    yield "Unknown values are refused."
    yield ""
    types = {bool: "bool", int: "int", float: "float", str: "string", list: "list", dict: "object"}
    rows = (
        (name, types[type(yaml.safe_load(default.strip("`")))], default, text)
        for name, default, text in _leaves(f"{home}/reference/settings/")
    )
    yield from table(("Key", "Type", "Default", "Description"), rows)


def _about() -> dict[str, Any]:
    about: dict[str, Any] = yaml.safe_load((_CHART / "Chart.yaml").read_text(encoding="utf-8"))
    return about


def _kubernetes() -> str:
    return str(_about()["kubeVersion"]).removesuffix("-0")


def _leaves(settings: str) -> Iterator[tuple[str, str, str]]:
    """Every value that is no mapping with members of its own, with the comments above it and above what it is in."""
    text = (_CHART / "values.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    comments: list[str] = []
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        if not line.strip():
            comments = []
        elif (comment := re.fullmatch(r" *# ?(.*)", line)) is not None:
            comments.append(comment[1])
        elif (key := re.match(r"( *)(\w+):", line)) is not None:
            path = [step for step in path if step[0] < len(key[1])] + [(len(key[1]), key[2])]
            names = [name for _, name in path]
            value = reduce(getitem, names, values)
            if not isinstance(value, Mapping) or not value or "{" in line:
                more = f" See [settings]({settings})." if names == ["settings"] else ""
                yield (
                    code(".".join(names)),
                    code(yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()),
                    (" ".join(comments) or _at_the_top_level(names, values)) + more,
                )
            comments = []


def _at_the_top_level(names: Sequence[str], values: Mapping[str, Any]) -> str:
    """A value of a component has the meaning of the value of the same name of the operator, or of every pod."""
    component, *rest = names
    found: Any = values
    for name in rest:
        found = found.get(name) if isinstance(found, Mapping) else None
    return f"As {code('.'.join(rest))}, for `{component}`." if component in _COMPONENTS and rest and found is not None else "-"
