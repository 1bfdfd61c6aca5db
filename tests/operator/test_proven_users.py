"""The user of a VendedRole is proven by a token: who brings one gets their rows, and what proves nothing never reaches a platform."""

import hashlib
import json
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from testbed.brief import in_time
from testbed.controlplane import ISSUER as CLUSTER
from tests.support import tokens
from tests.support.governed import Governed
from tests.support.pages import ROOT, Typed, Written, steps
from tests.support.proving import Proven
from tests.support.site import AGENTS, WAREHOUSE, Body, Site
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import DEADLINE, eventually
from tests.support.who import who


@pytest.fixture(scope="module")
def log(site: Site) -> Iterator["Log"]:
    """The database's own log, with every statement and its values in it."""
    database = site.warehouse
    for text in ("ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()"):
        database.ask(text)
    yield Log(database)
    for text in ("ALTER SYSTEM RESET log_statement", "SELECT pg_reload_conf()"):
        database.ask(text)


class Log:
    def __init__(self, database: Governed) -> None:
        self._file = database.server.log

    def names(self, asked: Asked) -> bool:
        text = self._file.read_text(errors="replace")
        return asked.uid in text or f"_{asked.body['spec']['agentRef']['name'].upper()}_" in text


@pytest.fixture
def proven(tenant: Tenant) -> Proven:
    return Proven(tenant)


def told(site: Site, asked: Asked) -> list[Body]:
    """The audit events about it, each once; without a file they are in the operator's output."""
    return list({line["id"]: line["data"] for line in site.log_lines() if line.get("data", {}).get("requestUid") == asked.uid}.values())


def denial(site: Site, asked: Asked) -> Body:
    return eventually(lambda: next((each for each in told(site, asked) if "reason" in each), None))


def test_a_proven_user_reads_their_rows_and_everything_says_what_proved_them(proven: Proven, log: Log):
    proven.ready_to_ask()
    text = proven.token(employee="E1" + proven.tenant.handle)
    digest = tokens_digest(text)

    asked = proven.ask(text).ready()

    assert asked.rows("SELECT person_id, ssn FROM people ORDER BY 1") == [(1, None), (2, None)]
    assert asked.role.startswith(f"IMMUTA_VENDED_{proven.tenant.handle}_E1{proven.tenant.handle}_")
    user = asked.status["user"]
    assert (user["proof"], user["attributes"]) == ("Token", [{"key": "countries", "values": ["AT", "DE"]}])
    assert user["token"] == {
        "provider": proven.tenant.name,
        "type": "AccessToken",
        "digest": digest,
        "actors": [],
        "attributes": [
            {"key": "tenant", "values": [proven.tenant.name], "source": "claim tenant"},
            {"key": "countries", "values": ["AT", "DE"], "source": "expression claims.groups.filter(one, one.size() == 2)"},
        ],
        "unreadAttributes": ["shoe-size"],
    }
    assert proven.site.condition(asked.body, "UserProven")["status"] == "True"
    assert proven.site.condition(asked.body, "UserProven")["reason"] == "Token"
    (granted,) = told(proven.site, asked)
    assert granted["userProof"] == "Token"
    assert (granted["identityProvider"], granted["tokenType"], granted["tokenDigest"]) == (proven.tenant.name, "AccessToken", digest)
    assert {"key": "tenant", "values": [proven.tenant.name], "source": "claim tenant"} in granted["attributes"]
    assert ("IdentityProvider", proven.tenant.name) in {(each["kind"], each["name"]) for each in granted["objects"]}
    assert log.names(asked), "what is looked for in the log of others is there in that of this one"
    assert text.rpartition(".")[2] not in json.dumps(asked.now()) + "".join(path.read_text() for path in proven.site.logs)
    asked.delete()
    asked.gone()
    assert eventually(lambda: [each for each in told(proven.site, asked) if "ended" in each])[0]["userProof"] == "Token"


def tokens_digest(text: str) -> str:
    return hashlib.sha256(text.rpartition(".")[0].encode()).hexdigest()


