"""What kubectl apply warns of, and lets in: the operator decides."""

import pytest

from tests.support.installed import Cluster
from tests.support.manifests import changed, valid
from tests.support.waiting import eventually

SUBQUERY = "subqueries are not allowed in a row filter, so the operator will not accept this object"


@pytest.mark.parametrize(
    ("row_filter", "said"),
    [
        ("country IN (SELECT code FROM allowed)", SUBQUERY),
        ("EXISTS (\nselect 1)", SUBQUERY),
        ("\"a name\" = 'text' AND country = any (user_attr('countries'))", SUBQUERY),
        ("country LIKE 'D%'", "pattern matching is not allowed"),
        ("filed_on > '2024-01-31'::date", "casts are not allowed"),
    ],
)
@pytest.mark.parametrize(("kind", "field"), [("AccessPolicy", "spec.rowFilter"), ("Guardrail", "spec.rowRestriction")])
def test_a_row_filter_that_will_be_refused_is_let_in_with_a_warning(cluster: Cluster, kind: str, field: str, row_filter: str, said: str):
    body = changed(valid(kind, "warned"), field, row_filter)

    def warned() -> bool:
        answer = cluster.create(body, dry_run=True)
        assert answer.ok, answer.message
        return any(said in each for each in answer.warnings)

    eventually(warned, within=30)


@pytest.mark.parametrize(
    "row_filter",
    [
        "country IN (user_attr('countries'))",
        "note = 'please select (select with like ::'",
        "\"select\" = 'it''s any' AND \"like\" IS NULL",
        "selected = TRUE OR liked = 'all'",
    ],
)
def test_words_in_texts_and_names_are_no_reason(cluster: Cluster, row_filter: str):
    answer = cluster.create(changed(valid("AccessPolicy", "warned"), "spec.rowFilter", row_filter), dry_run=True)

    assert answer.ok, answer.message
    assert answer.warnings == ()


def test_an_object_that_is_refused_has_the_message_of_its_definition(cluster: Cluster):
    answer = cluster.create(changed(valid("AccessPolicy", "warned"), "spec.rowFilter", 7), dry_run=True)

    assert not answer.ok
    assert "spec.rowFilter" in answer.message
