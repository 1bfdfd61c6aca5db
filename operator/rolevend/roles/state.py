"""Every VendedRole that the watch told of, in memory: what was asked on each platform, what its status says, and what it was granted
here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from rolevend.errors import InvalidInput
from rolevend.kube.client import Body
from rolevend.model import AgentHandle, Attributes, PlatformName, RoleName, Task, Uid, UserHandle
from rolevend.naming import role_name
from rolevend.plan import attribute_keys
from rolevend.resources import FINALIZER, REQUEST_ID, REQUESTED_BY, VendedRole, values
from rolevend.resources.identities import user_token
from rolevend.resources.shared import HANDLES
from rolevend.resources.vended_role import PlatformState
from rolevend.vending.proof import Actor, Claimed, Proof, Unproven, UserProof
from rolevend.vending.verdict import Delivery, Granted, Request, Verdict, ended_by

LONGEST_REQUEST_ID: Final = 128
NOTHING_BEGUN: Final = "NothingBegun"
"""As `status.ended.by` says it: the call that made the object was refused before it made anything else."""


@dataclass(frozen=True, slots=True)
class RoleState:
    """One VendedRole on one of its platforms, as last seen."""

    request: Request
    ready: bool
    """As the object says it, of all its platforms."""
    ending_since: datetime | None
    """When its deletion began, or None."""
    role: RoleName | None
    """See `assigned_role_name`; None where nothing is on this platform, either."""
    profile: str
    """Empty while the status does not say it."""
    attributes: Attributes
    """Those that the profile reads, as the status says."""
    verdict: tuple[str, str]
    """Status and message of the condition Granted, as was last said of it here; after a restart as the object says it."""
    granted: Granted | None = None
    """What this process vended; None after a restart."""
    absent: bool = False
    """Whether nothing lives on this platform, whatever the object says of others: it was left out, or is taken away."""
    let_go: bool = False
    """See `is_let_go`."""

    @property
    def live(self) -> bool:
        """Whether the object says that its role can log in on this platform."""
        return self.ready and not self.absent


class RoleStore:
    """Keyed by uid: an object that is deleted and made again under its name is another one."""

    def __init__(self) -> None:
        self._standing: dict[Uid, tuple[RoleState, ...]] = {}
        self._unread: set[Uid] = set()
        self._proofs: dict[Uid, Proof | Unproven] = {}
        """What came of their users' tokens here."""
        self._said: dict[Uid, tuple[str, str]] = {}
        """The newest verdicts of this process: what the watch tells may be older."""

    def seen(self, *standings: RoleState) -> tuple[RoleState, ...]:
        """One object's, on each of its platforms in its order. The same, with what is known of them beside."""
        uid = standings[0].request.uid
        self._unread.discard(uid)
        granted = {each.request.platform: each.granted for each in self.of(uid)}
        merged = tuple(
            replace(
                each,
                request=self.as_proven(each.request),
                granted=granted.get(each.request.platform),
                verdict=self._said.get(uid, each.verdict),
            )
            for each in standings
        )
        self._standing[uid] = merged
        return merged

    def said(self, uid: Uid, verdict: tuple[str, str]) -> None:
        """Status and message of the condition Granted, as they are about to be written down."""
        if uid in self._standing:
            self._said[uid] = verdict
            self._standing[uid] = tuple(replace(each, verdict=verdict) for each in self.of(uid))

    def proven(self, uid: Uid, proof: Proof | Unproven) -> None:
        self._proofs[uid] = proof
        if uid in self._standing:
            self._standing[uid] = tuple(replace(each, request=self.as_proven(each.request)) for each in self.of(uid))

    def as_proven(self, request: Request) -> Request:
        """With what came of its token here, which says more than its status does."""
        return replace(request, proof=self._proofs.get(request.uid, request.proof))

    def unread(self, uid: Uid) -> None:
        """The watch told of it, and it cannot be read: it is there, and nothing is known of it."""
        self._standing.pop(uid, None)
        self._unread.add(uid)

    def vended(self, uid: Uid, platform: PlatformName, granted: Granted | None) -> None:
        """None: what was vended there is being taken away."""
        if uid in self._standing:
            self._standing[uid] = tuple(
                replace(each, granted=granted) if each.request.platform == platform else each for each in self.of(uid)
            )

    def gone(self, uid: Uid) -> None:
        self._standing.pop(uid, None)
        self._unread.discard(uid)
        self._proofs.pop(uid, None)
        self._said.pop(uid, None)

    def get(self, uid: Uid) -> RoleState | None:
        """On its first platform: for what is the same on all."""
        return next(iter(self.of(uid)), None)

    def of(self, uid: Uid) -> tuple[RoleState, ...]:
        """On each of its platforms."""
        return self._standing.get(uid, ())

    def on(self, platform: PlatformName) -> Iterator[RoleState]:
        return (each for object_ in self for each in object_ if each.request.platform == platform)

    def named(self, names: Iterable[RoleName], platform: PlatformName) -> list[RoleState]:
        wanted = frozenset(names)
        return [each for each in self.on(platform) if each.role in wanted]

    def __iter__(self) -> Iterator[tuple[RoleState, ...]]:
        """By object."""
        return iter(list(self._standing.values()))

    def __contains__(self, uid: Uid) -> bool:
        return uid in self._standing or uid in self._unread

    def __len__(self) -> int:
        return len(self._standing)


