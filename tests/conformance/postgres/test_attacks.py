"""What shows a secret only to somebody who knows the secret: an attestation cannot look for it, since neither login of the operator
can read it. Every other attack is in `rolevend.platforms.postgres.attest`, and test_attest.py runs it."""

import pytest

from rolevend.policy.mask import Hash
from tests.conformance.bench import PostgresBench, profile, shape, vended

pytestmark = pytest.mark.both_installs


def test_definitions_show_no_salt(bench: PostgresBench):
    people = bench.people()
    _, credential = vended(bench.platform, profile(shape(people, masks={"email": Hash()})))
    salt = bench.value("SELECT encode(salt, 'hex') FROM rolevend.salt")
    eve = bench.log_in(credential)
    for shown in ("pg_policies", "pg_views", "pg_rules", "pg_proc"):
        assert salt not in str(eve.rows(f"SELECT t::text FROM {shown} AS t"))


def test_no_password_is_in_the_catalog(bench: PostgresBench):
    _, credential = vended(bench.platform, profile(shape(bench.people())))
    stored = str(bench.admin.execute("SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL").fetchall())
    for password in (credential.password, bench.vendor.password, bench.programmer.password):
        assert password.reveal() not in stored
