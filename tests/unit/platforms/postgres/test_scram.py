"""Verifiers are what PostgreSQL stores; no password reaches it."""

import pytest

from rolevend.errors import InvalidInput
from rolevend.platforms.postgres.vend.scram import verifier

SALT = bytes(range(16))


def test_an_example_that_a_server_accepted():
    """With this verifier a server let the password `pencil` in; the conformance suite logs in with others."""
    assert verifier("pencil", SALT, 4096) == PENCIL


def test_another_salt_or_number_of_iterations_is_another_verifier():
    assert len({verifier("pencil", SALT), verifier("pencil", bytes(16)), verifier("pencil", SALT, 1)}) == 3


@pytest.mark.parametrize("password", ["", "pässword", "tab\there", "nul\0"])
def test_passwords_that_have_several_spellings_are_refused(password: str):
    with pytest.raises(InvalidInput, match="password"):
        verifier(password, SALT)


def test_the_salt_has_sixteen_bytes():
    with pytest.raises(InvalidInput, match="salt"):
        verifier("pencil", b"short")


PENCIL = (
    "SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$zHCdol2044/ZyWzPLi7oxApCkamKw9Z+E4U/QApd/5Y=:dd5peBOitVnLNFu7VmwP+HiDaaw4OUCv396eVCWhYiE="
)
