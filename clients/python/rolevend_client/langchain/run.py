"""Pass the roles of a run to its tools in the config of the graph."""

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.runnables import RunnableConfig

from rolevend_client.errors import Misconfigured
from rolevend_client.langchain.access import RunAccess

_RUN = "__rolevend_run"
"""A key of `configurable`. Checkpoints and traces do not store a value that is no str under a key that begins with `__`."""
_KEYS = frozenset({"user_token", "user", "purpose", "task"})
"""The keys of `configurable` with which the caller describes the role of a run."""


def with_run(config: Mapping[str, Any], access: RunAccess) -> RunnableConfig:
    """Return the config for the graph: with the roles of the run, and without the user's token."""
    rest = {name: value for name, value in (config.get("configurable") or {}).items() if name not in _KEYS}
    return cast("RunnableConfig", {**config, "configurable": {**rest, _RUN: access}})


def access_of(config: RunnableConfig) -> RunAccess:
    access = config.get("configurable", {}).get(_RUN)
    if not isinstance(access, RunAccess):
        raise Misconfigured("this run has no role: call the agent through own_role(graph, toolkit)")
    return access
