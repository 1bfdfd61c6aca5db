"""The switch that suspends the whole cluster: a ConfigMap in the operator's namespace, which the chart creates without data."""

from collections.abc import Iterable
from typing import Final

from rolevend.kube.client import Body

SUSPENSION: Final = "rolevend-suspension"
"""The name of the ConfigMap."""
_MAX_LENGTH: Final = 300


def suspension_of(config_maps: Iterable[Body]) -> str | None:
    """Return a sentence that names the ConfigMap and its reason, or None if the cluster is not suspended.

    Every value of `suspend` but `false` suspends, so that a misspelled `true` does, too.
    """
    for each in config_maps:
        data = each.get("data") or {}
        if data.get("suspend", "false").strip().lower() != "false" or "suspend" in (each.get("binaryData") or {}):
            named = f"ConfigMap {each['metadata']['namespace']}/{each['metadata']['name']} suspends the whole cluster"
            because = " ".join(data.get("because", "").split())[:_MAX_LENGTH]
            return f"{named}: {because}" if because else named
    return None
