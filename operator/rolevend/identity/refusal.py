"""The reasons for a refused token: a closed list of codes, and one error. A message never holds a token or a claim's value."""

import enum

from rolevend.errors import Rejected


class Standing(enum.IntEnum):
    """The HTTP status of a refusal."""

    UNPROVEN = 401
    """Nobody is authenticated: the caller needs another token."""
    NOT_ALLOWED = 403
    """The token is valid, but not permitted here."""


class Code(enum.StrEnum):
    """Stable: callers and audit events depend on them."""

    TOKEN_TOO_LARGE = "TokenTooLarge"
    """Longer than 16 KiB. It was not decoded."""
    MALFORMED_TOKEN = "MalformedToken"
    """Not three segments of canonical base64url, or the first two are not JSON objects."""
    ENCRYPTED_TOKEN = "EncryptedToken"
    DUPLICATE_MEMBER = "DuplicateMember"
    """A name occurs twice in one JSON object: two parsers could read two tokens."""
    HEADER_NOT_ALLOWED = "HeaderNotAllowed"
    """The header requests an unsupported feature: an embedded key, an extension, compression, a nested token."""
    WRONG_TYPE = "WrongType"
    """`typ` is not a known type of token."""
    ALGORITHM_NOT_ALLOWED = "AlgorithmNotAllowed"
    UNKNOWN_ISSUER = "UnknownIssuer"
    UNKNOWN_KEY = "UnknownKey"
    AMBIGUOUS_KEY = "AmbiguousKey"
    """Several keys of the issuer could have signed it."""
    KEY_MISMATCH = "KeyMismatch"
    """The named key is not for its algorithm."""
    STALE_KEYS = "StaleKeys"
    """The issuer's keys are too old, or were not read yet."""
    BAD_SIGNATURE = "BadSignature"
    MISSING_CLAIM = "MissingClaim"
    MALFORMED_CLAIM = "MalformedClaim"
    """A claim has a wrong type, is too long, or has control characters."""
    EXPIRED = "TokenExpired"
    NOT_YET_VALID = "NotYetValid"
    ISSUED_IN_THE_FUTURE = "IssuedInTheFuture"
    TOO_OLD = "TokenTooOld"
    """Older than the maximum age for tokens of this issuer, even if it has not expired."""
    WRONG_AUDIENCE = "WrongAudience"
    ACTOR_CHAIN_TOO_LONG = "ActorChainTooLong"
    NOT_AUTHENTICATED = "NotAuthenticated"
    """The cluster rejects it: its pod or ServiceAccount is gone."""
    ANOTHER_ACCOUNT = "AnotherAccount"
    """The cluster reports another account."""
    TYPE_NOT_ACCEPTED = "TypeNotAccepted"
    """This type of token is not accepted here, or not from this issuer."""
    NOT_AN_AGENTS_OWN = "NotAnAgentsOwn"
    """Issued to the client for another party: the bearer need not be the agent."""
    AGENT_UNKNOWN = "AgentUnknown"
    """Valid, but no Agent is registered with this identity."""
    NOT_A_PERSONS = "NotAPersons"
    """The agent's own token: it proves no user."""
    ISSUED_TO_ANOTHER = "IssuedToAnother"
    """`azp` or `client_id` is not a client of the agent."""
    ANOTHER_PERSON = "AnotherPerson"
    """Valid, but for another user than the request."""
    ANOTHER_ISSUERS_USER = "AnotherIssuersUser"
    """A valid security event token, about a user of another issuer."""
    REPLAYED = "TokenReplayed"
    """It was redeemed for another request: each request needs its own token."""
    ACTOR_MISSING = "ActorMissing"
    """An exchanged token is required."""
    ACTOR_IS_ANOTHER = "ActorIsAnother"
    """`act` names another agent than the caller."""

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
    """A token that proves nothing, or not the required facts."""

    def __init__(self, code: Code, message: str) -> None:
        """`message` is one line without any part of the token."""
        super().__init__(message)
        self.code = code

    @property
    def standing(self) -> Standing:
        return self.code.standing