def test_an_exchanged_token_shows_who_acts_and_from_whom_they_got_that(proven: Proven):
    proven.ready_to_ask()
    chain = {"sub": proven.client, "act": {"sub": "orchestrator"}}

    asked = proven.ask(tokens.token(proven.claims(act=chain, without=("client_id",)))).ready()

    actors = [{"issuer": proven.issuer, "subject": proven.client}, {"issuer": proven.issuer, "subject": "orchestrator"}]
    assert asked.status["user"]["token"]["actors"] == actors
    assert asked.status["user"]["proof"] == proven.site.condition(asked.body, "UserProven")["reason"] == "Exchanged"
    assert told(proven.site, asked)[0]["actors"] == [f"{each['subject']} ({proven.issuer})" for each in actors]


def test_a_serviceaccount_acts_for_whom_an_exchanged_token_names_it(proven: Proven):
    """The operator reads the cluster's own keys with the rights of the chart alone."""
    site = proven.site
    site.told(proven.provider(), "Ready", "True")
    site.told(proven.cluster(), "Ready", "True", "KeysRead")
    site.told(proven.acting_account(), "Ready", "True")
    proven.tenant.policy()
    act = {"iss": CLUSTER, "sub": f"system:serviceaccount:{AGENTS}:{proven.account}", "act": {"sub": "orchestrator"}}

    asked = proven.ask(proven.exchanged(act)).ready()

    assert asked.rows("SELECT person_id FROM people ORDER BY 1") == [(1,), (2,)]
    actors = [{"issuer": CLUSTER, "subject": act["sub"]}, {"issuer": proven.issuer, "subject": "orchestrator"}]
    assert (asked.status["user"]["proof"], asked.status["user"]["token"]["actors"]) == ("Exchanged", actors)
    assert told(site, asked)[0]["actors"][0] == f"{act['sub']} ({CLUSTER})"


@pytest.mark.long
def test_who_says_what_proved_the_user_also_from_the_record_when_the_role_is_gone(proven: Proven):
    site, issuer = proven.ready_to_ask().site, proven.issuer
    text = tokens.token(proven.claims(act={"sub": proven.client, "act": {"sub": "orchestrator"}}, without=("client_id",)))
    asked = proven.ask(text).ready()
    wanted = {
        "proof": f"Exchanged, {proven.tenant.name}, Exchanged",
        "token": tokens_digest(text),
        "actors": f"{proven.client} ({issuer}), for orchestrator ({issuer})",
    }

    live = who(site, asked.role)
    asked.delete()
    asked.gone()
    eventually(lambda: [each for each in told(site, asked) if "ended" in each])
    gone = who(site, asked.role)
    recorded = who(site, asked.role, *(part for log in site.logs for part in ("--audit", str(log))))

    assert wanted.items() <= live.items()
    assert {live["sources"][fact] for fact in wanted} == {"the cluster"}
    assert wanted.keys().isdisjoint(gone)
    assert wanted.items() <= recorded.items()
    assert {recorded["sources"][fact] for fact in wanted} == {"the audit file"}
    assert recorded["notes"] == ""


ACTORS: tuple[tuple[str, str, Callable[[Proven], str]], ...] = (
    ("of another name", "ActorIsAnother", lambda proven: proven.exchanged(account_of(AGENTS, "another"))),
    ("of another namespace", "ActorIsAnother", lambda proven: proven.exchanged(account_of("default", proven.account))),
    (
        "of another cluster",
        "ActorIsAnother",
        lambda proven: proven.exchanged({**account_of(AGENTS, proven.account), "iss": "https://else"}),
    ),
    ("of the issuer of persons", "ActorIsAnother", lambda proven: proven.exchanged({"sub": account_of(AGENTS, proven.account)["sub"]})),
    ("that acted before", "ActorIsAnother", lambda proven: proven.exchanged({"sub": "now", "act": account_of(AGENTS, proven.account)})),
    ("that is only the client", "IssuedToAnother", lambda proven: proven.token(client_id=account_of(AGENTS, proven.account)["sub"])),
    ("that is itself the person", "TypeNotAccepted", lambda proven: own_token(proven)),
)


def account_of(namespace: str, name: str) -> dict[str, str]:
    return {"iss": CLUSTER, "sub": f"system:serviceaccount:{namespace}:{name}"}


