"""People with browsers, who confirm on rolevend's page what an agent asked for over HTTP: a real identity provider, and real replicas."""

import datetime
import itertools
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx

from rolevend.policytools.embedded.certificates import CertificateAuthority
from rolevend.policytools.embedded.ports import free_ports
from testbed.identity_provider import AUDIENCE, IdentityProvider
from testbed.installation import NAMESPACE, ApiProcess
from testbed.oidc.registry import Client, Person
from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.recorded import Trail
from tests.support.requesting import REQUESTS, ApiRequester
from tests.support.site import Body
from tests.support.tenancy import Tenant
from tests.support.waiting import DEADLINE, eventually

PEOPLE = ("anna", "bert", "carl", "dora", "emil", "fred")
RULE_DECIDES, PEOPLE_DECIDE, STRONG = "rule", "people", "strong"
"""Offers: a rule approves, people approve, and a rule approves after a strong login."""
TWO_FACTORS = "mfa"
"""The `acr` of a strong login."""
_ASKS: Body = {"asks": {"justification": "User"}}
_RULE: Body = {"automatic": [{"name": "small", "limits": {"perUserPerDay": 1000}}]}
_OFFERS: Mapping[str, Body] = {
    RULE_DECIDES: _ASKS | _RULE,
    PEOPLE_DECIDE: _ASKS,
    STRONG: _ASKS | _RULE | {"proof": {"acr": [TWO_FACTORS], "maxAuthAgeSeconds": 900}},
}
_numbers = itertools.count(1)
PAGE_CLIENT, OTHER_CLIENT = "rolevend-page", "another-app"


class ProvenByProvider(Proven):
    """A tenant whose people have tokens of a real provider."""

    def __init__(self, tenant: Tenant, provider: IdentityProvider) -> None:
        super().__init__(tenant)
        self.idp = provider
        self.issuer = provider.issuer

    def token(self, subject: str = "anna", **changed: Any) -> str:
        assert not changed, "a real provider signs what it knows"
        if subject == self.client:
            return self.idp.tokens.agent_token(subject)
        return self.idp.tokens.tokens_of(subject, client=self.client).access_token

    def token_by_two_factors(self, subject: str) -> str:
        return self.idp.tokens.tokens_of(subject, client=self.client, acr=TWO_FACTORS).access_token

    def provider_spec(self, **spec: Any) -> Body:
        keys = {"discovery": "OpenIDConnect", "caSecretRef": {"name": "people-ca"}}
        return super().provider_spec(**{"keys": keys, "audiences": [AUDIENCE], **spec})


class Installed:
    """An agent, people, and two replicas of the API that browsers reach over TLS."""

    def __init__(self, tenant: Tenant, doors: Doors, directory: Path) -> None:
        self.tenant = tenant
        now, life = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        self._authority = CertificateAuthority("page", now, life)
        pair = self._authority.issue("page", hosts=["127.0.0.1"])
        files = {"CERT": pair.certificate, "KEY": pair.key}
        settings = {}
        for name, content in files.items():
            (directory / name).write_bytes(content)
            settings[f"API_TLS_{name}_FILE"] = str(directory / name)
        ports = free_ports(2)
        self.urls = [f"https://127.0.0.1:{port}" for port in ports]
        self.replicas = [doors.open({**settings, "API_PORT": str(port)}) for port in ports]
        self.provider = IdentityProvider(
            people=[Person(name, self._claims) for name in PEOPLE],
            clients=[
                Client(f"client-of-{tenant.name}"),
                Client(PAGE_CLIENT, redirect_uris=(f"{self.urls[0]}/confirm/callback",)),
                Client(OTHER_CLIENT, redirect_uris=(f"{self.urls[0]}/confirm/callback",)),
            ],
        )
        self.doors = doors
        self._browsers = ExitStack()

    @property
    def _claims(self) -> Mapping[str, Any]:
        return {"tenant": self.tenant.name, "groups": ["DE", "AT"]}

    @property
    def login(self) -> Body:
        return {"url": self.urls[0], "clientID": PAGE_CLIENT, "clientSecretRef": {"name": "people-login"}}

    @cached_property
    def proven(self) -> ProvenByProvider:
        return ProvenByProvider(self.tenant, self.provider)

    def requester(self, offer: str = RULE_DECIDES, api: ApiProcess | None = None) -> "Confirmed":
        return Confirmed(self, ApiRequester(Caller(self.proven, api or self.doors.first)), offer)

    def brief(self, seconds: int) -> "Confirmed":
        """Requests for an offer of its own, which wait for so long."""
        requester = self.requester(f"brief-{seconds}")
        requester.asking.offering(_ASKS | _RULE | {"pendingSeconds": seconds})
        return requester

    @contextmanager
    def running(self) -> Iterator["Installed"]:
        with self.provider, self._browsers:
            secrets = {
                "people-ca": {"ca.crt": self.provider.authorities},
                "people-login": {"client-secret": self.provider.client(PAGE_CLIENT).secret},
            }
            for name, content in secrets.items():
                body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": content}
                path = f"/api/v1/namespaces/{NAMESPACE}/secrets"
                self.tenant.site.cluster.call("DELETE", f"{path}/{name}")
                answer = self.tenant.site.cluster.call("POST", path, body)
                assert answer.ok, answer.message
            self.tenant.site.told(self.proven.provider(login=self.login), "Ready", "True", "KeysRead")
            self.tenant.site.told(self.proven.agent(), "Ready", "True")
            self.tenant.site.told(self.tenant.policy(), "Ready", "True")
            for each in self.replicas:
                each.wait_until_ready()
            for offer, terms in _OFFERS.items():
                self.requester(offer).asking.offering(terms)
            yield self

    def settle(self) -> None:
        """Withdraw the open requests of the agent, which may have 20, and return when they are over: a deletion waits for two seconds."""
        call = self.requester().asking.caller.call

        def are_over() -> bool:
            left = [each["id"] for each in call("GET", REQUESTS).json()["items"] if each["state"] in ("Pending", "Approved")]
            for each in left:
                assert call("DELETE", f"{REQUESTS}/{each}").status_code == 204
            return not left

        eventually(are_over)

    @property
    def trail(self) -> Trail:
        trail = Trail(self.doors)
        trail.more = [each.log for each in self.replicas]
        return trail

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self._authority.certificate.decode() + self.provider.authorities)

    def shows(self, link: str) -> bool:
        """True if each replica asks a visitor of the page to log in: it knows the request, its offer and the identity provider."""
        links = [link.replace(self.urls[0], url) for url in self.urls]
        return all(httpx.get(each, verify=self._trust, trust_env=False, timeout=DEADLINE).status_code == 303 for each in links)

    def browser(self, person: str = "anna") -> "Browser":
        return Browser(self, person, self._browsers.enter_context(httpx.Client(verify=self._trust, trust_env=False, timeout=DEADLINE)))


