"""`rolevend policy check`: every fault in a folder of objects, with its position, without a cluster or a database.

The operator's own code parses, compiles and evaluates the objects, with a catalog from a file.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rolevend.catalog import TagAssignment, is_lookup_of
from rolevend.decision.admission import PlatformAdmission
from rolevend.decision.outcome import SUSPENDED
from rolevend.decision.profile_cache import ProfileCache
from rolevend.errors import InvalidInput
from rolevend.kinds import (
    AccessDecision,
    AccessPolicy,
    AccessRequest,
    DataPlatform,
    Guardrail,
    IdentityProvider,
    Resource,
    TagBinding,
    UserAttributes,
    VendedRole,
    kind_named,
    statements,
)
from rolevend.kinds.status import ConditionUpdate
from rolevend.model import ObjectName, PlatformName
from rolevend.policy.index import Index
from rolevend.policy.lookup import lookup_doubts
from rolevend.policy.table_fit import MaskFallback, PolicyProblem
from rolevend.policy.unresolved_names import unknown_attributes
from rolevend.policytools.carriers import uncarried, without_users
from rolevend.policytools.cases import doubts_of, faults_of, read_cases
from rolevend.policytools.decisions import unlabelled, without_labels
from rolevend.policytools.folder import Catalogs, Folder
from rolevend.policytools.manifests import Document, FilePosition
from rolevend.policytools.offer_check import offer_findings
from rolevend.snapshot.builder import SnapshotBuild
from rolevend.snapshot.conditions.common import StatusEvaluation
from rolevend.snapshot.conditions.guardrails import UNTIL_FIXED, guardrail_scope_condition
from rolevend.snapshot.conditions.ledger import LEDGER
from rolevend.snapshot.scope import schemas_in_scope, scope_condition

Level = Literal["error", "warning"]

_NOT_IN_GIT: Mapping[type[Resource], tuple[str, str]] = {
    VendedRole: ("a VendedRole", "ask for a role"),
    AccessRequest: ("an AccessRequest", "ask for access"),
    AccessDecision: ("an AccessDecision", "repeat a vote"),
}
_FIELD = re.compile(r"((?:spec|metadata)(?:\.\w+|\[[^\]]+\])*): ")


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    place: FilePosition
    level: Level
    object: str
    """`Kind namespace/name`, or empty if it is about a file."""
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Checked:
    files: int
    objects: int
    diagnostics: tuple[Diagnostic, ...]
    """Sorted by position."""
    notes: tuple[str, ...]
    """Checks that were skipped, and the missing input."""

    @property
    def errors(self) -> int:
        return sum(each.level == "error" for each in self.diagnostics)


def check(paths: Sequence[Path], catalogs: Catalogs) -> Checked:
    folder = Folder.read(paths)
    built = folder.build(catalogs)
    found = {
        *_refused(folder),
        *_misplaced(folder),
        *_judged(folder, built),
        *_matched(folder, built),
        *_lookups(folder, built),
        *_offers(folder, built),
        *_uncarried(folder),
        *_cases(folder, built, catalogs),
    }
    return Checked(folder.files, len(folder.found) + len(folder.refused), tuple(sorted(found)), tuple(_notes(folder, built, catalogs)))


def _refused(folder: Folder) -> Iterator[Diagnostic]:
    for unreadable in folder.unreadable:
        yield Diagnostic(unreadable.place, "error", "", "", unreadable.problem)
    for refused in folder.refused:
        for fault in refused.faults:
            yield _diagnostic(refused.document, fault)


def _misplaced(folder: Folder) -> Iterator[Diagnostic]:
    """Yield duplicates, missing namespaces, and objects that are written by agents and approvers."""
    first: dict[tuple[str, str, str], Document] = {}
    for document, resource in folder.found.values():
        key = (resource.kind, resource.namespace, resource.name)
        if key in first:
            yield _diagnostic(
                document, InvalidInput("metadata.name", f"this object is also in {first[key].place()}: one of them would count")
            )
        first.setdefault(key, document)
        if kind_named(resource.kind).scope == "Namespaced" and not resource.namespace:
            yield _diagnostic(
                document, InvalidInput("metadata.namespace", "must be said: it decides which schemas and agents this is about")
            )
        if reason := _NOT_IN_GIT.get(type(resource)):
            yield _diagnostic(document, InvalidInput("kind", f"{reason[0]} does not belong in git: each sync would {reason[1]}"), "warning")


def _judged(folder: Folder, built: SnapshotBuild) -> Iterator[Diagnostic]:
    """Yield the faults that the operator writes into conditions."""
    terms = built.snapshot.platforms
    for judgement in built.evaluations:
        document, _ = folder.found[judgement.resource.uid]
        yield from _unknown(document, judgement.unknown)
        elsewhere = not judgement.accepted or _matched_elsewhere(judgement)
        for finding in judgement.findings:
            if finding.reason == SUSPENDED:
                yield _diagnostic(document, InvalidInput("spec.suspend", finding.message.removeprefix("spec.suspend ")), "warning")
            elif finding.type == "Accepted" and finding.status == "False":
                yield from (_diagnostic(document, fault) for fault in _not_accepted(judgement.resource, finding, terms))
            elif finding.status == "False" and (finding.type in ("Owned", LEDGER) or (finding.type == "Ready" and not elsewhere)):
                yield _diagnostic(document, _located(finding.message))


def _matched_elsewhere(judgement: StatusEvaluation[Resource]) -> bool:
    """True if `Ready` is not reported here: `_matched` reports policies and guardrails, and no platform or issuer is called."""
    denies = any(finding.reason == "Denies" for finding in judgement.findings)
    return denies or isinstance(judgement.resource, AccessPolicy | DataPlatform | IdentityProvider)


def _not_accepted(resource: Resource, finding: ConditionUpdate, terms: Mapping[PlatformName, PlatformAdmission]) -> Iterator[InvalidInput]:
    """Yield every fault that blocks acceptance; the condition has only the first. Faults in the text and in the scope are independent
    of each other."""
    faults = statements.faults_of(resource)
    denies = f". {UNTIL_FIXED}" if isinstance(resource, Guardrail) else ""
    yield from (InvalidInput(fault.field, fault.message + denies) for fault in faults)
    condition: ConditionUpdate | None = finding
    if faults and isinstance(resource, AccessPolicy):
        condition = scope_condition(resource, terms)
    elif faults and isinstance(resource, Guardrail):
        condition = guardrail_scope_condition(resource, terms)
    if condition is not None and (terms or condition.reason != "PlatformUnknown"):  # without a platform among the files, a note says so
        yield _located(condition.message)


def _matched(folder: Folder, built: SnapshotBuild) -> Iterator[Diagnostic]:
    """Yield the faults that depend on a catalog."""
    written, known = _written(folder), _known_attributes(folder)
    guarding = {each.name: document for document, each in folder.found.values() if isinstance(each, Guardrail)}
    for shapes in built.snapshot.shapes.values():
        yield from _reports(written, shapes)
        for report in shapes.index.guardrail_reports:
            yield from (_diagnostic(guarding[report.guardrail], InvalidInput(each.field, each.message)) for each in report.problems)
            yield from _unknown(guarding[report.guardrail], report.unknown)
            yield from _fallbacks(guarding[report.guardrail], "spec.maskFloors", report.mask_fallbacks)
        if known:
            yield from _attributes(written, shapes.index, known)


def _written(folder: Folder) -> dict[ObjectName, Document]:
    return {ObjectName(each.namespace, each.name): document for document, each in folder.found.values() if isinstance(each, AccessPolicy)}


def _known_attributes(folder: Folder) -> frozenset[str]:
    return frozenset(attribute.key for person in folder.of(UserAttributes) for attribute in person.spec.attributes)


def _offers(folder: Folder, built: SnapshotBuild) -> Iterator[Diagnostic]:
    written = _written(folder)
    for found in offer_findings(folder.of(AccessPolicy), built.snapshot, _known_attributes(folder)):
        yield _diagnostic(written[found.offer], found.fault, found.level)


def _uncarried(folder: Folder) -> Iterator[Diagnostic]:
    """Yield the values that nobody has, and the policies that cover nobody."""
    users = folder.of(UserAttributes)
    for each in (*uncarried(folder, users), *without_users(folder, users)):
        yield _diagnostic(folder.found[each.uid][0], each.fault, "warning")


def _lookups(folder: Folder, built: SnapshotBuild) -> Iterator[Diagnostic]:
    """Yield lookup columns that may disclose hidden values."""
    snapshot = built.snapshot
    bindings = [(document, each) for document, each in folder.found.values() if isinstance(each, TagBinding)]
    for platform, shapes in snapshot.shapes.items():
        doubts = tuple(lookup_doubts(shapes.index))
        for document, binding in bindings if doubts else ():
            for field, assignment in _lookup_entries(binding, platform, snapshot.platforms):
                for doubt in doubts:
                    if is_lookup_of(assignment, doubt.table, doubt.column):
                        yield _diagnostic(document, InvalidInput(field, doubt.message), "warning")


def _lookup_entries(
    binding: TagBinding, platform: PlatformName, terms: Mapping[PlatformName, PlatformAdmission]
) -> Iterator[tuple[str, TagAssignment]]:
    for _, schemas in schemas_in_scope(binding, [ref.name for ref in binding.spec.platform_refs if ref.name == platform], terms):
        for field, entry in statements.tag_entries(binding):
            yield from ((field, each) for each in statements.within(entry, schemas) if each.lookup)


def _attributes(written: dict[ObjectName, Document], index: Index, known: frozenset[str]) -> Iterator[Diagnostic]:
    for policy in (*index.policies, *index.offers):
        for message in unknown_attributes(policy.reads, known):
            yield _diagnostic(written[policy.id], InvalidInput("spec", message), "warning")


def _reports(written: dict[ObjectName, Document], shapes: ProfileCache) -> Iterator[Diagnostic]:
    index = shapes.index
    for policy, report in zip((*index.policies, *index.offers), (*index.reports, *index.offer_reports), strict=True):
        document = written.get(report.policy)
        if document is None:  # an agent's own tables: its condition reports them
            continue
        for problem in report.problems:
            yield _diagnostic(document, InvalidInput(problem.field, problem.message))
        yield from _unknown(document, report.unknown)
        yield from _fallbacks(document, "spec.masks", report.mask_fallbacks)
        yield from (_diagnostic(document, InvalidInput("spec", sentence), "warning") for sentence in shapes.behind_tools(policy))


def _cases(folder: Folder, built: SnapshotBuild, catalogs: Catalogs) -> Iterator[Diagnostic]:
    """Yield the faults in files of cases that can be found without a run."""
    files, refused = read_cases(folder)
    yield from (_diagnostic(each.document, fault) for each in refused for fault in each.faults)
    if not built.snapshot.platforms:
        return
    for document, test in ((each.document, each.test) for each in files):
        catalog = catalogs.get(PlatformName(test.platform))
        yield from (_diagnostic(document, fault) for fault in faults_of(test, built.snapshot, catalog))
        yield from (_diagnostic(document, doubt, "warning") for doubt in doubts_of(test, built.snapshot))


def _fallbacks(document: Document, field: str, fallbacks: Iterable[MaskFallback]) -> Iterator[Diagnostic]:
    for fallback in fallbacks:
        yield _diagnostic(document, InvalidInput(field, fallback.message), "warning")


def _unknown(document: Document, problems: Iterable[PolicyProblem]) -> Iterator[Diagnostic]:
    for problem in problems:
        yield _diagnostic(document, InvalidInput(problem.field, problem.message.removeprefix(f"{problem.field}: ")), "warning")


def _notes(folder: Folder, built: SnapshotBuild, catalogs: Catalogs) -> Iterator[str]:
    if not folder.found and not folder.refused:
        yield "no object of rolevend is in these files, so nothing was judged: name the folder that holds them"
    platforms = {each.name for each in folder.of(DataPlatform)}
    named = {ref.name for policy in folder.of(AccessPolicy) for ref in policy.spec.platform_refs}
    if folder.cases and not platforms:
        yield "no DataPlatform is among these files, so whom and what the cases name was not judged"
    if named and not platforms:
        names = ", ".join(sorted(named))
        yield f"no DataPlatform is among these files, so what the policies reach was not judged: name the manifest of {names}, too"
    elif unread := sorted(platforms & named - catalogs.keys()):
        yield f"what policies match was not judged: give --catalog for {', '.join(unread)}"
    for name in sorted(catalogs.keys() - platforms if platforms else ()):
        yield f"the catalog of {name} was not used: no DataPlatform of that name is among these files"
    yield from without_labels(unlabelled(built.snapshot, built.snapshot.agents))


def _located(message: str) -> InvalidInput:
    """Split a condition's message into field and text. Not every message begins with a field."""
    found = _FIELD.match(message)
    return InvalidInput(found[1], message[found.end() :]) if found else InvalidInput("", message)


def _diagnostic(document: Document, fault: InvalidInput, level: Level = "error") -> Diagnostic:
    return Diagnostic(document.place(fault.field, fault.message), level, document.name, fault.field, fault.message)
