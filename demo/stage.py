"""Set up the story as a user would: control plane, database, rolevend on both, the example's objects."""

import json
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Self

import yaml

from demo.crm import ON_BOTH, PLATFORM, Crm
from demo.evidence import STATEMENTS_LOGGED, Evidence
from demo.seed import Seed, generate, load
from rolevend.policytools.embedded.connection import Connection
from rolevend.policytools.embedded.database import PostgresServer
from rolevend.policytools.embedded.errors import PartFailed
from rolevend.policytools.embedded.ports import HOST, free_ports
from rolevend.policytools.embedded.process import Program
from rolevend.policytools.embedded.progress import ProgressStep, StepProgress
from testbed.binaries import obtain
from testbed.controlplane import ControlPlane
from testbed.identity_provider import IdentityProvider
from testbed.installation import NAMESPACE, ApiProcess, Installation, OperatorProcess, checkout, with_address
from testbed.kubeconfig import write_private
from testbed.kubectl import Kubectl, Refusal
from testbed.oidc.registry import Client, Person

AGENTS = "agents"
DOMAIN = "domain-claims"
AGENT, CHATBOT = "finbot", "chatbot"
CONSOLE, CONSOLE_ROWS = "rolevend-console", "rolevend-console-rows"
"""The clients of the console at the identity provider: of its login, and of the roles with which people look at rows."""
OWNER, SECURITY = "olga@example.org", "sven@example.org"
"""People who log in to the console: the first one owns the data, the second one ends roles."""
_CONSOLE = {
    "console.enabled": "true",
    "console.url": "https://console.example.org",
    "console.tlsSecretName": "console-tls",
    "console.identityProvider": "workforce",
    "console.clientID": CONSOLE,
    "console.secretNames": "{workforce-ca,warehouse-observer,warehouse-ca}",
    "console.impersonation": "Constrained",
}
"""Its rights alone matter here, since no pod runs."""
EXAMPLE = Path("examples") / "01-first-role"
"""A path in the checkout. A user applies these files; only the address of the DataPlatform differs here."""
OVER_HTTP = Path("examples") / "04-over-http" / "access.yaml"
_PLACEHOLDER = "https://idp.example.org"
"""The issuer in the example."""
_PEOPLE = (
    Person("anna", {"employee_number": "E10442", "department": "claims", "job": "analyst", "countries": ["DE", "AT"]}),
    Person(OWNER, {"department": "claims", "job": "owner", "countries": ["DE"]}),
    Person(SECURITY),
    Person("bob", {"employee_number": "E10517", "department": "actuarial", "job": "actuary", "countries": ["US"]}),
)
"""The token claims equal the UserAttributes of the users that agents name; but these are other users, of another issuer."""
EMPLOYEES = {each.subject: str(each.claims["employee_number"]) for each in _PEOPLE if "employee_number" in each.claims}

_ROWS = """
apiVersion: rolevend.dev/v1alpha1
kind: Agent
metadata: {name: console-rows, namespace: %(agents)s}
spec:
  handle: ROWS
  identity: {type: OIDCClient, oidcClient: {issuer: %(issuer)s, clientIDs: [%(client)s]}}
  onBehalfOf: {assertion: TokenRequired}
  combination: UserCeiling
---
apiVersion: rolevend.dev/v1alpha1
kind: AccessPolicy
metadata: {name: owners, namespace: %(domain)s}
spec:
  platformRefs: [{name: warehouse}]
  users: {matchAttributes: [{key: job, operator: In, values: [owner]}]}
  tables: {matchNames: [{schema: claims, name: people}, {schema: claims, name: payments}]}
  columns: {matchNames: ["*"]}
  rowFilter: country IN (user_attr('countries'))
  masks: []
"""
"""The agent of the roles with which people look at rows in the console, and a policy by which the owner of the data reads some."""

AGAIN = "ask-again-for-anna"
"""A third VendedRole; the example's Role lets the agent read two Secrets."""

_READY_SECONDS = 60
_POLL_SECONDS = 0.1
SCIM = "scim"
"""The name of the file with the token of SCIM, beside those of people."""


