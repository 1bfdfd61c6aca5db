"""The seal of a role that a database records: a MAC over everything that its lease and its record say. Pure.

The API and the operator have the key, and the platform's logins do not. So an account that can write to
the database can create a role there, but none that the operator accepts as a role of the API.
"""

import hashlib
import hmac
import json
from dataclasses import astuple
from datetime import UTC

from rolevend.derived_keys import derived_key
from rolevend.model import PlatformName
from rolevend.plan import Lease, LeaseRecord


class LeaseSeal:
    def __init__(self, key: bytes) -> None:
        """`key` is the key of opaque handles, which both processes have. The key of seals is derived from it."""
        self._key = derived_key(key, "rolevend seal of recorded leases")

    def of(self, lease: Lease, record: LeaseRecord, platform: PlatformName) -> str:
        """Return the seal, in hex. `record.seal` is not read."""
        said = [
            [platform, lease.cluster, lease.role, lease.uid, lease.profile, str(lease.agent), lease.user.issuer, lease.user.subject],
            [lease.expires_at.astimezone(UTC).isoformat(), *astuple(lease.limits)],
            [[key, *values] for key, values in lease.attributes],
            None if lease.resources is None else [[each.schema, each.name] for each in lease.resources],
            [str(record.name), record.body, record.call, record.token.digest if record.token else None],
        ]
        return hmac.digest(self._key, json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode(), hashlib.sha256).hex()

    def is_valid(self, lease: Lease, platform: PlatformName) -> bool:
        """True if the lease has a record, and its seal was made for exactly this lease and record."""
        if lease.record is None:
            return False
        # As bytes: the text in the row can be any, and a comparison of texts raises if one is not ASCII.
        return hmac.compare_digest(self.of(lease, lease.record, platform).encode(), lease.record.seal.encode(errors="replace"))
