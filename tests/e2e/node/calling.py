"""Agents in pods that call the API: with a token of their own that kubelet renews, and nothing else that they could show."""

import json
from pathlib import Path
from typing import Any

from tests.e2e.node.bench import HELM, Bench
from tests.e2e.node.jobs import FOLDER, Job, printed

API = f"{HELM} --set api.enabled=true --set api.tls.mode=Generated --set 'api.secretNames={{warehouse-vendor,warehouse-ca}}'"
URL = "https://rolevend-api.rolevend-system.svc"
AUDIENCE = "https://rolevend.example.org"
ANNA = {"issuer": "https://idp.example.org", "subject": "anna"}
QUESTION = {"user": ANNA, "platforms": ["warehouse"], "expirationSeconds": 300}

_AGENT = Path(__file__).with_name("agent.py")


def believe_the_cluster(bench: Bench) -> None:
    """The cluster's own tokens prove agents, and finbot is a ServiceAccount."""
    issuer = json.loads(bench.kubectl("get", "--raw", "/.well-known/openid-configuration"))
    spec = {
        "issuer": issuer["issuer"],
        "keys": {"discovery": "Kubernetes"},
        "audiences": [AUDIENCE],
        "algorithms": issuer["id_token_signing_alg_values_supported"],
        "accepts": ["ServiceAccount"],
    }
    provider = {"apiVersion": "rolevend.dev/v1alpha1", "kind": "IdentityProvider", "metadata": {"name": "cluster"}, "spec": spec}
    bench.kubectl("apply", "--filename=-", standard_input=json.dumps(provider))
    bench.kubectl("create", "serviceaccount", "finbot")
    identity = {"spec": {"identity": {"type": "ServiceAccount", "serviceAccount": {"name": "finbot"}}}}
    bench.kubectl("patch", "agent", "finbot", "--type=merge", f"--patch={json.dumps(identity)}")
    bench.kubectl("wait", "--for=condition=Ready", "identityprovider/cluster", "agent/finbot", "--timeout=60s")


def forget_the_agent(bench: Bench) -> None:
    """As it was before, but for what the API wrote down."""
    bench.kubectl("patch", "agent", "finbot", "--type=merge", '--patch={"spec": {"identity": null}}')
    bench.kubectl("delete", "serviceaccount/finbot", "identityprovider/cluster")


def answer_to(bench: Bench, account: str, audience: str = AUDIENCE, wanted: Any = QUESTION) -> Any:
    """What an agent in a pod with this ServiceAccount tells: see agent.py."""
    sources = [
        {"serviceAccountToken": {"audience": audience, "expirationSeconds": 600, "path": "token"}},
        {"configMap": {"name": "rolevend-api-ca", "items": [{"key": "ca.crt", "path": "api/ca.crt"}]}},
    ]
    environment = {"ROLEVEND_URL": URL, "ROLEVEND_CA_FILE": f"{FOLDER}/api/ca.crt", "ROLEVEND_TOKEN_FILE": f"{FOLDER}/token"}
    return printed(bench, Job(f"call-as-{account}", bench.image, _AGENT, wanted, sources, account, environment))


def vended(bench: Bench, account: str) -> Any:
    """The same, where it was given a role."""
    told = answer_to(bench, account)
    assert told["status"] == 201, told
    return told