class Stage(AbstractContextManager["Stage"]):
    """Runs within the ``with``; on exit, also after an error, everything is stopped and removed."""

    def __init__(self, claims: int, progress: StepProgress, settings: Mapping[str, str] | None = None) -> None:
        """`settings` of the operator, as in `rolevend.settings`, in upper case."""
        self._claims = claims
        self._progress = progress
        self._settings = settings or {}
        self._ends = ExitStack()

    scratch: Path
    cluster: ControlPlane
    postgres: PostgresServer
    superuser: Connection
    """Connected to the database `claims`."""
    evidence: Evidence
    seed: Seed
    admin: Kubectl
    agent: Kubectl
    """Runs as the agent's ServiceAccount."""
    operator: OperatorProcess
    provider: IdentityProvider
    api: ApiProcess
    crm: Crm | None = None
    """The second platform, from `add_crm` on."""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._ends.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @property
    def platform_manifest(self) -> Path:
        """Return the manifest with the local database's address."""
        return self.scratch / "manifests" / "2-platform.yaml"

    @property
    def tokens(self) -> Path:
        """The folder where `hand_out_tokens` writes a token for the agent and each person, by name."""
        return self.scratch / "tokens"

    def hand_out_tokens(self) -> None:
        """Write new tokens, because each of a person's is accepted once."""
        asked = self.provider.tokens
        fresh = {CHATBOT: asked.agent_token(CHATBOT)}
        fresh |= {subject: asked.tokens_of(subject, client=CHATBOT).access_token for subject in EMPLOYEES}
        for name, token in fresh.items():
            write_private(self.tokens / name, token.encode())

    def check(self) -> None:
        """Raise `PartFailed`, with the end of its log, if a part has ended."""
        self.cluster.check()
        self.postgres.check()
        self.operator.process.check()
        self.provider.check()
        self.api.process.check()
        if self.crm is not None:
            self.crm.check()

    def add_crm(self) -> Crm:
        """Add the second platform, with rolevend, and the example's policies for both."""
        crm = Crm(self.scratch / "crm", self.seed.people)
        self._ends.callback(crm.close)
        self.crm = crm.start()
        manifests = checkout() / ON_BOTH / "manifests"
        for file in (crm.install(), crm.manifest, manifests / "2-tags.yaml"):
            self.admin("apply", "--filename", str(file))
        self._wait_until_ready("tagbinding", "--all", "--namespace", DOMAIN)
        for file in (manifests / "3-policies.yaml", manifests / "4-agent.yaml"):
            self.admin("apply", "--filename", str(file))
        self._wait_until_ready(f"dataplatform/{PLATFORM}")
        self._wait_until_ready("accesspolicy", "--all", "--namespace", DOMAIN)
        return crm

    def open_console(self) -> str:
        """Start the console, and return its address for browsers. OWNER may approve there, and SECURITY may end roles and see all."""
        (port,) = free_ports(1)
        url = f"http://127.0.0.1:{port}"
        files = {"KEY": secrets.token_bytes(32)}
        for name, client in {"CLIENT_SECRET": CONSOLE, "ROWS_CLIENT_SECRET": CONSOLE_ROWS}.items():
            files[name] = str(self.provider.client(client).secret).encode()
        for name, content in files.items():
            write_private(self.scratch / f"console-{name}", content)
        self.admin("create", "rolebinding", "owner-sees", f"--namespace={AGENTS}", "--clusterrole=rolevend-viewer", f"--user={OWNER}")
        for role in ("responder", "auditor"):
            binding = ("rolebinding", f"security-{role}", f"--namespace={AGENTS}", f"--clusterrole=rolevend-{role}", f"--user={SECURITY}")
            self.admin("create", *binding)
        for role in ("viewer", "access-reviewer", "doctor"):
            self.admin("create", "clusterrolebinding", f"security-{role}", f"--clusterrole=rolevend-{role}", f"--user={SECURITY}")
        for role in ("catalog-reader", "doctor"):
            binding = ("rolebinding", f"security-{role}", f"--namespace={NAMESPACE}", f"--role=rolevend-{role}", f"--user={SECURITY}")
            self.admin("create", *binding)
        names = {"agents": AGENTS, "domain": DOMAIN, "issuer": self.provider.issuer, "client": CONSOLE_ROWS}
        self.admin("apply", "--filename", "-", standard_input=_ROWS % names)
        self._wait_until_ready("agent/console-rows", "--namespace", AGENTS)
        self._wait_until_ready("accesspolicy/owners", "--namespace", DOMAIN)
        own = {"PORT": str(port), "URL": url, "IDENTITY_PROVIDER": "workforce", "CLIENT_ID": CONSOLE, "IMPERSONATION": "true"}
        own |= {"AUDIT_FILES": str(self.evidence.audit), "RECEIPT_KEYS_FILE": str(self.evidence.receipt_keys)}
        own |= {"ROWS_API_URL": self.api.url, "ROWS_CLIENT_ID": CONSOLE_ROWS}
        own["LEDGER_FILES"] = str(self._follow_statements())
        own |= {f"{name}_FILE": str(self.scratch / f"console-{name}") for name in files}
        console = self._installation.console({f"CONSOLE_{name}": value for name, value in own.items()})
        self._ends.callback(console.kill)
        console.wait_until_ready()
        return url

    def _follow_statements(self) -> Path:
        """Start the access ledger, and return its file."""
        ledger = self.scratch / "ledger.ndjson"
        options = {
            "--audit": self.evidence.audit,
            "--platform": "warehouse",
            "--state": self.scratch / "ledger.state",
            "--write": ledger,
            "--pause": 1,
            "--output": "json",
        }
        command = [sys.executable, "-m", "rolevend", "ledger", str(self.evidence.statements), "--follow"]
        command += [str(part) for option in options.items() for part in option]
        program = Program("rolevend ledger", tuple(command), self.scratch / "ledger.log", environment={"PATH": "/usr/bin:/bin"})
        self._ends.callback(program.start().kill)
        return ledger

    def kubectl_as(self, namespace: str, name: str) -> Kubectl:
        """Return a kubectl for a ServiceAccount."""
        kubeconfig = self.cluster.service_account_kubeconfig(namespace, name, self.scratch)
        return Kubectl(self.cluster, kubeconfig)

    def _start(self) -> None:
        checkout()
        binaries = obtain(progress=self._progress)
        self.scratch = Path(tempfile.mkdtemp(prefix="rolevend-demo-"))
        self._ends.callback(shutil.rmtree, self.scratch, ignore_errors=True)
        self.cluster = ControlPlane(binaries=binaries)
        self._ends.callback(self.cluster.stop)
        self.postgres = PostgresServer(17, settings=STATEMENTS_LOGGED, fsync=False)
        self._ends.callback(self.postgres.close)
        title = f"starting Kubernetes and PostgreSQL {self.postgres.version}, loading {self._claims:,} claims"
        # The pool waits for its thread on failure too, so a started part must be registered to be stopped. Print nothing
        # before the thread runs: an interrupt at that time would meet a thread that the pool does not know yet.
        with ThreadPoolExecutor(1, thread_name_prefix="rolevend-demo") as threads:
            data = threads.submit(self._start_database)
            with self._progress.step(title):
                self.cluster.start()
                data.result()
        with self._progress.step("installing rolevend as its users do") as step:
            self._install(step)

    def _start_database(self) -> None:
        self.seed = generate(self._claims)
        self.postgres.start()
        self.superuser = load(self.postgres.superuser, self.seed)

    def _install(self, step: ProgressStep) -> None:
        self.admin = Kubectl(self.cluster, self.cluster.kubeconfig)
        self.evidence = Evidence(self.scratch / "evidence", self.postgres.directory)
        manifests = checkout() / EXAMPLE / "manifests"
        here = self.scratch / "manifests"
        shutil.copytree(manifests, here)
        for manifest in here.glob("*.yaml"):
            manifest.write_text(with_address(manifest, self.superuser))
        platform = yaml.safe_load(self.platform_manifest.read_text())
        platform["spec"]["credentials"]["observerSecretRef"] = {"name": "warehouse-observer"}
        self.platform_manifest.write_text(yaml.safe_dump(platform, sort_keys=False))

        self.admin("apply", "--filename", str(here / "1-namespaces.yaml"))
        installation = Installation(self.cluster, self.scratch / "installation")
        step.update("helm install")
        named = "{warehouse-vendor,warehouse-ca,workforce-ca,workforce-scim,crm-vendor}"
        api = {"api.enabled": "true", "api.scim": "true", "api.tls.mode": "Generated", "api.secretNames": named}
        installation.chart([AGENTS], {**api, **_CONSOLE})
        step.update("rolevend platform plan, rolevend platform install")
        installation.platform(self.platform_manifest, self.superuser)
        step.update("starting the operator as its ServiceAccount")
        self.operator = installation.operator({**self.evidence.settings("operator"), **self._settings})
        self._ends.callback(self.operator.kill)
        step.update("starting an OpenID Connect provider, and the API as its ServiceAccount")
        looks = Client(CONSOLE_ROWS, redirect_uris=(f"http://{HOST}/rows/callback",))
        self.provider = IdentityProvider(people=_PEOPLE, clients=[Client(CHATBOT), Client(CONSOLE), looks])
        self._ends.enter_context(self.provider)
        self._apply_for_http()
        self.api = installation.api({**self.evidence.settings("api"), "API_SCIM": "true"})
        self._ends.callback(self.api.kill)
        step.update("applying examples/01-first-role/manifests")
        self.admin("apply", "--filename", str(here))
        self.operator.wait_until_ready()
        self._installation = installation
        self._wait_until_ready("dataplatform/warehouse")
        self._wait_until_ready("accesspolicy", "--all", "--namespace", DOMAIN)
        self._wait_until_ready(f"agent/{AGENT}", f"agent/{CHATBOT}", "--namespace", AGENTS)
        self._wait_until_ready("identityprovider/workforce")
        self.admin("create", "role", AGAIN, "--namespace", AGENTS, "--verb=get", "--resource=secrets", f"--resource-name={AGAIN}")
        self.admin("create", "rolebinding", AGAIN, "--namespace", AGENTS, f"--role={AGAIN}", f"--serviceaccount={AGENTS}:{AGENT}")
        self.agent = self.kubectl_as(AGENTS, AGENT)
        step.update("waiting for admission")
        self._wait_for_admission()

    def _apply_for_http(self) -> None:
        """Apply the example's IdentityProvider and agent, with the local provider, which may push users by SCIM."""
        self.tokens.mkdir(mode=0o700)
        token = secrets.token_hex(32)
        write_private(self.tokens / SCIM, token.encode())
        self._apply_secret("workforce-ca", {"ca.crt": self.provider.authorities})
        self._apply_secret("workforce-scim", {"scim-token": token})
        provider, agent = yaml.safe_load_all((checkout() / OVER_HTTP).read_text().replace(_PLACEHOLDER, self.provider.issuer))
        provider["spec"]["scim"] = {"tokenSecretRef": {"name": "workforce-scim"}, "subject": "userName"}
        self.admin("apply", "--filename", "-", standard_input=yaml.safe_dump_all([provider, agent]))

    def _apply_secret(self, name: str, content: Mapping[str, str]) -> None:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "stringData": dict(content)}
        self.admin("apply", "--filename", "-", standard_input=json.dumps(secret))

    def _wait_for_admission(self) -> None:
        """Wait until admission policies work: they refuse everything until the API server has noticed a new kind, seconds after it is
        served.
        """
        deadline = time.monotonic() + _READY_SECONDS
        request = ("create", "--dry-run=server", "--filename", str(checkout() / EXAMPLE / "vended-roles.yaml"))
        while isinstance(answer := self.agent.attempt(*request), Refusal):
            if time.monotonic() > deadline:
                raise PartFailed(f"the agent may not ask for roles: {answer.message}")
            time.sleep(_POLL_SECONDS)

    def _wait_until_ready(self, *what: str) -> None:
        answer = self.admin.attempt("wait", "--for=condition=Ready", *what, f"--timeout={_READY_SECONDS}s")
        if isinstance(answer, Refusal):
            state = self.admin("get", "rolevend", "--all-namespaces", "--output=wide")
            raise PartFailed(self.operator.process.with_log(f"{what[0]} does not become Ready: {answer.message}\n{state}"))
