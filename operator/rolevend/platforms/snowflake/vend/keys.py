"""Key pairs of vended users, and of the operator's two logins."""

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rolevend.errors import InvalidInput
from rolevend.platforms.protocol import Secret

_BITS = 2048
"""Snowflake's minimum. A vended key lives for hours."""
_LOGIN_BITS = 3072


def new_key() -> Secret:
    """Return a private key in PEM. The library always uses the system's randomness."""
    return _pem(_BITS)


def new_login_key() -> Secret:
    """Return a private key for a permanent login."""
    return _pem(_LOGIN_BITS)


class SpareKeys:
    """Keys generated in advance, so that a caller on an event loop does not wait for prime numbers."""

    def __init__(self, count: int) -> None:
        """`count` of them, from the first that is taken on."""
        self._count = count
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="snowflake-keys")
        self._made: deque[Future[Secret]] = deque()
        self._lock = threading.Lock()

    def take(self) -> Secret:
        """Return an unused key."""
        with self._lock:
            ready = self._made.popleft() if self._made and self._made[0].done() else None
            while len(self._made) < self._count:
                self._made.append(self._maker.submit(new_key))
        return ready.result() if ready is not None else new_key()

    def close(self) -> None:
        self._maker.shutdown(wait=True, cancel_futures=True)


def public_key(private_key: Secret) -> str:
    """Return the key in the format of RSA_PUBLIC_KEY: base64 without header lines.

    Does not test whether the primes are prime, which would take longer than the rest of a vend: the operator generated the key, and a wrong
    one cannot log in.
    """
    key = _read(private_key, checked=False)
    encoded = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "".join(encoded.decode().splitlines()[1:-1])


def der(private_key: Secret, *, checked: bool = True) -> bytes:
    """Return the key in the connector's format. `checked`: raise InvalidInput if its parts are not consistent."""
    return _read(private_key, checked=checked).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(bits: int) -> Secret:
    key = rsa.generate_private_key(65537, bits)
    encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Secret(encoded.decode())


def _read(private_key: Secret, *, checked: bool) -> rsa.RSAPrivateKey:
    """Parse the key, and if it is `checked`, see that its parts are consistent."""
    try:
        key = serialization.load_pem_private_key(private_key.reveal().encode(), None, unsafe_skip_rsa_key_validation=not checked)
    except (ValueError, TypeError) as error:  # TypeError: it has a passphrase
        raise InvalidInput("private_key", "is no RSA key in PEM without a passphrase, as openssl genpkey writes it") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise InvalidInput("private_key", "is a key of another kind than RSA")
    return key
