"""The switch that suspends the whole cluster, a ConfigMap in the operator's namespace, which the chart creates without data; and the count
of suspensions."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from rolevend.kube.client import Body

if TYPE_CHECKING:
    from rolevend.snapshot.builder import SnapshotInputs

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


def suspended_counts(objects: "SnapshotInputs", users: int) -> dict[str, int]:
    """Return the number of suspended objects by kind, and 1 as `Cluster` if the cluster is suspended. `users` are the suspended ones."""
    return {
        "Agent": sum(each.spec.suspend for each in objects.agents),
        "AccessPolicy": sum(each.spec.suspend for each in objects.policies),
        "DataPlatform": sum(each.spec.suspend for each in objects.platforms),
        "UserAttributes": users,
        "Cluster": int(objects.suspension is not None),
    }