def own_token(proven: Proven) -> str:
    """As the pod of the agent has it: it says which agent calls, and nothing of a person."""
    return proven.site.control_plane.service_account_token(AGENTS, proven.account, audiences=(tokens.AUDIENCE,))


@pytest.mark.parametrize(("reason", "made"), [each[1:] for each in ACTORS], ids=[each[0] for each in ACTORS])
def test_a_token_that_names_another_account_proves_nobody_to_this_one(proven: Proven, log: Log, reason: str, made: Callable[[Proven], str]):
    proven.site.told(proven.provider(), "Ready", "True")
    proven.site.told(proven.cluster(), "Ready", "True")
    proven.site.told(proven.acting_account(), "Ready", "True")
    proven.tenant.policy()

    asked = proven.ask(made(proven))

    asked.refused(reason, granted="False")
    assert denial(proven.site, asked)["reason"] == reason
    assert not log.names(asked)


def test_an_account_waits_until_the_cluster_is_believed_and_a_wrong_issuer_is_said(proven: Proven):
    proven.provider()
    proven.acting_account()
    proven.tenant.policy()
    asked = proven.ask(proven.exchanged())
    asked.refused("IdentityProviderUnknown", granted="Unknown")

    cluster = proven.cluster(issuer="https://kubernetes.default.svc")
    message = proven.site.told(cluster, "Ready", "False", "KeysUnread")
    assert f"spec.issuer: this cluster's API server says that its issuer is {CLUSTER}" in message
    asked.refused("ActorIsAnother", granted="False")

    proven.site.patch(cluster, {"issuer": CLUSTER})
    proven.site.told(cluster, "Ready", "True", "KeysRead")
    assert asked.ready().rows("SELECT count(*) FROM people") == [(2,)]


def no_token(proven: Proven) -> None:
    return None


def forged(proven: Proven) -> str:
    return tokens.token(proven.claims(), by="rsa-forger")


def unsigned(proven: Proven) -> str:
    return tokens.token(proven.claims(), tokens.header(alg="none"))


REFUSED: tuple[tuple[str, Callable[[Proven], str | None]], ...] = (
    ("TokenRequired", no_token),
    ("AnotherPerson", lambda proven: proven.token("beth")),
    ("IssuedToAnother", lambda proven: proven.token(client_id="another-agent")),
    ("ActorIsAnother", lambda proven: proven.token(act={"sub": "another-agent"})),
    ("NotAPersons", lambda proven: proven.token(proven.client)),
    ("TokenExpired", lambda proven: proven.token(seconds=-60)),
    ("TokenExpired", lambda proven: proven.token(seconds=-5)),
    ("NotYetValid", lambda proven: proven.token(nbf=int(time.time()) + 600)),
    ("WrongAudience", lambda proven: proven.token(aud="https://elsewhere.example.org")),
    ("UnknownIssuer", lambda proven: proven.token(iss="https://evil.example.org")),
    ("BadSignature", forged),
    ("AlgorithmNotAllowed", unsigned),
    ("MalformedToken", lambda proven: "no token at all"),
    ("TypeNotAccepted", lambda proven: tokens.token(proven.claims(aud=proven.client), tokens.header(typ="JWT"))),
)


@pytest.mark.parametrize(("reason", "made"), REFUSED, ids=lambda each: each if isinstance(each, str) else "")
def test_what_proves_nothing_is_refused_with_its_reason_and_never_reaches_the_platform(
    proven: Proven, log: Log, reason: str, made: Callable[[Proven], str | None]
):
    proven.ready_to_ask()
    text = made(proven)

    asked = proven.ask(text)

    message = asked.refused(reason, granted="False")
    assert message.startswith("spec.userTokenSecretRef: ")
    if text is not None:
        assert proven.site.told(asked.body, "UserProven", "False", reason) == message
    event = denial(proven.site, asked)
    assert (event["reason"], event["message"]) == (reason, message)
    assert event.get("tokenDigest") == (None if text is None else tokens_digest(text))
    assert event.get("userProof") == ("Asserted" if text is None else None)
    assert "user" not in asked.status
    assert proven.site.secret(AGENTS, asked.name).status == 404
    assert not log.names(asked)


