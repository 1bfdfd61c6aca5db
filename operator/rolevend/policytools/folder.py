"""A folder of objects as a cluster holds them after an apply, and the snapshot that the operator builds from them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from rolevend.catalog import Catalog, digest
from rolevend.errors import InvalidInput
from rolevend.kinds import (
    API_VERSION,
    GROUP,
    KINDS,
    NAME_LABEL,
    AccessPolicy,
    Agent,
    DataPlatform,
    Guardrail,
    IdentityProvider,
    Resource,
    TagBinding,
    UserAttributes,
)
from rolevend.kinds.catalog_file import FORMAT, parse_catalog
from rolevend.kinds.parse import faults, parse
from rolevend.model import ClusterId, PlatformName
from rolevend.platform_runtime.state import PlatformState
from rolevend.platforms.protocol import ServerFacts
from rolevend.policy.vocabulary import closest
from rolevend.policytools.manifests import Document, Unreadable, files_below, read_documents
from rolevend.snapshot.builder import SnapshotBuild, SnapshotBuilder, SnapshotInputs

R = TypeVar("R", bound=Resource)

Catalogs = Mapping[PlatformName, Catalog]

CLUSTER: Final = ClusterId("00000000-0000-0000-0000-000000000000")
"""Cluster id of files."""
_NO_SECRET = bytes(32)
"""Secret for handles that are never used."""
_KINDS: Final = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Refused:
    document: Document
    faults: tuple[InvalidInput, ...]


@dataclass(frozen=True)
class Folder:
    files: int
    unreadable: tuple[Unreadable, ...]
    refused: tuple[Refused, ...]
    found: Mapping[str, tuple[Document, Resource]]
    """Objects by a uid that is assigned here."""
    namespaces: Mapping[str, Mapping[str, str]]
    """Labels of the Namespaces among the objects, by name."""
    cases: tuple[Document, ...] = ()
    """Files with a format of rolevend, without catalogs."""

    @classmethod
    def read(cls, paths: Iterable[Path]) -> "Folder":
        files = files_below(paths)
        return cls.holding((document for file in files for document in read_documents(file)), len(files))

    @classmethod
    def holding(cls, documents: Iterable[Document | Unreadable], files: int = 0) -> "Folder":
        unreadable: list[Unreadable] = []
        refused: list[Refused] = []
        found: dict[str, tuple[Document, Resource]] = {}
        namespaces: dict[str, Mapping[str, str]] = {}
        cases: list[Document] = []
        for document in documents:
            if isinstance(document, Unreadable):
                unreadable.append(document)
            elif document.body.get("apiVersion") == "v1" and document.body.get("kind") == "Namespace":
                metadata = document.body.get("metadata") or {}
                namespaces[str(metadata.get("name"))] = metadata.get("labels") or {}
            elif str(document.body.get("format", "")).startswith(f"{GROUP}/"):
                cases += [document] if document.body["format"] != FORMAT else []
            elif _is_ours(document.body):
                uid = f"{len(found):08}"
                parsed = _parse(document, uid)
                if isinstance(parsed, Refused):
                    refused.append(parsed)
                else:
                    found[uid] = (document, parsed)
        return cls(files, tuple(unreadable), tuple(refused), found, namespaces, tuple(cases))

    @classmethod
    def sound(cls, paths: Sequence[Path]) -> "Folder":
        """Read a folder. Raises InvalidInput if anything is unreadable: a result from only a part would mislead."""
        return cls.read(paths).checked()

    def checked(self) -> "Folder":
        """Return the folder. Raises InvalidInput if anything in it is unreadable."""
        others = len(self.unreadable) + sum(len(refused.faults) for refused in self.refused) - 1
        everything = (
            f"and {others} more; rolevend policy check names everything" if others > 0 else "rolevend policy check names everything"
        )
        for unreadable in self.unreadable:
            raise InvalidInput("", f"{unreadable.message} ({everything})")
        for refused in self.refused:
            fault = refused.faults[0]
            place = refused.document.place(fault.field, fault.message)
            raise InvalidInput(fault.field, f"{fault.message} ({refused.document.name}, {place}; {everything})")
        return self

    def of(self, kind: type[R]) -> list[R]:
        return [resource for _, resource in self.found.values() if isinstance(resource, kind)]

    @property
    def labels(self) -> Mapping[str, Mapping[str, str]]:
        """Labels by namespace, without Agents' namespaces that have no manifest and that a DataPlatform selects by labels."""
        selectors = [each.namespace_selector.match_labels for platform in self.of(DataPlatform) for each in platform.spec.agents]
        of_agents = {agent.namespace for agent in self.of(Agent)}
        named = {name for name in of_agents if not any(asks_more(each, name) for each in selectors)}
        return {name: {NAME_LABEL: name, **self.namespaces.get(name, {})} for name in named | self.namespaces.keys()}

    @property
    def objects(self) -> SnapshotInputs:
        return SnapshotInputs(
            agents=self.of(Agent),
            platforms=self.of(DataPlatform),
            policies=self.of(AccessPolicy),
            bindings=self.of(TagBinding),
            guardrails=self.of(Guardrail),
            people=self.of(UserAttributes),
            providers=self.of(IdentityProvider),
            namespaces=self.labels,
        )

    def build(self, catalogs: Catalogs, cluster: ClusterId = CLUSTER) -> SnapshotBuild:
        states = {name: known(name, catalog) for name, catalog in catalogs.items()}
        return SnapshotBuilder(cluster, _NO_SECRET).build(self.objects, states, "")


def asks_more(labels: Mapping[str, str], namespace: str) -> bool:
    """True if a selector may match the namespace, and requires more than its name."""
    return labels.get(NAME_LABEL, namespace) == namespace and bool(labels.keys() - {NAME_LABEL})


def known(name: PlatformName, catalog: Catalog) -> PlatformState:
    """Return the state of a platform with this catalog."""
    return PlatformState(None, ServerFacts("", f"server of {name}"), catalog, digest(catalog))


def read_catalogs(paths: Iterable[Path]) -> Catalogs:
    """Return catalogs by platform, from files of `rolevend platform catalog`. Raises InvalidInput if one is no catalog."""
    catalogs: dict[PlatformName, Catalog] = {}
    for path in paths:
        for document in read_documents(path):
            if isinstance(document, Unreadable):
                raise document
            if document.body.get("format") != FORMAT:
                raise InvalidInput(str(path), f"is no catalog: its format must be {FORMAT}; rolevend platform catalog writes one")
            try:
                name, catalog = parse_catalog(document.body)
            except InvalidInput as error:
                raise InvalidInput(error.field, f"{error.message} ({document.place(error.field)})") from error
            catalogs[name] = catalog
    return catalogs


def _is_ours(body: Mapping[str, Any]) -> bool:
    """True if the object is for rolevend, even with a wrong version, which must be reported."""
    group = str(body.get("apiVersion", "")).partition("/")[0]
    return group == GROUP or (group == "" and body.get("kind") in _KINDS)


def _parse(document: Document, uid: str) -> Resource | Refused:
    body = document.body
    if body.get("apiVersion") != API_VERSION:
        return Refused(document, (InvalidInput("apiVersion", f"must be {API_VERSION}"),))
    kind = _KINDS.get(str(body.get("kind")))
    if kind is None:
        return Refused(document, (InvalidInput("kind", f"must be one of {', '.join(_KINDS)}{closest(str(body.get('kind')), _KINDS)}"),))
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        body = {**body, "metadata": {**metadata, "uid": uid}}
    try:
        return parse(kind.model, body)
    except InvalidInput:
        return Refused(document, faults(kind.model, body))
