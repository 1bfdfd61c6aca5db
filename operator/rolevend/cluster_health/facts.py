"""Read what says how an installation is. A part that the person may not read is a gap with its reason, and the others are read. I/O."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final, Literal, TypeVar

from rolevend.approvals.reader import ClusterAccess
from rolevend.errors import InvalidInput, NotPermitted, RolevendError
from rolevend.kinds import GROUP, KINDS
from rolevend.kube.certificate_authorities import authority, certificate_end
from rolevend.kube.client import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    PODS,
    SELF_SUBJECT_REVIEWS,
    VALIDATING_BINDINGS,
    VALIDATING_POLICIES,
    Body,
    KubeClient,
    NotFound,
    ResourcePath,
    path_of,
)
from rolevend.kube.election import LEASE, LEASES
from rolevend.kube.secrets import read_secret, text_of
from rolevend.snapshot.suspension import SUSPENSION

T = TypeVar("T")

DEFINITIONS: Final = ResourcePath("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions")
CLUSTER_BINDINGS: Final = ResourcePath("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings")
ROLE_BINDINGS: Final = ResourcePath("/apis/rbac.authorization.k8s.io/v1", "rolebindings")
OF_OWNERS: Final = "RoleBindings of all namespaces"
"""The part with the bindings of the two ClusterRoles by which an owner makes a namespace one of agents, also those in the whole cluster."""
AGENT_NAMESPACE: Final = "-agent-namespace"
"""The end of the names of these ClusterRoles."""
CHART_LABEL: Final = "helm.sh/chart"
_CHART: Final = "rolevend-"
"""The label of each object of the chart begins with it, whatever `nameOverride` is."""
_OF_THE_CHART: Final = ("Deployment", "ValidatingAdmissionPolicy", "ClusterRoleBinding", "RoleBinding")
_LOGINS: Final = {"postgres": ("username", "password"), "snowflake": ("username", "private_key")}


@dataclass(frozen=True, slots=True)
class Gap:
    """A part that could not be read."""

    part: str
    reason: str
    is_missing: bool = False
    """True if it does not exist, or the cluster has no such resource."""


@dataclass(frozen=True, slots=True)
class SecretFault:
    object: str
    """The object or Deployment that refers to the Secret."""
    reason: str


@dataclass(frozen=True)
class ClusterFacts:
    namespace: str
    """The operator's."""
    read_at: datetime
    """By the clock of this machine."""
    server_time: datetime | None
    """By the clock of the API server, in whole seconds."""
    parts: Mapping[str, Sequence[Body]]
    """The objects by kind; a kind that was not read is missing."""
    gaps: tuple[Gap, ...] = ()
    secret_faults: tuple[SecretFault, ...] = ()
    reader: Literal["command", "console"] = "command"
    """The program that read them."""

    def of(self, kind: str) -> Sequence[Body]:
        return self.parts.get(kind, ())

    def is_read(self, kind: str) -> bool:
        return kind in self.parts


def labels(body: Body) -> Mapping[str, str]:
    found: Mapping[str, str] = body["metadata"].get("labels") or {}
    return found


def _is_needed(part: str, body: Body) -> bool:
    """True if a finding may be about the object. Others are not kept: a cluster may have thousands of definitions and bindings."""
    if part == "CustomResourceDefinition":
        return str(body["metadata"]["name"]).endswith(f".{GROUP}")
    if part == OF_OWNERS:
        return _is_of_an_owner(body)
    if part == "ClusterRoleBinding":
        return _is_of_the_chart(body) or _is_of_an_owner(body)
    return part not in _OF_THE_CHART or _is_of_the_chart(body)


def _is_of_the_chart(body: Body) -> bool:
    return labels(body).get(CHART_LABEL, "").startswith(_CHART)


def _is_of_an_owner(body: Body) -> bool:
    return body["roleRef"]["kind"] == "ClusterRole" and str(body["roleRef"]["name"]).endswith(AGENT_NAMESPACE)


