"""The kinds as parsed values, and what is derived from them: the definitions for the API server, and values of the core.

Knows nothing of how objects reach us or who is asked for them. The one place, with `settings`, that imports pydantic.
"""

from rolevend.resources.access_policy import AccessPolicy
from rolevend.resources.agent import Agent
from rolevend.resources.data_platform import DataPlatform
from rolevend.resources.guardrail import Guardrail
from rolevend.resources.identity_provider import IdentityProvider
from rolevend.resources.kinds import KINDS, Kind, kind_named
from rolevend.resources.parse import parse, shell
from rolevend.resources.shared import API_VERSION, FINALIZER, GROUP, NAME_LABEL, REQUEST_ID, REQUESTED_BY, VERSION, Condition, Resource
from rolevend.resources.tag_binding import TagBinding
from rolevend.resources.user_attributes import UserAttributes
from rolevend.resources.vended_role import VendedRole

__all__ = [
    "API_VERSION",
    "FINALIZER",
    "GROUP",
    "KINDS",
    "NAME_LABEL",
    "REQUESTED_BY",
    "REQUEST_ID",
    "VERSION",
    "AccessPolicy",
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
