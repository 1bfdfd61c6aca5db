"""One database is the ledger: a token proves one VendedRole in every mode, and after every step from one mode to the next."""

import uuid
from collections.abc import Iterator

import pytest

from testbed.installation import NAMESPACE
from tests.support.ledger import PLATFORM, become, has_lease
from tests.support.proving import Proven
from tests.support.site import WAREHOUSE, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually


@pytest.fixture
def proven(tenant: Tenant) -> Iterator[Proven]:
    """Its tokens are recorded as before when the test is over."""
    become(tenant.site, "Joining")
    yield Proven(tenant)
    mode = tenant.site.cluster.read(PLATFORM).body["spec"]["postgres"]["ledger"]
    for each in ("Joining", "Disabled") if mode == "Enabled" else ("Disabled",):
        become(tenant.site, each)


def test_across_every_step_of_the_ledger_a_token_proves_one_vended_role(proven: Proven):
    proven.ready_to_ask()
    earlier: str | None = None
    for mode in ("Disabled", "Joining", "Enabled", "Joining", "Disabled"):
        become(proven.site, mode)
        if earlier is not None:
            proven.ask(earlier).refused("TokenReplayed", granted="False")
        token_id = str(uuid.uuid4())
        earlier = proven.token(jti=token_id)

        proven.ask(earlier).ready()

        assert has_lease(proven, token_id) == (mode != "Enabled")
        proven.ask(earlier).refused("TokenReplayed", granted="False")


@pytest.mark.long
def test_the_ledger_alone_remembers_after_a_restart_and_after_the_role_is_gone(proven: Proven):
    become(proven.site, "Enabled")
    proven.ready_to_ask()
    kept, gone = str(uuid.uuid4()), str(uuid.uuid4())
    texts = {token_id: proven.token(jti=token_id) for token_id in (kept, gone)}
    live, ended = (proven.ask(texts[token_id]).ready() for token_id in (kept, gone))
    ended.delete()
    ended.gone()

    proven.site.operator.kill()
    proven.site.start_operator()

    for text in texts.values():
        proven.ask(text).refused("TokenReplayed", granted="False")
    assert live.ready().rows("SELECT person_id FROM people ORDER BY 1") == [(1,), (2,)]
    assert not has_lease(proven, kept)
    assert not has_lease(proven, gone)


def test_a_token_without_a_ledger_that_answers_waits_and_leaves_no_lease(proven: Proven, site: Site):
    """Kubernetes knows no token that the ledger recorded."""
    become(site, "Enabled")
    proven.ready_to_ask()
    token_id = str(uuid.uuid4())
    vendor = site.cluster.read(PLATFORM).body["spec"]["credentials"]["vendorSecretRef"]["name"]
    login = site.text_of(site.secret(NAMESPACE, vendor))
    site.put_secret(NAMESPACE, vendor, **{**login, "password": "wrong"})
    try:
        site.wait_for_platform(WAREHOUSE, "False")
        asked = proven.ask(proven.token(jti=token_id))
        eventually(lambda: "the ledger of used tokens, is not connected" in asked.refused("PlatformUnavailable"))
        assert not has_lease(proven, token_id)
    finally:
        site.put_secret(NAMESPACE, vendor, **login)
    assert asked.ready().rows("SELECT person_id FROM people ORDER BY 1") == [(1,), (2,)]
    assert not has_lease(proven, token_id)
