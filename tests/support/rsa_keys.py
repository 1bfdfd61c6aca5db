"""RSA keys that are used in turn: to find the primes of each would take a fifth of the time of the tests on the model of Snowflake."""

from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from cryptography.hazmat.primitives.asymmetric import rsa

_COUNT = 16


@contextmanager
def few_keys() -> Iterator[None]:
    """The first of each size are made, and every later one is one of these, the one that was given longest ago."""
    generate = rsa.generate_private_key
    made: dict[int, deque[rsa.RSAPrivateKey]] = defaultdict(deque)

    def key(public_exponent: int, key_size: int) -> rsa.RSAPrivateKey:
        keys = made[key_size]
        given = keys.popleft() if len(keys) >= _COUNT else generate(public_exponent, key_size)
        keys.append(given)
        return given

    with mock.patch.object(rsa, "generate_private_key", key):
        yield
