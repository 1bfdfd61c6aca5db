"""The console with two replicas, a real identity provider, and people with browsers."""

import datetime
import json
import secrets
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from pathlib import Path

import httpx

from rolevend.audit.receipt_files import new_private_key, public_key_set, read_signing_key
from rolevend.policytools.embedded.certificates import CertificateAuthority
from rolevend.policytools.embedded.ports import free_ports
from testbed.identity_provider import IdentityProvider
from testbed.installation import NAMESPACE, ConsoleProcess
from testbed.oidc.registry import Client, Person
from tests.support.confirming import Seen, with_hint
from tests.support.gateway import Front
from tests.support.installed import RBAC
from tests.support.site import AGENTS, DOMAIN, Body, Site
from tests.support.waiting import DEADLINE, eventually

CLIENT, ROWS_CLIENT = "rolevend-console", "rolevend-console-rows"
STAFF = "staff"
"""The IdentityProvider, and the prefix of its users and groups in Kubernetes."""
OLGA, OTTO, SVEN, NINA, AUDITOR, RITA, PETRA, ZARA = "olga", "otto", "sven", "nina", "axel", "rita", "petra", "zara"
"""Olga and Otto approve offers, Sven ends roles, Nina may do nothing, Axel may read by his group, Rita reads what a test lets her read,
Petra runs the installation, and Zara audits."""
PEOPLE = (OLGA, OTTO, SVEN, NINA, AUDITOR, RITA, PETRA, ZARA)
SESSIONS = f"/api/v1/namespaces/{NAMESPACE}/configmaps?labelSelector=rolevend.dev/console-session"


