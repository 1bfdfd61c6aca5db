"""The kind AccessDecision: the vote of one approver on one AccessRequest."""

import json
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rolevend.kinds.access_request import AddedMasks, OnlyTables
from rolevend.kinds.part import Part, Rule, immutable
from rolevend.kinds.previewed_effect import PreviewedEffect
from rolevend.kinds.shared import APPROVER_GROUPS, Resource, Status
from rolevend.kinds.text import AccountName, FreeText, Label, ObjectReferenceName, Seconds, Sentence, Sha256Text, UidText


class RequestRef(Part):
    """An AccessRequest."""

    namespace: Label
    """The namespace of the AccessRequest."""
    name: ObjectReferenceName
    """The name of the AccessRequest."""
    uid: UidText
    """Its `metadata.uid`: a later request of the same name is another one."""


class LocalOfferRef(Part):
    """An AccessPolicy in the namespace of the AccessDecision."""

    name: ObjectReferenceName
    """Name of an AccessPolicy with `onRequest` in the same namespace."""


class AccessDecisionSpec(Part):
    """The vote. Immutable as a whole: delete the object to withdraw it."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.verdict != 'Approve' || has(self.digest)",
            message="digest must be set for verdict Approve: copy status.offer.digest of the AccessRequest",
            holds=lambda spec: spec.verdict != "Approve" or spec.digest is not None,
            field="digest",
        ),
        Rule(
            cel="self.verdict != 'Deny' || !(has(self.expirationSeconds) || has(self.tables) || has(self.masks))",
            message=(
                "expirationSeconds, tables and masks must not be set for verdict Deny, which denies the whole request; "
                "remove them, or use Approve"
            ),
            holds=lambda spec: spec.verdict != "Deny" or (spec.expiration_seconds, spec.tables, spec.masks) == (None, None, None),
            field="verdict",
        ),
    )

    request_ref: RequestRef
    """The request that the vote is on."""
    offer_ref: LocalOfferRef
    """The offer that the request names. Creating the object needs the RBAC verb `approve` on it."""
    by: AccountName
    """The approver. It must be the user name that creates the object."""
    verdict: Literal["Approve", "Deny", "Preview"]
    """`Approve` counts until the object is deleted. `Deny` denies the request, also if others approve. `Preview` is no vote: the operator
    counts in `status.effect` what an approval with the same narrowing would show the user. Create it shortly before the vote, and delete
    it."""
    digest: Sha256Text | None = None
    """The `status.offer.digest` of the request, as the approver saw it. Required for `Approve`."""
    expiration_seconds: Seconds | None = None
    """The longest lifetime of the role. Without it: as requested, within the offer's maximum."""
    tables: OnlyTables | None = None
    """The only tables, of those that are requested. Without it: all of them."""
    masks: AddedMasks | None = None
    """Masks that are added to those of the offer: a column shows no more than each of them."""
    comment: FreeText | None = None
    """The reason, for the user and the agent."""


class AccessDecisionStatus(Status):
    """The state that the operator observed. Not written by people."""

    counted: bool | None = None
    """True if the vote counts."""
    message: Sentence | None = None
    """The reason why it counts or not, for people."""
    effect: PreviewedEffect | None = None


class AccessDecision(Resource):
    """The vote of one approver on an AccessRequest, in the namespace of the offer. Deleting an approval revokes it: the roles that
    use it end. A preview asks for the effect in numbers, and decides nothing."""

    kind: Literal["AccessDecision"] = "AccessDecision"
    spec: Annotated[AccessDecisionSpec, Field(json_schema_extra=immutable("spec", "delete this AccessDecision and create another one"))]
    status: AccessDecisionStatus = AccessDecisionStatus()


def approver_groups(decision: AccessDecision) -> tuple[str, ...]:
    """Return the groups of the approver as admission stamped them; () without a readable stamp, so that only rights of the user count."""
    try:
        groups = json.loads(decision.metadata.annotations.get(APPROVER_GROUPS, "[]"))
    except (ValueError, RecursionError):
        return ()
    return tuple(groups) if isinstance(groups, list) and all(isinstance(each, str) for each in groups) else ()
