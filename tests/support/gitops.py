"""What the tools that deploy from git make of an object: Argo CD by the Lua that we ship, Flux by the rules of kstatus."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from lupa.lua51 import LuaRuntime, lua_type

Body = dict[str, Any]

EXAMPLE = Path(__file__).parents[2] / "examples" / "02-policy-as-code"
GROUP = "rolevend.dev/*"
_NOT_IN_ARGO_CD = ("io", "string", "math", "debug", "loadfile", "dofile", "coroutine")
"""Of Lua's libraries it gives a check the base, `table`, and a little of `os` (argo-cd, util/lua/lua.go)."""


def argo_health(body: Body) -> tuple[str, str]:
    """Status and message, as a check answers in Argo CD's sandbox."""
    lua = LuaRuntime(unpack_returned_tuples=True)
    for name in _NOT_IN_ARGO_CD:
        lua.globals()[name] = None
    lua.globals()["obj"] = lua.table_from(body, recursive=True)
    answer = lua.execute(_check())
    assert lua_type(answer) == "table"
    return answer["status"], answer["message"]


@cache
def _check() -> str:
    config = yaml.safe_load((EXAMPLE / "deploy" / "argo-cd" / "argocd-cm.yaml").read_text())
    check: str = yaml.safe_load(config["data"]["resource.customizations"])[GROUP]["health.lua"]
    return check


def kstatus(body: Body) -> str:
    """As sigs.k8s.io/cli-utils/pkg/kstatus computes the status of a custom resource: `checkGenericProperties`, then
    `checkReadyCondition`. What says nothing counts as Current."""
    metadata, status = body["metadata"], body.get("status", {})
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if "observedGeneration" in status and status["observedGeneration"] != metadata["generation"]:
        return "InProgress"
    conditions = status.get("conditions", [])
    for condition in conditions:
        if condition["status"] == "True" and condition["type"] in ("Reconciling", "Stalled"):
            return "InProgress" if condition["type"] == "Reconciling" else "Failed"
    ready = next((condition["status"] for condition in conditions if condition["type"] == "Ready"), "True")
    return "Current" if ready == "True" else "InProgress"
