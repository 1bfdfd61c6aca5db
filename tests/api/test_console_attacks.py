"""Attacks on the console: from other sites, by people without rights, and by somebody who took it over."""

import json
import ssl
from collections.abc import Iterator

import httpx
import pytest
import yaml

from rolevend.console.limits import CHANGES
from testbed.installation import CONSOLE_SERVICE_ACCOUNT, NAMESPACE
from tests.support.confirming import query_of
from tests.support.console import AUDITOR, NINA, OLGA, ConsoleSite
from tests.support.requesting import Requester
from tests.support.site import AGENTS, DOMAIN, WAREHOUSE
from tests.support.tenancy import Tenant
from tests.support.waiting import DEADLINE, eventually

HOSTILE = "</bdi><script>alert(1)</script><img src=x onerror=alert(1)>"
PAGES = (
    "/requests",
    "/roles",
    "/readers",
    "/readers?table=claims.people",
    "/health",
    "/requests/none/none",
    "/roles/none/none",
    "/trail",
    "/trail/receipts",
    "/trail/none/export",
    "/login?to=/roles",
    "/callback",
    "/console.js",
    "/nowhere",
)


class Taken:
    """The API server, with the token of the console's ServiceAccount."""

    def __init__(self, console: ConsoleSite, directory: object) -> None:
        plane = console.site.control_plane
        kubeconfig = yaml.safe_load(plane.service_account_kubeconfig(NAMESPACE, CONSOLE_SERVICE_ACCOUNT, directory).read_text())  # type: ignore[arg-type]
        token = kubeconfig["users"][0]["user"]["token"]
        trust = ssl.create_default_context(cadata=plane.server.authority.decode())
        headers = {"Authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url=plane.url, verify=trust, trust_env=False, timeout=DEADLINE, headers=headers)

    def status(self, method: str, path: str, body: object = None, user: str = "", *groups: str) -> int:
        headers = [("Impersonate-User", user), *(("Impersonate-Group", each) for each in groups)] if user else []
        content = None if body is None else json.dumps(body)
        answer = self.http.request(method, path, content=content, headers=[*headers, ("Content-Type", "application/json")])
        return answer.status_code


@pytest.fixture
def taken(console: ConsoleSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    attack = Taken(console, tmp_path_factory.mktemp("taken"))
    yield attack
    attack.http.close()


POWERFUL = ["kubernetes-admin", "boss", "system:kube-controller-manager", f"system:serviceaccount:{NAMESPACE}:rolevend", ""]
"""Users with many rights; the last is of the group system:masters."""


@pytest.mark.parametrize("user", POWERFUL)
def test_the_console_impersonates_nobody_for_anything_but_votes_ends_and_questions(console: ConsoleSite, taken: Taken, user: str):
    if user == "boss":
        console.site.cluster.kubectl("create", "clusterrolebinding", "boss", "--clusterrole=cluster-admin", "--user=boss")
    groups = () if user else ("system:masters",)
    role = f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}"
    for method, path in (
        ("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets"),
        ("GET", f"/api/v1/namespaces/{AGENTS}/secrets"),
        ("GET", "/api/v1/pods"),
        ("GET", f"/api/v1/namespaces/{AGENTS}/pods"),
        ("GET", f"/api/v1/namespaces/{AGENTS}/configmaps/rolevend-suspension"),
        ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles"),
        ("POST", f"/api/v1/namespaces/{NAMESPACE}/pods"),
        ("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/rolevend/token"),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"),
        ("POST", f"{role}/vendedroles"),
        ("POST", f"{role}/accessrequests"),
        ("DELETE", f"{role}/accessrequests/any"),
        ("POST", f"/apis/rolevend.dev/v1alpha1/namespaces/{DOMAIN}/accesspolicies"),
        ("DELETE", "/apis/rolevend.dev/v1alpha1/guardrails/any"),
        ("POST", "/apis/rolevend.dev/v1alpha1/userattributes"),
        ("DELETE", "/apis/rolevend.dev/v1alpha1/userattributes/any"),
        ("DELETE", f"/api/v1/namespaces/{AGENTS}"),
    ):
        assert taken.status(method, path, {} if method == "POST" else None, user or "anybody", *groups) == 403, (method, path)
        assert taken.status(method, path, {} if method == "POST" else None) == 403, (method, path)
    system = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    for path in (system, f"{system}/rolevend-user-any", f"/api/v1/namespaces/{AGENTS}/configmaps/rolevend-catalogs-0"):
        assert taken.status("GET", path, None, user or "anybody", *groups) == 403, path
    assert taken.status("GET", "/apis/rolevend.dev/v1alpha1/agents") == 403, "not without a person"


def test_the_console_writes_no_other_config_map(console: ConsoleSite, taken: Taken):
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    assert taken.status("DELETE", f"{path}/rolevend-suspension") == 403
    assert taken.status("POST", path, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rolevend-user-forged"}}) == 403
    patch = {"data": {"suspend": "false"}}
    labelled = {"app.kubernetes.io/managed-by": "rolevend-scim", "rolevend.dev/console-session": "true"}
    for planted in (
        {"metadata": {"name": "console-session-x"}, "data": {"session": "x"}},
        {"metadata": {"name": "console-session-x", "labels": labelled}, "data": {"session": "x"}},
        {"metadata": {"name": "console-session-x", "labels": {"rolevend.dev/named-by": "A"}}, "data": {"session": "x"}},
        {"metadata": {"name": "console-session-x", "labels": {"rolevend.dev/console-session": "true"}}, "data": {"handle": "x"}},
    ):
        assert taken.status("POST", path, {"apiVersion": "v1", "kind": "ConfigMap", **planted}) == 403, planted
    answer = taken.http.patch(f"{path}/rolevend-suspension", json=patch, headers={"Content-Type": "application/merge-patch+json"})
    assert answer.status_code == 403


def test_every_page_forbids_frames_other_hosts_and_inline_scripts(console: ConsoleSite):
    visitor = console.browser(NINA)
    visitor.get("/requests")
    for path in PAGES:
        answer = visitor.http.get(f"{console.urls[0]}{path}")
        if path == "/nowhere":
            assert answer.status_code == 404
            continue
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert "http" not in policy, path
        assert answer.headers["Cache-Control"] == "no-store", path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert "<script>" not in answer.text, path
        assert " style=" not in answer.text, path
    for cookie in visitor.http.cookies.jar:
        if cookie.name.startswith("__Host-rolevend"):
            assert cookie.secure
            assert cookie.has_nonstandard_attr("HttpOnly")


def test_hostile_words_are_text(console: ConsoleSite, tenant: Tenant):
    requester = Requester(tenant).ready()
    request = requester.ask(justification={"text": HOSTILE}, ticket="<b>T-1</b>")
    request.is_now("Pending")
    olga = console.browser(OLGA)
    eventually(lambda: request.name in olga.get("/requests").text)
    olga.get(f"/requests/{AGENTS}/{request.name}")
    answers = [olga.answer.text]
    olga.post(f"/requests/{AGENTS}/{request.name}", choice="Approve", digest="x", masks=HOSTILE, comment=HOSTILE, seconds=HOSTILE)
    answers.append(olga.answer.text)
    olga.get("/roles")
    fields = ("q", "user", "agent", "table", "platform")
    answers += [olga.http.get(f"{console.urls[0]}/roles", params={name: HOSTILE}).text for name in fields]
    for text in answers:
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "<b>" not in text
        assert "</bdi><script" not in text


ELSEWHERE = [
    *("https://evil.example", "//evil.example", "/\\evil.example"),
    *("/requests/../..//evil.example", "/logout", "/requests?x=//e"),
]


@pytest.mark.parametrize("to", ELSEWHERE)
def test_a_login_leads_to_no_other_site(console: ConsoleSite, to: str):
    visitor = console.browser(NINA)
    visitor.get(f"/login?to={to}")
    assert visitor.answer.url.host == "127.0.0.1"
    assert visitor.answer.url.path == "/requests"
    assert visitor.answer.status_code == 200


def test_a_login_makes_a_new_session_and_ends_the_former_one(console: ConsoleSite):
    victim = console.browser(OLGA)
    victim.get("/requests")
    first = {"Cookie": victim.answer.request.headers["Cookie"]}
    victim.get("/login")
    second = victim.answer.request.headers["Cookie"]
    assert first["Cookie"] != second
    fresh = httpx.Client(verify=console.trust, trust_env=False, timeout=DEADLINE)
    with fresh:
        assert fresh.get(f"{console.urls[0]}/requests", headers=first).status_code == 303
        assert fresh.get(f"{console.urls[1]}/requests", headers={"Cookie": second}).status_code == 200


def test_a_login_that_this_browser_did_not_begin_is_refused(console: ConsoleSite):
    mallory, victim = console.browser(NINA), console.browser(OLGA)
    begun = mallory.http.get(f"{console.urls[0]}/login").headers["Location"]
    back = mallory.http.get(f"{begun}&login_hint={NINA}").headers["Location"]
    assert query_of(back)["code"]

    assert victim.http.get(back).status_code == 403
    victim.http.get(f"{console.urls[0]}/login")
    assert victim.http.get(back).status_code == 403
    assert mallory.http.get(f"{back}&code=another").status_code == 403
    assert mallory.http.get(back).status_code == 303
    assert mallory.http.get(back).status_code == 403, "a code is good for one login"


def test_who_sends_too_much_waits_and_nobody_else_does(console: ConsoleSite):
    axel, nina = console.browser(AUDITOR), console.browser(NINA)
    for each in (axel, nina):
        each.get("/roles", replica=1)
    for _ in range(CHANGES.burst + 60):
        axel.post("/roles", replica=1, form="none")
        if axel.answer.status_code != 403:
            break
    assert (axel.answer.status_code, axel.answer.headers["Retry-After"]) == (429, "1")
    assert "Nothing was changed. There were too many changes" in axel.page.text
    assert "Signed in as staff:axel" in axel.get("/roles", replica=1).text
    nina.post("/roles", replica=1, form="none")
    assert nina.answer.status_code == 403


def test_the_console_reads_no_other_login_of_a_platform(taken: Taken):
    secrets = f"/api/v1/namespaces/{NAMESPACE}/secrets"
    assert taken.status("GET", f"{secrets}/{WAREHOUSE}-observer") == 200
    for path in (f"{secrets}/{WAREHOUSE}-vendor", f"{secrets}/{WAREHOUSE}-programmer", f"{secrets}/rolevend-handle-key", secrets):
        assert taken.status("GET", path) == 403, path
    platform = f"/apis/rolevend.dev/v1alpha1/dataplatforms/{WAREHOUSE}"
    assert [taken.status(method, platform, {}) for method in ("PUT", "PATCH", "DELETE")] == [403] * 3
