"""The MCP server, set up by the steps of its page, beside an identity provider of this machine that knows the people who use it."""

import contextlib
import csv
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from rolevend.policytools.embedded.certificates import CertificateAuthority
from testbed.identity_provider import IdentityProvider
from testbed.installation import NAMESPACE, checkout
from testbed.oidc.registry import Client, Person
from tests.e2e.node.bench import HELM, MCP_IMAGE, Bench
from tests.e2e.node.jobs import Job, printed
from tests.support.pages import Typed, Written, steps

SERVER, EDITOR = "mcp-server", "editor"
HOST = "rolevend-mcp.default.svc"
URL = f"https://{HOST}/mcp"
HANDLES = {"anna": "E10442", "ben": "E10517"}
COUNTRIES = {"anna": ("AT", "DE"), "ben": ("DE",)}
"""What people are called in the names of their roles, and what they may read: both as their tokens say."""

_PAGE = checkout() / "docs" / "how-to" / "use-the-mcp-server.md"
_CLIENT = Path(__file__).with_name("mcp_client.py")
_TOKENS = ("TokenRequired", "Trusted")
_AUTHORITY = "workforce-ca"
_MADE = f"secret/{SERVER} secret/mcp-tls secret/people configmap/{_AUTHORITY} agent/{SERVER} identityprovider/workforce"


def workforce(bench: Bench) -> IdentityProvider:
    """Who the people are, to pods as to this machine. The server may exchange tokens that are for it."""
    people = [Person(name, {"employee_number": HANDLES[name], "countries": COUNTRIES[name]}) for name in HANDLES]
    clients = [Client(SERVER, resources=(URL,)), Client(EDITOR)]
    cluster = bench.cluster
    return IdentityProvider(people=people, clients=clients, host=cluster.host, listen=cluster.listen, port=bench.identity_port)


@contextlib.contextmanager
def served(bench: Bench, provider: IdentityProvider) -> Iterator[CertificateAuthority]:
    """By the page's commands, in the example's namespace, beside the API; who signed its certificate. Then it is gone again."""
    authority = CertificateAuthority("rolevend-mcp", datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1))
    certificate = authority.issue("mcp", hosts=(HOST,))
    bench.write("client-secret.txt", str(provider.client(SERVER).secret))
    bench.write("mcp.crt", certificate.certificate.decode())
    bench.write("mcp.key", certificate.key.decode())
    bench.write("authority.pem", provider.authorities)
    try:
        _let_the_platform_take(bench, *_TOKENS)
        bench.type(f"kubectl create secret generic {_AUTHORITY} --namespace {NAMESPACE} --from-file=ca.crt=authority.pem")
        bench.type(f"kubectl create configmap {_AUTHORITY} --from-file=ca.crt=authority.pem")
        _follow_the_page(bench, provider)
        yield authority
    finally:
        bench.type(f"{HELM} --set mcp.enabled=false")
        bench.type(f"kubectl delete --ignore-not-found {_MADE}")
        bench.type(f"kubectl delete --ignore-not-found --namespace {NAMESPACE} secret/{_AUTHORITY}")
        _let_the_platform_take(bench, "Trusted")


def told(bench: Bench, provider: IdentityProvider, authority: CertificateAuthority) -> Any:
    """What everybody's client in a pod was told at once; see mcp_client.py. AssertionError where a question failed."""
    tokens = provider.tokens
    brought = {name: tokens.tokens_of(name, client=EDITOR, audience=URL).access_token for name in COUNTRIES}
    brought["for-rolevend"] = tokens.tokens_of("anna", client=EDITOR).access_token
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "people", "namespace": "default"},
        "stringData": {**brought, "ca.crt": authority.certificate.decode()},
    }
    bench.kubectl("apply", "--filename=-", standard_input=json.dumps(secret))
    wanted = {"url": URL, "people": list(COUNTRIES)}
    answer = printed(bench, Job("people-ask", bench.mcp_image, _CLIENT, wanted, [{"secret": {"name": "people"}}]))
    assert not any(each["failed"] for each in answer["told"].values()), answer
    return answer


def rows(text: str) -> tuple[str, dict[str, int]]:
    """Of an answer to the clients' question: the role that it was asked under, and how many claims it was shown of each country."""
    *table, _ = text.splitlines()  # the last line says how many they are
    found = list(csv.DictReader(table))
    (role,) = {each["role"] for each in found}
    return role, {each["country"]: int(each["claims"]) for each in found}


def _follow_the_page(bench: Bench, provider: IdentityProvider) -> None:
    """With the names of this place for those of the page, and by the steps that are for a cluster; its image is there already."""
    ours = {
        "https://idp.example.org": provider.issuer,
        "https://mcp.example.org/mcp": URL,
        MCP_IMAGE: bench.mcp_image.rpartition(":")[0],
        "namespace: agents": "namespace: default",
        "--namespace agents": "--namespace default",
    }
    taken = 0
    for step in steps(_PAGE):
        text = step.text if isinstance(step, Written) else step.command
        for theirs, here in ours.items():
            text = text.replace(theirs, here)
        match step:
            case Written(file):
                bench.write(file, yaml.safe_dump_all(map(_with_what_is_private, yaml.safe_load_all(text))))
            case Typed() if text.startswith(("kubectl ", "helm ")):
                taken += 1
                bench.type(text)
    assert taken == 6, "the page's steps are others now"


def _with_what_is_private(document: Any) -> Any:
    """What the page says of an identity provider that not everybody trusts, and what its tokens say of people."""
    if document.get("kind") == "IdentityProvider":
        document["spec"]["keys"]["caSecretRef"] = {"name": _AUTHORITY}
        attributes = [{"key": "countries", "path": ["countries"]}]
        document["spec"]["claims"] = {"handle": {"path": ["employee_number"]}, "attributes": attributes}
    if "mcp" in document:
        document["mcp"]["issuerAuthorityRef"] = {"name": _AUTHORITY, "key": "ca.crt"}
        document["api"] = {"secretNames": ["warehouse-vendor", "warehouse-ca", _AUTHORITY]}
    return document


def _let_the_platform_take(bench: Bench, *assertions: str) -> None:
    change = [{"op": "replace", "path": "/spec/agents/0/assertions", "value": list(assertions)}]
    bench.kubectl("patch", "dataplatform", "warehouse", "--type=json", f"--patch={json.dumps(change)}")
