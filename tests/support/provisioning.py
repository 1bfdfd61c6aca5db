"""An identity provider that pushes users and groups by SCIM to a replica of the API, and an agent that acts for these users."""

from typing import Any

import httpx

from testbed.installation import NAMESPACE, ApiProcess
from tests.support import tokens
from tests.support.calling import Caller, send
from tests.support.proving import Proven
from tests.support.site import SCIM_SECRET, Body
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

USER, GROUP = "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Pusher:
    """Use after `ready`. What is known of people is pushed: their tokens hold no attributes."""

    def __init__(self, tenant: Tenant, api: ApiProcess) -> None:
        self.tenant, self.api, self.site = tenant, api, tenant.site
        self.proven = Proven(tenant)
        self.caller = Caller(self.proven, api)
        self.secret_key = f"scim-token.{tenant.name}"
        self.bearer = f"a-bearer-token-of-{tenant.name}-with-many-characters"
        self.client = f"pusher-of-{tenant.name}"

    @property
    def scim(self) -> Body:
        return {
            "tokenSecretRef": {"name": SCIM_SECRET, "key": self.secret_key},
            "clients": [{"clientID": self.client}],
            "attributes": [
                {"key": "tenant", "attribute": "department"},
                {"key": "mail", "attribute": "emails", "type": "work"},
                {"key": "title", "attribute": "title"},
            ],
            "groups": {"key": "groups"},
        }

    def ready(self, **scim: Any) -> "Pusher":
        self.put_tokens(self.bearer)
        provider = self.proven.provider(claims={}, scim=self.scim | scim)
        self.site.told(provider, "Ready", "True", "KeysRead")
        self.site.told(self.proven.agent(), "Ready", "True")
        self.site.told(self.tenant.policy(rows="All", rowFilter=None), "Ready", "True")
        eventually(lambda: self.ok(self.call("GET", "/ServiceProviderConfig")))
        return self

    def put_tokens(self, *lines: str) -> None:
        """Of this identity provider, in the Secret that all tests share."""
        path = f"/api/v1/namespaces/{NAMESPACE}/secrets"
        answer = self.site.cluster.call("POST", path, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SCIM_SECRET}})
        assert answer.ok or answer.status == 409, answer.message
        change = {"stringData": {self.secret_key: "\n".join(lines)}}
        answer = self.site.cluster.call("PATCH", f"{path}/{SCIM_SECRET}", change, content_type="application/merge-patch+json")
        assert answer.ok, answer.message

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None, **content: Any) -> httpx.Response:
        """`token`: of the Secret, unless another is given; an empty one is not sent."""
        bearer = self.bearer if token is None else token
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        headers |= content.pop("headers", {})
        content |= {} if body is None else {"json": body}
        return send(method, f"{self.api.url}/scim/v2{path}", headers=headers, **content)

    @staticmethod
    def ok(answer: httpx.Response, status: int = 200) -> Body:
        assert answer.status_code == status, answer.text
        return dict(answer.json()) if answer.content else {}

    def user(self, user_name: str = "anna", **more: Any) -> Body:
        enterprise = {ENTERPRISE: {"department": self.tenant.name}}
        return {"schemas": [USER, ENTERPRISE], "userName": user_name, "externalId": f"id-{user_name}", "active": True, **enterprise, **more}

    def pushed(self, user_name: str = "anna", **more: Any) -> Body:
        return self.ok(self.call("POST", "/Users", self.user(user_name, **more)), 201)

    def group(self, name: str, *members: Body) -> Body:
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": each["id"]} for each in members]}
        return self.ok(self.call("POST", "/Groups", body), 201)

    def patch(self, resource: Body, *operations: Body) -> httpx.Response:
        path = f"/{resource['meta']['resourceType']}s/{resource['id']}"
        return self.call("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def kept(self, user: Body) -> Body:
        answer = self.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/userattributes/{user['id']}")
        assert answer.ok, answer.message
        return answer.body

    def attributes(self, user: Body) -> dict[str, list[str]]:
        return {each["key"]: each["values"] for each in self.kept(user)["spec"].get("attributes", [])}

    def own_token(self) -> str:
        """By client credentials, of the client that may push."""
        return tokens.token(self.proven.claims(self.client, client_id=self.client))
