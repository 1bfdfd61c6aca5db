"""The digest of the effect of an offer: it identifies what the offer shows one user, and reveals nothing of it. Pure.

It is a MAC. Agents and approvers read it, and the effect depends on few and common values of the user's attributes: a plain digest could be
compared with those of all values. It is over the user, too, so that equal values of two users are not seen either.
"""

import hashlib
import hmac
import json

from rolevend.decision.profile_cache import OfferEffect
from rolevend.derived_keys import derived_key
from rolevend.model import User


def effect_digest(key: bytes, user: User, effect: OfferEffect) -> str:
    """Return the digest. `key` is the key of opaque handles, which operator and API have. The key of digests is derived from it."""
    own = derived_key(key, "rolevend digest of the effect of an offer")
    shown = [user.issuer, user.subject, str(effect.offer), effect.profile.name, effect.attributes.items]
    return f"sha256:{hmac.digest(own, json.dumps(shown).encode(), hashlib.sha256).hex()}"