class Confirmed:
    """Requests of the agent for one of the offers that ask for a justification of the user."""

    def __init__(self, installed: Installed, asking: ApiRequester, offer: str) -> None:
        self.installed = installed
        self.asking = asking
        self.asking.offers.offer_name = f"{asking.offers.tenant.name}-{offer}"

    def waiting(self, person: str = "anna", **wanted: Any) -> Body:
        """A new request of the agent, which waits for the answer of its user on a page that each replica shows."""
        request = self.asking.asked("Pending", person, **{"ticket": f"T-{next(_numbers)}", **wanted})
        assert request["reason"] == "UserConfirms", request
        return dict(eventually(lambda: found if self.installed.shows((found := self.found(request))["confirm"]["url"]) else None))

    def decided(self, request: Body) -> Body:
        """The request as soon as nobody decides any more: a wait ends when the answer of its user is there, and not judged yet."""
        return dict(eventually(lambda: found if (found := self.found(request, Prefer="wait=30"))["state"] != "Pending" else None))

    def found(self, request: Body, **headers: str) -> Body:
        return self.asking.get(request, **headers)

    def status(self, request: Body) -> Body:
        """Of the object."""
        return self.asking.offers.found(request["id"]).status

    def is_unanswered(self, request: Body) -> bool:
        status = self.status(request)
        return "confirmation" not in status and status["reason"] == "UserConfirms"


@dataclass
class Seen(HTMLParser):
    """A page, as its markup says."""

    text: str = ""
    """All text that is shown, with single spaces."""
    fields: dict[str, str] = field(default_factory=dict)
    """The hidden fields of its form, and its checkboxes that are checked."""
    action: str = ""
    links: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)

    @classmethod
    def of(cls, markup: str) -> "Seen":
        page = cls()
        super(Seen, page).__init__()
        page._hidden = False
        page.feed(markup)
        page.text = " ".join(page.text.split())
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        self._hidden = tag in ("style", "title", "textarea")
        if tag == "form":
            self.action = given.get("action") or ""
        if tag == "input" and (given.get("type") == "hidden" or "checked" in given):
            self.fields[given["name"] or ""] = given["value"] or ""
        if tag == "a":
            self.links.append(given["href"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += f" {data}"


class Browser:
    """Keeps cookies, and logs its person in where the identity provider asks for that."""

    def __init__(self, installed: Installed, person: str, http: httpx.Client) -> None:
        self.installed = installed
        self.person = person
        self.http = http
        self.answer: httpx.Response
        """The last one."""
        self.way: list[str] = []
        """The addresses that it was led to."""
        self.left_out: tuple[str, ...] = ()
        """Parameters that its person takes out of the address of a login."""

    def get(self, url: str, *, most: int = 8) -> Seen:
        """Go where the redirects lead, at most so many."""
        for _ in range(most):
            self.answer = self.http.get(self._with_hint(url))
            self.way.append(url)
            if self.answer.status_code not in (302, 303):
                break
            url = urljoin(url, self.answer.headers["Location"])
        return self.page

    @property
    def page(self) -> Seen:
        return Seen.of(self.answer.text)

    def to_the_provider(self, link: str) -> str:
        """Open the link, and return the address to which the identity provider sends the browser back; nobody goes there."""
        answer = self.http.get(link)
        assert answer.status_code == 303, answer.text
        answer = self.http.get(self._with_hint(answer.headers["Location"]))
        assert answer.status_code == 302, answer.text
        return str(answer.headers["Location"])

    def submit(self, page: Seen, answer: str, why: str = "", **changed: str) -> Seen:
        fields = {**page.fields, "justification": why, "answer": answer, **changed}
        url = urljoin(str(self.answer.url), page.action)
        self.answer = self.http.post(url, data=fields, headers={"Sec-Fetch-Site": "same-origin"})
        if self.answer.status_code == 303:
            return self.get(urljoin(url, self.answer.headers["Location"]))
        return self.page

    def _with_hint(self, url: str) -> str:
        return with_hint(url, self.installed.provider.issuer, self.person, self.left_out)


def with_hint(url: str, issuer: str, person: str, left_out: tuple[str, ...] = ()) -> str:
    """Type the name of the person where this URL is the login page of the identity provider. Parameters can be left out."""
    if not url.startswith(f"{issuer}/authorize"):
        return url
    asked = {name: value for name, value in query_of(url).items() if name not in left_out}
    return f"{url.partition('?')[0]}?{urlencode({**asked, 'login_hint': person})}"


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
