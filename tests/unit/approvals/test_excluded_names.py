"""Which accounts never approve a request."""

from dataclasses import replace

import pytest

from rolevend.approvals.circumstances import excluded_names
from rolevend.decision.proof import ClientIdentity
from tests.support.registered import AGENT, REQUEST, a_snapshot

ISSUER = "https://idp.example.org"
CLIENT = replace(AGENT, identity=ClientIdentity(ISSUER, frozenset({"finbot", "finbot-canary"}), "finbot-subject"))


@pytest.mark.parametrize("prefix", ["", "oidc:", "oidc#", f"{ISSUER}#"])
@pytest.mark.parametrize("name", ["anna", "finbot", "finbot-canary", "finbot-subject"])
def test_neither_the_user_nor_an_agent_does_under_any_prefix_of_an_api_server(prefix: str, name: str):
    assert f"{prefix}{name}" in excluded_names(REQUEST, a_snapshot(agents={AGENT.name: CLIENT}))


def test_the_account_that_created_the_request_does_not():
    bot = "system:serviceaccount:agents:bot"

    assert bot in excluded_names(replace(REQUEST, requested_by=bot), a_snapshot())
