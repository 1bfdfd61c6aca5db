"""The changed fields that a comparison of grants does not read: who may ask, with which proof, for how long, and with which tools."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rolevend.kinds import AccessPolicy, Agent, DataPlatform, IdentityProvider, Resource, UserAttributes
from rolevend.policytools.folder import Folder

_MOST_FIELDS: Final = 5
_COMPARED: Final[Mapping[type[Resource], tuple[str, ...]]] = {
    AccessPolicy: ("onRequest.display", "onRequest.notify", "onRequest.automatic[].name", "onRequest.automatic[].matchConditions"),
    Agent: ("handle", "onBehalfOf.users", "combination", "suspend"),
    DataPlatform: ("domains", "suspend", "agents[].attributes", "agents[].widestCombination"),
    IdentityProvider: (),
    UserAttributes: (),
}
"""The fields that the comparison reads, or that give nobody access. Kinds that are not here are compared as a whole."""


def uncompared(old: Folder, new: Folder, *, users_given: bool) -> Iterator[str]:
    """Yield a sentence for each object with such a change. `users_given`: the UserAttributes of the folders are not read."""
    before, after = ({document.name: each for document, each in side.found.values()} for side in (old, new))
    for name in sorted(before.keys() | after.keys()):
        fields = _fields(before.get(name), after.get(name), users_given=users_given)
        if fields:
            more = f" and {len(fields) - _MOST_FIELDS} more" if len(fields) > _MOST_FIELDS else ""
            yield f"{name}: not compared in full: {', '.join(fields[:_MOST_FIELDS])}{more}"
    for space in sorted(old.namespaces.keys() | new.namespaces.keys()):
        if old.namespaces.get(space) != new.namespaces.get(space):
            yield f"Namespace {space}: not compared in full: metadata.labels, by which a DataPlatform may admit its agents"


def _fields(before: Resource | None, after: Resource | None, *, users_given: bool) -> list[str]:
    each = after or before
    if each is None or type(each) not in _COMPARED or (isinstance(each, UserAttributes) and not users_given):
        return []
    old, new = (_spec(side) for side in (before, after))
    if before is None or after is None:  # all that an object grants is compared, but not the tools of an agent and the meaning of claims
        if isinstance(each, IdentityProvider | UserAttributes):
            return ["spec"]
        old, new = ({"tools": side.get("tools")} if isinstance(each, Agent) else {} for side in (old, new))
    elif isinstance(each, AccessPolicy):
        old, new = ({"onRequest": side.get("onRequest")} for side in (old, new))
        if None in (old["onRequest"], new["onRequest"]):  # it grants on one side, and is an offer on the other
            return []
    compared = {f"spec.{field}" for field in _COMPARED[type(each)]}
    return [field for field, general in _differing("spec", "spec", old, new) if general not in compared]


def _spec(resource: Resource | None) -> dict[str, Any]:
    spec = getattr(resource, "spec", None)
    return {} if spec is None else dict(spec.model_dump(mode="json", by_alias=True, exclude_none=True))


def _differing(path: str, general: str, old: Any, new: Any) -> Iterable[tuple[str, str]]:
    """Yield the smallest differing members, each with its path, and its path without places in lists."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differing(f"{path}.{key}", f"{general}.{key}", old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and all(isinstance(each, dict) for each in (*old, *new)):
        for place, pair in enumerate(zip(old, new, strict=True)):
            yield from _differing(f"{path}[{place}]", f"{general}[]", *pair)
    elif old != new:
        yield path, general
