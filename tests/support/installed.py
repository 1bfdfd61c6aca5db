"""A cluster with the chart in it, seen by the administrator or by anybody else: raw calls, since clients add kindness of their own."""

import http.client
import json
import select
import ssl
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rolevend.kinds import API_VERSION, kind_named
from testbed.controlplane import ControlPlane
from tests.support.waiting import DEADLINE, eventually

Body = dict[str, Any]

CHART = Path(__file__).parents[2] / "charts" / "rolevend"
SYSTEM, AGENTS, ELSEWHERE = "rolevend-system", "agents", "elsewhere"
OPERATOR = f"system:serviceaccount:{SYSTEM}:rolevend"
API = f"system:serviceaccount:{SYSTEM}:rolevend-api"
RBAC = "rbac.authorization.k8s.io"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
DEPLOYER = "gitops"
"""The field manager of what comes from git."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: Body
    warnings: tuple[str, ...] = ()
    """What kubectl prints as `Warning: …`."""

    @property
    def ok(self) -> bool:
        return self.status < 300

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


def path_of(body: Body, name: str = "") -> str:
    """Where objects of this kind and namespace are, or this one."""
    namespace = body["metadata"].get("namespace")
    place = f"namespaces/{namespace}/" if namespace else ""
    path = f"/apis/{API_VERSION}/{place}{kind_named(body['kind']).plural}"
    return f"{path}/{name}" if name else path


class Cluster:
    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._token = ""
        tls = ssl.create_default_context(cadata=control_plane.server.authority.decode())
        self._connection = http.client.HTTPSConnection(control_plane.server.host, control_plane.server.port, timeout=DEADLINE, context=tls)

    def create(self, body: Body, *, user: str | None = None, group: str | None = None, dry_run: bool = False) -> Answer:
        query = "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        return self.call("POST", path_of(body) + query, body, user=user, group=group)

    def create_leniently(self, body: Body, *, dry_run: bool = False) -> Answer:
        """As a raw client does, which does not ask the API server to refuse fields that it does not know: they are dropped."""
        return self.call("POST", path_of(body) + ("?dryRun=All" if dry_run else ""), body)

    def patch(self, body: Body, change: Body, *, user: str | None = None, subresource: str = "") -> Answer:
        path = path_of(body, body["metadata"]["name"])
        return self.call("PATCH", f"{path}/{subresource}" if subresource else path, change, user=user, content_type=MERGE_PATCH)

    def deploy(self, body: Body) -> Answer:
        """Server-side apply, as Argo CD and Flux do."""
        path = f"{path_of(body, body['metadata']['name'])}?fieldManager={DEPLOYER}&force=true&fieldValidation=Strict"
        return self.call("PATCH", path, body, content_type=APPLY_PATCH)

    def delete(self, body: Body, *, user: str | None = None, propagation: str = "Background") -> Answer:
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        return self.call("DELETE", path_of(body, body["metadata"]["name"]), options, user=user)

    def read(self, body: Body) -> Answer:
        return self.call("GET", path_of(body, body["metadata"]["name"]))

    def call(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        user: str | None = None,
        group: str | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        """As the administrator, or as `user`, whom the API server then takes us for, and as a member of `group`."""
        headers = {"Authorization": f"Bearer {self._administrator()}", "Content-Type": content_type, "Accept": "application/json"}
        if user is not None:
            headers["Impersonate-User"] = user
        if group is not None:
            headers["Impersonate-Group"] = group
        connected = self._connection.sock
        if connected is not None and select.select([connected], [], [], 0)[0]:
            self._connection.close()  # the server has hung up, for nobody asked for a while; the next request connects anew
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        return Answer(response.status, json.loads(response.read()), tuple(response.headers.get_all("Warning", [])))

    def service_account(self, name: str, *rules: Mapping[str, list[str]], namespace: str = AGENTS) -> str:
        """The user name of a ServiceAccount with a Role of these rules, which hold already."""
        place = {"name": name, "namespace": namespace}
        role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": place, "rules": list(rules)}
        binding = {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": place,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", **place}],
        }
        self.kubectl("apply", "-f", "-", body={"apiVersion": "v1", "kind": "List", "items": [role, binding]})
        user = f"system:serviceaccount:{namespace}:{name}"
        self._wait_until_held(user, rules, namespace)
        return user

    def bind(self, user: str, role: str, namespace: str = "") -> None:
        """Gives `user` a ClusterRole in the namespace, or everywhere, and returns when it holds."""
        binding = {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
            "metadata": {"name": f"{user}.{role}", **({"namespace": namespace} if namespace else {})},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
        }
        self.kubectl("apply", "-f", "-", body=binding)
        rules = self.call("GET", f"/apis/{RBAC}/v1/clusterroles/{role}").body["rules"]
        self._wait_until_held(user, rules or [], namespace)

    def unbind(self, user: str, role: str, namespace: str) -> None:
        """Take from `user` what `bind` gave in the namespace."""
        self.kubectl("delete", "rolebinding", f"{user}.{role}", "--namespace", namespace)

    def environment(self, user: str, directory: Path, *, namespace: str = AGENTS) -> dict[str, str]:
        """Environment variables for a process of a person of this name."""
        return self._control_plane.environment(self._control_plane.person_kubeconfig(user, directory, namespace=namespace))

    def may(self, user: str, verb: str, resource: str, *, namespace: str = "", name: str = "", group: str = "") -> bool:
        """What RBAC says. `resource` may have a subresource; an empty namespace means all of them."""
        plural, _, subresource = resource.partition("/")
        attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource, "namespace": namespace, "name": name}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": ["system:authenticated", "system:serviceaccounts"], "resourceAttributes": attributes},
        }
        return bool(self.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review).body["status"]["allowed"])

    def may_read(self, user: str, path: str) -> bool:
        """What RBAC says of a path that is no object's, of the user alone: groups are given no thought."""
        attributes = {"verb": "get", "path": path}
        spec = {"user": user, "nonResourceAttributes": attributes}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        return bool(self.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review).body["status"]["allowed"])

    def kubectl(self, *arguments: str, body: Any = None) -> str:
        """`body` goes to standard input as JSON."""
        return self._control_plane.kubectl(*arguments, standard_input=None if body is None else json.dumps(body))

    def helm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._control_plane.binaries["helm"], *arguments],
            env=self._control_plane.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def upgrade(self, setting: str) -> None:
        """Change one value of the installed chart."""
        done = self.helm("upgrade", "rolevend", str(CHART), "--namespace", SYSTEM, "--reuse-values", "--set", setting)
        assert done.returncode == 0, done.stderr

    def close(self) -> None:
        self._connection.close()

    def _wait_until_held(self, user: str, rules: Iterable[Mapping[str, list[str]]], namespace: str) -> None:
        """The API server hears of new roles and bindings a moment after it stored them."""
        for rule in rules:
            name = rule.get("resourceNames", [""])[0]
            for verb in rule["verbs"]:
                held = partial(self.may, user, verb, rule["resources"][0], namespace=namespace, name=name, group=rule["apiGroups"][0])
                eventually(held)

    def _administrator(self) -> str:
        if not self._token:
            self.kubectl("create", "serviceaccount", "administrator", "--namespace", "default")
            self.kubectl(
                "create", "clusterrolebinding", "administrator", "--clusterrole=cluster-admin", "--serviceaccount=default:administrator"
            )
            self._token = self._control_plane.service_account_token("default", "administrator")
            eventually(lambda: self.call("GET", "/api/v1/namespaces").ok)
        return self._token
