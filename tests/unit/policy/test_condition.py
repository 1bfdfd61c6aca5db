"""Conditions in CEL: what is admitted, what is refused with a way out, and that nothing but `true` grants."""

import subprocess
import sys
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolevend.errors import InvalidInput
from rolevend.model import Attributes, ObjectName, PlatformName, User
from rolevend.policy.cel import MAXIMUM_LENGTH
from rolevend.policy.condition import Answers, admit
from rolevend.policy.request_context import RequestContext
from tests.support.golden import golden

ANNA = Attributes.of({"department": ["claims", "motor"], "home office": ["yes"], "level": ["3"]}.items())
ASKING = RequestContext(
    user=User("https://idp.example.org", "anna"),
    agent=ObjectName("agents", "finbot"),
    agent_attributes=Attributes.of({"trust": ["high"]}.items()),
    platform=PlatformName("warehouse"),
    purpose="fraud-review",
    expiration_seconds=900,
)
FIELD = "spec.users.matchConditions[c].expression"
UNANSWERED, ODD = "cannot be answered: its parts are of types that do not go together", "answers something else than true or false"


def unmet(text: str, asking: RequestContext = ASKING, attributes: Attributes = ANNA) -> str:
    return Answers(attributes, asking).unmet(admit("c", text, FIELD))


@pytest.mark.parametrize("text", ["user.subject == 'anna'", "agent.name != '' && 'x' in user.attributes.department", "has(user.issuer)"])
def test_one_on_agents_reads_nothing_of_the_user(text: str):
    with pytest.raises(InvalidInput, match="user is not known here; it may read agent and request"):
        admit("c", text, FIELD, of_agent=True)
    assert admit("c", "request.purpose == 'x' && 'high' in agent.attributes.trust", FIELD, of_agent=True).agent_reads == {"trust"}


@pytest.mark.parametrize(
    "text",
    [
        "request.purpose in ['fraud-review', 'reporting']",
        "request.purpose == 'fraud-review' && request.platform == \"warehouse\"",
        "request.expirationSeconds <= 900",
        "'claims' in user.attributes.department",
        "'yes' in user.attributes['home office']",
        "user.attributes.department.exists(one, one.startsWith('mo'))",
        "user.attributes.department.exists(one, one in agent.attributes.trust) || true",
        "user.attributes.department.filter(one, one != 'motor').size() == 1",
        "size(user.attributes.department) == 2",
        "!has(user.attributes.suspended)",
        "has(request.purpose) ? request.purpose.endsWith('review') : false",
        "user.issuer == 'https://idp.example.org' && user.subject == 'anna'",
        "agent.namespace == 'agents' && agent.name == 'finbot' && 'high' in agent.attributes.trust",
        "user.subject != 'it is // no comment (nor user.nope)'",
        "\n  has(request.purpose)\n",
        "user.attributes.department.exists(one, one == 'claims') && 'claims' in user.attributes.department"
        " && 'motor' in user.attributes.department",
        "user.attributes['home office'].exists(one, one == 'yes')",
    ],
)
def test_what_holds_is_met(text: str):
    assert unmet(text) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("request.purpose == 'reporting'", "does not hold"),
        ("'x' in user.attributes.suspended", "reads suspended, which is not known"),
        ("user.attributes.suspended.all(one, one == 'x')", "reads suspended, which is not known"),
        ("!('x' in agent.attributes.risk)", "reads risk, which is not known"),
        ("[request.purpose, 3][1] == 'claims'", "does not hold"),
        ("[request.purpose, 3][0] < 3", UNANSWERED),
        ("user.attributes.department[2] == 'claims'", UNANSWERED),
        ("[request.purpose, 3][0]", ODD),
    ],
)
def test_whatever_is_not_true_is_unmet_and_no_value_is_told(text: str, why: str):
    told = unmet(text)

    assert told == why
    assert not any(value in told for value in ("anna", "claims", "fraud-review", "high"))


@pytest.mark.parametrize("text", ["request.purpose != 'x'", "!(request.purpose in ['x'])", "request.purpose.size() >= 0"])
def test_a_purpose_that_was_not_said_is_no_purpose_that_differs(text: str):
    assert unmet(text, RequestContext()) == "reads purpose, which is not known"


