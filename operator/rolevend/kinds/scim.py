"""The part `scim` of the kind IdentityProvider: who pushes users and groups by SCIM, and which attributes rolevend keeps of them."""

from typing import Annotated, ClassVar, Final, Literal, get_args

from pydantic import Field

from rolevend.kinds.part import Atomic, KeyedBy, Part, Rule, at_least_one
from rolevend.kinds.text import Key, ObjectReferenceName, SecretKey, Subject, Value

MultiValuedName = Literal["emails", "roles", "entitlements"]
MULTI_VALUED: Final[tuple[str, ...]] = get_args(MultiValuedName)
ScimAttributeName = Literal[
    "userName",
    "externalId",
    "displayName",
    "title",
    "userType",
    "preferredLanguage",
    "locale",
    "timezone",
    "employeeNumber",
    "costCenter",
    "organization",
    "division",
    "department",
    MultiValuedName,
]
SCIM_MANAGER: Final = "rolevend-scim"
"""The value of the label `app.kubernetes.io/managed-by` of objects that SCIM made. It changes no others."""
SCIM_ANNOTATION: Final = "rolevend.dev/scim"
"""The attributes of a user or a group in SCIM, as JSON. Written by the API only."""


class ScimTokenRef(Part):
    """A key of a Secret in the operator's namespace."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.key.startsWith('scim-token')",
            message="must begin with scim-token: callers prove that they know the value, and no other key may serve for that",
            holds=lambda ref: ref.key.startswith("scim-token"),
            field="key",
        ),
    )

    name: ObjectReferenceName
    """Name of the Secret. List it in `api.secretNames` of the chart."""
    key: SecretKey = "scim-token"
    """The key in it; begins with `scim-token`. One token, or two lines with one token each, so that a token can be replaced without a
    gap. A token has at least 32 characters."""


class ScimClient(Part):
    """A client of this issuer, whose own access token (client credentials) may push."""

    client_id: Annotated[Subject, Field(alias="clientID")]
    """Its client id. Never the client of an Agent: such a token is refused here."""
    subject: Subject | None = None
    """The `sub` of its own tokens, if that is not the client id."""


class ScimAttribute(Part):
    """An attribute of the user, from a SCIM attribute."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!has(self.type) || self.attribute in {list(MULTI_VALUED)}",
            message=f"must be set only with {', '.join(MULTI_VALUED)}",
            holds=lambda each: each.type is None or each.attribute in MULTI_VALUED,
            field="type",
        ),
    )

    key: Key
    """Its key in policies."""
    attribute: ScimAttributeName
    """The attribute of the core schema or of the enterprise extension. Its values are kept; attributes that no item names are not."""
    type: Value | None = None
    """Only values of this type: `work`. Without it: all values."""


class ScimGroups(Part):
    """The groups of the user."""

    key: Key
    """The attribute whose values are the display names of the user's groups."""


class Scim(Part):
    """The identity provider pushes users and groups to `/scim/v2` of the HTTP API. They become UserAttributes."""

    rules: ClassVar[tuple[Rule, ...]] = (
        at_least_one("tokenSecretRef", "clients"),
        Rule(
            cel="!has(self.groups) || !has(self.attributes) || !self.attributes.exists(each, each.key == self.groups.key)",
            message="must differ from the keys of attributes",
            holds=lambda scim: scim.groups is None or all(each.key != scim.groups.key for each in scim.attributes),
            field="groups",
        ),
    )

    token_secret_ref: ScimTokenRef | None = None
    """A bearer token that the identity provider sends."""
    clients: Annotated[tuple[ScimClient, ...], Field(min_length=1, max_length=8), Atomic()] | None = None
    """The clients whose access tokens the identity provider may send instead."""
    subject: Literal["userName", "externalId"] = "userName"
    """The SCIM attribute that is the `sub` of the user's tokens, or the claim that `claims.subject` names. Compared literally."""
    attributes: Annotated[tuple[ScimAttribute, ...], Field(max_length=32), KeyedBy(("key",))] = ()
    """The attributes of the user."""
    groups: ScimGroups | None = None
    """Without it: groups are kept, and are no attribute."""
