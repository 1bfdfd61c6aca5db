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
from rolevend.kinds.parse import Faults, parse_part, part_faults
from rolevend.kinds.policy_test import CASES, AssumedApproval, Case, PolicyTest, is_policy_test
from rolevend.kinds.statements import masks
from rolevend.model import ObjectName, PlatformName
from rolevend.policy.activation import find_offer
from rolevend.policy.offer import Activation, Narrowing
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
        if terms is not None:
            yield from _offer_faults(f"cases[{number}]", case, snapshot, terms.name)
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


def _offer_faults(place: str, case: Case, snapshot: Snapshot, platform: PlatformName) -> Iterator[InvalidInput]:
    shapes = snapshot.shapes.get(platform)
    named = [(f"{place}.approved[{number}].offer", each.offer) for number, each in enumerate(case.approved or ())]
    named += [(f"{place}.offers[{number}]", each) for number, each in enumerate(case.offers or ())]
    for field, text in named:
        name = _object_name(text)
        if name not in snapshot.offers or (shapes is not None and find_offer(shapes.index, name) is None):
            grants = shapes is not None and any(each.id == name for each in shapes.index.policies)
            reason = (
                f"AccessPolicy {name} is no offer, because it has no spec.onRequest" if grants else f"no accepted offer is named {name}"
            )
            yield InvalidInput(field, f"{reason} on DataPlatform {platform}{closest(text, map(str, snapshot.offers))}")
    for number, approved in enumerate(case.approved or ()):
        offer = snapshot.offers.get(_object_name(approved.offer))
        if offer is not None and offer.purposes is not None and case.purpose not in offer.purposes:
            purposes = " or ".join(sorted(offer.purposes))
            yield InvalidInput(f"{place}.purpose", f"AccessPolicy {offer.offer} can be asked for only with the purpose {purposes}")
        faults = Faults()
        masks(approved.masks or (), f"{place}.approved[{number}].masks", faults)
        yield from faults.found


def _object_name(text: str) -> ObjectName:
    namespace, _, name = text.partition("/")
    return ObjectName(namespace, name)


def requested(approved: AssumedApproval) -> Activation:
    """Return the offer with the narrowing of its request."""
    tables = None if approved.tables is None else frozenset(TableId(each.schema_name, each.table) for each in approved.tables)
    columns = None if approved.columns is None else frozenset(approved.columns)
    return Activation(_object_name(approved.offer), (Narrowing(tables, columns),))


def granted(approved: AssumedApproval) -> Activation:
    """Return the offer with the narrowings of its request and of an approver. `approved` has no fault."""
    asked = requested(approved)
    added = masks(approved.masks or (), "masks", Faults())
    return Activation(asked.offer, (*asked.narrowings, *([Narrowing(masks=added)] if added else [])))


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