NEVER = "are never equal"
OF_OTHER_TYPES = [
    (
        "request.expirationSeconds == '900'",
        27,
        "a number and a text are never equal; a number stands without quotes, 900, and a text in quotes",
    ),
    ("request.expirationSeconds != '900'", 27, NEVER),
    ("agent.name == 'finbot' && user.subject == 3", 40, "a text and a number are never equal"),
    ("user.attributes.level == 3", 23, "a list of texts and a number are never equal; ask whether a list holds a text: 'x' in"),
    ("user.attributes.level == 'gold'", 23, "a list of texts and a text are never equal"),
    ("user.attributes.level == [3]", 23, "a list of texts and a list of numbers are never equal"),
    ("user.subject == true", 14, "a text and a truth value are never equal; compare values of one type"),
    ("(user.subject == 'x') == 'true'", 23, NEVER),
    ("user.attributes.level.size() == '1'", 30, NEVER),
    ("size(user.attributes.level) != user.subject", 29, NEVER),
    ("user.attributes.level.exists(one, one == 3)", 39, NEVER),
    ("user.attributes.level[0] == 3", 26, NEVER),
    ("user.attributes.level.map(one, one.size())[0] == '3'", 47, NEVER),
    ("user.attributes.level.filter(one, one != 'x') == 'x'", 47, NEVER),
    ("has(user.subject) == 1", 19, NEVER),
    ("(has(request.purpose) ? request.purpose : 'x') == 1", 48, NEVER),
    ("(has(user.subject) ? user.issuer : has(user.issuer) ? 'x' : 'y') == 1", 66, NEVER),
    ("has(request.purpose) ? request.purpose : 3", 24, "?: answers either a text or a number; let both be of one type"),
    ("has(user.subject) ? 1 : has(user.issuer) ? true : true", 21, "?: answers either a number or a truth value"),
    ("3 in user.attributes.level", 3, "a list of texts never holds a number; a number stands without quotes"),
    ("request.expirationSeconds in ['900', '600']", 27, "a list of texts never holds a number"),
    ("user.subject in 'anna'", 14, "in asks a list, and this is a text; write in ['a', 'b'], or contains('x')"),
    ("user.subject < 3", 14, "a text and a number have no order"),
    ("user.attributes.level < ['3']", 23, "lists have no order"),
    ("1 < request.expirationSeconds < 3", 31, "a truth value and a number have no order"),
    ("user.subject && true", 1, "this is a text, and neither true nor false; compare it with a value"),
    ("true || request.expirationSeconds", 9, "this is a number, and neither true nor false"),
    ("!user.subject", 2, "this is a text, and neither true nor false"),
    ("!!user.attributes.level", 3, "this is a list of texts, and neither true nor false"),
    ("user.subject ? true : false", 1, "this is a text, and neither true nor false"),
    ("user.attributes.level.all(one, one)", 32, "this is a text, and neither true nor false"),
    ("user.subject.all(one, one == 'x')", 14, "all() goes through a list, and this is a text"),
    ("user.attributes.level.contains('3')", 23, "contains() asks a text for a part of it"),
    ("user.subject.startsWith(3)", 14, "startsWith() asks a text"),
    ("user.subject[0] == 'a'", 13, "a text has no item at a number"),
    ("user.attributes.level['a'] == 'a'", 22, "a list of texts has no item at a text"),
    ("size(request.expirationSeconds) == 3", 1, "size() takes one list or one text"),
    ("request.expirationSeconds", 1, "this is a number, and a condition is true or false; compare it with a value"),
    ("user.subject", 1, "this is a text, and a condition"),
    ("user.attributes.department", 1, "this is a list of texts, and a condition"),
    ("[request.purpose]", 1, "this is a list of texts, and a condition"),
    ("size(request.purpose)", 1, "this is a number, and a condition"),
]


@pytest.mark.parametrize(("text", "column", "told"), OF_OTHER_TYPES, ids=[text for text, *_ in OF_OTHER_TYPES])
def test_what_compares_values_that_never_go_together_is_refused_where_it_stands(text: str, column: int, told: str):
    with pytest.raises(InvalidInput) as refused:
        admit("c", text, FIELD)

    assert refused.value.field == FIELD
    assert refused.value.message.startswith(f"line 1, column {column}: ")
    assert told in refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        "user.attributes.level == ['3']",
        "user.attributes.level.map(one, one.size()) == [1]",
        "user.attributes.level.map(one, one != '2', one.size()) == [1]",
        "has(user.subject) == true",
        "(has(request.purpose) ? request.expirationSeconds : 3) < 1000",
        "has(request.purpose) ? true : has(user.issuer) ? false : 'x' == user.subject",
        "[1, 'x', user.subject][2] == 'anna'",
        "900 in [1, '3', request.expirationSeconds]",
        "user.subject < 'b' && false < has(user.subject)",
        "[user.attributes.level, ['x']].exists(one, '3' in one)",
        "!!has(user.subject)",
    ],
)
def test_what_goes_together_is_read_and_holds(text: str):
    assert unmet(text) == ""


