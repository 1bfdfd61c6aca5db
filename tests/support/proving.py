"""A tenant whose agent acts for nobody without a token: an issuer of its own with keys of the test, and tokens that it signs."""

import itertools
import time
import uuid
from functools import cached_property
from typing import Any

from testbed.controlplane import ISSUER as CLUSTER
from tests.support import tokens
from tests.support.site import AGENTS, Body
from tests.support.tenancy import Asked, Tenant

_numbers = itertools.count(1)


class Proven:
    """Wraps a tenant; its agent is a client of its own issuer, and what is known of people is in their tokens alone."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.site = tenant.site
        self.issuer = f"https://{tenant.name}.idp.example.org"
        self.client = f"client-of-{tenant.name}"

    def provider_spec(self, **spec: Any) -> Body:
        return {
            "issuer": self.issuer,
            "keys": {"inline": tokens.KEYS.decode()},
            "audiences": [tokens.AUDIENCE],
            "accepts": ["AccessToken", "Exchanged"],
            "claims": {
                "handle": {"path": ["employee"]},
                "attributes": [
                    {"key": "tenant", "path": ["tenant"]},
                    {"key": "countries", "expression": "claims.groups.filter(one, one.size() == 2)"},
                    {"key": "shoe-size", "path": ["shoe_size"]},
                ],
            },
            **spec,
        }

    def provider(self, name: str = "", **spec: Any) -> Body:
        return self.tenant.make("IdentityProvider", self.provider_spec(**spec), name)

    @property
    def identity(self) -> Body:
        return {"type": "OIDCClient", "oidcClient": {"issuer": self.issuer, "clientIDs": [self.client]}}

    def agent(self, name: str = "", **spec: Any) -> Body:
        return self.tenant.agent(name, **{"identity": self.identity, "onBehalfOf": {"assertion": "TokenRequired"}, **spec})

    @cached_property
    def account(self) -> str:
        """The name of a new ServiceAccount, in the namespace of agents."""
        path = f"/api/v1/namespaces/{AGENTS}/serviceaccounts"
        answer = self.site.cluster.call(
            "POST", path, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": self.tenant.name}}
        )
        assert answer.ok, answer.message
        return self.tenant.name

    def cluster(self, **spec: Any) -> Body:
        """The cluster as an identity provider: of ServiceAccounts, by keys that the operator asks its own API server for."""
        said = {"issuer": CLUSTER, "keys": {"discovery": "Kubernetes"}, "audiences": [tokens.AUDIENCE], "accepts": ["ServiceAccount"]}
        return self.tenant.make("IdentityProvider", {**said, "algorithms": ["ES256"], **spec}, f"cluster-of-{self.tenant.name}")

    def acting_account(self) -> Body:
        """An agent that is this ServiceAccount, and for which alone users' tokens are exchanged."""
        identity = {"type": "ServiceAccount", "serviceAccount": {"name": self.account}}
        return self.agent(identity=identity)

    def exchanged(self, act: Body | None = None, **changed: Any) -> str:
        """For the ServiceAccount, or as `act` says."""
        mine = {"iss": CLUSTER, "sub": f"system:serviceaccount:{AGENTS}:{self.account}"}
        return tokens.token(self.claims(act=mine if act is None else act, without=("client_id",), **changed))

    def ready_to_ask(self) -> "Proven":
        self.site.told(self.provider(), "Ready", "True", "KeysRead")
        self.site.told(self.agent(), "Ready", "True")
        self.site.told(self.tenant.policy(), "Ready", "True")
        return self

    def claims(self, subject: str = "anna", *, without: tuple[str, ...] = (), seconds: int = 600, **changed: Any) -> Body:
        now = int(time.time())
        body = {
            "iss": self.issuer,
            "sub": subject,
            "aud": tokens.AUDIENCE,
            "client_id": self.client,
            "iat": now - 5,
            "exp": now + seconds,
            "jti": str(uuid.uuid4()),
            "tenant": self.tenant.name,
            "groups": ["DE", "AT", "everybody"],
            "shoe_size": 42,
            **changed,
        }
        return {name: value for name, value in body.items() if name not in without}

    def token(self, subject: str = "anna", **changed: Any) -> str:
        return tokens.token(self.claims(subject, **changed))

    def secret(self, text: str, kind: str = "rolevend.dev/user-token", key: str = "token", namespace: str = AGENTS) -> Body:
        """A reference to a new Secret that holds it."""
        name = f"{self.tenant.name}-token-{next(_numbers)}"
        self.put(name, text, kind, key, namespace)
        return {"name": name} if key == "token" else {"name": name, "key": key}

    def put(self, name: str, text: str, kind: str = "rolevend.dev/user-token", key: str = "token", namespace: str = AGENTS) -> None:
        body = {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": {"name": name}, "stringData": {key: text}}
        answer = self.site.cluster.call("POST", f"/api/v1/namespaces/{namespace}/secrets", body)
        assert answer.ok, answer.message

    def user(self, subject: str = "anna") -> Body:
        return {"issuer": self.issuer, "subject": subject}

    def ask(self, token: str | Body | None, subject: str = "anna", **wanted: Any) -> Asked:
        """With a token, a reference to one, or none."""
        ref = self.secret(token) if isinstance(token, str) else token
        more = {**wanted.pop("wanted", {}), **({"userTokenSecretRef": ref} if ref else {})}
        return self.tenant.ask(user=self.user(subject), wanted=more, **wanted)

    def records(self) -> list[Body]:
        """Of tokens that were taken."""
        listed = self.site.cluster.call("GET", "/apis/coordination.k8s.io/v1/namespaces/rolevend-system/leases").body
        return [each for each in listed["items"] if each["metadata"]["name"].startswith("rolevend-token-")]
