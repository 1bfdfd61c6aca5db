"""Names of roles, built and taken apart."""

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolevend.errors import InvalidInput
from rolevend.model import AgentHandle, Uid, User, UserHandle
from rolevend.naming import (
    agent_handle,
    configured_user_handle,
    decode_uid,
    encode_uid,
    parse_role_name,
    role_name,
    user_handle,
)

KEY = bytes(range(32))
UID = Uid("6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c")

uids = st.integers(0, 2**128 - 1).map(lambda number: Uid(str(UUID(int=number))))
agents = st.text("ABCXYZ019", min_size=1, max_size=10).map(AgentHandle)
people = st.text("ABCXYZ019", min_size=1, max_size=11).map(UserHandle)


def test_a_role_name_says_which_agent_acted_for_whom():
    assert role_name(AgentHandle("FINBOT"), UserHandle("E10442"), UID) == "IMMUTA_VENDED_FINBOT_E10442_3F3G59W7SD9GXRMP8D3RQKMJTW"


@given(agents, people, uids)
def test_a_role_name_fits_and_gives_its_parts_back(agent, person, uid):
    name = role_name(agent, person, uid)
    parts = parse_role_name(name)

    assert len(name.encode()) <= 63
    assert (parts.agent, parts.user, parts.uid) == (agent, person, uid)


def test_the_longest_name_has_63_bytes():
    assert len(role_name(AgentHandle("A" * 10), UserHandle("U" * 11), UID)) == 63


@given(uids)
def test_a_uid_in_base32_has_one_spelling(uid):
    text = encode_uid(uid)

    assert len(text) == 26
    assert decode_uid(text) == uid


@pytest.mark.parametrize(
    "name",
    [
        "",
        "postgres",
        "IMMUTA_VENDED_FINBOT_E10442",
        "IMMUTA_VENDED_FINBOT_E10442_3F3G59W7SD9GXRMPCD3RQKMJT",
        "IMMUTA_VENDED_FINBOT_E10442_3F3G59W7SD9GXRMP8D3RQKMJTW\n",
        "IMMUTA_VENDED_FINBOT_E10442_8F3G59W7SD9GXRMPCD3RQKMJTW",
        "IMMUTA_VENDED_FINBOT_E10442_3F3G59W7SD9GXRMPCD3RQKMJTI",
        "IMMUTA_VENDED_finbot_E10442_3F3G59W7SD9GXRMP8D3RQKMJTW",
        "immuta_vended_finbot_e10442_3f3g59w7sd9gxrmpcd3rqkmjtw",
        "IMMUTA_VENDED_FINBOTFINBOT_E10442_X_3F3G59W7SD9GXRMP8D3RQKMJTW",
        "IMMUTA_VENDED_FINBOT_٤٢_3F3G59W7SD9GXRMP8D3RQKMJTW",
    ],
)
def test_another_name_is_refused_and_a_good_one_shown(name):
    with pytest.raises(InvalidInput, match="one looks like IMMUTA_VENDED_FINBOT_E10442_") as refusal:
        parse_role_name(name)

    example = refusal.value.message.rpartition(" ")[2]
    assert parse_role_name(example).agent == "FINBOT"


@pytest.mark.parametrize("text", ["", "finbot", "FIN_BOT", "FINBOT\n", "A" * 11, "ÄGENT", "A'; DROP"])
def test_an_agents_handle_is_at_most_ten_capitals_and_digits(text):
    with pytest.raises(InvalidInput, match=re.escape("1 to 10 of the characters A-Z and 0-9")):
        agent_handle(text)
    with pytest.raises(InvalidInput):
        role_name(AgentHandle(text), UserHandle("E1"), UID)


@pytest.mark.parametrize("text", ["", "e1", "U" * 12, "jane@example.org"])
def test_a_users_handle_is_at_most_eleven_capitals_and_digits(text):
    with pytest.raises(InvalidInput, match=re.escape("1 to 11 of the characters A-Z and 0-9")):
        configured_user_handle(text)
    with pytest.raises(InvalidInput):
        role_name(AgentHandle("A"), UserHandle(text), UID)


@pytest.mark.parametrize("uid", ["", "x", UID.upper(), UID.replace("-", ""), f"{{{UID}}}", f"urn:uuid:{UID}"])
def test_a_uid_is_spelled_as_kubernetes_spells_it(uid):
    with pytest.raises(InvalidInput, match="is not a lower-case UUID with hyphens"):
        encode_uid(Uid(uid))


def test_a_users_handle_without_configuration_is_opaque_stable_and_fits():
    somebody = User("https://idp.example.org", "00u8abc")

    assert user_handle(KEY, somebody) == user_handle(KEY, somebody) == "QHXF284F34N"
    assert configured_user_handle(user_handle(KEY, somebody))
    assert user_handle(bytes(32), somebody) != user_handle(KEY, somebody)


def test_where_issuer_ends_and_subject_begins_counts():
    assert user_handle(KEY, User("ab", "c")) != user_handle(KEY, User("a", "bc"))
    assert user_handle(KEY, User("a", "b")) != user_handle(KEY, User("b", "a"))


def test_a_key_that_could_be_guessed_is_refused():
    with pytest.raises(InvalidInput, match="it needs 32"):
        user_handle(b"short", User("a", "b"))
