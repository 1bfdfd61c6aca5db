"""What is reported, and since when it is so."""

from datetime import UTC, datetime, timedelta, timezone

from rolevend.kinds import Agent, VendedRole, parse
from rolevend.kinds.status import LONGEST_MESSAGE, ConditionUpdate, body, reported
from rolevend.kinds.text import timestamp_text
from tests.support.manifests import valid

EARLIER = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NOW = EARLIER + timedelta(minutes=5)


def test_a_condition_keeps_its_time_while_its_status_stays():
    before = reported([ConditionUpdate("Ready", "False", "Connecting", "no answer")], [], generation=1, now=EARLIER)

    after = reported([ConditionUpdate("Ready", "False", "Refused", "wrong password")], before, generation=2, now=NOW)

    assert (after[0].reason, after[0].observed_generation, after[0].last_transition_time) == ("Refused", 2, EARLIER)


def test_a_condition_has_a_new_time_when_its_status_changes():
    before = reported([ConditionUpdate("Ready", "False", "Connecting", "no answer")], [], generation=1, now=EARLIER)

    after = reported([ConditionUpdate("Ready", "True", "Live", "fine")], before, generation=1, now=NOW)

    assert after[0].last_transition_time == NOW


def test_what_nothing_was_found_about_stays_as_it_was_and_where_it_was():
    before = reported(
        [ConditionUpdate("Accepted", "True", "Valid", "a"), ConditionUpdate("Ready", "True", "Live", "b")], [], generation=1, now=EARLIER
    )

    after = reported(
        [ConditionUpdate("Ready", "False", "Down", "c"), ConditionUpdate("New", "True", "Yes", "d")], before, generation=2, now=NOW
    )

    assert [condition.type for condition in after] == ["Accepted", "Ready", "New"]
    assert after[0] == before[0]


def test_a_message_is_cut_where_the_schema_ends():
    condition = reported([ConditionUpdate("Ready", "False", "Long", "x" * 100_000)], [], generation=1, now=NOW)[0]

    assert len(condition.message) == LONGEST_MESSAGE


def test_a_condition_is_written_as_kubernetes_writes_conditions_and_read_back_the_same():
    condition = reported([ConditionUpdate("Ready", "True", "Live", "fine")], [], generation=7, now=NOW)[0]

    written = body(condition)

    assert written == {
        "type": "Ready",
        "status": "True",
        "observedGeneration": 7,
        "lastTransitionTime": "2026-11-24T12:05:00Z",
        "reason": "Live",
        "message": "fine",
    }
    assert parse(Agent, {**valid("Agent"), "status": {"conditions": [written]}}).status.condition("Ready") == condition


def test_a_status_is_written_without_what_is_not_known_and_without_kopfs_notes():
    role = parse(VendedRole, {**valid("VendedRole"), "status": {"roleName": "R", "kopf": {"progress": {}}}})

    assert body(role.status) == {"roleName": "R", "conditions": [], "platforms": []}


def test_a_time_is_whole_seconds_of_utc_and_never_later_than_it_was():
    moment = datetime(2026, 11, 24, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))

    assert timestamp_text(moment) == "2026-11-24T12:00:00Z"
