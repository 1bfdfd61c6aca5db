"""The pieces that more than one kind has: references, selectors, conditions, and the object around a spec."""

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
"""On every namespace, with its name: the API server sees to it, so no namespace passes for another one."""
FINALIZER = f"{GROUP}/drop"
"""Keeps a VendedRole until its role was looked for and is gone."""
ATTEST = f"{GROUP}/attest"
"""Annotation of a DataPlatform: with each new value it is attested once more."""
REQUESTED_BY = f"{GROUP}/requested-by"
"""Annotation with the Kubernetes user who created the object; admission lets nobody forge it."""
CALL = f"{GROUP}/call"
"""Annotation of a VendedRole that the API made: a digest of the call, by which the same call is known again."""
REQUEST_ID = f"{GROUP}/request-id"
"""Annotation with the id of the API call that made the object; nobody changes it later."""
HANDLES = f"{GROUP}/handles"
"""Annotation of a VendedRole that the API made, `<agent handle>_<user handle>`: with the uid they are its role's name, before any status
is written. Nobody changes it later."""
RECONSIDERED = f"{GROUP}/reconsidered"
"""Annotation of a VendedRole: with each new value its request is decided once more."""

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
    """A Secret. Where it lies is said by whoever refers to it."""

    name: ObjectReferenceName
    """Name of the Secret."""


class SecretKeyRef(Part):
    """A key of a Secret. Where the Secret lies is said by whoever refers to it."""

    name: ObjectReferenceName
    """Name of the Secret."""
    key: SecretKey = "ca.crt"
    """The key in it."""


class UserTokenSecretRef(Part):
    """A key of a Secret of the type `rolevend.dev/user-token`, in the namespace of whoever refers to it."""

    name: ObjectReferenceName
    """Name of the Secret."""
    key: SecretKey = "token"
    """The key in it that holds the token."""


class UserName(Part):
    """A person, as an identity provider names them."""

    issuer: Issuer
    """The identity provider, as in the `iss` of its tokens. Compared as it is written."""
    subject: Subject
    """The person, as in the `sub` of tokens of that issuer. Compared as it is written."""


Values = Annotated[tuple[Value, ...], Field(min_length=1, max_length=64), Distinct()]
RequirementOperator = Literal["In", "NotIn", "Exists", "DoesNotExist"]


def values_from(*members: str) -> Rule:
    """Values are said in exactly one of these members for In and NotIn, and nowhere for the other operators."""
    said = f"[{', '.join(f'has(self.{member})' for member in members)}].filter(set, set).size()"
    where = members[0] if len(members) == 1 else f"exactly one of {' and '.join(members)}"
    return Rule(
        cel=f"{said} == (self.operator in ['In', 'NotIn'] ? 1 : 0)",
        message=f"{where} must be set for the operators In and NotIn, and nothing of it for Exists and DoesNotExist",
        holds=lambda part: sum(has(part, member) for member in members) == (part.operator in ("In", "NotIn")),
        field=members[0],
    )


class AttributeRequirement(Part):
    """A test of one attribute."""

    rules: ClassVar[tuple[Rule, ...]] = (values_from("values"),)

    key: Key
    """The attribute."""
    operator: RequirementOperator
    """`In`: one of its values is among `values`. `NotIn`: it is there, and none of its values is. `Exists`: it is there. `DoesNotExist`: it
    is not there, and others are: who is not known at all never meets it."""
    values: Values | None = None
    """The values, compared as they are written. For `In` and `NotIn` only."""


AttributeRequirements = Annotated[tuple[AttributeRequirement, ...], Field(min_length=1, max_length=16), Atomic()]


class UserSelector(Part):
    """Users by their attributes."""

    match_attributes: AttributeRequirements
    """Every one of them must be met."""


class TagRequirement(Part):
    """A test of one tag of a table or column."""

    rules: ClassVar[tuple[Rule, ...]] = (values_from("values"),)

    key: Key
    """The tag. `*` matches any run of characters, here and in values: `pii.*` is everything below `pii`, and not `pii` itself."""
    operator: RequirementOperator
    """`In`: it is carried with one of the values. `NotIn`: it is carried, and with none of the values. `Exists`: it is carried.
    `DoesNotExist`: it is not carried, and other tags are. So what has no tags meets none of them where something is granted; where it is
    masked, `NotIn` and `DoesNotExist` are met by it, too."""
    values: Values | None = None
    """The values. For `In` and `NotIn` only."""


TagRequirements = Annotated[tuple[TagRequirement, ...], Field(min_length=1, max_length=16), Atomic()]


class ColumnSelector(Part):
    """Columns of a table by name, by tag, or by both: where both are given both must match."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("matchNames", "matchTags"),)

    match_names: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=256), Distinct()] | None = None
    """Names, of which one is enough. `*` matches any run of characters; `["*"]` is every column, also one that is added later."""
    match_tags: TagRequirements | None = None
    """Every one of them must be met."""


class Attribute(Part):
    """A fact about a user or an agent."""

    key: Key
    """What the fact is about: `department`."""
    values: Annotated[tuple[Value, ...], Field(min_length=1, max_length=256), Distinct()]
    """Its values."""


class Condition(StatusPart):
    """One aspect of the state that the operator saw."""

    type: Annotated[str, Field(min_length=1, max_length=316)]
    """CamelCase name of the aspect."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds. `Unknown`: not decided yet."""
    observed_generation: Generation | None = None
    """The `metadata.generation` that this is about."""
    last_transition_time: Timestamp
    """When `status` last changed."""
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=REASON_PATTERN)]
    """CamelCase code of the cause."""
    message: Annotated[str, Field(max_length=32768)]
    """The same for people, with the way out where there is one."""


Conditions = Annotated[tuple[Condition, ...], Field(max_length=16), KeyedBy(("type",))]


class Status(StatusPart):
    """What the operator saw. Not written by people."""

    observed_generation: Annotated[int, Field(strict=True, ge=NEVER_OBSERVED, json_schema_extra={"format": "int64"})] | None = None
    """The `metadata.generation` that this status is about; -1 until the operator has seen the object."""
    conditions: Conditions = ()
    """The state, one aspect each. `Ready` sums up the others."""
    kopf: Annotated[dict[str, Any] | None, WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})] = None
    """The operator's own notes on what it has handled. Of no meaning to anybody else, and safe to lose."""

    def condition(self, type_name: str) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == type_name), None)


class Metadata(Part):
    """What rolevend reads of the metadata; the rest is the API server's business, and passed over."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(min_length=1, max_length=253)]
    namespace: Annotated[str, Field(max_length=63)] = ""
    """Empty for an object of the cluster."""
    uid: str = ""
    """Empty where the object was not read from a cluster."""
    generation: int = 0
    resource_version: str = ""
    """Of the whole object; another one with every write."""
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
        """Empty for a kind of the cluster."""
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def generation(self) -> int:
        return self.metadata.generation
