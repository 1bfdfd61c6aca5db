"""The kind UserAttributes: facts about a person that policies decide by."""

from typing import Annotated, Literal

from pydantic import Field

from rolevend.kinds.part import KeyedBy, Part
from rolevend.kinds.shared import Attribute, Resource, Status, UserName
from rolevend.kinds.text import UserHandleText


class UserAttributesSpec(Part):
    """A person and what is known of them."""

    user: UserName
    """Whom this is about. At most one accepted object is about a person."""
    handle: UserHandleText | None = None
    """Names the person in every role name: 1 to 11 characters of A-Z and 0-9, unique in the cluster. Everybody with a login on
    the platform can read it, so no e-mail address. Without it: an opaque one is derived."""
    attributes: Annotated[tuple[Attribute, ...], Field(max_length=64), KeyedBy(("key",))] = ()
    """What is known of them. What is not known grants nothing."""


class UserAttributesStatus(Status):
    """What the operator saw. Not written by people."""


class UserAttributes(Resource):
    """Attributes and a handle of one person. Written by the identity team."""

    kind: Literal["UserAttributes"] = "UserAttributes"
    spec: UserAttributesSpec
    status: UserAttributesStatus = UserAttributesStatus()
