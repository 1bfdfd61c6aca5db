"""Files of cases, checked against the objects and the catalog before a case is run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rolevend.catalog import Catalog, Family, Table, TableId
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.tools import SNOWFLAKE
from rolevend.errors import InvalidInput
from rolevend.kinds import values
from rolevend.kinds.catalog_file import FORMAT
from rolevend.kinds.parse import parse_part, part_faults
from rolevend.kinds.policy_test import CASES, PolicyTest, is_policy_test
from rolevend.model import ObjectName, PlatformName
from rolevend.policy.vocabulary import closest
from rolevend.policytools.decisions import unknown_agent
from rolevend.policytools.folder import Folder, Refused
from rolevend.policytools.manifests import Document


@dataclass(frozen=True, slots=True)
class CaseFile:
    document: Document
    test: PolicyTest


def read_cases(folder: Folder) -> tuple[list[CaseFile], list[Refused]]:
    """Return the readable files, and the faults of the others."""
    files: list[CaseFile] = []
    refused: list[Refused] = []
    for document in folder.cases:
        faults = _unreadable(document)
        if faults:
            refused.append(Refused(document, faults))
        else:
            files.append(CaseFile(document, parse_part(PolicyTest, document.body)))
    return files, refused


def _unreadable(document: Document) -> tuple[InvalidInput, ...]:
    if not is_policy_test(document.body):
        return (InvalidInput("format", f"must be {CASES}, or {FORMAT} for a catalog"),)
    return part_faults(PolicyTest, document.body)


def faults_of(test: PolicyTest, snapshot: Snapshot, catalog: Catalog | None) -> Iterator[InvalidInput]:
    """Yield the faults that prevent a run of cases. Tables are checked only with a catalog."""
    terms = snapshot.platforms.get(PlatformName(test.platform))
    if terms is None:
        yield InvalidInput("platform", f"no DataPlatform is named {test.platform}{closest(test.platform, snapshot.platforms)}")
    elif terms.type == SNOWFLAKE:
        reason = f"DataPlatform {test.platform} is a Snowflake account, and cases are tried on PostgreSQL, which has other types"
        yield InvalidInput("platform", f"{reason}: write them for a DataPlatform of PostgreSQL that the same policies are for")
        return
    for number, case in enumerate(test.cases):
        agent = ObjectName(case.agent.namespace, case.agent.name) if case.agent else None
        if agent is not None and agent not in snapshot.agents:
            yield InvalidInput(f"cases[{number}].agent.name", unknown_agent(agent, snapshot))
    if catalog is None:
        return
    rows = [
        (f"tables[{number}]", "name", TableId(each.schema_name, each.name), "rows", each.rows) for number, each in enumerate(test.tables)
    ]
    rows += [
        (f"cases[{number}]", "table", TableId(each.schema_name, each.table), "sees", each.sees or ())
        for number, each in enumerate(test.cases)
    ]
    for place, name, table, member, table_rows in rows:
        if table in catalog.tables:
            yield from _rows(f"{place}.{member}", table_rows, catalog.tables[table])
        else:
            suggested = closest(str(table), map(str, catalog.tables))
            yield InvalidInput(f"{place}.{name}", f"{table} is not in the catalog of {test.platform}{suggested}")


def _rows(field: str, rows: Sequence[Mapping[str, Any]], table: Table) -> Iterator[InvalidInput]:
    families = {column.name: column.family for column in table.columns}
    for number, row in enumerate(rows):
        for name, value in row.items():
            place = f"{field}[{number}].{name}" if name.isidentifier() else f"{field}[{number}]"
            if name not in families:
                yield InvalidInput(place, f"table {table.id} has no column {name}{closest(name, families)}")
            elif families[name] is Family.TEXT and not isinstance(value, str | None):
                yield InvalidInput(place, f"column {name} is text: write its value in quotes, since YAML takes 007 for 7, and no for false")


def doubts_of(test: PolicyTest, snapshot: Snapshot) -> Iterator[InvalidInput]:
    """Yield probable mistakes in cases that can run."""
    terms = snapshot.platforms.get(PlatformName(test.platform))
    purposes = {purpose for each in (terms.agents if terms else ()) for purpose in each.purposes}
    for number, case in enumerate(test.cases):
        user = values.user(case.user)
        near = "" if user in snapshot.people else closest(str(user), map(str, snapshot.people))
        if near:
            yield InvalidInput(f"cases[{number}].user", f"no accepted UserAttributes names {user}, so nothing is known of them{near}")
        if case.purpose and terms and case.purpose not in purposes:
            why = f"DataPlatform {test.platform} lets no agent say {case.purpose}, so a request with it would be denied"
            yield InvalidInput(f"cases[{number}].purpose", why + closest(case.purpose, purposes))
