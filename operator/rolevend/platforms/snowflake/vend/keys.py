"""Key pairs of vended users, and of the operator's two logins."""

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rolevend.errors import InvalidInput
from rolevend.platforms.protocol import Secret

_BITS = 2048
"""What Snowflake asks for at least. A vended key lives for hours."""
_LOGIN_BITS = 3072
_SPARE = 32
"""A crowd of so many finds its keys made."""


def new_key() -> Secret:
    """A private key in PEM. The library takes its randomness from the system, and lets nobody choose it."""
    return _pem(_BITS)


def new_login_key() -> Secret:
    """The same, for a login that stays."""
    return _pem(_LOGIN_BITS)


class SpareKeys:
    """A few keys that are made beforehand, so that who asks for one, on an event loop, does not wait for its primes."""

    def __init__(self) -> None:
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="snowflake-keys")
        self._made: deque[Future[Secret]] = deque()
        self._lock = threading.Lock()

    def take(self) -> Secret:
        """One that nobody has had."""
        with self._lock:
            ready = self._made.popleft() if self._made and self._made[0].done() else None
            while len(self._made) < _SPARE:
                self._made.append(self._maker.submit(new_key))
        return ready.result() if ready is not None else new_key()

    def close(self) -> None:
        self._maker.shutdown(wait=True, cancel_futures=True)


def public_key(private_key: Secret) -> str:
    """As RSA_PUBLIC_KEY takes it: base64 without the lines around it.

    Whether the key's primes are primes is not asked, which takes longer than all else that a vend does here: we made it, and with a wrong
    one nobody can log in.
    """
    key = _read(private_key, whole=False)
    encoded = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "".join(encoded.decode().splitlines()[1:-1])


def der(private_key: Secret) -> bytes:
    """As the connector takes it."""
    return _read(private_key).private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _pem(bits: int) -> Secret:
    key = rsa.generate_private_key(65537, bits)
    encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Secret(encoded.decode())


def _read(private_key: Secret, *, whole: bool = True) -> rsa.RSAPrivateKey:
    """`whole`: its parts are held against each other."""
    try:
        key = serialization.load_pem_private_key(private_key.reveal().encode(), None, unsafe_skip_rsa_key_validation=not whole)
    except (ValueError, TypeError) as error:  # TypeError: it has a passphrase
        raise InvalidInput("private_key", "is no RSA key in PEM without a passphrase, as openssl genpkey writes it") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise InvalidInput("private_key", "is a key of another kind than RSA")
    return key