@dataclass(slots=True)
class FactsReader:
    cluster: KubeClient
    namespace: str
    gaps: list[Gap] = field(default_factory=list)
    secret_faults: list[SecretFault] = field(default_factory=list)
    left_out: Collection[str] = ()
    """Kinds that are not read here."""

    async def read(self, *, with_secrets: bool) -> ClusterFacts:
        server_time = await self._server_time()
        read_at = datetime.now(UTC)
        listed: dict[str, tuple[ResourcePath, str | None]] = {
            "CustomResourceDefinition": (DEFINITIONS, None),
            "Deployment": (DEPLOYMENTS, self.namespace),
            "Pod": (PODS, self.namespace),
            "ValidatingAdmissionPolicy": (VALIDATING_POLICIES, None),
            "ValidatingAdmissionPolicyBinding": (VALIDATING_BINDINGS, None),
            "ClusterRoleBinding": (CLUSTER_BINDINGS, None),
            "RoleBinding": (ROLE_BINDINGS, self.namespace),
            OF_OWNERS: (ROLE_BINDINGS, None),
            **{kind.name: (path_of(kind.model), None) for kind in KINDS if kind.name != "AccessDecision"},
        }
        for name in self.left_out:
            del listed[name]
        found = await asyncio.gather(*(self._list(name, *where) for name, where in listed.items()))
        parts = {name: items for name, items in zip(listed, found, strict=True) if items is not None}
        bindings = parts.get("ClusterRoleBinding", ())
        if OF_OWNERS in parts:
            parts[OF_OWNERS] += [each for each in bindings if _is_of_an_owner(each)]
        if bindings:
            parts["ClusterRoleBinding"] = [each for each in bindings if _is_of_the_chart(each)]
        for name, resource, key in (("Lease", LEASES, LEASE), ("ConfigMap", CONFIG_MAPS, SUSPENSION)):
            body = await self._guarded(f"{name} {self.namespace}/{key}", self._get(resource, key))
            if body is not None:
                parts[name] = [body] if body else []
        if with_secrets:
            await self._secrets(parts)
        return ClusterFacts(self.namespace, read_at, server_time, parts, tuple(self.gaps), tuple(self.secret_faults))

    async def _server_time(self) -> datetime | None:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = await self._guarded("the clock of the API server", self.cluster.create(SELF_SUBJECT_REVIEWS, body))
        stamp = ((answer or {}).get("metadata") or {}).get("creationTimestamp")
        return datetime.fromisoformat(stamp) if stamp else None

    async def _list(self, part: str, resource: ResourcePath, namespace: str | None) -> list[Body] | None:
        async def all_pages() -> list[Body]:
            return [item async for page in self.cluster.pages(resource, namespace) for item in page["items"] if _is_needed(part, item)]

        return await self._guarded(part, all_pages())

    async def _get(self, resource: ResourcePath, name: str) -> Body:
        try:
            return await self.cluster.get(resource, name, self.namespace)
        except NotFound:
            return {}

    async def _guarded(self, part: str, call: Awaitable[T]) -> T | None:
        try:
            return await call
        except NotFound:
            self.gaps.append(Gap(part, "the cluster has no such resource", is_missing=True))
        except NotPermitted:
            self.gaps.append(Gap(part, "you may not read it"))
        except RolevendError as error:
            self.gaps.append(Gap(part, str(error)))
        return None

    async def _secrets(self, parts: Mapping[str, Sequence[Body]]) -> None:
        unread: set[str] = set()
        for user, name, check in self._secrets_of(parts):
            try:
                await check(name)
            except InvalidInput as error:
                self.secret_faults.append(SecretFault(user, error.message))
            except NotPermitted:
                unread.add(name)
            except RolevendError as error:
                self.gaps.append(Gap(f"Secret {self.namespace}/{name}", str(error)))
        if unread:
            self.gaps.append(Gap(f"Secrets {', '.join(sorted(unread))} in {self.namespace}", "you may not read them"))

    def _secrets_of(self, parts: Mapping[str, Sequence[Body]]) -> Iterator[tuple[str, str, Callable[[str], Awaitable[None]]]]:
        """Yield each Secret that a DataPlatform, an IdentityProvider or a Deployment needs, its user, and its check."""
        for platform in parts.get("DataPlatform", ()):
            spec, user = platform["spec"], f"DataPlatform {platform['metadata']['name']}"
            credentials = spec.get("credentials") or {}
            keys = _LOGINS["snowflake" if "snowflake" in spec else "postgres"]
            for login in ("programmerSecretRef", "vendorSecretRef", "observerSecretRef"):
                if name := (credentials.get(login) or {}).get("name"):
                    yield user, name, partial(self._has_keys, keys)
            reference = ((spec.get("postgres") or {}).get("tls") or {}).get("caSecretRef") or {}
            if reference.get("name"):
                yield user, reference["name"], partial(self._is_authority, reference.get("key", "ca.crt"))
        for deployment in parts.get("Deployment", ()):
            user = f"Deployment {deployment['metadata']['name']}"
            for volume in deployment["spec"]["template"]["spec"].get("volumes") or ():
                secret = volume.get("secret") or {}
                if secret.get("secretName") and not secret.get("optional"):
                    yield user, secret["secretName"], self._is_valid

    async def _has_keys(self, keys: Sequence[str], name: str) -> None:
        secret = await read_secret(self.cluster, self.namespace, name, "")
        missing = [key for key in keys if text_of(secret, key) is None]
        if missing:
            raise InvalidInput("", f"Secret {self.namespace}/{name} has no usable key {' and no key '.join(missing)}")

    async def _is_authority(self, key: str, name: str) -> None:
        await authority(self.cluster, self.namespace, name, key, "", datetime.now(UTC))

    async def _is_valid(self, name: str) -> None:
        """Raise InvalidInput if there is no such Secret, or if its certificate expired."""
        secret = await read_secret(self.cluster, self.namespace, name, "")
        text = text_of(secret, "tls.crt")
        end = None if text is None else certificate_end(text)
        if end is not None and end <= datetime.now(UTC):
            raise InvalidInput("", f"the certificate in Secret {self.namespace}/{name} expired at {end:%Y-%m-%d %H:%M} UTC")


async def read_facts(access: ClusterAccess, namespace: str, *, with_secrets: bool) -> ClusterFacts:
    """`namespace` is the operator's. Of Secrets only the presence of keys and the ends of certificates are kept."""
    async with access.connected() as cluster:
        return await FactsReader(cluster, namespace).read(with_secrets=with_secrets)
