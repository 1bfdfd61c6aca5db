"""Secrets with certificate authorities, which a DataPlatform or an IdentityProvider refers to."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from rolevend.errors import InvalidInput
from rolevend.kube.client import KubeClient
from rolevend.kube.secrets import read_secret, text_of


@dataclass(frozen=True, slots=True)
class Authority:
    """Certificates of the authorities that may sign a server's certificate."""

    certificates: str
    """In PEM."""
    version: str
    """The Secret's resourceVersion."""


async def authority(cluster: KubeClient, namespace: str, name: str, key: str, field: str, now: datetime) -> Authority:
    """Read the certificates in a key of a Secret. Raises InvalidInput, which names `field`, unless one of them is valid at `now`."""
    secret = await read_secret(cluster, namespace, name, field)
    where = f"key {key} of Secret {namespace}/{name}"
    text = text_of(secret, key)
    if text is None:
        keys = ", ".join(sorted(secret.get("data") or {})) or "none"
        raise InvalidInput(field, f"there is no usable {where}, which has the keys: {keys}")
    try:
        end = _last_end(text)
    except (ssl.SSLError, ValueError, TypeError) as error:  # TypeError: the text is not ASCII
        raise InvalidInput(field, f"{where} holds no certificates in PEM") from error
    if end is not None and end <= now:
        raise InvalidInput(field, f"the authority in {where} expired at {end:%Y-%m-%d %H:%M} UTC: put the one there that followed it")
    return Authority(text, secret["metadata"]["resourceVersion"])


@lru_cache(maxsize=64)  # called every few seconds for each platform
def _last_end(certificates: str) -> datetime | None:
    """Return when the last of these authorities expires, or None if no certificate is one of an authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificates)
    ends = (datetime.fromtimestamp(ssl.cert_time_to_seconds(str(each["notAfter"])), UTC) for each in context.get_ca_certs())
    return max(ends, default=None)


def certificate_end(certificate: str) -> datetime | None:
    """Return when the first certificate in a text in PEM expires, or None if it holds none."""
    from cryptography import x509  # joserfc brings it

    try:
        return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc
    except ValueError:
        return None
