"""The parts that several kinds share: references, selectors, conditions, and the object around a spec."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from rolevend.kinds.part import Atomic, Distinct, KeyedBy, Part, Rule, StatusPart, at_least_one, has
from rolevend.kinds.text import (
    REASON_PATTERN,
    Generation,
    Identifier,
    Issuer,
    Key,
    ObjectReferenceName,
    SecretKey,
    Subject,
    Timestamp,
    Value,
)

GROUP = "rolevend.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
NAME_LABEL = "kubernetes.io/metadata.name"
"""On every namespace, with its name. The API server enforces it, so no namespace can pose as another."""
MANAGED_BY = "app.kubernetes.io/managed-by"
"""Label of objects that the API made: by SCIM, or by signals. It changes no others."""
FINALIZER = f"{GROUP}/drop"
"""Keeps a VendedRole until its role is verified to be gone."""
ATTEST = f"{GROUP}/attest"
"""Annotation of a DataPlatform: each new value requests another attestation."""
REQUESTED_BY = f"{GROUP}/requested-by"
"""Annotation with the Kubernetes user who created the object; admission prevents forgery."""
APPROVER_GROUPS = f"{GROUP}/approver-groups"
"""Annotation of an AccessDecision: the groups of its author as a JSON list; admission prevents forgery. Absent on a cluster that does not
stamp objects, unless the author wrote it."""
WITHDRAWN_BY = f"{GROUP}/withdrawn-by"
"""Annotation of an AccessRequest: the agent that withdrew it at the API; admission prevents forgery."""
REVOKED_BY = f"{GROUP}/revoked-by"
"""Annotation of a VendedRole: the Kubernetes user who revokes it, and then deletes it; admission prevents forgery."""
REVOKED_BECAUSE = f"{GROUP}/revoked-because"
"""Annotation of a VendedRole: the reason of that user, in their own words."""
CALL = f"{GROUP}/call"
"""Annotation of a VendedRole of the API: the digest of the call, which identifies a repeated call."""
REQUEST_ID = f"{GROUP}/request-id"
"""Annotation with the id of the API call that created the object. Immutable."""
HANDLES = f"{GROUP}/handles"
"""Annotation of a VendedRole of the API, `<agent handle>_<user handle>`: with the uid they give the role's name before any status is
written. Immutable."""
RECORD = f"{GROUP}/record"
"""Label of a VendedRole that only shows a role that a database records: the uid of that role."""
AGENT_LABEL = f"{GROUP}/agent"
"""Label of a VendedRole of the API: the name of its Agent."""
USER_LABEL = f"{GROUP}/user-handle"
"""Label of a VendedRole of the API: the handle of its user, as in the name of the role."""
PURPOSE_LABEL = f"{GROUP}/purpose"
"""Label of a VendedRole of the API: its purpose."""
PLATFORM_LABELS = f"platform.{GROUP}/"
"""Prefix of the label of a VendedRole of the API for each of its DataPlatforms, which ends the key. The value is empty."""
RECONSIDERED = f"{GROUP}/reconsidered"
"""Annotation of a VendedRole: each new value requests another decision."""

NEVER_OBSERVED = -1
"""A generation that no object has."""

Assertion = Literal["Trusted", "TokenRequired"]
CombinationName = Literal["Union", "UserCeiling", "Intersection"]


class PlatformRef(Part):
    """A DataPlatform."""

    name: ObjectReferenceName
    """Name of a DataPlatform."""


PlatformRefs = Annotated[tuple[PlatformRef, ...], Field(min_length=1, max_length=16), KeyedBy(("name",))]


class SecretRef(Part):
    """A Secret. The referring field states its namespace."""

    name: ObjectReferenceName
    """Name of the Secret."""


class SecretKeyRef(Part):
    """A key of a Secret. The referring field states the namespace of the Secret."""

    name: ObjectReferenceName
    """Name of the Secret."""
    key: SecretKey = "ca.crt"
    """The key in it."""


class UserTokenSecretRef(Part):
    """A key of a Secret of the type `rolevend.dev/user-token`, in the namespace of the referring object."""

    name: ObjectReferenceName
    """Name of the Secret."""
    key: SecretKey = "token"
    """The key in it that holds the token."""


class UserName(Part):
    """A user, as an identity provider names them."""

    issuer: Issuer
    """The identity provider, as in the `iss` of its tokens. Compared literally."""
    subject: Subject
    """The user, as in the `sub` of tokens of that issuer. Compared literally."""


Values = Annotated[tuple[Value, ...], Field(min_length=1, max_length=64), Distinct()]
RequirementOperator = Literal["In", "NotIn", "Exists", "DoesNotExist"]


def values_from(*members: str) -> Rule:
    """Require exactly one of these members for In and NotIn, and none for the other operators."""
    count = f"[{', '.join(f'has(self.{member})' for member in members)}].filter(set, set).size()"
    where = members[0] if len(members) == 1 else f"exactly one of {' and '.join(members)}"
    return Rule(
        cel=f"{count} == (self.operator in ['In', 'NotIn'] ? 1 : 0)",
        message=f"{where} must be set for the operators In and NotIn, and must not be set for Exists and DoesNotExist",
        holds=lambda part: sum(has(part, member) for member in members) == (part.operator in ("In", "NotIn")),
        field=members[0],
    )


class AttributeRequirement(Part):
    """A test of one attribute."""

    rules: ClassVar[tuple[Rule, ...]] = (values_from("values"),)

    key: Key
    """The attribute."""
    operator: RequirementOperator
    """`In`: one of its values is in `values`. `NotIn`: the user has the attribute, and none of its values is in `values`. `Exists`: the
    user has the attribute. `DoesNotExist`: the user does not have the attribute, but has others; a user without any attribute never
    matches."""
    values: Values | None = None
    """The values, compared literally. For `In` and `NotIn` only."""


AttributeRequirements = Annotated[tuple[AttributeRequirement, ...], Field(min_length=1, max_length=16), Atomic()]


class UserSelector(Part):
    """Users by their attributes."""

    match_attributes: AttributeRequirements
    """All must be met."""


class TagRequirement(Part):
    """A test of one tag of a table or column."""

    rules: ClassVar[tuple[Rule, ...]] = (values_from("values"),)

    key: Key
    """The tag. `*` matches any run of characters, here and in values: `pii.*` is everything below `pii`, and not `pii` itself."""
    operator: RequirementOperator
    """`In`: the tag has one of the values. `NotIn`: the tag exists, with none of the values. `Exists`: the tag exists. `DoesNotExist`:
    the tag does not exist, but others do. An object without tags never matches in a grant; in a mask it matches `NotIn` and
    `DoesNotExist`."""
    values: Values | None = None
    """The values. For `In` and `NotIn` only."""


TagRequirements = Annotated[tuple[TagRequirement, ...], Field(min_length=1, max_length=16), Atomic()]


class ColumnSelector(Part):
    """Columns of a table by name, by tag, or by both: if both are set, both must match."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("matchNames", "matchTags"),)

    match_names: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=256), Distinct()] | None = None
    """One of the names must match. `*` matches any run of characters; `["*"]` is every column, including columns that are added later."""
    match_tags: TagRequirements | None = None
    """All must be met."""


