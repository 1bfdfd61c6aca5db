"""The members of requests for offers and of their answers, as the document at `/openapi.json` describes them."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic.config import JsonDict

from rolevend.api.access.offer_schemas import AnswerPart
from rolevend.api.schemas import LONGEST_TOKEN, PROOFS
from rolevend.kinds.access_request import OnlyTables
from rolevend.kinds.part import Distinct, Part, Rule, exactly_one
from rolevend.kinds.shared import UserName
from rolevend.kinds.text import (
    LABEL_PATTERN,
    LONGEST_LABEL,
    SUBDOMAIN_PATTERN,
    Identifier,
    Label,
    ObjectReferenceName,
    Seconds,
    TicketText,
)
from rolevend.kinds.vended_role import Task
from rolevend.model import ObjectName

LONGEST_JUSTIFICATION: Final = 2_000
USUAL_SECONDS: Final = 900
"""Lifetime of a role without a wish."""
_LONGEST_NAME: Final = 253
_OFFER_PATTERN: Final = f"{LABEL_PATTERN.removesuffix('$')}/{SUBDOMAIN_PATTERN.removeprefix('^')}"
OFFER_EXAMPLE: JsonDict = {
    "userToken": "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl",
    "platform": "warehouse",
    "offer": "domain-claims/fraud-ssn-clear",
    "tables": [{"schema": "claims", "table": "payments"}],
    "expirationSeconds": 600,
    "purpose": "fraud-review",
    "justification": "The customer disputes a payment of last week",
    "ticket": "FR-12",
}
REQUEST_EXAMPLE: JsonDict = {
    "id": "ar-3f7k2m5n6p7q2r3s4t5u6v7w2x",
    "state": "Approved",
    "reason": "ApprovedByRule",
    "message": "rule small approves it for 600 seconds",
    "offer": {
        "name": "domain-claims/fraud-ssn-clear",
        "display": "SSNs of open claims in clear, for fraud review",
        "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
    "expirationSeconds": 600,
    "approval": {"claimUntil": "2026-11-24T14:15:00Z", "expirationSeconds": 600, "approvedBy": ["rule small"]},
}


def _short_enough(offer: str) -> str:
    namespace, _, name = offer.partition("/")
    if len(namespace) > LONGEST_LABEL or len(name) > _LONGEST_NAME:
        raise ValueError(f"must be a namespace of at most {LONGEST_LABEL} characters, and a name of at most {_LONGEST_NAME}")
    return offer


class OfferRequest(Part):
    """A request for an offer: a policy that grants only after an approval. Set exactly one of `userToken` and `user`."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("proof of the user", *PROOFS),)

    user_token: Annotated[SecretStr, Field(min_length=1, max_length=LONGEST_TOKEN)] | None = None
    """A token of the user that names the agent. It is not redeemed: it can prove the role, too."""
    user: UserName | None = None
    """The user, asserted by the agent: only for an Agent with `assertion: Trusted`."""
    platform: ObjectReferenceName
    """Name of the DataPlatform of the role."""
    offer: Annotated[str, Field(max_length=LONGEST_LABEL + 1 + _LONGEST_NAME, pattern=_OFFER_PATTERN), AfterValidator(_short_enough)]
    """The offer, `namespace/name`, as `missing.offers` names it."""
    tables: OnlyTables | None = None
    """The only tables, of those that the offer grants. Without it: all of them."""
    columns: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=256), Distinct()] | None = None
    """The only columns, by their exact names, of those that the offer grants. Without it: all of them."""
    expiration_seconds: Seconds = USUAL_SECONDS
    """Lifetime of the role, 5 seconds to one day. The offer and its approvers may shorten it."""
    purpose: Label | None = None
    """The purpose that the role will state. The offer may require it."""
    justification: Annotated[str, Field(min_length=1, max_length=LONGEST_JUSTIFICATION)] | None = None
    """The reason, in the agent's own words. Approvers read it as a quotation, cut at 500 characters, without links and secrets."""
    ticket: TicketText | None = None
    """The ticket of the request. The offer may require it."""
    task: Task | None = None
    """The agent's task, such as a conversation. Only a role for the same task can use the approval; without one, only a role without."""

    @property
    def offer_name(self) -> ObjectName:
        namespace, _, name = self.offer.partition("/")
        return ObjectName(namespace, name)


class OfferAskedShown(AnswerPart):
    """The offer of a request."""

    name: str
    """`namespace/name` of the AccessPolicy."""
    display: str | None = None
    """The offer in one sentence, as its owner wrote it. Absent before the request was judged."""
    digest: str | None = None
    """Digest of what the offer, narrowed by the request, shows this user. Absent before the request was judged."""


class ApprovalShown(AnswerPart):
    """The approval of a request. It is an input of a later decision, and grants nothing by itself."""

    claim_until: str
    """The approval lapses if it is not used until then, RFC 3339."""
    expiration_seconds: int
    """The longest lifetime of a role."""
    approved_by: tuple[str, ...]
    """The people who approved, or the rule."""


class ConfirmShown(AnswerPart):
    """The page on which the user confirms or refuses the request. For the user's browser: the page asks for a login of the user."""

    url: str
    """The address of the page. It holds no secret."""
    expires_at: str
    """The request ends if the user has not answered until then, RFC 3339."""


class AccessRequestShown(AnswerPart):
    """A request of the agent for an offer."""

    id: str
    """The id for later calls, and for `approval` of a request for a role: the name of the AccessRequest in the agent's namespace."""
    state: Literal["Pending", "Denied", "Expired", "Cancelled", "Approved", "Used", "Spent", "Lapsed", "Revoked", "Superseded"]
    """`Pending`: wait; with `confirm` the user must answer first. `Approved`,
    `Used`: a role can be requested with it. All others are final."""
    reason: str | None = None
    """The reason of the state, in one word."""
    message: str | None = None
    """The reason of the state, for people."""
    offer: OfferAskedShown
    expiration_seconds: int
    """The requested lifetime of the role."""
    confirm: ConfirmShown | None = None
    """The page for the user, with the reason `UserConfirms` only."""
    approval: ApprovalShown | None = None


class AccessRequestsShown(AnswerPart):
    """The requests of the calling agent only."""

    items: tuple[AccessRequestShown, ...]
