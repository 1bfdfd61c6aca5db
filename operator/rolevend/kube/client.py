"""A client of the Kubernetes API: objects are dictionaries; the library does transport, authentication and TLS."""

import asyncio
import copy
import json
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
import yaml
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client.rest import RESTClientObject
from multidict import CIMultiDict

from rolevend.errors import ClusterUnavailable, Conflict, NotPermitted, Rejected, Unavailable
from rolevend.kinds import API_VERSION, Resource, VendedRole, kind_named
from rolevend.kube.kubeconfig import DEFAULT_NAMESPACE, contexts_of, current_context, namespace_of

Body = dict[str, Any]
"""An object as the API server returns it."""

_TRANSPORT_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)
_JSON = "application/json"
PAGE = 500
_SILENCE_SECONDS = 90.0
"""A watch receives a bookmark about once a minute."""
_KEPT_SECONDS = 60.0
"""How long an unused connection stays open: longer than the time between two polls of a platform, so that a poll needs no TLS handshake,
and shorter than the 90 s after which the API server closes it."""
_MOST_CONTEXTS = 10


@dataclass(frozen=True, slots=True)
class ResourcePath:
    """The path of the objects of one kind."""

    prefix: str
    """`/api/v1` or `/apis/<group>/<version>`."""
    plural: str

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        parts = [self.prefix]
        if namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts += [self.plural, *(quote(part, safe="") for part in (name, subresource) if part)]
        return "/".join(parts)


def path_of(kind: type[Resource]) -> ResourcePath:
    """Return the path of one of rolevend's own kinds."""
    return ResourcePath(f"/apis/{API_VERSION}", kind_named(kind.__name__).plural)


VENDED_ROLES: Final = path_of(VendedRole)
SECRETS = ResourcePath("/api/v1", "secrets")
NAMESPACES = ResourcePath("/api/v1", "namespaces")
CONFIG_MAPS = ResourcePath("/api/v1", "configmaps")
VALIDATING_POLICIES = ResourcePath("/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicies")
VALIDATING_BINDINGS = ResourcePath("/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings")
EVENTS = ResourcePath("/api/v1", "events")
TOKEN_REVIEWS = ResourcePath("/apis/authentication.k8s.io/v1", "tokenreviews")
SELF_ACCESS_REVIEWS = ResourcePath("/apis/authorization.k8s.io/v1", "selfsubjectaccessreviews")
SUBJECT_ACCESS_REVIEWS = ResourcePath("/apis/authorization.k8s.io/v1", "subjectaccessreviews")
SELF_SUBJECT_REVIEWS = ResourcePath("/apis/authentication.k8s.io/v1", "selfsubjectreviews")
PODS = ResourcePath("/api/v1", "pods")
DEPLOYMENTS = ResourcePath("/apis/apps/v1", "deployments")


class NotFound(Rejected):
    """The object does not exist."""


class ResourceConflict(Conflict):
    """An object with this name exists already, or the object changed after it was read."""


class WatchExpired(Rejected):
    """The watch cannot continue from its version: list again."""


class NotYetCollected(Unavailable):
    """The garbage collector has not deleted a dependent of a deleted object yet."""


