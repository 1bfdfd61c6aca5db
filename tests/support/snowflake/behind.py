"""SHOW and DESCRIBE of what agents use beside tables: procedures, semantic views and Cortex Search services."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tests.support.snowflake import refusals
from tests.support.snowflake.catalog import Thing
from tests.support.snowflake.engine import Work
from tests.support.snowflake.reader import Reader
from tests.support.snowflake.results import Result, table

_WORD = r'(?:"(?:[^"]|"")+"|\w+)'
_TABLES = re.compile(r"\bTABLES\s*\((?P<tables>.*?)\)", re.IGNORECASE | re.DOTALL)
_TABLE = re.compile(rf"(?:(?P<alias>{_WORD})\s+AS\s+)?(?P<name>{_WORD}(?:\.{_WORD})*)", re.IGNORECASE)
_SERVICE = re.compile(
    r"\s*ON\s+(?P<search>\w+)\s+(?:ATTRIBUTES\s+(?P<attributes>[\w, ]+?)\s+)?WAREHOUSE\s*=.*?\bAS\s+(?P<query>SELECT\b.*)",
    re.IGNORECASE | re.DOTALL,
)


def procedure(_: Work, one: Thing) -> Sequence[Any]:
    """`name` is without the arguments, which are shown without length."""
    bare, _, rest = one.name[-1].partition("(")
    arguments = re.sub(r"\(\d+(,\s*\d+)?\)", "", rest.removesuffix(")"))
    returns = re.sub(r"\(.*\)", "", one.returns)
    return (one.created, bare, one.name[1], one.name[0], f"{bare}({arguments}) RETURN {returns}", one.comment)


def describe(work: Work, thing: Thing) -> Result | None:
    match thing.kind:
        case "PROCEDURE":
            rights = str(thing.settings.get("EXECUTE AS", "OWNER")).upper()
            return table("property value", [("signature", "()"), ("language", "SQL"), ("execute as", rights), ("body", thing.body)])
        case "SEMANTIC VIEW":
            return table("object_kind object_name parent_entity property property_value", list(_of_semantic_view(work, thing)))
        case "CORTEX SEARCH SERVICE":
            service = _SERVICE.fullmatch(thing.body)
            if service is None:
                raise refusals.Unknown("this CREATE CORTEX SEARCH SERVICE")
            return table("name search_column definition", [(thing.name[-1], service["search"].upper(), service["query"])])
    return None


def _of_semantic_view(work: Work, thing: Thing) -> Iterator[Sequence[Any]]:
    found = _TABLES.search(thing.body)
    if found is None:
        raise refusals.Unknown("this CREATE SEMANTIC VIEW")
    for each in _TABLE.finditer(found["tables"]):
        base = work.access.whole("TABLE", Reader(each["name"]).name())
        alias = (each["alias"] or base[-1]).strip('"')
        for part, name in zip(("DATABASE_NAME", "SCHEMA_NAME", "NAME"), base, strict=True):
            yield "TABLE", alias, None, f"BASE_TABLE_{part}", name
    if "sample_values" in thing.body:
        yield "EXTENSION", "CA", None, "VALUE", thing.body[thing.body.index("sample_values") :]