class Attribute(Part):
    """A fact about a user or an agent."""

    key: Key
    """The key of the fact: `department`."""
    values: Annotated[tuple[Value, ...], Field(min_length=1, max_length=256), Distinct()]
    """Its values."""


class Condition(StatusPart):
    """One condition of the object, as the operator observed it."""

    type: Annotated[str, Field(min_length=1, max_length=316)]
    """CamelCase name of the condition."""
    status: Literal["True", "False", "Unknown"]
    """`True` if it holds. `Unknown`: not decided yet."""
    observed_generation: Generation | None = None
    """The `metadata.generation` that the condition describes."""
    last_transition_time: Timestamp
    """When `status` last changed."""
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=REASON_PATTERN)]
    """CamelCase code of the cause."""
    message: Annotated[str, Field(max_length=32768)]
    """The cause for people, with the action if there is one."""


Conditions = Annotated[tuple[Condition, ...], Field(max_length=16), KeyedBy(("type",))]


class Status(StatusPart):
    """The state that the operator observed. Not written by people."""

    observed_generation: Annotated[int, Field(strict=True, ge=NEVER_OBSERVED, json_schema_extra={"format": "int64"})] | None = None
    """The `metadata.generation` that this status describes; -1 until the operator has observed the object."""
    conditions: Conditions = ()
    """The conditions. `Ready` summarizes the others."""
    kopf: Annotated[dict[str, Any] | None, WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})] = None
    """Progress records of the operator's framework, which may be lost."""

    def condition(self, type_name: str) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == type_name), None)


class Metadata(Part):
    """The metadata that rolevend reads; other members are ignored."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(min_length=1, max_length=253)]
    namespace: Annotated[str, Field(max_length=63)] = ""
    """Empty for a cluster-scoped object."""
    uid: str = ""
    """Empty if the object was not read from a cluster."""
    generation: int = 0
    resource_version: str = ""
    """Changes with every write of the object."""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Resource(Part):
    """An object of one of the kinds. Each kind states its own spec and status."""

    api_version: Literal["rolevend.dev/v1alpha1"] = "rolevend.dev/v1alpha1"
    kind: str
    metadata: Metadata

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Empty for a cluster-scoped kind."""
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def generation(self) -> int:
        return self.metadata.generation
