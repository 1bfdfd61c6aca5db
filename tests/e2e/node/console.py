"""The console in its pods, and a person who reaches it as browsers do: by its address, and by way of the identity provider."""

import contextlib
import datetime
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from rolevend.policytools.embedded.certificates import CertificateAuthority
from rolevend.policytools.embedded.ports import HOST, free_ports
from testbed.identity_provider import IdentityProvider
from testbed.installation import NAMESPACE
from testbed.oidc.registry import Client, Person
from tests.e2e.node.bench import HELM, Bench
from tests.e2e.node.calling import ANNA
from tests.support.console import CLIENT, OLGA, STAFF, Visitor, kubernetes_name
from tests.support.waiting import DEADLINE, eventually

REQUEST = "/requests/default/open-cases"
_OFFER = "open-claims"
_SECRETS = "secret/console-tls secret/console-client secret/staff-ca"
_MADE = f"accessrequest/open-cases accesspolicy/{_OFFER} rolebinding/olga-approves rolebinding/olga-views identityprovider/{STAFF}"


@dataclass(frozen=True)
class Reached:
    """What a `Visitor` has to know of a console."""

    urls: list[str]
    provider: IdentityProvider


class _FromHere(httpx.HTTPTransport):
    """Reaches the identity provider, whom pods know by another name than this machine."""

    def __init__(self, trust: ssl.SSLContext, host: str, here: str) -> None:
        super().__init__(verify=trust)
        self._host = host
        self._here = here

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == self._host:
            request.extensions["sni_hostname"] = self._host
            request.url = request.url.copy_with(host=self._here)
        return super().handle_request(request)


@contextlib.contextmanager
def visited(bench: Bench) -> Iterator[Visitor]:
    """Olga, who may decide on a request that waits for her, at the console of the chart. Then it is gone again."""
    (port,) = free_ports(1)
    url = f"https://{HOST}:{port}"
    person, client = Person(OLGA, {"groups": ["everybody"]}), Client(CLIENT, redirect_uris=(f"{url}/callback",))
    cluster = bench.cluster
    provider = IdentityProvider(people=[person], clients=[client], host=cluster.host, listen=cluster.listen, port=bench.identity_port)
    authority = CertificateAuthority("console", datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1))
    trust = ssl.create_default_context(cadata=authority.certificate.decode() + provider.authorities)
    transport = _FromHere(trust, cluster.host, HOST if cluster.listen == "0.0.0.0" else cluster.listen)
    try:
        with provider, httpx.Client(transport=transport, timeout=DEADLINE) as http:
            _prepare(bench, provider, authority)
            bench.type(
                f"{HELM} --set console.enabled=true --set console.url={url} --set console.tlsSecretName=console-tls"
                f" --set console.identityProvider={STAFF} --set console.clientID={CLIENT} --set console.clientSecretRef.name=console-client"
                f" --set 'console.secretNames={{staff-ca}}' --set console.userPrefix={STAFF}: --set console.impersonation=Constrained"
            )
            with bench.forwarded("service/rolevend-console", port, 443):
                yield Visitor(Reached([url], provider), OLGA, http)
    finally:
        bench.type(f"{HELM} --set console.enabled=false")
        bench.type(f"kubectl delete --ignore-not-found {_MADE}")
        bench.type(f"kubectl delete --ignore-not-found --namespace {NAMESPACE} {_SECRETS}")


def state(bench: Bench) -> str:
    """Of the request."""
    return str(bench.get("accessrequest", "open-cases").get("status", {}).get("state"))


def _prepare(bench: Bench, provider: IdentityProvider, authority: CertificateAuthority) -> None:
    pair = authority.issue("console", hosts=(HOST,))
    bench.write("console.crt", pair.certificate.decode())
    bench.write("console.key", pair.key.decode())
    bench.write("client-secret.txt", str(provider.client(CLIENT).secret))
    bench.write("staff.pem", provider.authorities)
    create = f"kubectl create --namespace {NAMESPACE} secret"
    bench.type(f"{create} tls console-tls --cert=console.crt --key=console.key")
    bench.type(f"{create} generic console-client --from-file=secret=client-secret.txt")
    bench.type(f"{create} generic staff-ca --from-file=ca.crt=staff.pem")
    keys = {"discovery": "OpenIDConnect", "caSecretRef": {"name": "staff-ca"}}
    spec = {"issuer": provider.issuer, "keys": keys, "audiences": ["https://rolevend.example.org"], "accepts": ["AccessToken"]}
    _apply(bench, "IdentityProvider", {"name": STAFF}, spec)
    bench.type("kubectl apply -f examples/00-minimal/offer/offer.yaml")
    bench.kubectl("patch", "accesspolicy", _OFFER, "--type=json", '--patch=[{"op": "remove", "path": "/spec/onRequest/automatic"}]')
    bench.kubectl("wait", "--for=condition=Ready", f"accesspolicy/{_OFFER}", "--timeout=60s")
    for name, role in (("olga-approves", "rolevend-approver"), ("olga-views", "rolevend-viewer")):
        bench.kubectl("create", "rolebinding", name, f"--clusterrole={role}", f"--user={kubernetes_name(OLGA)}")
    asked = {
        "agentRef": {"name": "finbot"},
        "user": ANNA,
        "platformRef": {"name": "warehouse"},
        "offerRef": {"namespace": "default", "name": _OFFER},
        "justification": {"text": "who waits for money"},
    }
    _apply(bench, "AccessRequest", {"name": "open-cases", "namespace": "default"}, asked)
    eventually(lambda: state(bench) == "Pending", within=60)


def _apply(bench: Bench, kind: str, metadata: dict[str, str], spec: dict[str, object]) -> None:
    body = {"apiVersion": "rolevend.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    bench.kubectl("apply", "--filename=-", standard_input=json.dumps(body))
