"""The scope of an object: the schemas that DataPlatforms give to its namespace alone. Pure.

If two namespaces own a schema, neither wins, and nothing of it is granted: a reader of both policies could not know which one holds.
"""

from collections.abc import Iterable, Mapping, Sequence

from rolevend.catalog import matches
from rolevend.decision.admission import PlatformAdmission
from rolevend.kinds import AccessPolicy, DataPlatform, Resource, TagBinding, values
from rolevend.kinds.status import ConditionUpdate, shortened
from rolevend.model import PlatformName
from rolevend.policy.vocabulary import closest

CONTESTED = "OwnershipConflict"


def schemas_in_scope(
    resource: Resource, refs: Iterable[str], terms: Mapping[PlatformName, PlatformAdmission]
) -> list[tuple[PlatformName, frozenset[str]]]:
    names = [PlatformName(ref) for ref in refs if PlatformName(ref) in terms]
    return [(name, terms[name].schemas_of[resource.namespace]) for name in names if resource.namespace in terms[name].schemas_of]


def scope_condition(resource: AccessPolicy | TagBinding, terms: Mapping[PlatformName, PlatformAdmission]) -> ConditionUpdate | None:
    """Return the condition that keeps the object from platforms that it names, or None. `CONTESTED` concerns only some of their schemas."""
    refs = [ref.name for ref in resource.spec.platform_refs]
    unknown = [ref for ref in refs if PlatformName(ref) not in terms or terms[PlatformName(ref)].closed]
    if unknown:
        return _not_accepted("PlatformUnknown", unknown_platforms(unknown, terms))
    without = [ref for ref in refs if resource.namespace not in terms[PlatformName(ref)].schemas_of]
    if without:
        gives = f"DataPlatform {', '.join(without)} gives no schema to namespace {resource.namespace}"
        return _not_accepted("NotPermitted", f"{gives}; see its spec.domains")
    about = _schemas(resource)
    contested = [
        f"DataPlatform {ref} gives schema {schema} to namespace {_others(resource.namespace, owners)}, too"
        for ref in refs
        for schema, owners in sorted(terms[PlatformName(ref)].contested.items())
        if resource.namespace in owners and any(matches(pattern, schema) for pattern in about)
    ]
    if contested:
        return _not_accepted(
            CONTESTED, f"{shortened(contested)}: nothing of that is granted until its spec.domains give it to one namespace"
        )
    return None


def unknown_platforms(names: Sequence[str], terms: Mapping[PlatformName, PlatformAdmission]) -> str:
    known = [name for name, each in terms.items() if not each.closed and name not in names]
    return f"no accepted DataPlatform is named {', '.join(names)}{closest(names[0], known)}"


def ownership_condition(platform: DataPlatform) -> ConditionUpdate:
    """Return the condition `Owned`: True if each schema has one owner."""
    contested = values.contested(platform)
    if not contested:
        return ConditionUpdate("Owned", "True", "OneOwner", "no schema is given to two namespaces")
    shown = shortened([f"schema {schema} is given to namespaces {' and '.join(names)}" for schema, names in sorted(contested.items())])
    return ConditionUpdate(
        "Owned", "False", "OwnershipConflict", f"spec.domains: {shown}. Nothing of that is granted until it is given to one namespace"
    )


def _not_accepted(reason: str, cause: str) -> ConditionUpdate:
    return ConditionUpdate("Accepted", "False", reason, f"spec.platformRefs: {cause}")


def _others(namespace: str, owners: Sequence[str]) -> str:
    return " and ".join(owner for owner in owners if owner != namespace)


def _schemas(resource: AccessPolicy | TagBinding) -> list[str]:
    """Return the patterns of the schemas that it selects."""
    if isinstance(resource, TagBinding):
        tables, columns = resource.spec.tables or (), resource.spec.columns or ()
        return [*(each.schema_name for each in tables), *(each.schema_name for each in columns)]
    names = resource.spec.tables.match_names
    return ["*"] if names is None else [each.schema_name for each in names]
