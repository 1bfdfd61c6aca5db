"""For AI agents: a separate database role for one task, on behalf of one person, from rolevend's HTTP API.

    with Rolevend.from_environment().vend(user_token, platform="warehouse") as role:
        for row in role.connect().execute("SELECT country, count(*) FROM claims GROUP BY country"):
            ...

It imports no code of rolevend: an agent's image needs only this package and httpx.
"""

from rolevend_client.async_client import AsyncRolevend
from rolevend_client.async_exchange import AsyncTokenExchange
from rolevend_client.async_requested import AsyncAccessRequested
from rolevend_client.async_role import AsyncRole
from rolevend_client.async_role_session import AsyncRoleSession
from rolevend_client.client import Rolevend
from rolevend_client.errors import (
    Conflict,
    Denied,
    InvalidInput,
    Misconfigured,
    NotFound,
    Problem,
    QueryTimeout,
    Refused,
    Rejected,
    RoleEnded,
    RolevendError,
    TooManyRequests,
    TooManyRows,
    Unavailable,
    Unexpected,
)
from rolevend_client.exchange import TokenExchange
from rolevend_client.requested import AccessRequested
from rolevend_client.role import Role
from rolevend_client.role_session import RoleSession
from rolevend_client.rows import Rows
from rolevend_client.values import (
    AccessRequest,
    Agent,
    Approval,
    AssertedUser,
    Column,
    Confirmation,
    Credential,
    Decision,
    Explanation,
    Join,
    KeyPairCredential,
    LeftOut,
    Missing,
    NeededLogin,
    Offer,
    Platform,
    Resource,
    Table,
    Task,
    User,
    UserToken,
    VendedRole,
)

__version__ = "0.2.0"

__all__ = [
    "AccessRequest",
    "AccessRequested",
    "Agent",
    "Approval",
    "AssertedUser",
    "AsyncAccessRequested",
    "AsyncRole",
    "AsyncRoleSession",
    "AsyncRolevend",
    "AsyncTokenExchange",
    "Column",
    "Confirmation",
    "Conflict",
    "Credential",
    "Decision",
    "Denied",
    "Explanation",
    "InvalidInput",
    "Join",
    "KeyPairCredential",
    "LeftOut",
    "Misconfigured",
    "Missing",
    "NeededLogin",
    "NotFound",
    "Offer",
    "Platform",
    "Problem",
    "QueryTimeout",
    "Refused",
    "Rejected",
    "Resource",
    "Role",
    "RoleEnded",
    "RoleSession",
    "Rolevend",
    "RolevendError",
    "Rows",
    "Table",
    "Task",
    "TokenExchange",
    "TooManyRequests",
    "TooManyRows",
    "Unavailable",
    "Unexpected",
    "User",
    "UserToken",
    "VendedRole",
]
