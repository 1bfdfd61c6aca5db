"""Labels of VendedRoles: valid whatever the names are, and never a person."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rolevend.kube.client import Body
from rolevend.roles.objects import role_labels

VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
SUBJECT = "anna.smith@example.org"


def role(agent: str = "finbot", *platforms: str, handles: str = "FINBOT_ANNA", **spec: Any) -> Body:
    user = {"issuer": "https://idp.example.org", "subject": SUBJECT}
    refs = [{"name": each} for each in platforms or ("warehouse",)]
    annotations = {"rolevend.dev/handles": handles} if handles else {}
    return {"metadata": {"annotations": annotations}, "spec": {"agentRef": {"name": agent}, "user": user, "platformRefs": refs, **spec}}


def test_agent_user_platforms_and_purpose_are_labels():
    assert role_labels(role("finbot", "warehouse", "crm", purpose="fraud-review")) == {
        "rolevend.dev/agent": "finbot",
        "rolevend.dev/user-handle": "ANNA",
        "rolevend.dev/purpose": "fraud-review",
        "platform.rolevend.dev/warehouse": "",
        "platform.rolevend.dev/crm": "",
    }


def test_a_name_that_no_label_can_hold_has_none():
    long = "a" * 64

    assert role_labels(role(long, long, handles="")) == {}


@given(agent=st.text(), platform=st.text(min_size=1), handles=st.text(), purpose=st.text())
def test_every_label_is_valid_and_none_holds_the_subject(agent: str, platform: str, handles: str, purpose: str):
    labels = role_labels(role(agent, platform, handles=handles, purpose=purpose))

    for key, value in labels.items():
        assert len(value) <= 63
        assert VALUE.fullmatch(value)
        assert len(key.partition("/")[2]) <= 63
        assert VALUE.fullmatch(key.partition("/")[2])
        assert SUBJECT not in key + value