REFUSED = [
    # Other names, and ways round the names
    "user",
    "user.password == 'x'",
    "user.attributes == user.attributes",
    "size(user.attributes) > 0",
    "'x' in user.attributes",
    "user.attributes.exists(one, one == 'x')",
    "user.attributes[user.subject] == ['x']",
    "user.attributes['depart' + 'ment'] == ['x']",
    "user['attributes']['department'] == ['x']",
    "[user].exists(one, one.attributes.department == ['x'])",
    "[user.subject].exists(user, user.attributes.department == ['x'])",
    "request.user.subject == 'anna'",
    "context.x == 1",
    "department == 'x'",
    "null == null",
    "{'a': 1}.size() == 1",
    # Functions that cost, or answer another thing each time
    "user.subject.matches('(a*)*b')",
    "timestamp('2024-01-01T00:00:00Z') < now()",
    "type(user.subject) == string",
    "dyn(user.subject) == 'x'",
    "cel.bind(x, 1, true)",
    "size",
    "user.subject.size",
    # Loops
    "user.attributes.a.all(x, user.attributes.b.all(y, x == y))",
    "user.attributes.a.all(x, true) && user.attributes.b.all(y, true)",
    "user.attributes.a.all(x, x in user.attributes.b && x in user.attributes.c)",
    "user.attributes.a.all(user, true)",
    "user.attributes.a.all(i, v, true) && i == 1 && v == 1",
    "user.attributes.a.all()",
    "user.attributes.a.all(",
    # Texts and signs that could be read in two ways
    r"user.subject == 'a\'b'",
    "user.subject == '''x'''",
    'user.subject == """x"""',
    "user.subject == r'x'",
    "user.subject == b'x'",
    "user.subject == 'a' 'b'",
    'user.subject == "it\'s"',
    "true // nothing",
    "true /* nothing */",
    "true; false",
    "true and false",
    "user.subject = 'x'",
    "user.subject === 'x'",
    "user.subject <> 'x'",
    "true & false",
    "NOT true",
    "request.purpos == 'x'",
    "1 + 1 == 2",
    "user.subject == 'x",
    "user . attributes . * == 1",
    "user.attributes.",
    "user.",
    "user.attributes['a'",
    ".user.subject == 'x'",
    "'x'.",
    f"{'a' * 50} == 'x'",
    "request.expirationSeconds == 9999999999999999999",
    "request.expirationSeconds == 0x10",
    "user\u00a0.subject == 'x'",
    "(" * 33 + "true" + ")" * 33,
    "(" * 500 + "true" + ")" * 500,
    "true" + " " * MAXIMUM_LENGTH,
    "true ||",
    "()",
    "true true",
    # The same whoever asks: always true, and loops over nothing
    "true",
    "1 == 1",
    "'user' == 'user'",
    "['a'].exists(one, one == 'a')",
    "[].all(one, one == user.subject)",
    "[ ].all(one, one == user.subject)",
    "",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_of_the_language_is_refused_where_it_stands(text: str):
    with pytest.raises(InvalidInput) as refused:
        admit("c", text, FIELD)
    assert refused.value.field == FIELD
    assert refused.value.message.startswith("line ")
    assert "; " in refused.value.message


def test_what_is_wrong_and_the_way_out_are_told_to_the_letter():
    def told(text: str) -> str:
        with pytest.raises(InvalidInput) as refused:
            admit("c", text, FIELD)
        return refused.value.message.partition("; allowed are ")[0]

    golden("conditions.txt", "".join(f"{text[:60]!r}\n    {told(text)}\n" for text in REFUSED))


def test_the_attributes_that_it_names_are_known_beforehand():
    condition = admit(
        "c", "'a' in user.attributes.department && 'yes' in user.attributes['home office'] || 'b' in agent.attributes.trust", FIELD
    )

    assert condition.reads == {"department", "home office"}
    assert condition.agent_reads == {"trust"}


def test_equal_texts_are_equal_conditions():
    text = "has(request.purpose)"
    assert admit("c", text, FIELD) == admit("c", text, FIELD) != admit("c", f"!{text}", FIELD)


def test_the_longest_loop_over_the_longest_lists_ends_soon():
    values = [f"{'x' * 250}{number:06}" for number in range(256)]
    crowded = Attributes.of({"a": values, "b": [f"{value[:-6]}-{value[-6:]}"[:256] for value in values]}.items())
    text = "user.attributes.a.all(x, !(x in user.attributes.b)" + " && x.contains('xy') == false" * 33 + ")"
    begun = time.process_time()

    assert len(text) > MAXIMUM_LENGTH * 0.9
    assert unmet(text, attributes=crowded) in ("", "does not hold")
    assert time.process_time() - begun < 1


@given(st.text(alphabet="user.atribes[]()'\"&|!=<>?:,in12 ", max_size=60))
def test_any_text_is_refused_or_answered(text: str):
    with suppress(InvalidInput):
        unmet(text)


def _larger(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["==", "!=", "<", ">=", "&&", "||", "in"])
    return st.one_of(
        st.builds("({} {} {})".format, parts, operators, parts),
        st.builds("({} ? {} : {})".format, parts, parts, parts),
        parts.map("!{}".format),
        parts.map("size({})".format),
        st.builds("{}.contains({})".format, parts, parts),
        st.builds("user.attributes.level.exists(one, one {} {})".format, operators, parts),
    )


LEAVES = ["user.subject", "'anna'", "3", "request.expirationSeconds", "user.attributes.department", "['anna']", "[3]", "true"]


@given(st.recursive(st.sampled_from(LEAVES), _larger, max_leaves=6))
def test_what_is_read_is_true_or_false_wherever_all_that_it_reads_is_known(text: str):
    with suppress(InvalidInput):
        assert unmet(text) in ("", "does not hold"), text


def test_the_command_line_of_the_library_stays_out():
    code = "import sys, rolevend.policy.condition as c; print(sorted({'typer', 'rich', 'prompt_toolkit'} & sys.modules.keys()))"

    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"
