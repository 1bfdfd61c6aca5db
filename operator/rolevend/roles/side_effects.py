"""All external side effects in the life of a role: on the API server (A) and on the platform (P).

After a crash or a lost connection between any two of them, the next run completes or undoes the effect. Tests record every request of a
whole life, fail on an effect that is missing here or never occurs, and stop the operator at each.
"""

import enum


class Effect(enum.Enum):
    """In chronological order. The value states what remains after a crash right after the effect, and how it is resolved."""

    FINALIZER = "A: an object without a role that waits for its drop handler; without a role's name there is nothing to drop"
    REPORTED = "A: an object that says why it has no role yet; the next change, or start, decides again"
    RECONSIDERED = "A: an update of the object, which every operator sees"
    TOKEN_TAKEN = "A: a record that a user's token is for this object; the next try finds it, and nobody else can use the token"  # noqa: S105 - a record
    HANDLE = "A: a record of whom a handle stands for; true for ever, and found by the next try"
    INTENT = "A: an object with a role's name: the next start vends it, and a deletion looks for it on the platform"
    TEMPLATE_ROLES = "P: roles that own nothing; the next build takes them, or they are collected"
    TEMPLATE = "P: row policies for a role that nobody is; the same"
    PROFILE = "P: views that nobody may read; the next vend takes them, or they are collected"
    CREDENTIAL = "A: a Secret with a password for no role yet; the next try vends with this password"
    ROLE = "P: a role that can log in, whose object is not Ready yet; the next try finds it, or a deletion drops it"
    READY = "A: all is there"
    TOLD = "A: nothing but an Event for people, which may be missing"
    REASON = "A: why a role ends, and it is not deleted yet; the next review deletes it, or its time ends it"
    DELETION = "A: an object that ends; its drop handler runs at the next start"
    CLOSED = "P: a role that nobody can use; the next try finishes it. Of one that is revoked it may come before the reason"
    FINISHED = (
        "P: no role, and an object that still has the finalizer; the next try looks, and takes it off, or the next review or sweep ends it"
    )
    CREDENTIAL_GONE = "A: no Secret, and an object that ends; the next try finds neither role nor Secret"
    FINALIZER_OFF = "A: nothing"
    CURBED = "P: a session less that ran for too long or past its lease, or one more on record as idle; the next look goes on"
    DRIFT_NOTED = "P: a note which profiles must not be vended; the next look writes the same"
    FORGOTTEN = "P: a day-old tombstone less"
    PROFILE_COLLECTED = "P: a profile less; the next vend builds it"
    TEMPLATE_COLLECTED = "P: a template less; the next build makes it"


class CallEffect(enum.Enum):
    """The same for one vending call of the API, in chronological order. Only the operator ends roles."""

    OBJECT = (
        "A: an object that names its role; the same call with its key takes it up, or the operator ends it in time, and looks for the role"
    )
    HANDLE = "A: a record of whom a handle stands for; true for ever, and found by the next call"
    INTENT = "A: the same, and its status says it, too: only where the profile is not built yet, or the call came again"
    TOKEN_TAKEN = "A: a record that the user's token is for this object: the same call may use it again, and no other"  # noqa: S105 - a record
    ROLE = "P: a role whose password nobody knows; the same call gives it another one, or the operator drops it in time"
    READY = "A: a role whose password nobody knows; the same call gives it another one, or it lives until its time is over"
    UNTOUCHED = "A: an object that says that nothing was made for it; the operator ends it in time, and asks no platform"
    UNDONE = "A: an object that ends; the operator drops what there is of it"
