"""The chart and the image on a cluster that runs pods: installed as README says, used, killed, drained, upgraded, uninstalled.

In this order: each test leaves rolevend installed and working, but for the last ones.
"""

import re
from collections import Counter
from urllib.parse import unquote

import psycopg
import pytest
import yaml

from testbed.installation import NAMESPACE
from tests.e2e.node import console, mcp_server
from tests.e2e.node.bench import HELM, OPERATOR, Bench
from tests.e2e.node.calling import API, answer_to, believe_the_cluster, forget_the_agent, vended
from tests.support.waiting import eventually

TOTALS = "SELECT country, count(*) FROM claims GROUP BY country ORDER BY country"


def expected(bench: Bench, shown: tuple[str, ...] = ("AT", "DE")) -> dict[str, int]:
    """What may be counted of the data that was made up, by Anna or by whom these countries are `shown` to."""
    countries = [claim.country for claim in bench.seed.claims]
    return {country: countries.count(country) for country in shown}


def remains(bench: Bench) -> set[str]:
    """Names of all that has to do with rolevend and its example, and is no record of the past."""
    kinds = bench.kubectl("api-resources", "--verbs=list", "--output=name").split()
    asked = ",".join(kind for kind in kinds if "event" not in kind and not kind.startswith(("nodes", "csinodes", "namespaces")))
    cluster = bench.kubectl("get", asked, "--output=name", "--namespace", NAMESPACE).split()
    here = bench.kubectl("get", asked, "--output=name", "--namespace", "default").split()
    return {each for each in (*cluster, *here) if re.search("rolevend|warehouse|finbot|anna|unreleased", each)}