def test_a_token_proves_one_vended_role_and_no_second_one(proven: Proven, log: Log):
    proven.ready_to_ask()
    ref = proven.secret(proven.token())
    first = proven.ask(ref).ready()
    first.delete()
    first.gone()

    second = proven.ask(ref)

    assert "used for another VendedRole" in second.refused("TokenReplayed", granted="False")
    assert second.uid not in proven.site.warehouse.server.log.read_text(errors="replace")
    copied = proven.ask(json.loads(json.dumps(ref)))
    copied.refused("TokenReplayed", granted="False")


def test_a_token_without_an_id_is_taken_once_as_a_whole(proven: Proven):
    proven.ready_to_ask()
    text = proven.token(without=("jti",))
    proven.ask(text).ready()

    proven.ask(text).refused("TokenReplayed", granted="False")


@pytest.mark.long
def test_the_role_ends_with_the_token_that_proved_its_user(proven: Proven):
    proven.ready_to_ask()
    expires = int(time.time()) + 40
    asked = proven.ask(proven.token(exp=expires)).ready()

    until = asked.status["expirationTimestamp"]
    assert until == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires))
    (lease,) = proven.site.warehouse.ask("SELECT extract(epoch FROM expires_at)::bigint FROM rolevend.lease WHERE role = %s", asked.role)
    assert lease == (expires,)
    asked.gone(within=40 + DEADLINE)
    assert proven.site.warehouse.ended(asked.role) == "Expired"
    assert time.time() >= expires


@pytest.mark.long
def test_a_retry_of_the_same_request_is_no_replay_and_a_restart_changes_nothing(proven: Proven):
    proven.site.told(proven.provider(), "Ready", "True")
    proven.agent()
    asked = proven.ask(proven.token(groups=["DE"]))
    asked.refused("NoPolicy", granted="False")
    proven.site.operator.kill()
    proven.site.start_operator()

    proven.tenant.policy()

    assert asked.ready().rows("SELECT person_id FROM people") == [(1,)]
    proven.site.cluster.call("DELETE", f"/api/v1/namespaces/{AGENTS}/secrets/{asked.body['spec']['userTokenSecretRef']['name']}")
    role, before = asked.role, asked.status["user"]
    proven.site.operator.kill()
    proven.site.start_operator()
    eventually(lambda: proven.site.metric("rolevend_live_roles", platform=WAREHOUSE) >= 1)
    assert (asked.ready().role, asked.status["user"]) == (role, before)
    assert asked.rows("SELECT person_id FROM people") == [(1,)]


@pytest.mark.long
def test_after_a_restart_a_change_that_asks_for_what_is_not_known_any_more_ends_the_role(proven: Proven):
    proven.ready_to_ask()
    asked = proven.ask(proven.token()).ready()
    proven.site.operator.kill()
    proven.site.start_operator()

    wide = [{"key": "shoe-size", "operator": "DoesNotExist"}]
    proven.tenant.policy(f"{proven.tenant.name}-barefoot", "claims", users={"matchAttributes": wide}, rowFilter="country = 'DE'", masks=[])

    asked.gone()
    assert proven.site.warehouse.ended(asked.role) == "Revoked"


def test_a_claim_that_cannot_be_read_grants_nothing_to_who_lacks_it(proven: Proven):
    proven.ready_to_ask()
    lacking = [{"key": "tenant", "operator": "In", "values": [proven.tenant.name]}, {"key": "shoe-size", "operator": "DoesNotExist"}]
    policy = proven.tenant.policy(
        f"{proven.tenant.name}-barefoot", "claims", users={"matchAttributes": lacking}, rowFilter="country = 'DE'", masks=[]
    )
    proven.site.told(policy, "Ready", "True")

    asked = proven.ask(proven.token(shoe_size={"left": 42}))

    assert "claims of shoe-size in the user's token cannot be read" in asked.refused("AttributeUnreadable", granted="False")
    assert proven.ask(proven.token(without=("shoe_size",))).ready().rows("SELECT claim_id FROM claims") == [(11,)]


def test_whoever_loses_the_issuer_or_may_not_assert_any_more_loses_the_role(proven: Proven):
    proven.ready_to_ask()
    asked = proven.ask(proven.token()).ready()

    proven.site.remove({"kind": "IdentityProvider", "metadata": {"name": proven.tenant.name}})

    asked.gone()
    assert proven.site.warehouse.ended(asked.role) == "Revoked"


