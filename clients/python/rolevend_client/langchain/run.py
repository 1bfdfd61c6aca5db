"""How a run travels: in the config of what happens inside it."""

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.runnables import RunnableConfig

from rolevend_client.errors import Misconfigured
from rolevend_client.run import Run

_RUN = "__rolevend_run"
"""In `configurable`: what begins so, and is no text, is kept in no checkpoint and no trace."""
_KEYS = frozenset({"user_token", "user", "purpose", "task"})
"""What the caller says in `configurable` of a run's role."""


def with_run(config: Mapping[str, Any], run: Run) -> RunnableConfig:
    """`config` for what happens inside: with the run, and without the user's token."""
    rest = {name: value for name, value in (config.get("configurable") or {}).items() if name not in _KEYS}
    return cast("RunnableConfig", {**config, "configurable": {**rest, _RUN: run}})


def run_of(config: RunnableConfig) -> Run:
    run = config.get("configurable", {}).get(_RUN)
    if not isinstance(run, Run):
        raise Misconfigured("this run has no role: call the agent through own_role(graph, toolkit)")
    return run
