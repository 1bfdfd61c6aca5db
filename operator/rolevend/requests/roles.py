"""Every VendedRole that the watch told of, in memory: what was asked, what its status says, and what it was granted here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from rolevend.errors import InvalidInput
from rolevend.model import AgentHandle, Attributes, PlatformName, RoleName, Task, Uid, UserHandle
from rolevend.naming import role_name
from rolevend.resources import REQUEST_ID, REQUESTED_BY, VendedRole, values
from rolevend.resources.identities import user_token
from rolevend.resources.shared import HANDLES
from rolevend.vending.proof import Actor, Claimed, Proof, Unproven, UserProof
from rolevend.vending.verdict import Delivery, Granted, Request, Verdict, ended_by

LONGEST_REQUEST_ID: Final = 128
NOTHING_BEGUN: Final = "NothingBegun"
"""As `status.ended.by` says it: the call that made the object was refused before it made anything else."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One VendedRole as last seen."""

    request: Request
    ready: bool
    ending_since: datetime | None
    """When its deletion began, or None."""
    role: RoleName | None
    """See `begun_as`."""
    profile: str
    """Empty while the status does not say it."""
    attributes: Attributes
    """Those that the profile reads, as the status says."""
    verdict: tuple[str, str]
    """Status and message of the condition Granted."""
    granted: Granted | None = None
    """What this process vended; None after a restart."""


class Roles:
    """Keyed by uid: an object that is deleted and made again under its name is another one."""

    def __init__(self) -> None:
        self._standing: dict[Uid, Standing] = {}
        self._unread: set[Uid] = set()
        self._proofs: dict[Uid, Proof | Unproven] = {}
        """What came of their users' tokens here."""

    def seen(self, standing: Standing) -> Standing:
        """With what is known of it beside."""
        uid = standing.request.uid
        self._unread.discard(uid)
        known = self._standing.get(uid)
        merged = replace(standing, request=self.as_proven(standing.request), granted=known.granted if known else None)
        self._standing[uid] = merged
        return merged

    def proven(self, uid: Uid, proof: Proof | Unproven) -> None:
        self._proofs[uid] = proof
        if uid in self._standing:
            self._standing[uid] = replace(self._standing[uid], request=self.as_proven(self._standing[uid].request))

    def as_proven(self, request: Request) -> Request:
        """With what came of its token here, which says more than its status does."""
        return replace(request, proof=self._proofs.get(request.uid, request.proof))

    def unread(self, uid: Uid) -> None:
        """The watch told of it, and it cannot be read: it is there, and nothing is known of it."""
        self._standing.pop(uid, None)
        self._unread.add(uid)

    def vended(self, uid: Uid, granted: Granted) -> None:
        if uid in self._standing:
            self._standing[uid] = replace(self._standing[uid], granted=granted)

    def gone(self, uid: Uid) -> None:
        self._standing.pop(uid, None)
        self._unread.discard(uid)
        self._proofs.pop(uid, None)

    def get(self, uid: Uid) -> Standing | None:
        return self._standing.get(uid)

    def on(self, platform: PlatformName) -> Iterator[Standing]:
        return (each for each in self if each.request.platform == platform)

    def named(self, names: Iterable[RoleName]) -> list[Standing]:
        wanted = frozenset(names)
        return [each for each in self if each.role in wanted]

    def __iter__(self) -> Iterator[Standing]:
        return iter(list(self._standing.values()))

    def __contains__(self, uid: Uid) -> bool:
        return uid in self._standing or uid in self._unread

    def __len__(self) -> int:
        return len(self._standing)


def request_of(role: VendedRole) -> Request:
    if role.metadata.creation_timestamp is None:
        raise InvalidInput("metadata.creationTimestamp", "is missing: the object was not read from a cluster")
    return Request(
        name=values.object_name(role),
        uid=Uid(role.uid),
        agent=values.agent_of(role),
        user=values.user(role.spec.user),
        platform=PlatformName(role.spec.platform_refs[0].name),
        created_at=role.metadata.creation_timestamp,
        expiration_seconds=role.spec.expiration_seconds,
        purpose=role.spec.purpose,
        resources=values.resources(role),
        requested_by=role.metadata.annotations.get(REQUESTED_BY),
        token=user_token(role),
        proof=_proof(role),
        delivery=Delivery(role.spec.delivery),
        task=None if role.spec.task is None else Task(role.spec.task.id, role.spec.task.intent_digest),
        request_id=_request_id(role),
    )


def _request_id(role: VendedRole) -> str | None:
    """Whoever makes an object may write anything into its annotations: what is no such id is none."""
    text = role.metadata.annotations.get(REQUEST_ID, "")
    return text if text.isprintable() and 0 < len(text) <= LONGEST_REQUEST_ID else None


def _proof(role: VendedRole) -> Proof | None:
    """As the operator wrote it down when it began to make the role: the token may be gone, and is over when the role is."""
    status = role.status
    if not status.role_name or status.user is None or status.user.token is None or status.expiration_timestamp is None:
        return None
    user, token = status.user, status.user.token
    return Proof(
        kind=UserProof(user.proof),
        provider=token.provider,
        token_type=token.type,
        digest=token.digest,
        expires_at=status.expiration_timestamp,
        handle=UserHandle(user.handle),
        attributes=tuple(Claimed(each.key, each.values, each.source) for each in token.attributes),
        unreadable=frozenset(token.unread_attributes),
        actors=tuple(Actor(each.issuer, each.subject) for each in token.actors),
    )


def begun_as(role: VendedRole) -> RoleName | None:
    """What the role is called that may be on a platform; None: nothing was begun there. Known before anything is: the status says it, or
    where the API makes the role the object itself, from its first moment."""
    status = role.status
    if status.role_name:
        return RoleName(status.role_name)
    handles = role.metadata.annotations.get(HANDLES)
    if handles is None or role.spec.delivery != "Response" or (status.ended and status.ended.by == NOTHING_BEGUN):
        return None
    agent, _, user = handles.partition("_")
    try:
        return role_name(AgentHandle(agent), UserHandle(user), Uid(role.uid))
    except InvalidInput:
        return None  # nothing that we have made


def is_ready(role: VendedRole) -> bool:
    condition = role.status.condition("Ready")
    return condition is not None and condition.status == "True"


def standing_of(role: VendedRole) -> Standing:
    status = role.status
    condition = status.condition("Granted")
    return Standing(
        request=request_of(role),
        ready=is_ready(role),
        ending_since=role.metadata.deletion_timestamp,
        role=begun_as(role),
        profile=(status.platforms[0].profile or "") if status.platforms else "",
        attributes=values.attributes(status.user.attributes) if status.user else Attributes(),
        verdict=(condition.status, condition.message) if condition else ("", ""),
    )


def why_it_ends(verdict: Verdict, standing: Standing) -> str:
    """Why a live role must end now; empty while it may live on."""
    if standing.granted is not None:
        return ended_by(verdict, standing.granted)
    if isinstance(verdict, Granted):
        # After a restart only the profile's name is known, which is a digest of what it grants: any other one ends the role.
        same = verdict.profile.name == standing.profile and verdict.lease.attributes == standing.attributes
        return "" if same else "policy, tags or attributes changed while the operator was down"
    return verdict.message if verdict.withdrawn else ""