def test_the_commands_of_readme_install_it_and_its_pods_are_the_operator(installed: Bench) -> None:
    pods = installed.pods()

    assert len(pods) == 2
    assert all(each["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet" for each in pods)
    assert all(status["ready"] for each in pods for status in each["status"]["containerStatuses"])
    enforced = installed.get("namespace", NAMESPACE)["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == "restricted"


def test_the_image_has_nobody_to_become_nothing_to_build_with_and_nowhere_to_write(installed: Bench) -> None:
    script = (
        "id -u; for program in pip gcc make; do command -v $program >/dev/null && echo there: $program; done;"
        " python -m pip --version; python -m ensurepip --version; touch /here /tmp/here /opt/rolevend/here"
    )

    said = installed.attempt(f"kubectl exec --namespace {NAMESPACE} deployment/rolevend -- sh -c '{script}'").stdout

    assert said.splitlines()[0] == "65532"
    assert said.count("No module named") == 2, said
    assert said.count("Read-only file system") == 3, said
    assert "there:" not in said, said


def test_helm_test_passes(installed: Bench) -> None:
    assert "Phase:          Succeeded" in installed.type(f"helm test rolevend --namespace {NAMESPACE}")


def test_a_job_of_the_agent_reads_its_rows_with_the_secret_that_it_mounts_and_knows_the_server_by_it(installed: Bench) -> None:
    role = installed.ask("first")
    uri = installed.kubectl("get", "secret", "first", "--output=go-template={{.data.uri | base64decode}}")
    assert "sslmode=verify-full" in uri
    assert "sslrootcert=/var/run/secrets/rolevend.dev/first/ca.crt" in unquote(uri)

    installed.type("kubectl apply -f examples/00-minimal/agent/job.yaml")
    installed.kubectl("wait", "--for=condition=Complete", "job/ask", "--timeout=120s")

    rows = dict(line.split() for line in installed.kubectl("logs", "job/ask").splitlines())
    assert {country: int(count) for country, count in rows.items()} == expected(installed)
    installed.kubectl("delete", "job/ask", "vendedrole/first")
    assert role not in installed.roles()


def test_a_killed_pod_leaves_live_roles_alone_and_another_one_ends_them(installed: Bench) -> None:
    released, expiring = installed.ask("released"), installed.ask("expiring", seconds=60)
    leader = eventually(installed.leader)
    with installed.session("released") as session:
        installed.kubectl("delete", "pod", leader, "--namespace", NAMESPACE, "--grace-period=0", "--force")

        assert dict(session.execute(TOTALS).fetchall()) == expected(installed)
    installed.kubectl("delete", "vendedrole/released", "--timeout=120s")
    assert released not in installed.roles()
    installed.kubectl("wait", "--for=delete", "vendedrole/expiring", "--timeout=120s")
    assert expiring not in installed.roles()
    eventually(lambda: leader != installed.leader() != "", within=60)
    installed.wait_for_operator()


def test_a_drained_node_takes_one_operator_after_the_other_and_roles_live_on(installed: Bench) -> None:
    role = installed.ask("drained")
    (node, *others) = sorted({each["spec"]["nodeName"] for each in installed.pods()})
    with installed.session("drained") as session:
        try:
            drained = installed.attempt(f"kubectl drain {node} --pod-selector={OPERATOR} --ignore-daemonsets --timeout=20s")

            if not others:  # the second operator stays until the first one is back, which on one node is never
                assert drained.returncode != 0
                assert "violate the pod's disruption budget" in drained.stdout
            assert dict(session.execute(TOTALS).fetchall()) == expected(installed)
            installed.ask("while-it-drains", seconds=60)
        finally:
            installed.kubectl("uncordon", node)
    installed.wait_for_operator()
    installed.kubectl("delete", "vendedrole/drained", "vendedrole/while-it-drains", "--timeout=120s")
    assert role not in installed.roles()


def test_an_upgrade_does_not_disturb_a_session(installed: Bench) -> None:
    role = installed.ask("upgraded")
    before = {each["metadata"]["name"] for each in installed.pods()}
    with installed.session("upgraded") as session:
        installed.type(
            f"{HELM} --set settings.logLevel=DEBUG --set networkPolicy.enabled=true --set grafanaDashboard.enabled=true"
            f" --set 'networkPolicy.databasePorts={{{installed.superuser.port}}}' --set uninstall.timeoutSeconds=20"
            f" --set 'networkPolicy.identityProviderPorts={{{installed.identity_port}}}'"
        )

        assert before.isdisjoint(each["metadata"]["name"] for each in installed.pods())
        assert dict(session.execute(TOTALS).fetchall()) == expected(installed)
    assert installed.get("vendedrole", "upgraded")["status"]["roleName"] == role
    made = installed.kubectl("get", "networkpolicy,poddisruptionbudget,configmap", "--namespace", NAMESPACE, "--output=name").split()
    names = {"networkpolicy.networking.k8s.io/rolevend", "poddisruptionbudget.policy/rolevend", "configmap/rolevend-dashboard"}
    assert names <= set(made)
    # The node's network may not enforce it: this is what it would have to let through.
    rules = installed.get("networkpolicy", "rolevend", "--namespace", NAMESPACE)["spec"]
    (into,) = rules["ingress"]
    assert [port["port"] for port in into["ports"]] == ["http"]
    open_to = {("out", port["port"]) for rule in rules["egress"] for port in rule["ports"]} | {("in", 8080)}

    def seen() -> set[tuple[str, int]]:
        return set().union(*(installed.peers(each["metadata"]["name"]) for each in installed.pods()))

    eventually(lambda: {("out", 443), ("out", installed.superuser.port)} <= seen(), within=60)  # once one of them leads
    assert seen() <= open_to
    installed.kubectl("delete", "vendedrole/upgraded", "--timeout=120s")
    assert role not in installed.roles()


def test_an_agent_in_a_pod_vends_by_one_call_reads_its_rows_and_releases(installed: Bench) -> None:
    """From here on the API runs, beside all that follows."""
    installed.type(API)
    believe_the_cluster(installed)
    assert installed.type(f"helm test rolevend --namespace {NAMESPACE}").count("Phase:          Succeeded") == 2
    try:
        told = eventually(lambda: vended(installed, "finbot"), within=120)  # a replica may hear of what is new a moment later
        # Whoever runs in the namespace has a token, too; and a token for the API server is none for us.
        strangers = [answer_to(installed, "default"), answer_to(installed, "finbot", "https://kubernetes.default.svc")]
    finally:
        forget_the_agent(installed)

    assert (told["proof"], told["released"]) == ("Asserted", 204)
    assert told["rows"] == expected(installed)
    assert "password authentication failed" in told["afterwards"]
    assert told["role"] not in installed.roles()
    assert [each["status"] for each in strangers] == [403, 401]
    kept = installed.get("secrets", "--field-selector=type=rolevend.dev/credential")["items"]
    assert not kept, "the credential was in the answer, and nowhere else"


def test_people_query_through_the_mcp_server_each_under_a_role_of_their_own_that_ends_with_their_session(installed: Bench) -> None:
    with mcp_server.workforce(installed) as provider, mcp_server.served(installed, provider) as authority:
        answer = eventually(lambda: mcp_server.told(installed, provider, authority), within=120)  # as above
        enforced = installed.get("namespace", "default")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        pods = installed.get("pods", "--selector=app.kubernetes.io/component=mcp")["items"]

        assert (enforced, len(pods)) == ("restricted", 1)
        for person, countries in mcp_server.COUNTRIES.items():
            role, shown = mcp_server.rows(answer["told"][person]["text"])
            assert shown == expected(installed, countries)
            assert role.startswith(f"IMMUTA_VENDED_MCP_{mcp_server.HANDLES[person]}_")
            assert role not in installed.roles()
        # Who brings no token, and who brings one that is for rolevend itself.
        assert answer["strangers"] == [401, 401]


def test_a_person_answers_a_request_on_the_console_which_acts_for_them_alone(installed: Bench) -> None:
    with console.visited(installed) as olga:
        page = eventually(lambda: page if "open-cases" in (page := olga.get("/requests")).text else None, within=60)
        assert "Signed in as staff:olga" in page.text
        assert "who waits for money" in olga.get(console.REQUEST).text

        told = olga.post(console.REQUEST, choice="Approve", comment="for the report").text

        assert "open-cases is Approved" in told
        votes = installed.get("accessdecisions")["items"]
        assert [each["spec"]["by"] for each in votes] == ["staff:olga"]
        eventually(lambda: console.state(installed) == "Approved", within=60)
        # Who took over the console's pod reads no Secret with it, also not as an administrator.
        pod = "system:serviceaccount:rolevend-system:rolevend-console"
        for one in ("get secrets", "create clusterrolebindings", "impersonate users", "create accessdecisions"):
            assert installed.attempt(f"kubectl auth can-i {one} --as={pod}").stdout.strip().endswith("no"), one
        olga.get("/requests")
        assert "Signed out" in olga.post("/logout").text


def test_it_is_not_uninstalled_while_a_role_cannot_be_dropped(installed: Bench) -> None:
    role = installed.ask("stuck")
    installed.database.stop()
    try:
        refused = installed.attempt(f"helm uninstall rolevend --namespace {NAMESPACE} --timeout 2m")
    finally:
        installed.database.start()

    assert refused.returncode != 0
    assert "left: VendedRole default/stuck: PlatformUnavailable" in refused.stdout
    assert installed.pods()
    assert installed.get("deployment", "rolevend-api", "--namespace", NAMESPACE)["spec"]["replicas"] == 2, "it runs again"
    closed = installed.attempt("kubectl create -f examples/00-minimal/vended-role.yaml")
    assert "vending is closed" in closed.stdout
    eventually(lambda: role not in installed.roles(), within=120)
    # Who stays has helm take the release for installed again, and can upgrade it then.
    release = f"rolevend --namespace {NAMESPACE}"
    revision = yaml.safe_load(installed.type(f"helm status {release} --output yaml"))["version"]
    installed.type(f"helm rollback rolevend {revision} --namespace {NAMESPACE} --wait --timeout 3m")
    installed.type(f"{HELM} --set uninstall.timeoutSeconds=60")


def test_uninstalling_ends_live_roles_first_and_leaves_what_it_says(installed: Bench) -> None:
    installed.kubectl("delete", "validatingadmissionpolicybinding", "rolevend-closed")
    role = installed.ask("last")
    with installed.session("last") as session:
        said = installed.type(f"helm uninstall rolevend --namespace {NAMESPACE} --timeout 3m")

        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert role not in installed.roles()
    assert 'release "rolevend" uninstalled' in said
    names = "--selector=app.kubernetes.io/instance=rolevend"
    for kinds in ("all,configmap,serviceaccount,role,rolebinding,networkpolicy,poddisruptionbudget", "clusterrole,clusterrolebinding"):
        eventually(
            lambda kinds=kinds: not installed.get(kinds, "--namespace", NAMESPACE, names)["items"],
            within=120,
        )
    assert not installed.get("validatingadmissionpolicy", names)["items"]
    assert installed.get("crd", "--selector=app.kubernetes.io/name=rolevend")["items"]
    assert installed.get("dataplatform", "warehouse")


def test_installed_again_it_goes_on_where_it_was(installed: Bench) -> None:
    eventually(lambda: "rolevend-closed" not in installed.kubectl("get", "validatingadmissionpolicybinding"), within=60)
    installed.type(
        f"helm install rolevend charts/rolevend --namespace {NAMESPACE} --wait --timeout 3m"
        " --set image.repository=registry.example.org/rolevend --set 'agentNamespaces={default}'"
    )
    installed.kubectl("wait", "--for=condition=Ready", "dataplatform/warehouse", "--timeout=60s")

    role = installed.ask("again")

    with installed.session("again") as session:
        assert dict(session.execute(TOTALS).fetchall()) == expected(installed)
    installed.kubectl("delete", "vendedrole/again", "--timeout=120s")
    assert role not in installed.roles()


def test_uninstalling_with_everything_leaves_what_the_guide_says_and_nothing_else(installed: Bench) -> None:
    installed.ask("unreleased")
    installed.type(f"{HELM} --set crds.keep=false")

    installed.type(f"helm uninstall rolevend --namespace {NAMESPACE} --timeout 3m")

    assert installed.roles() == set()
    eventually(lambda: not installed.get("crd", "--selector=app.kubernetes.io/name=rolevend")["items"], within=120)
    eventually(lambda: "rolevend-closed" not in installed.kubectl("get", "validatingadmissionpolicybinding"), within=60)
    logins = {"secret/warehouse-programmer", "secret/warehouse-vendor", "secret/warehouse-ca"}
    kept = logins | {"secret/rolevend-handle-key", "secret/rolevend-credential-key", "lease.coordination.k8s.io/rolevend-operator"}
    records = "configmap/rolevend-(agent|user)-|lease.coordination.k8s.io/rolevend-token-"
    eventually(lambda: {each for each in remains(installed) if not re.match(records, each)} == kept, within=120)
    recorded = Counter(found[1] for each in remains(installed) if (found := re.match("configmap/rolevend-(agent|user)-", each)))
    assert recorded == {"agent": 2, "user": 3}, "finbot and the MCP server; Anna at two issuers, and Ben"
    installation = {"rv_owner", "rv_connect", "rv_template", "rv_public", "rv_vendor", "rv_programmer"}
    others = installed.roles(r"rv\_%") - installation
    assert all(re.match("rv_[pt]_", each) for each in others), "profiles and templates, which log in nowhere"
