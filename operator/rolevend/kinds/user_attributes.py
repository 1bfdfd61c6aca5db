"""The kind UserAttributes: attributes of a user that policies match."""

from typing import Annotated, Literal

from pydantic import Field

from rolevend.kinds.part import KeyedBy, Part
from rolevend.kinds.shared import Attribute, Resource, Status, UserName
from rolevend.kinds.text import Timestamp, UserHandleText


class UserAttributesSpec(Part):
    """A user and their attributes."""

    user: UserName
    """The user. At most one accepted object describes a user."""
    handle: UserHandleText | None = None
    """The user's part of every role name: 1 to 11 characters of A-Z and 0-9, unique in the cluster. Everybody with a login on the
    platform can read it, so never use an e-mail address. Without it: an opaque one is derived."""
    attributes: Annotated[tuple[Attribute, ...], Field(max_length=64), KeyedBy(("key",))] = ()
    """The attributes. A missing attribute grants nothing."""
    suspend: bool = False
    """`true`: no role is vended for the user, also if tokens prove who they are, and their roles end. This counts even if the object is
    not accepted. Everything else stays, and vends go on when it is `false` again, or the object is deleted."""

    not_before: Timestamp | None = None
    """The user's sessions until then are revoked: roles and approvals that were requested before end, and tokens that were issued before
    prove nothing. This counts even if the object is not accepted."""


class UserAttributesStatus(Status):
    """The state that the operator observed. Not written by people."""


class UserAttributes(Resource):
    """Attributes and a handle of one user. Written by the identity team."""

    kind: Literal["UserAttributes"] = "UserAttributes"
    spec: UserAttributesSpec
    status: UserAttributesStatus = UserAttributesStatus()
