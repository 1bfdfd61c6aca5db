"""The explanation of one table for a model: what the role reads of it, or which offers show it. Does not depend on a tool framework.

A table that the role does not read is explained by the decision of the API alone, which answers alike for one that does not exist, one
without an offer, and one whose offer is not discoverable. So each of them costs one call, and has one text.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rolevend_client import access_messages, messages
from rolevend_client.errors import RolevendError
from rolevend_client.run import ForTheModel, Run
from rolevend_client.values import Decision, Resource

TABLE = "Explain this table alone: one that list_tables names, or any as schema.table."
PLATFORM = "The platform of the table, if there are several."


class TableQuestion(NamedTuple):
    platform: str
    table: Resource
    name: str | None
    """The name that the role finds it by; None: the role does not read it."""


def question(run: Run, platforms: Sequence[str], table: str, platform: str | None) -> TableQuestion:
    """Return the table to decide on. Raises `ForTheModel` if it is not named in full."""
    if platform is not None and platform not in platforms:
        raise ForTheModel(f"There is no platform {messages.quoted(platform)} here; name one of {', '.join(platforms)}.")
    found = [each for each in run.tables_named(table) if platform in (None, each[0])]
    if len(found) == 1:
        place, name, read = found[0]
        return TableQuestion(place, Resource(read.schema, read.table), name)
    if found or (platform is None and len(platforms) != 1):
        raise ForTheModel(f"Name the platform of the table: one of {', '.join(platforms)}.")
    schema, dot, bare = table.partition(".")
    if not (schema and dot and bare):
        raise ForTheModel(f"{messages.no_such_table(table, ())} Name it as schema.table to learn which offers show it.")
    return TableQuestion(platform or platforms[0], Resource(schema, bare), None)


def explained(run: Run, asked: TableQuestion, decision: Decision | RolevendError) -> str:
    """Return the text. An error: the API did not decide."""
    if isinstance(decision, RolevendError):
        unknown = f"The API does not say now which offers show it ({decision.code or 'no answer'})."
        return f"{_read(run, asked) or _not_read(asked)}\n{unknown}"
    if asked.name is not None:
        offers = decision.explanation.offers if decision.granted else decision.missing.offers
        more = (
            f"More of it can be requested: {access_messages.offered(offers)}" if offers else "No offer that can be named shows more of it."
        )
        return f"{_read(run, asked)}\n{more}"
    if decision.granted:
        return f"{_not_read(asked)} A new role would: this one was vended before the grant, or for an offer alone."
    return access_messages.not_granted(_not_read(asked), decision)


def _read(run: Run, asked: TableQuestion) -> str:
    return "" if asked.name is None else messages.granted(run.role, asked.platform, asked.name)


def _not_read(asked: TableQuestion) -> str:
    return f"The role reads no table {messages.quoted('.'.join(asked.table))} on {asked.platform}."
