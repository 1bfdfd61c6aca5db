"""The conditions of a TagBinding: if it is accepted, which data it tags, and which others contradict it. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from rolevend.catalog import Catalog, TableId, TagAssignment, matches
from rolevend.decision.admission import PlatformAdmission
from rolevend.kinds import Resource, TagBinding, statements, values
from rolevend.kinds.status import ConditionUpdate, shortened
from rolevend.model import PlatformName
from rolevend.platform_runtime.state import PlatformState
from rolevend.policy.table_fit import PolicyProblem
from rolevend.policy.tags import TagConflict
from rolevend.policy.unresolved_names import no_column, no_table
from rolevend.snapshot.conditions.common import StatusEvaluation, not_ready
from rolevend.snapshot.scope import CONTESTED, schemas_in_scope

Disagreed = Mapping[str, Sequence[str]]
"""TagBinding -> its messages about data that others tag with other values."""


def evaluate_binding(
    binding: TagBinding,
    obstacle: ConditionUpdate | None,
    terms: Mapping[PlatformName, PlatformAdmission],
    states: Mapping[PlatformName, PlatformState],
    disagreed: Mapping[PlatformName, Disagreed],
) -> StatusEvaluation[Resource]:
    if obstacle is not None and obstacle.reason != CONTESTED:
        return StatusEvaluation(binding, (obstacle, not_ready(obstacle)), {"matchedTables": 0, "matchedColumns": 0})
    accepted = obstacle or ConditionUpdate("Accepted", "True", "Valid", "the binding is well formed and reaches its platforms")
    here = schemas_in_scope(binding, [ref.name for ref in binding.spec.platform_refs], terms)
    unread = [name for name, _ in here if (states.get(name) or PlatformState()).catalog is None]
    if unread:
        return StatusEvaluation(
            binding,
            (
                accepted,
                ConditionUpdate("Ready", "Unknown", "CatalogUnread", f"the tables of DataPlatform {', '.join(unread)} were not read yet"),
            ),
        )
    tables = columns = 0
    unknown: dict[PolicyProblem, None] = {}
    for name, schemas in here:
        tagged, idle = _tagged(binding, schemas, states[name].catalog or Catalog())
        tables += sum(column is None for _, column in tagged)
        columns += sum(column is not None for _, column in tagged)
        unknown |= dict.fromkeys(idle)
    counts = {"matchedTables": tables, "matchedColumns": columns}
    agree = _agree([each for name, _ in here for each in disagreed.get(name, {}).get(str(values.object_name(binding)), ())])
    return StatusEvaluation(binding, (accepted, _ready(obstacle, tables, columns), _known(list(unknown)), agree), counts, tuple(unknown))


def _tagged(binding: TagBinding, schemas: frozenset[str], catalog: Catalog) -> tuple[set[tuple[TableId, str | None]], list[PolicyProblem]]:
    """Return the tables and columns that it tags, and a problem for each entry that tags none."""
    tagged: set[tuple[TableId, str | None]] = set()
    idle = []
    for field, entry in statements.tag_entries(binding):
        given = [each for assignment in statements.within(entry, schemas) for each in catalog.given(assignment)]
        tagged.update(given)
        if not given:
            idle.append(PolicyProblem(None, field, f"{field}: {_missing(entry, schemas, catalog)}"))
    return tagged, idle


def _missing(entry: TagAssignment, schemas: frozenset[str], catalog: Catalog) -> str:
    """Return a suggestion for a name in an entry that tags nothing."""
    there = [name for name in catalog.tables if name.schema in schemas]
    named = [name for name in there if matches(entry.schema, name.schema) and matches(entry.table, name.name)]
    if entry.column is None or not named:
        return no_table(TableId(entry.schema, entry.table), there, schemas)
    return no_column(entry.column, {column.name for name in named for column in catalog.tables[name].columns})


def _known(unknown: Sequence[PolicyProblem]) -> ConditionUpdate:
    if not unknown:
        return ConditionUpdate("NamesKnown", "True", "Known", "every entry tags an object")
    messages = shortened([each.message for each in unknown])
    return ConditionUpdate("NamesKnown", "False", "Unknown", f"{messages}. A mask that selects columns by such a tag may be missing")


def _ready(obstacle: ConditionUpdate | None, tables: int, columns: int) -> ConditionUpdate:
    if obstacle is not None:
        return not_ready(obstacle)
    if not tables and not columns:
        return ConditionUpdate("Ready", "False", "NoMatch", "no table and no column has such a name")
    return ConditionUpdate("Ready", "True", "InForce", f"tags {tables} tables and {columns} columns")


def _agree(disagreed: Sequence[str]) -> ConditionUpdate:
    if not disagreed:
        return ConditionUpdate("TagsAgree", "True", "Agree", "no other TagBinding sets other values of its keys on the same data")
    counts = "All values count: In is met by any of them and NotIn by none, so a grant by In may be wider, and a mask by NotIn gone"
    return ConditionUpdate("TagsAgree", "False", "SeveralValues", f"{shortened(disagreed)}. {counts}")


def by_binding(found: Iterable[TagConflict]) -> Disagreed:
    messages: dict[str, list[str]] = {}
    for each in found:
        for place in each.values:
            others = [f"{_listed(values)} from {other}" for other, values in sorted(each.values.items()) if other != place]
            mine = f"{each.what} has {each.key} {_listed(each.values[place])} from here"
            messages.setdefault(place, []).append(", and ".join([mine, *others]))
    return messages


def _listed(values: Iterable[str]) -> str:
    return f"[{', '.join(sorted(values))}]"