class ConsoleSite:
    """Use as ``with ConsoleSite(site, directory).running() as console:``."""

    def __init__(self, site: Site, directory: Path, api_url: str = "") -> None:
        """With `api_url` the pages of requests show rows to those who may read them."""
        self.site = site
        self._api_url = api_url
        now, life = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        self._authority = CertificateAuthority("console", now, life)
        pair = self._authority.issue("console", hosts=["127.0.0.1"])
        self._settings: dict[str, str] = {}
        for name, content in {"TLS_CERT": pair.certificate, "TLS_KEY": pair.key, "KEY": secrets.token_bytes(32)}.items():
            (directory / name).write_bytes(content)
            self._settings[f"CONSOLE_{name}_FILE"] = str(directory / name)
        self.audit, self.ledger, self.receipt_key = directory / "audit", directory / "ledger", directory / "receipt.key"
        """Folders of files that a test lets others write, and the private key of receipts."""
        for folder in (self.audit, self.ledger):
            folder.mkdir()
        self.receipt_key.write_text(new_private_key())
        (directory / "receipts.json").write_text(public_key_set([read_signing_key(self.receipt_key)]))
        self._ports = free_ports(2)
        self.urls = [f"https://127.0.0.1:{port}" for port in self._ports]
        self.front = Front(self._ports)
        """The address that people know. It leads to the first replica that answers."""
        groups: dict[str, list[str]] = {AUDITOR: ["auditors", "everybody"]}
        self.provider = IdentityProvider(
            people=[Person(name, {"groups": groups.get(name, ["everybody"])}) for name in PEOPLE],
            clients=[
                Client(CLIENT, redirect_uris=(f"{self.front.url}/callback",)),
                Client(ROWS_CLIENT, redirect_uris=(f"{self.front.url}/rows/callback",)),
            ],
        )
        self.replicas: list[ConsoleProcess] = []
        self._ends = ExitStack()
        self._directory = directory

    @contextmanager
    def running(self, **settings: str) -> Iterator["ConsoleSite"]:
        with closing(self.front), self.provider, self._ends:
            for name in (CLIENT, ROWS_CLIENT):
                (self._directory / name).write_text(str(self.provider.client(name).secret))
            body = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "staff-ca"},
                "stringData": {"ca.crt": self.provider.authorities},
            }
            assert self.site.cluster.call("POST", f"/api/v1/namespaces/{NAMESPACE}/secrets", body).ok
            keys = {"discovery": "OpenIDConnect", "caSecretRef": {"name": "staff-ca"}}
            spec = {"issuer": self.provider.issuer, "keys": keys, "audiences": ["https://rolevend.example.org"], "accepts": ["AccessToken"]}
            self.site.apply({"apiVersion": "rolevend.dev/v1alpha1", "kind": "IdentityProvider", "metadata": {"name": STAFF}, "spec": spec})
            for person, role, namespace in (
                (OLGA, "rolevend-approver", DOMAIN),
                (OLGA, "rolevend-viewer", AGENTS),
                (OTTO, "rolevend-approver", DOMAIN),
                (OTTO, "rolevend-viewer", AGENTS),
                (SVEN, "rolevend-responder", AGENTS),
                (PETRA, "rolevend-viewer", ""),
                (PETRA, "rolevend-doctor", ""),
            ):
                self.site.cluster.bind(kubernetes_name(person), role, namespace)
            self.replicas = [self.start(port, **settings) for port in self._ports]
            for each in self.replicas:
                each.wait_until_ready()
            eventually(lambda: all(self._leads_to_the_provider(url) for url in self.urls))
            yield self

    def start(self, port: int, **settings: str) -> ConsoleProcess:
        """Another replica, which need not be ready yet."""
        own = {
            "PORT": str(port),
            "URL": self.front.url,
            "IDENTITY_PROVIDER": STAFF,
            "CLIENT_ID": CLIENT,
            "CLIENT_SECRET_FILE": str(self._directory / CLIENT),
            "USER_PREFIX": f"{STAFF}:",
            "GROUPS_PREFIX": f"{STAFF}:",
            "GROUPS": f"{STAFF}:auditors",
            "IMPERSONATION": "true",
            "AUDIT_FILES": str(self.audit),
            "LEDGER_FILES": str(self.ledger),
            "RECEIPT_KEYS_FILE": str(self._directory / "receipts.json"),
            **({} if not self._api_url else self._rows),
            **settings,
        }
        process = self.site.start_console({**self._settings, **{f"CONSOLE_{name}": value for name, value in own.items()}})
        self._ends.callback(process.kill)
        return process

    @property
    def _rows(self) -> dict[str, str]:
        client = {"ROWS_CLIENT_ID": ROWS_CLIENT, "ROWS_CLIENT_SECRET_FILE": str(self._directory / ROWS_CLIENT)}
        return {"ROWS_API_URL": self._api_url, **client}

    def restart(self, replica: int) -> None:
        """After it was killed."""
        self.replicas[replica] = self.start(self._ports[replica])
        self.replicas[replica].wait_until_ready()

    def let_ask_who_reads(self, person: str) -> None:
        """Give the person the rights that the how-to names for all of the section."""
        cluster, name = self.site.cluster, kubernetes_name(person)
        binding = {
            "kind": "RoleBinding",
            "metadata": {"name": f"{person}-reads-catalogs", "namespace": NAMESPACE},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "rolevend-catalog-reader"},
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": name}],
        }
        cluster.kubectl("apply", "-f", "-", body={"apiVersion": f"{RBAC}/v1", **binding})
        for each in ("rolevend-access-reviewer", "rolevend-viewer"):
            cluster.bind(name, each)

    def sessions(self) -> list[Body]:
        return list(self.site.cluster.call("GET", SESSIONS).body["items"])

    def logged(self, event: str, name: str) -> list[Body]:
        """The log lines of all replicas about this event of the object."""
        lines = (json.loads(line) for each in self.replicas for line in each.log.read_text().splitlines() if f'"{event}"' in line)
        return [each for each in lines if each.get("object") == name]

    @cached_property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self._authority.certificate.decode() + self.provider.authorities)

    def browser(self, person: str) -> "Visitor":
        return Visitor(self, person, self._ends.enter_context(httpx.Client(verify=self.trust, trust_env=False, timeout=DEADLINE)))

    def _leads_to_the_provider(self, url: str) -> bool:
        answer = httpx.get(f"{url}/login", verify=self.trust, trust_env=False, timeout=DEADLINE)
        return answer.status_code == 303 and answer.headers["Location"].startswith(self.provider.issuer)


def kubernetes_name(person: str) -> str:
    return f"{STAFF}:{person}"


class Visitor:
    """A browser: it keeps cookies, follows redirects, and its person logs in where the identity provider asks for that."""

    def __init__(self, console: ConsoleSite, person: str, http: httpx.Client) -> None:
        self.console = console
        self.person = person
        self.http = http
        self.answer: httpx.Response
        """The last one."""

    def get(self, path: str, replica: int = 0) -> Seen:
        """Open a path of the console, and go where the redirects lead."""
        url = httpx.URL(self.console.urls[replica]).join(path)
        for _ in range(8):
            self.answer = self.http.get(with_hint(str(url), self.console.provider.issuer, self.person))
            if self.answer.status_code not in (302, 303):
                break
            url = url.join(self.answer.headers["Location"])
        return self.page

    @property
    def page(self) -> Seen:
        return Seen.of(self.answer.text)

    def post(
        self, path: str, headers: dict[str, str] | None = None, *, replica: int = 0, given: dict[str, str] | None = None, **fields: str
    ) -> Seen:
        """Send a form with the hidden fields and checked boxes of the last page, or with those that are given."""
        given = {**(self.page.fields if given is None else given), **fields}
        sent = {"Sec-Fetch-Site": "same-origin"} if headers is None else headers
        self.answer = self.http.post(f"{self.console.urls[replica]}{path}", data=given, headers=sent)
        return self.page
