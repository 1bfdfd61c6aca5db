"""The one tree of errors; a class says who can mend it, and so whether to try again.

    RolevendError
    ├── Rejected                    a person must change something: trying again is of no use
    │   ├── InvalidInput            a field says something that cannot be; names the field and the way out
    │   ├── NotPermitted            the field is well formed, but nobody allowed it
    │   ├── TooManyUnknownUsers     the agent has named as many users that nobody vouches for as it may
    │   └── Conflict                the name already belongs to something else
    │       └── Overtaken           the role was made under another decision, or was ended for good: it must go
    └── Unavailable                 try again later, for ever
        ├── PlatformUnavailable     the platform does not answer, or refuses our credential
        │   ├── UntrustedServer     what answers does not show that it is the server that was meant
        │   ├── ReadOnlyServer      a standby answers, or a server that takes no writes
        │   └── PoolerInBetween     a connection pooler answers in the server's place
        ├── PlatformBusy            the platform answers, but something there is in the way (a lock, a live session)
        │   ├── PlatformFull        there is no room left on its disk
        │   ├── PlatformLocked      somebody's transaction holds a lock there for longer than we wait
        │   ├── PlatformDrifted     what keeps rows apart there was changed by hand
        │   └── ProfileNotBuilt     a profile is not there, and somebody else builds it
        ├── ClusterUnavailable      the Kubernetes API does not answer
        ├── IdentityProviderUnavailable  an issuer of tokens does not answer, or its keys are too old to be believed
        └── AuditUnavailable        no audit event can be written, so nothing is vended

Messages are one line, begin in lower case, say what was attempted on what, and never hold a secret.
"""


class RolevendError(Exception):
    """Whatever rolevend raises on purpose."""


class Rejected(RolevendError):
    """A person must change something first."""


class InvalidInput(Rejected):
    """`field` (a path such as `spec.rowFilter`) says something that cannot be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class NotPermitted(Rejected):
    """What is asked for is well formed, but nobody allowed it."""


class TooManyUnknownUsers(Rejected):
    """The agent has named as many users that neither a token nor UserAttributes vouch for as it may: each leaves a record for ever."""


class Conflict(Rejected):
    """The name belongs to something else."""


class Overtaken(Conflict):
    """The role was made under another decision, or was ended for good: it can never be what is granted now, and must go."""


class Unavailable(RolevendError):
    """Try again later."""


class PlatformUnavailable(Unavailable):
    """The platform does not answer, or does not take our credential."""


class UntrustedServer(PlatformUnavailable):
    """What answers does not show by its certificate that it is the server that was meant. It was told no password."""


class ReadOnlyServer(PlatformUnavailable):
    """A standby answers, or a server that takes no writes: it heals with the promotion, or when the name leads elsewhere."""


class PoolerInBetween(PlatformUnavailable):
    """A connection pooler answers in the server's place, and shares one session of the server among many of ours."""


class PlatformBusy(Unavailable):
    """The platform answers, but something there is in the way."""


class PlatformFull(PlatformBusy):
    """There is no room left on the platform's disk."""


class PlatformLocked(PlatformBusy):
    """Somebody's transaction holds a lock there for longer than we wait: it heals when that transaction is over."""


class PlatformDrifted(PlatformBusy):
    """What keeps rows apart there was changed by hand: it heals when a person has put it right, or accepted it."""


class ProfileNotBuilt(PlatformBusy):
    """A profile is not there, and who asks has no programmer's credential to build it: it heals when somebody has built it."""


class ClusterUnavailable(Unavailable):
    """The Kubernetes API does not answer."""


class IdentityProviderUnavailable(Unavailable):
    """An issuer does not answer, or not with its keys. Those that were read before go on for a while."""


class AuditUnavailable(Unavailable):
    """No audit event can be written. What would leave no trace is not done."""