def role_request(role: VendedRole) -> Request:
    """On its first platform: for what is the same on all."""
    return role_requests(role)[0]


def role_requests(role: VendedRole) -> tuple[Request, ...]:
    """One for each platform that it names, in its order: of one uid, with one expiry and one proof."""
    if role.metadata.creation_timestamp is None:
        raise InvalidInput("metadata.creationTimestamp", "is missing: the object was not read from a cluster")
    first = Request(
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
        allow_partial=role.spec.allow_partial,
    )
    further = (replace(first, platform=PlatformName(each.name), further=True) for each in role.spec.platform_refs[1:])
    return (first, *further)


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


def assigned_role_name(role: VendedRole) -> RoleName | None:
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


def is_let_go(item: Body) -> bool:
    """Whether the object is being deleted and no longer has our finalizer. Then finalizers of others keep it, and it claims no role: the
    operator looked for its role and found none, or somebody took our finalizer off, and the sweep drops the role."""
    metadata = item["metadata"]
    return bool(metadata.get("deletionTimestamp")) and FINALIZER not in metadata.get("finalizers", ())


def state_on(role: VendedRole, platform: PlatformName) -> PlatformState | None:
    """What the status says of one platform."""
    return next((each for each in role.status.platforms if each.name == platform), None)


def is_platform_active(role: VendedRole, platform: PlatformName) -> bool:
    """Whether something may be on this platform, of a role that was begun: not where it was left out, or looked for and is gone."""
    state = state_on(role, platform)
    return state is None or state.state not in ("LeftOut", "Gone")


def may_exist_on(role: VendedRole, platform: PlatformName) -> bool:
    """Whether an earlier try may have made something on this platform."""
    return assigned_role_name(role) is not None and is_platform_active(role, platform)


def role_states(role: VendedRole) -> tuple[RoleState, ...]:
    """On each of its platforms, in its order."""
    return tuple(_standing_on(role, request) for request in role_requests(role))


def _standing_on(role: VendedRole, request: Request) -> RoleState:
    status, state = role.status, state_on(role, request.platform)
    condition = status.condition("Granted")
    let_go = role.metadata.deletion_timestamp is not None and FINALIZER not in role.metadata.finalizers
    return RoleState(
        request=request,
        ready=is_ready(role),
        ending_since=role.metadata.deletion_timestamp,
        role=assigned_role_name(role) if may_exist_on(role, request.platform) and not let_go else None,
        profile=(state.profile or "") if state else "",
        attributes=values.attributes(status.user.attributes) if status.user else Attributes(),
        verdict=(condition.status, condition.message) if condition else ("", ""),
        absent=state is not None and state.state in ("LeftOut", "Gone", "Dropping"),
        let_go=let_go,
    )


def revocation_reason(verdict: Verdict, standing: RoleState) -> str:
    """Why a live role must end now; empty while it may live on."""
    if standing.granted is not None:
        return ended_by(verdict, standing.granted)
    if isinstance(verdict, Granted):
        # After a restart only the profile's name is known, which is a digest of what it grants: any other one ends the role.
        now, then = verdict.lease.attributes, standing.attributes
        same = verdict.profile.name == standing.profile and (
            now == then or now == then.only(attribute_keys(verdict.profile))  # other platforms may read more
        )
        return "" if same else "policy, tags or attributes changed while the operator was down"
    return verdict.message if verdict.withdrawn else ""
