"""Groups of members that several types of audit events have. Values."""

from dataclasses import dataclass
from datetime import datetime

from rolevend.model import PlatformName, Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOrigin:
    """Which VendedRole, and who created it."""

    request: str | None = None
    """The VendedRole: `namespace/name`. Left out for an orphan."""
    request_uid: Uid
    """Its uid, which is also the last part of the role's name."""
    requested_by: str | None = None
    """The Kubernetes user who created it, if the cluster records that (Kubernetes 1.36 and later)."""
    requested_at: datetime | None = None
    """When it was created."""
    platform: PlatformName
    """Name of the DataPlatform."""
    agent: str | None = None
    """The Agent: `namespace/name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestUser:
    user_issuer: str
    """The identity provider that names the user."""
    user_subject: str
    """The user, as that provider names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestProof:
    user_proof: str | None = None
    """How the user was proven. `Asserted`: a trusted agent named the user. `Token`: the agent presented a token of the user. `Exchanged`:
    the agent presented a token whose issuer says that the agent acts for the user. Left out if the token proves nothing."""
    identity_provider: str | None = None
    """Name of the IdentityProvider whose token proves the user."""
    token_type: str | None = None
    """The type of that token, as in `spec.accepts` of the IdentityProvider."""
    token_digest: str | None = None
    """SHA-256 of the token without its signature, in hexadecimal, also if the token proves nothing."""
    actors: tuple[str, ...] | None = None
    """Actors for the user in an exchanged token, as `subject (issuer)`: the agent first, then each actor before it."""
    actors_left_out: int | None = None
    """How many more actors there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTerms:
    """The request's terms."""

    purpose: str | None = None
    """The purpose that the agent stated."""
    task_id: str | None = None
    """The agent's own name for its task. Not verified."""
    intent_digest: str | None = None
    """Digest of the agent's instructions, as the agent states it. Not verified."""
    request_id: str | None = None
    """The id of the API call, as in the header `X-Request-Id` of its response. Left out if the VendedRole was created in another way."""
    resources: tuple[str, ...] | None = None
    """The tables to which the request is limited: `schema.table`."""
    resources_left_out: int | None = None
    """How many more tables there are."""
    expiration_seconds: int
    """The requested lifetime of the role, counted from the creation of the VendedRole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOrigin:
    """Which AccessRequest, and who created it."""

    access_request: str
    """The AccessRequest: `namespace/name`."""
    access_request_uid: Uid
    """Its uid, which is also in `approval` of the roles that use it."""
    requested_by: str | None = None
    requested_at: datetime
    platform: PlatformName
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedOffer:
    offer: str
    """The AccessPolicy with `onRequest` that is asked for: `namespace/name`."""
    offer_uid: Uid | None = None
    """Its uid. Left out with the next two if the offer does not exist, shows the user nothing, or was not read yet."""
    offer_generation: int | None = None
    """Its generation."""
    offer_digest: str | None = None
    """Digest of what the offer, narrowed by the request, shows the user. Approvers repeat it."""
