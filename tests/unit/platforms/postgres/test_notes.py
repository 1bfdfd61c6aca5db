"""The notes of a table that PostgreSQL's catalog holds as text: comments without tags, and lists of allowed values."""

import pytest

from rolevend.platforms.postgres.catalog import allowed_values, words_of


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("CHECK ((state = ANY (ARRAY['open'::text, 'it''s, done'::text])))", ("open", "it's, done")),
        ("CHECK (((kind)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))", ("a", "b")),
        ("CHECK ((\"Kind\" = ANY (ARRAY['a'::bpchar, 'b'::bpchar])))", ("a", "b")),
        ("CHECK ((level = ANY (ARRAY[1, 2, '-3'::integer])))", ("1", "2", "-3")),
        ("CHECK ((state = 'open'::text))", ("open",)),
        ("CHECK ((state <> ALL (ARRAY['open'::text])))", ()),
        ("CHECK ((lower(state) = ANY (ARRAY['open'::text])))", ()),
        ("CHECK (((state = ANY (ARRAY['a'::text])) OR (state = ANY (ARRAY['b'::text]))))", ()),
        ("CHECK (((state = 'a'::text) OR (state IS NULL)))", ()),
        ("CHECK ((state = other))", ()),
        ("CHECK ((state = E'a\\\\b'::text))", ()),
        ("CHECK ((length(state) = 3))", ()),
        (f"CHECK ((state = ANY (ARRAY[{', '.join(map(str, range(21)))}])))", ()),
    ],
)
def test_only_a_short_list_is_a_list_of_values(constraint: str, values: tuple[str, ...]):
    assert allowed_values(constraint) == values


def test_a_comment_has_no_tags():
    assert words_of("Who claims\nrolevend: pii=name, domain=claims\n Rolevend : oops\nand why") == "Who claims and why"
    assert words_of("rolevend: pii=name") == ""