def test_an_agent_that_must_prove_its_users_from_now_on_loses_what_was_vended_on_its_word(proven: Proven):
    proven.ready_to_ask()
    trusted = proven.tenant.agent(f"{proven.tenant.name}-trusted", handle=f"{proven.tenant.handle}T")
    proven.tenant.person()
    asked = proven.tenant.ask(agent=trusted["metadata"]["name"]).ready()

    other = {"type": "OIDCClient", "oidcClient": {"issuer": proven.issuer, "clientIDs": ["another-client"]}}
    proven.site.patch(trusted, {"identity": other, "onBehalfOf": {"assertion": "TokenRequired"}})

    asked.gone()
    assert proven.site.warehouse.ended(asked.role) == "Revoked"


def test_whatever_arrives_late_is_waited_for(proven: Proven):
    """The Secret, the agent, and the issuer whose token it is."""
    name = f"{proven.tenant.name}-late"
    asked = proven.ask({"name": name})
    asked.refused("AgentUnknown", granted="Unknown")
    proven.agent()
    proven.tenant.policy()
    assert f"there is no Secret {name}" in asked.refused("InvalidInput")
    proven.put(name, proven.token())
    asked.refused("UnknownIssuer", granted="False")

    proven.provider()

    assert asked.ready().rows("SELECT count(*) FROM people") == [(2,)]


def test_keys_that_cannot_be_read_are_waited_for_and_said_with_the_way_out(proven: Proven):
    provider = proven.provider(keys={"url": "https://127.0.0.1:1/keys"})
    proven.agent()
    proven.tenant.policy()

    assert "give its keys inline" in proven.site.told(provider, "Ready", "False", "KeysUnread")
    asked = proven.ask(proven.token())
    assert "were not read" in asked.refused("IdentityProviderUnavailable")

    proven.site.patch(provider, {"keys": {"url": None, "inline": tokens.KEYS.decode()}})

    assert asked.ready().rows("SELECT count(*) FROM people") == [(2,)]


@pytest.mark.long
def test_a_request_that_waits_for_a_policy_ends_with_its_token(proven: Proven):
    proven.site.told(proven.provider(), "Ready", "True")
    proven.agent()

    def waiting(seconds: int) -> Asked:
        asked = proven.ask(proven.token(seconds=seconds))
        asked.refused("NoPolicy", granted="False", within=seconds)
        return asked

    asked = in_time(waiting, 15)

    asked.gone()


def test_no_other_secret_is_read_as_a_token(proven: Proven):
    proven.ready_to_ask()

    asked = proven.ask(proven.secret("secret of somebody else", kind="Opaque"))

    message = asked.refused("InvalidInput")
    assert "is not of type rolevend.dev/user-token" in message
    assert "secret of somebody else" not in "".join(path.read_text() for path in proven.site.logs)


def test_a_client_is_one_agents_and_the_older_one_keeps_it(proven: Proven):
    proven.ready_to_ask()

    other = proven.tenant.agent(f"{proven.tenant.name}-thief", handle=f"{proven.tenant.handle}X", identity=proven.identity)

    assert "spec.identity" in proven.site.told(other, "Accepted", "False", "Conflict")


def test_records_of_taken_tokens_name_who_took_them_and_go_when_the_token_is_over(proven: Proven):
    proven.ready_to_ask()
    asked = proven.ask(proven.token(seconds=300)).ready()

    (record,) = [each for each in proven.records() if each["spec"]["holderIdentity"] == asked.uid]

    assert 300 < record["spec"]["leaseDurationSeconds"] <= 600
    over = {"metadata": {"name": "rolevend-token-over"}, "spec": {**record["spec"], "acquireTime": "2020-01-01T00:00:00.000000Z"}}
    assert proven.site.cluster.call("POST", "/apis/coordination.k8s.io/v1/namespaces/rolevend-system/leases", over).ok
    proven.site.operator.stop()
    proven.site.start_operator()
    eventually(lambda: "rolevend-token-over" not in {each["metadata"]["name"] for each in proven.records()})
    assert record["metadata"]["name"] in {each["metadata"]["name"] for each in proven.records()}


