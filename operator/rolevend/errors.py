"""All errors of rolevend. The class says if a retry can succeed, or a person must change something.

    RolevendError
    ├── Rejected                    a person must change something: a retry fails again
    │   ├── InvalidInput            a field is invalid; names the field and the fix
    │   ├── NotPermitted            the request is well-formed, but not permitted
    │   ├── TooManyUnknownUsers     the agent has named its maximum of unconfirmed users
    │   ├── TooManyRoles            the agent has its maximum of live roles
    │   ├── TokenUsed               the user's token was used for another role
    │   └── Conflict                the name already belongs to something else
    │       └── Overtaken           the role was created by another decision, or was ended: it must be dropped
    └── Unavailable                 temporary: retry without a limit
        ├── PlatformUnavailable     the platform does not answer, or rejects our credential
        │   ├── UntrustedServer     the certificate does not prove that it is the configured server
        │   ├── ReadOnlyServer      a standby or a read-only server answers
        │   └── PoolerInBetween     a connection pooler answers
        ├── PlatformBusy            the platform answers, but other work blocks (a lock, a session)
        │   ├── PlatformFull        its disk is full
        │   ├── PlatformLocked      another transaction holds a lock for longer than we wait
        │   ├── PlatformDrifted     its row isolation was changed manually
        │   └── ProfileNotBuilt     the profile does not exist, and another process builds it
        ├── ClusterUnavailable      the Kubernetes API does not answer
        ├── IdentityProviderUnavailable  an issuer of tokens does not answer, or its keys are too old
        └── AuditUnavailable        no audit event can be written, so nothing is vended

Messages are one line, begin in lower case, name the action and the object, and never hold a secret.
"""


class RolevendError(Exception):
    """The base class of rolevend's own errors."""


class Rejected(RolevendError):
    """A person must change something first."""


class InvalidInput(Rejected):
    """`field` (a path such as `spec.rowFilter`) is invalid."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class NotPermitted(Rejected):
    """The request is well-formed, but not permitted."""


class TooManyUnknownUsers(Rejected):
    """The agent has named its maximum of users that neither a token nor UserAttributes confirm. Each would leave a permanent record."""


class TooManyRoles(Rejected):
    """The agent has its maximum of live roles. The same call may succeed when one is released."""


class TokenUsed(Rejected):
    """The user's token was used for another role."""


class Conflict(Rejected):
    """The name belongs to something else."""


class Overtaken(Conflict):
    """The role was created by another decision, or was ended. It cannot become the granted role, and must be dropped."""


class Unavailable(RolevendError):
    """Temporary: a retry may succeed."""


class PlatformUnavailable(Unavailable):
    """The platform does not answer, or rejects our credential."""


class UntrustedServer(PlatformUnavailable):
    """The server's certificate does not prove that it is the configured server. No password was sent."""


class ReadOnlyServer(PlatformUnavailable):
    """A standby or a read-only server answers. It recovers with a promotion or a change of DNS."""


class PoolerInBetween(PlatformUnavailable):
    """A connection pooler answers, which shares one server session among several clients."""


class PlatformBusy(Unavailable):
    """The platform answers, but other work blocks the operation."""


class PlatformFull(PlatformBusy):
    """The platform's disk is full."""


class PlatformLocked(PlatformBusy):
    """Another transaction holds a lock for longer than we wait. It recovers when that transaction ends."""


class PlatformDrifted(PlatformBusy):
    """The row isolation of the platform was changed manually. It recovers when a person restores or accepts it."""


class ProfileNotBuilt(PlatformBusy):
    """The profile does not exist, and this process has no programmer's credential to build it. It recovers when the operator has built
    it."""


class ClusterUnavailable(Unavailable):
    """The Kubernetes API does not answer."""


class IdentityProviderUnavailable(Unavailable):
    """An issuer does not answer, or has no valid keys. Keys that were read before are used for a while."""


class AuditUnavailable(Unavailable):
    """No audit event can be written. rolevend does nothing without one."""
