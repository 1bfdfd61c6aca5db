"""The kinds as parsed models, and the definitions and core values derived from them. With `settings`, the only package that imports
pydantic. Knows nothing of the Kubernetes API or of decisions."""

from rolevend.kinds.access_decision import AccessDecision
from rolevend.kinds.access_policy import AccessPolicy
from rolevend.kinds.access_request import AccessRequest
from rolevend.kinds.agent import Agent
from rolevend.kinds.data_platform import DataPlatform
from rolevend.kinds.guardrail import Guardrail
from rolevend.kinds.identity_provider import IdentityProvider
from rolevend.kinds.parse import parse, shell
from rolevend.kinds.registry import KINDS, Kind, kind_named
from rolevend.kinds.shared import (
    API_VERSION,
    APPROVER_GROUPS,
    FINALIZER,
    GROUP,
    NAME_LABEL,
    REQUEST_ID,
    REQUESTED_BY,
    VERSION,
    Condition,
    Resource,
)
from rolevend.kinds.tag_binding import TagBinding
from rolevend.kinds.user_attributes import UserAttributes
from rolevend.kinds.vended_role import VendedRole

__all__ = [
    "API_VERSION",
    "APPROVER_GROUPS",
    "FINALIZER",
    "GROUP",
    "KINDS",
    "NAME_LABEL",
    "REQUESTED_BY",
    "REQUEST_ID",
    "VERSION",
    "AccessDecision",
    "AccessPolicy",
    "AccessRequest",
    "Agent",
    "Condition",
    "DataPlatform",
    "Guardrail",
    "IdentityProvider",
    "Kind",
    "Resource",
    "TagBinding",
    "UserAttributes",
    "VendedRole",
    "kind_named",
    "parse",
    "shell",
]
