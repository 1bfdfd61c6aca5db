"""The Secrets of an API server, in memory."""

import base64
from typing import Any

from rolevend.errors import NotPermitted
from rolevend.kube.client import NotFound, ResourceConflict, ResourcePath


class SecretStore:
    """Stands for a KubeClient that reads and writes Secrets."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], dict[str, Any]] = {}
        self.forbidding = False
        self.hidden: set[str] = set()
        """Which nobody here may read."""
        self.full = ""
        """Why nothing more is created."""

    async def get(self, resource: ResourcePath, name: str, namespace: str) -> dict[str, Any]:
        if name in self.hidden:
            raise NotPermitted(f'secrets "{name}" is forbidden: User "operator" cannot get resource "secrets" in API group ""')
        if (namespace, name) not in self.stored:
            raise NotFound(name)
        return self.stored[namespace, name]

    async def create(self, resource: ResourcePath, body: dict[str, Any], namespace: str) -> dict[str, Any]:
        key = namespace, body["metadata"]["name"]
        if self.full:
            raise NotPermitted(f'secrets "{key[1]}" is forbidden: {self.full}')
        if key in self.stored:
            raise ResourceConflict(key[1])
        texts = {name: base64.b64encode(text.encode()).decode() for name, text in body.get("stringData", {}).items()}
        metadata = {**body["metadata"], "resourceVersion": "1", "uid": "secret-1"}
        self.stored[key] = {**body, "metadata": metadata, "data": {**body.get("data", {}), **texts}}
        return self.stored[key]

    async def delete(self, resource: ResourcePath, name: str, uid: str, namespace: str) -> None:
        assert self.stored[namespace, name]["metadata"]["uid"] == uid
        if self.forbidding:
            raise NotPermitted("no right on Secrets here")
        del self.stored[namespace, name]

    async def put(self, name: str, type_: str = "Opaque", /, **texts: str) -> None:
        await self.create(ResourcePath("", ""), {"metadata": {"name": name}, "type": type_, "stringData": texts}, "system")
