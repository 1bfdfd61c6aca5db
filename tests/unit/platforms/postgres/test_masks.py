"""What each mask is in PostgreSQL, word for word: what it shows is tried on a real one, in the conformance suite."""

from psycopg import sql

from rolevend.catalog import Family
from rolevend.platforms.postgres.build.masks import mask_text
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit
from tests.support.golden import golden
from tests.support.policies import NATIVE

MASKS: tuple[Mask, ...] = (
    Clear(),
    Partial(-1),
    Partial(0),
    Partial(1),
    Partial(4),
    Round("100"),
    Round("0.25"),
    *map(DateTrunc, Unit),
    Regex("^([a-z])'", r"\1*"),
    Hash(),
    Constant("it's"),
    Constant("7"),
    Constant("1970-01-01"),
    Nullify(),
)
TYPES = [*((native, family) for family, native in NATIVE.items()), ("character varying", Family.TEXT), ("real", Family.FLOAT)]


def test_a_mask_of_a_type_is_written_with_these_words():
    def text(mask: Mask, native: str, family: Family) -> str:
        return mask_text(mask, sql.SQL("t.{}").format(sql.Identifier("c")), family, native).as_string()

    lines = [f"-- {mask}, {native}\n{text(mask, native, family)}" for mask in MASKS for native, family in TYPES]
    golden("postgres_masks.sql", "\n".join(lines) + "\n")


def test_a_constant_that_the_columns_type_has_no_room_for_is_null():
    """Policy shows NULL there, too. The view of such a text could not be made, and no role of its profile."""

    def shown(value: str) -> str:
        return mask_text(Constant(value), sql.Identifier("c"), Family.INTEGER, "smallint").as_string()

    assert (shown("32767"), shown("32768")) == ("'32767'::smallint", "NULL::smallint")
