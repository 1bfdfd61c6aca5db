"""Functions for all modules of Secrets: read a Secret that a field of an object refers to, and decode its keys."""

import base64
import binascii
import re
from typing import Final

from rolevend.errors import InvalidInput, NotPermitted
from rolevend.kube.client import SECRETS, Body, KubeClient, NotFound

_NO_RIGHT: Final = re.compile(r'cannot [a-z]+ resource "secrets"')
"""In a refusal for want of a right. Others are of admission: a quota, a policy, or a namespace that is being deleted."""


async def read_secret(cluster: KubeClient, namespace: str, name: str, field: str) -> Body:
    """Return a Secret of the operator's namespace.

    Raises InvalidInput if there is none, and NotPermitted if this process has no right to read it. Both name `field`. The operator may read
    all Secrets of its namespace, the API only those that the chart lists.
    """
    try:
        return await cluster.get(SECRETS, name, namespace)
    except NotFound as error:
        raise InvalidInput(field, f"there is no Secret {name} in namespace {namespace}") from error
    except NotPermitted as error:
        way_out = "where this is the API, add it to api.secretNames in the chart's values, or bind a Role that reads it"
        raise NotPermitted(f"{field}: there is no right to read Secret {namespace}/{name}; {way_out}") from error


def refused_in_namespace(attempted: str, namespace: str, error: NotPermitted) -> NotPermitted:
    """Return the refusal of a call on a Secret of agents, with the way out if a right is missing, and otherwise with the reason."""
    if _NO_RIGHT.search(str(error)):
        reason = "add it to agentNamespaces in the chart's values, or bind the chart's ClusterRole …-agent-namespace there"
    else:
        reason = str(error)
    return NotPermitted(f"the operator may not {attempted} in namespace {namespace}: {reason}")


def bytes_of(secret: Body, key: str) -> bytes | None:
    """Return the value of a key, or None if the key is missing or not valid base64."""
    try:
        return base64.b64decode(secret.get("data", {})[key], validate=True)
    except (KeyError, TypeError, binascii.Error):
        return None


def text_of(secret: Body, key: str) -> str | None:
    """Return the value of a key as text, or None if the key is missing, empty or not UTF-8."""
    try:
        return (bytes_of(secret, key) or b"").decode() or None
    except UnicodeDecodeError:
        return None