class KubeClient:
    """One API server, with the credentials of a kubeconfig or of the pod's ServiceAccount."""

    def __init__(self, api: kubernetes_client.ApiClient, calls: int, request_seconds: float, namespace: str = DEFAULT_NAMESPACE) -> None:
        self.namespace = namespace
        """The namespace of the kubeconfig's context."""
        self._api = api
        self._turns = asyncio.Semaphore(calls)
        self._request_seconds = request_seconds
        self._acting: tuple[tuple[str, str], ...] = ()

    def acting_as(self, user: str, groups: Iterable[str]) -> "KubeClient":
        """Return a client on the same connections, whose requests have the rights of this user, and no others. The credentials need the
        right to impersonate the user and each group."""
        acting = copy.copy(self)
        acting._acting = (("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups))
        return acting

    @classmethod
    async def connect(
        cls, kubeconfig: str | None, *, context: str | None = None, calls: int = 32, request_seconds: float = 15.0
    ) -> "KubeClient":
        """Read the credentials, and send no request yet. `kubeconfig` None means the pod's ServiceAccount, `context` None the current one.

        A list of files is read as kubectl reads KUBECONFIG: missing files are ignored, and the first file that sets a value wins. At most
        `calls` requests run at once. One that takes longer than `request_seconds` raises ClusterUnavailable and loses its connection.

        Raises Rejected if there are no credentials.
        """
        files = [path for each in (kubeconfig or "").split(os.pathsep) if each and (path := Path(each).expanduser()).is_file()]
        if kubeconfig is not None and not files:
            raise Rejected(f"no credentials for the Kubernetes API: there is no file {kubeconfig}; name one with --kubeconfig")
        configuration = kubernetes_client.Configuration()
        namespace = DEFAULT_NAMESPACE
        try:
            if kubeconfig is None:
                kubernetes_config.load_incluster_config(client_configuration=configuration)
            else:
                if context is not None and context not in (known := contexts_of(files)):
                    found = f"there are {', '.join(known[:_MOST_CONTEXTS])}" if known else "there is none"
                    raise Rejected(f"no context of {kubeconfig} is named {context}; {found}")
                context = context or current_context(files)
                namespace = namespace_of(files, context)
                await kubernetes_config.load_kube_config(
                    config_file=os.pathsep.join(map(str, files)),
                    context=context,
                    client_configuration=configuration,
                    persist_config=False,
                )
        except (kubernetes_config.ConfigException, OSError, ValueError, yaml.YAMLError) as error:
            where = "the pod's ServiceAccount" if kubeconfig is None else kubeconfig
            why = " ".join(str(error).split())
            raise Rejected(f"no credentials for the Kubernetes API in {where}: {why}; name a file with --kubeconfig") from error
        configuration.connection_pool_maxsize = 0  # the time to wait for a connection would count as time to answer
        # As kopf does: the kubeconfig names a proxy. With trust_env each call reads ~/.netrc in a thread, and may send its password to the
        # host; that took a fifth of the API's time for a vend.
        configuration.client_session_kwargs = {"trust_env": False}
        api = kubernetes_client.ApiClient(configuration)
        api.rest_client = _Connections(configuration)
        return cls(api, calls, request_seconds, namespace)

    async def close(self) -> None:
        await self._api.close()

    async def get(self, resource: ResourcePath, name: str, namespace: str | None = None, subresource: str | None = None) -> Body:
        return await self._json("GET", resource.path(namespace, name, subresource))

    async def document(self, path: str) -> bytes:
        """Return the bytes of a document that is not an object, such as the OpenID keys."""
        async with self._turns:
            response = await self._send("GET", path, accept="*/*")
            try:
                return await response.read()
            except _TRANSPORT_ERRORS as error:
                raise ClusterUnavailable(f"GET {path}: {_error_text(error)}") from error

    async def pages(
        self, resource: ResourcePath, namespace: str | None = None, selector: str | None = None, *, name: str | None = None
    ) -> AsyncIterator[Body]:
        """Yield the objects of one namespace, or of all, page by page, so that the caller need not keep them all in memory.

        `selector` is a label selector. With `name` only the object of this name: a right on that name is enough.
        """
        query = {"limit": str(PAGE), **_selected(selector, name)}
        while True:
            page = await self._json("GET", resource.path(namespace), query)
            yield page
            if not (token := page["metadata"].get("continue")):
                return
            query["continue"] = token

    async def list(
        self, resource: ResourcePath, namespace: str | None = None, selector: str | None = None, *, name: str | None = None
    ) -> tuple[list[Body], str]:
        """Return the objects of one namespace, or of all, and the version to watch from. `selector` and `name` as in `pages`."""
        items: list[Body] = []
        version = ""
        async for page in self.pages(resource, namespace, selector, name=name):
            items += page["items"]
            version = str(page["metadata"]["resourceVersion"])
        return items, version

    async def create(self, resource: ResourcePath, body: Body, namespace: str | None = None, *, dry_run: bool = False) -> Body:
        return await self._json("POST", resource.path(namespace), {"dryRun": "All"} if dry_run else None, body)

    async def apply(self, resource: ResourcePath, body: Body, manager: str) -> Body:
        """Apply a cluster-scoped object on the server side, which creates it if needed. A right on this name is enough."""
        path = resource.path(name=body["metadata"]["name"])
        return await self._json("PATCH", path, {"fieldManager": manager}, body, "application/apply-patch+yaml")

    async def merge(
        self, resource: ResourcePath, name: str, patch: Body, namespace: str | None = None, subresource: str | None = None
    ) -> Body:
        """Apply a JSON merge patch, in which `metadata.uid` and `metadata.resourceVersion` are preconditions."""
        return await self._json(
            "PATCH", resource.path(namespace, name, subresource), body=patch, content_type="application/merge-patch+json"
        )

    async def delete(self, resource: ResourcePath, name: str, uid: str, namespace: str | None = None) -> None:
        """Delete the object with this uid. Does nothing if it is gone, or if another object has its name."""
        try:
            await self._json("DELETE", resource.path(namespace, name), body={"preconditions": {"uid": uid}})
        except (NotFound, ResourceConflict):
            return

    async def watch(
        self,
        resource: ResourcePath,
        version: str,
        seconds: int,
        namespace: str | None = None,
        selector: str | None = None,
        *,
        name: str | None = None,
    ) -> AsyncIterator[tuple[str, Body]]:
        """Yield type and object of every change since `version`, and bookmarks, until the server ends the watch after `seconds`. `selector`
        and `name` as in `pages`.

        Raises WatchExpired if `version` is too old, or if the server was silent for so long that the connection may be dead.
        """
        query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        query |= _selected(selector, name)
        timeout = aiohttp.ClientTimeout(total=seconds + 30, sock_read=_SILENCE_SECONDS)
        response = await self._send("GET", resource.path(namespace), query, timeout=timeout)
        try:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _error(int(event["object"].get("code", 500)), f"watching {resource.plural}", event["object"].get("message", ""))
                yield event["type"], event["object"]
        except TimeoutError as error:
            raise WatchExpired(f"watching {resource.plural}: no event for {_SILENCE_SECONDS:.0f} s") from error
        except _TRANSPORT_ERRORS as error:
            raise ClusterUnavailable(f"watching {resource.plural}: {_error_text(error)}") from error
        finally:
            response.close()

    async def _json(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, content_type: str = _JSON
    ) -> Body:
        async with self._turns:
            response = await self._send(method, path, query, body, content_type)
            try:
                answer: Body = json.loads(await response.read())
            except _TRANSPORT_ERRORS as error:
                raise ClusterUnavailable(f"{method} {path}: {_error_text(error)}") from error
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = _JSON,
        timeout: aiohttp.ClientTimeout | None = None,
        accept: str = _JSON,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": accept, "Content-Type": content_type}
        try:
            serialized = await self._api.param_serialize(method, path, header_params=headers, body=body, auth_settings=["BearerToken"])
            url = serialized[1] + (f"?{urlencode(query)}" if query else "")
            sent = CIMultiDict([*serialized[2].items(), *self._acting]) if self._acting else serialized[2]
            answer = await self._api.call_api(serialized[0], url, sent, serialized[3], _request_timeout=timeout or self._request_seconds)
            response: aiohttp.ClientResponse = answer.response
            if response.status >= 400:
                raise _error(response.status, f"{method} {path}", _message(await response.read()))
        except _TRANSPORT_ERRORS as error:
            raise ClusterUnavailable(f"{method} {path}: {_error_text(error)}") from error
        return response


class _Connections(RESTClientObject):
    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=self.maxsize, ssl=self.ssl_context, keepalive_timeout=_KEPT_SECONDS)


def _selected(selector: str | None, name: str | None) -> dict[str, str]:
    chosen = {"labelSelector": selector, "fieldSelector": None if name is None else f"metadata.name={name}"}
    return {parameter: value for parameter, value in chosen.items() if value is not None}


def _error_text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return " ".join(body[:200].decode(errors="replace").split())


def _error(status: int, attempted: str, message: str) -> Exception:
    text = f"{attempted}: {message}"
    match status:
        case 401 | 403:
            return NotPermitted(text)
        case 404:
            return NotFound(text)
        case 409:
            return ResourceConflict(text)
        case 410:
            return WatchExpired(text)
        case 429 | 500 | 502 | 503 | 504:
            return ClusterUnavailable(text)
        case _:
            return Rejected(text)