class Page:
    """Typed as it stands, but with names of this test."""

    def __init__(self, proven: Proven, folder: Path, names: dict[str, str]) -> None:
        self._proven = proven
        self._folder = folder
        tenant = proven.tenant
        self._names = {
            **names,
            **{"finbot": tenant.name, "FINBOT": tenant.handle},
            **{"namespace: agents": f"namespace: {AGENTS}", "--namespace agents": f"--namespace {AGENTS}"},
        }
        self.said: list[str] = []
        """What each command said."""

    def here(self, text: str) -> str:
        for name, mine in self._names.items():
            text = text.replace(name, mine)
        return text

    def type(self, path: Path, changed: Callable[[Body], None] = lambda _: None) -> "Page":
        for step in steps(path):
            if isinstance(step, Written):
                body = yaml.safe_load(self.here(step.text))
                changed(body)
                self._proven.tenant.keep(body)
                (self._folder / self.here(step.file)).write_text(yaml.safe_dump(body))
            elif isinstance(step, Typed):
                self._type(self.here(step.command))
        return self

    def _type(self, command: str) -> None:
        program, *arguments = shlex.split(command)
        assert program == "kubectl"
        files = {each.name: str(each) for each in self._folder.iterdir()}
        words = [files.get(word, word) for word in arguments]
        words = [f"--from-file=token={files['token.jwt']}" if word == "--from-file=token=token.jwt" else word for word in words]
        self.said.append(self._proven.site.cluster.kubectl(*words))


HOW_TO = ROOT / "docs" / "how-to"


@pytest.mark.long
def test_whoever_types_what_the_guide_says_gets_a_role_for_a_proven_user(proven: Proven, tmp_path: Path):
    """With keys inline, since the issuer of the test answers nobody."""
    tenant, site = proven.tenant, proven.site
    anna = f"anna-{tenant.name}"
    page = Page(proven, tmp_path, {"https://idp.example.org": proven.issuer, "workforce": tenant.name, "anna": anna})
    of_department = [{"key": "department", "operator": "In", "values": [tenant.name]}]
    tenant.policy(users={"matchAttributes": of_department}, rowFilter="country = 'DE'")
    claimed = {"department": tenant.name, "groups": ["country-DE", "other"], "client_id": tenant.name}
    (tmp_path / "token.jwt").write_text(proven.token(anna, **claimed) + "\n")

    def changed(body: Body) -> None:
        if body["kind"] == "IdentityProvider":
            body["spec"]["keys"] = {"inline": tokens.KEYS.decode()}

    page.type(HOW_TO / "prove-the-user.md", changed)

    assert len(page.said) == 9
    asked = site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles/ask-for-{anna}").body
    role = Asked(site, {"kind": "VendedRole", **asked}).ready()
    assert role.rows("SELECT person_id FROM people") == [(1,)]
    assert {each["key"] for each in role.status["user"]["token"]["attributes"]} == {"department"}


@pytest.mark.long
def test_whoever_types_what_the_page_on_serviceaccounts_says_has_an_agent_that_needs_no_secret(proven: Proven, tmp_path: Path):
    """With the algorithm of this cluster."""
    tenant = proven.tenant
    cluster = f"cluster-of-{tenant.name}"
    names = {"{name: cluster}": f"{{name: {cluster}}}", "identityprovider/cluster": f"identityprovider/{cluster}", "[RS256]": "[ES256]"}
    page = Page(proven, tmp_path, names)

    page.type(HOW_TO / "identity" / "service-accounts.md")

    document, *_, token = page.said
    assert len(page.said) == 7
    assert (json.loads(document)["issuer"], json.loads(document)["id_token_signing_alg_values_supported"]) == (CLUSTER, ["ES256"])
    payload = tokens.payload_of(token.strip())
    assert (payload["iss"], payload["sub"], payload["aud"]) == (*account_of(AGENTS, tenant.name).values(), [tokens.AUDIENCE])
    proven.site.told(proven.provider(), "Ready", "True")
    tenant.policy()
    asked = proven.ask(tokens.token(proven.claims(act=account_of(AGENTS, tenant.name), without=("client_id",)))).ready()
    assert asked.rows("SELECT count(*) FROM people") == [(2,)]
