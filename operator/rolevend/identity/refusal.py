"""Why a token proves nothing, or not enough: a closed list of codes, and one error. A message never holds a token or a claim's value."""

import enum

from rolevend.errors import Rejected


class Standing(enum.IntEnum):
    """What a refusal is to the caller, as a status of HTTP."""

    UNPROVEN = 401
    """Nobody is proven by it: another token is needed."""
    NOT_ALLOWED = 403
    """It is genuine, and may not be used here in this way."""


class Code(enum.StrEnum):
    """Stable: callers and audit events rely on them."""

    TOKEN_TOO_LARGE = "TokenTooLarge"
    """Longer than 16 KiB. Nothing of it was decoded."""
    MALFORMED_TOKEN = "MalformedToken"
    """Not three segments of canonical base64url, or no JSON object in the first two."""
    ENCRYPTED_TOKEN = "EncryptedToken"
    DUPLICATE_MEMBER = "DuplicateMember"
    """A name stands twice in one JSON object: two readers could read two tokens."""
    HEADER_NOT_ALLOWED = "HeaderNotAllowed"
    """The header asks for something that we never do: a key that it brings along, an extension, compression, a nested token."""
    WRONG_TYPE = "WrongType"
    """`typ` says that it is no token of a kind that we know."""
    ALGORITHM_NOT_ALLOWED = "AlgorithmNotAllowed"
    UNKNOWN_ISSUER = "UnknownIssuer"
    UNKNOWN_KEY = "UnknownKey"
    AMBIGUOUS_KEY = "AmbiguousKey"
    """More than one key of the issuer could have signed it."""
    KEY_MISMATCH = "KeyMismatch"
    """The key that it names is not for its algorithm."""
    STALE_KEYS = "StaleKeys"
    """The issuer's keys could not be read for too long, or not yet."""
    BAD_SIGNATURE = "BadSignature"
    MISSING_CLAIM = "MissingClaim"
    MALFORMED_CLAIM = "MalformedClaim"
    """A claim has another type than it must have, or is too long, or holds control characters."""
    EXPIRED = "TokenExpired"
    NOT_YET_VALID = "NotYetValid"
    ISSUED_IN_THE_FUTURE = "IssuedInTheFuture"
    TOO_OLD = "TokenTooOld"
    """Issued longer ago than tokens of this issuer may live, whatever they say."""
    WRONG_AUDIENCE = "WrongAudience"
    ACTOR_CHAIN_TOO_LONG = "ActorChainTooLong"
    NOT_AUTHENTICATED = "NotAuthenticated"
    """The cluster does not take it any more: its pod or ServiceAccount is gone."""
    ANOTHER_ACCOUNT = "AnotherAccount"
    """The cluster says that it is somebody else's."""
    TYPE_NOT_ACCEPTED = "TypeNotAccepted"
    """Not a kind of token that may prove this, or not from this issuer."""
    NOT_AN_AGENTS_OWN = "NotAnAgentsOwn"
    """Issued to the client for somebody else: whoever bears it need not be the agent."""
    AGENT_UNKNOWN = "AgentUnknown"
    """It is somebody's, and no Agent is registered as them."""
    NOT_A_PERSONS = "NotAPersons"
    """The agent's own: it proves nobody whom it acts for."""
    ISSUED_TO_ANOTHER = "IssuedToAnother"
    """`azp` or `client_id` is none of the agent's."""
    ANOTHER_PERSON = "AnotherPerson"
    """It is genuine, and of somebody else than the request is for."""
    REPLAYED = "TokenReplayed"
    """It was taken for another request: each needs one of its own."""
    ACTOR_MISSING = "ActorMissing"
    """An exchanged token is asked for."""
    ACTOR_IS_ANOTHER = "ActorIsAnother"
    """`act` names another agent than the one that calls."""

    @property
    def standing(self) -> Standing:
        return Standing.NOT_ALLOWED if self in _NOT_ALLOWED else Standing.UNPROVEN


_NOT_ALLOWED = frozenset(
    {
        Code.TYPE_NOT_ACCEPTED,
        Code.NOT_AN_AGENTS_OWN,
        Code.AGENT_UNKNOWN,
        Code.NOT_A_PERSONS,
        Code.ISSUED_TO_ANOTHER,
        Code.ANOTHER_PERSON,
        Code.REPLAYED,
        Code.ACTOR_MISSING,
        Code.ACTOR_IS_ANOTHER,
    }
)


class TokenRefused(Rejected):
    """A token that proves nothing, or not what it should."""

    def __init__(self, code: Code, message: str) -> None:
        """`message` is one line, and holds nothing of the token."""
        super().__init__(message)
        self.code = code

    @property
    def standing(self) -> Standing:
        return self.code.standing
