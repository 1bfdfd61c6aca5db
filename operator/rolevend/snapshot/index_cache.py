"""The policy index of each platform. A new index is derived from the last one and the changes since."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rolevend.catalog import Catalog, TagAssignment
from rolevend.decision.snapshot import ProfileCache
from rolevend.model import ClusterId, PlatformName
from rolevend.policy.index import compile_policies
from rolevend.policy.statement import Guardrail, Policy


@dataclass(frozen=True, slots=True)
class _Compiled:
    catalog: Catalog
    assignments: tuple[TagAssignment, ...]
    tagged: Catalog
    statements: tuple[tuple[Policy, ...], tuple[Guardrail, ...]]
    shapes: ProfileCache


class IndexCache:
    def __init__(self, cluster: ClusterId) -> None:
        self._cluster = cluster
        self._compiled: dict[PlatformName, _Compiled] = {}

    def shapes(
        self,
        name: PlatformName,
        catalog: Catalog,
        policies: Sequence[Policy],
        guardrails: Sequence[Guardrail],
        assignments: Sequence[TagAssignment],
    ) -> ProfileCache:
        """Return the cache of the platform. It is the same object if nothing changed."""
        tags, statements = tuple(assignments), (tuple(policies), tuple(guardrails))
        known = self._compiled.get(name)
        if known is None or known.catalog is not catalog:
            tagged = catalog.tagged(tags)
        elif known.assignments != tags:
            tagged = catalog.retagged(known.tagged, known.assignments, tags)
        elif known.statements != statements:
            tagged = known.tagged
        else:
            return known.shapes
        index = compile_policies(tagged, policies, guardrails, known.shapes.index if known else None)
        shapes = ProfileCache(index, self._cluster, catalog.functions, catalog.tools)
        self._compiled[name] = _Compiled(catalog, tags, tagged, statements, shapes)
        return shapes

    def keep(self, names: Collection[PlatformName]) -> None:
        """Forget all other platforms."""
        for gone in self._compiled.keys() - set(names):
            del self._compiled[gone]
