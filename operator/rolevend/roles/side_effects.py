"""All external side effects in the life of a role, and of the request for its access: on the API server (A) and on the platform (P).

After a crash or a lost connection between any two of them, the next run completes or undoes the effect. Tests record every request of a
whole life, fail on an effect that is missing here or never occurs, and stop the operator at each.
"""

import enum


class Effect(enum.Enum):
    """In chronological order. The value states what remains after a crash right after the effect, and how it is resolved."""

    NOTIFIED = "A: a record that a receiver was notified of a request for access; a retry notifies it again, with the same id"
    FINALIZER = "A: an object without a role that waits for its drop handler; without a role's name there is nothing to drop"
    REPORTED = "A: an object with the reason why it has no role yet; the next change or start decides again"
    RECONSIDERED = "A: an update of the object, which every operator sees"
    TOKEN_TAKEN = "A: a record that a user's token is for this object; a retry finds it, and no other object can use the token"  # noqa: S105 - a record
    HANDLE = "A: a permanent record of a handle; a retry finds it"
    INTENT = "A: an object with a role's name: the next start vends it, and a deletion looks for it on the platform"
    TEMPLATE_ROLES = "P: roles that own nothing; the next build uses them, or the sweep deletes them"
    TEMPLATE = "P: row policies for a role without members; the same"
    PROFILE = "P: views without readers; the next vend uses them, or the sweep deletes them"
    APPROVAL_USED = "A: a record that an approval is for this object; a retry finds it, and no other object can use it"
    CREDENTIAL = "A: a Secret with a password of a future role; a retry vends with this password"
    ROLE = "P: a role that can log in, whose object is not Ready yet; a retry finds it, or a deletion drops it"
    READY = "A: the complete role"
    EVENT = "A: an Event for people, which may be missing"
    REASON = "A: the reason of an end, before the deletion; the next evaluation deletes the object, or the role expires"
    DELETION = "A: an object in deletion; its drop handler runs at the next start"
    CLOSED = "P: a locked role; a retry drops it. If it is revoked, this may precede the reason"
    FINISHED = "P: no role, and an object with the finalizer; a retry removes it, or the next evaluation or sweep ends the object"
    CREDENTIAL_GONE = "A: no Secret, and an object in deletion; a retry finds neither role nor Secret"
    FINALIZER_OFF = "A: nothing"
    CURBED = "P: an ended session over its limit or lease, or a record of an idle one; the next check continues"
    DRIFT_NOTED = "P: a record of profiles that must not be vended; the next poll writes the same"
    FORGOTTEN = "P: a day-old tombstone is deleted"
    PROFILE_COLLECTED = "P: a profile is deleted; the next vend builds it"
    TEMPLATE_COLLECTED = "P: a template is deleted; the next build creates it"


class CallEffect(enum.Enum):
    """The same for one vending call of the API, in chronological order. Only the operator ends roles."""

    OBJECT = "A: an object that names its role; a call with the same key continues, or the operator ends it and drops the role"
    HANDLE = "A: a permanent record of a handle; a repeated call finds it"
    INTENT = "A: the same, also in its status: only if the profile is not built yet, or the call was repeated"
    TOKEN_TAKEN = "A: a record that the user's token is for this object: only a repeated call may use it again"  # noqa: S105 - a record
    APPROVAL_USED = "A: a record that an approval is for this object: only a repeated call may use it again"
    ROLE = "P: a role with an unknown password; a repeated call sets another one, or the operator drops the role"
    READY = "A: a role with an unknown password; a repeated call sets another one, or the role expires"
    UNTOUCHED = "A: an object whose status says that nothing was created; the operator ends it without a platform"
    UNDONE = "A: an object in deletion; the operator drops its role"
