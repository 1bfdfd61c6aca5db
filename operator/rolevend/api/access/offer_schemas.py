"""The members of answers that say what a role does not have, and which offers show it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from rolevend.kinds.part import Part
from rolevend.kinds.shared import UserName
from rolevend.kinds.vended_role import TableName


class AnswerPart(Part):
    """A member of a response."""

    model_config = ConfigDict(extra="ignore")


class OfferShown(AnswerPart):
    """An offer that may be named to users who do not have it."""

    name: str
    """The AccessPolicy, `namespace/name`: `offer` of a request for it."""
    platform: str
    """Name of the DataPlatform."""
    display: str
    """The offer in one sentence, as its owner wrote it."""
    how: Literal["Automatic", "People"]
    """`Automatic`: a rule approves at once, within its limits. `People`: people decide."""
    up_to_seconds: int
    """The longest lifetime of a role."""
    shows: str
    """The tables and columns that the offer shows this user, of those that were requested."""
    purpose: str | None = None
    """The purpose that the request must state, if it states another one or none."""


class TableMissing(AnswerPart):
    """A requested table that is not granted, or that does not exist."""

    schema_name: Annotated[str, Field(alias="schema")]
    table: str


class HintedRequest(AnswerPart):
    """The members of a request for the first offer. Narrow it further where less is enough."""

    platform: str
    offer: str
    tables: tuple[TableName, ...] | None = None
    """The requested tables that the offer shows. Absent if the denied request named none."""
    purpose: str | None = None
    expiration_seconds: int
    user: UserName | None = None
    """Absent for a user with a token."""


class AccessRequestHint(AnswerPart):
    """The request that can follow a denial. Ask the user first."""

    endpoint: Literal["/access/v1/requests"] = "/access/v1/requests"
    """For `POST`."""
    body: HintedRequest
    """Its body. A token of the user is not repeated here."""
    asks: tuple[Literal["userToken", "justification", "ticket"], ...]
    """The members to add: the offer needs them."""


class MissingShown(AnswerPart):
    """The grant that a denied request lacks, as far as the agent may know it."""

    tables: tuple[TableMissing, ...] | None = None
    """The requested tables that are not granted, or do not exist."""
    offers: tuple[OfferShown, ...] = ()
    """Offers that show these tables, the smallest exposure first. An offer that its owner keeps secret is not named."""
    sentence: str
    """The smallest grant that is missing, and the first offer, for people and models."""
