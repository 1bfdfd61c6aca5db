"""A user who is proven by a token: what a verdict, a status and an audit event make of it, and what ends with it. Tokens are real."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from rolevend.audit import role_events
from rolevend.audit.evidence import AttributeRead, access_summary
from rolevend.decision.outcome import Decision, Denied, Granted, Pending, Request, withdrawal_reason
from rolevend.decision.profile_cache import ProfileCache
from rolevend.decision.proof import Actor, Claimed, ClientIdentity, Proof, ServiceAccountIdentity, Unproven, UserProof, UserToken
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import ClusterUnavailable, IdentityProviderUnavailable, InvalidInput
from rolevend.identity.key_store import KeyStore
from rolevend.identity.proven import Party, UserWanted
from rolevend.identity.refusal import Code
from rolevend.identity.token_check import TokenCheck
from rolevend.kinds import Agent as AgentObject
from rolevend.kinds import VendedRole
from rolevend.kinds import parse as parse_object
from rolevend.kube.client import KubeClient, NotFound, ResourceConflict, ResourcePath
from rolevend.kube.token_replay import PREFIX, TokenReplayStore
from rolevend.model import Attributes, Task, Uid, UserHandle, Version
from rolevend.policy.index import compile_policies
from rolevend.policy.predicate import parse
from rolevend.policy.requirement import Requirement, RequirementOperator
from rolevend.roles.decision import RoleDecision
from rolevend.roles.state import role_request, role_states
from rolevend.roles.status import StatusBuilder
from rolevend.roles.store import RoleStore
from rolevend.roles.user_authenticator import UserAuthenticator, wanted
from tests.support import registered, tokens
from tests.support.manifests import valid
from tests.support.painted import OBJECTS, made, paint, said
from tests.support.policies import catalog, guardrail, policy
from tests.support.registered import AGENT, MINE, NOW, REQUEST, TERMS, WAREHOUSE, shapes, terms

ISSUER = REQUEST.user.issuer
AGENT_VERSION = Version("Agent", "agents/finbot", Uid("a"), 1)
PROVING = replace(
    AGENT, may_assert=False, identity=ClientIdentity(ISSUER, frozenset({"finbot", "canary"}), "finbot"), version=AGENT_VERSION
)
ISSUERS = {ISSUER: Version("IdentityProvider", "workforce", Uid("i"), 1)}
ASKED = replace(REQUEST, token=UserToken("anna-token", "token"))
PROOF = Proof(
    UserProof.TOKEN,
    "workforce",
    "AccessToken",
    "d" * 64,
    NOW + timedelta(seconds=300),
    UserHandle("E1"),
    (Claimed("countries", ("AT",), "claim countries"), Claimed("shoe", ("42",), "claim shoe")),
)
PROVEN = replace(ASKED, proof=PROOF)


def known(**changes: Any) -> Snapshot:
    """In which nobody is known but by tokens."""
    platforms = {WAREHOUSE: terms(replace(TERMS, may_assert=False, may_prove=True))}
    fields = {
        "agents": {AGENT.name: PROVING},
        "people": {},
        "platforms": platforms,
        "issuers": ISSUERS,
        "shapes": {WAREHOUSE: shapes(OF_AT)},
    }
    return registered.a_snapshot(**{**fields, **changes})


OF_AT = replace(MINE, users=(Requirement("countries", frozenset({"AT"})),))


def verdict(request: Request = PROVEN, **changes: Any) -> Decision:
    return known(**changes).decide(request)


def refusal(request: Request = PROVEN, **changes: Any) -> tuple[type, str, bool]:
    found = verdict(request, **changes)
    assert not isinstance(found, Granted)
    return type(found), found.reason, found.withdrawn


class TestVerdict:
    def test_a_proven_user_is_granted_by_what_the_token_says(self):
        found = verdict()

        assert isinstance(found, Granted)
        assert found.lease.attributes == Attributes.of([("countries", ["AT"])])
        assert found.user_handle == "E1"
        assert found.lease.expires_at == PROOF.expires_at

    def test_a_role_never_outlives_what_was_asked_for_either(self):
        long = replace(PROVEN, proof=replace(PROOF, expires_at=NOW + timedelta(days=1)))

        assert long.expires_at == REQUEST.expires_at == NOW + timedelta(seconds=900)

    def test_an_agent_that_must_prove_its_users_gets_nothing_for_its_word(self):
        assert refusal(REQUEST) == (Denied, "TokenRequired", True)

    @pytest.mark.parametrize(
        ("agent", "of_platform"),
        [
            (PROVING, replace(TERMS, may_assert=True, may_prove=False)),
            (replace(PROVING, may_assert=True), replace(TERMS, may_assert=False, may_prove=True)),
        ],
        ids=["takes-none", "wants-one"],
    )
    @pytest.mark.parametrize("request_", [REQUEST, ASKED, PROVEN], ids=["asserted", "unread", "proven"])
    def test_the_platform_must_permit_the_same_as_the_agent_says(self, agent, of_platform, request_: Request):
        found = verdict(request_, agents={AGENT.name: agent}, platforms={WAREHOUSE: terms(of_platform)})

        assert isinstance(found, Denied)
        assert found.reason == "NotPermitted"
        assert "requires a proof of the user" in found.message

    def test_terms_of_the_other_kind_widen_nothing(self):
        longer = replace(TERMS, may_assert=True, may_prove=False, longest_seconds=86400)
        short = replace(TERMS, may_assert=False, may_prove=True, longest_seconds=60)

        assert refusal(platforms={WAREHOUSE: terms(longer, short)})[1] == "ExpirationTooLong"

    def test_a_trusted_agent_that_brings_a_token_is_held_to_it(self):
        trusted = {AGENT.name: replace(PROVING, may_assert=True)}
        platforms = {WAREHOUSE: terms(TERMS)}

        assert refusal(ASKED, agents=trusted, platforms=platforms) == (Pending, "TokenUnread", False)
        assert isinstance(verdict(PROVEN, agents=trusted, platforms=platforms), Granted)

    def test_a_token_is_looked_at_only_where_all_else_permits_it(self):
        assert refusal(ASKED) == (Pending, "TokenUnread", False)
        assert refusal(replace(ASKED, expiration_seconds=86400))[1] == "ExpirationTooLong"
        assert refusal(ASKED, agents={})[1] == "AgentUnknown"

    def test_an_agent_without_an_identity_cannot_be_named(self):
        assert refusal(ASKED, agents={AGENT.name: replace(PROVING, identity=None)})[:2] == (Denied, "NotPermitted")

    def test_a_token_that_proved_nothing_is_looked_at_again_when_the_agent_or_an_issuer_changes(self):
        unproven = Unproven("TokenExpired", "spec.userTokenSecretRef: over", "d" * 64, known().basis(PROVING))
        asked = replace(ASKED, proof=unproven)

        assert verdict(asked) == Denied("TokenExpired", "spec.userTokenSecretRef: over")
        changed = replace(PROVING, version=replace(AGENT_VERSION, generation=2))
        assert refusal(asked, agents={AGENT.name: changed})[1] == "TokenUnread"
        assert refusal(asked, issuers={**ISSUERS, "https://other": AGENT_VERSION})[1] == "TokenUnread"

    def test_what_was_proved_under_other_words_is_proved_again_before_a_role_is_begun(self):
        proven = replace(PROVEN, proof=replace(PROOF, basis=known().basis(PROVING)))
        changed = {"agents": {AGENT.name: replace(PROVING, version=replace(AGENT_VERSION, generation=2))}}

        assert isinstance(verdict(proven), Granted)
        assert refusal(proven, **changed) == (Pending, "TokenUnread", False)
        assert isinstance(known(**changed).decide(proven, role_exists=True), Granted)

    def test_what_an_issuer_has_proved_counts_no_more_when_it_is_gone(self):
        assert refusal(issuers={}) == (Pending, "IdentityProviderUnknown", True)
        assert withdrawal_reason(verdict(issuers={}), cast(Granted, verdict()))

    def test_a_service_account_needs_the_issuer_of_its_cluster(self):
        agents = {AGENT.name: replace(PROVING, identity=ServiceAccountIdentity("finbot"))}

        assert refusal(agents=agents) == (Pending, "IdentityProviderUnknown", True)
        assert isinstance(verdict(agents=agents, cluster_issuer="https://cluster"), Granted)


class TestAttributes:
    def test_what_the_token_says_of_a_key_takes_the_place_of_what_others_say(self):
        people = {REQUEST.user: replace(registered.PERSON, handle=UserHandle("ANNA"))}

        found = known(people=people).person(PROVEN)

        assert found.attributes == Attributes.of([("countries", ["AT"]), ("department", ["claims"]), ("shoe", ["42"])])
        assert found.sources == {"countries": "claim countries", "shoe": "claim shoe"}
        assert found.handle == "ANNA", "a handle that was configured stays"

    def test_a_person_whom_only_a_token_knows_has_its_handle_or_an_opaque_one(self):
        opaque = verdict(replace(PROVEN, proof=replace(PROOF, handle=None)))

        assert isinstance(opaque, Granted)
        assert len(opaque.user_handle) == 11

    @pytest.mark.parametrize("operator", RequirementOperator)
    def test_what_cannot_be_read_is_neither_there_nor_absent(self, operator: RequirementOperator):
        """Also where UserAttributes know the key: a token is believed before them."""
        asks = Requirement("team", frozenset({"a"}) if operator.value.endswith("n") else frozenset(), operator)
        people = {REQUEST.user: replace(registered.PERSON, attributes=Attributes.of([("team", ["a"]), ("countries", ["AT"])]))}
        hidden = replace(PROVEN, proof=replace(PROOF, unreadable=frozenset({"team"})))
        by_policy = shapes(OF_AT, policy("team", users=(asks,)))
        by_agent = {AGENT.name: replace(PROVING, users=(asks,))}

        assert refusal(hidden, people=people, shapes={WAREHOUSE: by_policy}) == (Denied, "AttributeUnreadable", True)
        assert refusal(hidden, people=people, agents=by_agent) == (Denied, "AttributeUnreadable", True)
        assert isinstance(verdict(hidden, people=people), Granted), "nobody asks for it"

    def test_a_guardrail_that_asks_for_what_cannot_be_read_closes_too(self):
        guard = guardrail("g", users=(Requirement("team", frozenset({"a"})),))
        guarded = ProfileCache(compile_policies(catalog(*registered.TABLES), [OF_AT], [guard]), registered.CLUSTER)
        hidden = replace(PROVEN, proof=replace(PROOF, unreadable=frozenset({"team"})))

        assert refusal(hidden, shapes={WAREHOUSE: guarded})[1] == "AttributeUnreadable"

    def test_only_what_somebody_asks_for_is_kept_and_of_the_rest_that_it_is_not_known(self):
        found = verdict()

        assert isinstance(found, Granted)
        assert found.proof == replace(PROOF, attributes=PROOF.attributes[:1], unreadable=frozenset({"shoe"}))


def role(status: dict[str, Any] | None = None) -> VendedRole:
    body = valid("VendedRole", "ask")
    body["spec"] |= {"user": {"issuer": ISSUER, "subject": "anna"}}
    body["spec"] = {key: value for key, value in body["spec"].items() if key not in ("purpose", "resources")}
    body["metadata"] |= {"uid": REQUEST.uid, "generation": 1, "creationTimestamp": NOW.isoformat()}
    return parse_object(VendedRole, body | ({"status": status} if status else {}))


EXCHANGED = replace(PROOF, kind=UserProof.EXCHANGED, actors=(Actor(ISSUER, "finbot"), Actor("https://other", "planner")))


class TestStatus:
    @pytest.mark.parametrize("proof", [PROOF, EXCHANGED, replace(PROOF, attributes=())], ids=["token", "exchanged", "no-claims"])
    def test_a_restart_judges_by_what_the_status_says_and_by_nothing_that_it_left_out(self, proof: Proof):
        people = {REQUEST.user: replace(registered.PERSON, attributes=Attributes.of([("countries", ["AT"])]))}
        asked = replace(PROVEN, proof=proof, task=Task("chat-4711", f"sha256:{'0' * 64}"))
        found = verdict(asked, people=people)
        assert isinstance(found, Granted)

        decision = RoleDecision(((asked, found),))
        status = StatusBuilder(role(StatusBuilder(role(), NOW).pending_status(decision)), NOW).ready_status(decision)
        (standing,) = role_states(role(status))

        assert standing.request == replace(asked, proof=replace(cast(Proof, found.proof), handle=found.user_handle))
        again = verdict(standing.request, people=people)
        assert isinstance(again, Granted)
        assert (again.lease, again.profile.name) == (found.lease, standing.profile)
        assert standing.attributes == again.lease.attributes
        assert status["expirationTimestamp"] == "2026-11-24T12:05:00Z"
        (told,) = [each for each in status["conditions"] if each["type"] == "UserProven"]
        assert (told["status"], told["reason"]) == ("True", proof.kind.value)

    def test_a_policy_that_asks_for_what_was_left_out_ends_the_role_after_a_restart(self):
        found = verdict()
        assert isinstance(found, Granted)
        after = role_states(role(StatusBuilder(role(), NOW).ready_status(RoleDecision(((PROVEN, found),)))))[0].request
        asking = policy("barefoot", users=(Requirement("shoe", operator=RequirementOperator.DOES_NOT_EXIST),), row_filter=parse("id = 1"))

        assert refusal(after, shapes={WAREHOUSE: shapes(OF_AT, asking)}) == (Denied, "AttributeUnreadable", True)

    def test_a_status_proves_nothing_of_a_role_that_was_never_begun(self):
        found = verdict()
        assert isinstance(found, Granted)
        status = StatusBuilder(role(), NOW).pending_status(RoleDecision(((PROVEN, found),)))
        del status["roleName"]

        assert role_request(role(status)).proof is None

    def test_a_refused_token_is_told_in_every_condition(self):
        unproven = Unproven("TokenExpired", "over", "d" * 64, known().basis(PROVING))

        denied = Denied("TokenExpired", "over")
        status = StatusBuilder(role(), NOW).denied_status(denied, RoleDecision(((replace(ASKED, proof=unproven), denied),)))

        assert {(each["type"], each["status"], each["reason"], each["message"]) for each in status["conditions"]} == {
            (type_, "False", "TokenExpired", "over") for type_ in ("Granted", "Ready", "UserProven")
        }

    def test_what_was_proved_here_is_remembered_until_the_object_is_gone(self):
        roles = RoleStore()
        roles.upsert(*role_states(role())).set_proof(PROOF)
        assert roles.upsert(*role_states(role())).states[0].request.proof == PROOF

        roles.remove(REQUEST.uid)

        assert roles.upsert(*role_states(role())).states[0].request.proof is None


class TestAudit:
    def test_a_grant_tells_what_proved_the_user_and_where_each_value_is_from(self):
        asked = replace(PROVEN, proof=EXCHANGED)
        found = verdict(asked)
        assert isinstance(found, Granted)

        event = role_events.granted(asked, found, known(), access_summary(found.tables), NOW)

        proof = event.proof
        assert (proof.user_proof, proof.identity_provider, proof.token_type) == ("Exchanged", "workforce", "AccessToken")
        assert (proof.token_digest, proof.actors) == ("d" * 64, (f"finbot ({ISSUER})", "planner (https://other)"))
        assert event.evidence.attributes == (AttributeRead("countries", ("AT",), "claim countries"),)

    def test_a_refused_token_is_told_by_its_digest_and_proves_nobody(self):
        unproven = Unproven("BadSignature", "no", "e" * 64, known().basis(PROVING))

        proof = role_events.denied(replace(ASKED, proof=unproven), "BadSignature", "no", known(), NOW).proof

        assert (proof.user_proof, proof.token_digest, proof.identity_provider) == (None, "e" * 64, None)
        assert role_events.denied(REQUEST, "NoPolicy", "no", known(), NOW).proof.user_proof == "Asserted"


class ApiServer:
    """Secrets and Leases, as a cluster has them."""

    def __init__(self, **secrets: tuple[str, str]) -> None:
        self.secrets = secrets
        self.leases: dict[str, dict[str, Any]] = {}
        self.failure: Exception | None = None

    async def get(self, resource: ResourcePath, name: str, namespace: str) -> dict[str, Any]:
        if self.failure:
            raise self.failure
        if resource.plural == "leases":
            return self.leases[name]
        if name not in self.secrets:
            raise NotFound("no such Secret")
        kind, text = self.secrets[name]
        return {"type": kind, "data": {"token": base64.b64encode(text.encode()).decode()}}

    async def create(self, resource: ResourcePath, body: dict[str, Any], namespace: str) -> dict[str, Any]:
        if self.failure:
            raise self.failure
        name = body["metadata"]["name"]
        if name in self.leases:
            raise ResourceConflict(name)
        self.leases[name] = {**body, "metadata": {**body["metadata"], "uid": name}}
        return body

    async def delete(self, resource: ResourcePath, name: str, uid: str, namespace: str) -> None:
        assert self.leases[name]["metadata"]["uid"] == uid
        del self.leases[name]

    async def pages(self, resource: ResourcePath, namespace: str) -> Any:
        yield {"items": list(self.leases.values())}


OURS = "rolevend.dev/user-token"


async def unread(_: object) -> bytes:
    raise AssertionError("inline keys are asked of nobody")


def proving(server: ApiServer, *, followed: bool = True, now=tokens.NOW) -> UserAuthenticator:
    check = TokenCheck(KeyStore(unread, lambda: now, lambda: 0.0), lambda: now)
    if followed:
        check.follow(tokens.PROVIDERS)
    cluster = cast(KubeClient, server)
    return UserAuthenticator(cluster, check, TokenReplayStore(cluster, "system", lambda: now), lambda: now)


async def prove(server: ApiServer, request: Request = ASKED, **how: Any) -> Proof | Unproven:
    return await proving(server, **how).prove(request, UserToken("anna-token", "token"), PROVING, known())


class TestProving:
    async def test_a_token_of_the_user_for_this_agent_proves_them(self):
        text = tokens.access_token(jti="1")

        found = await prove(ApiServer(**{"anna-token": (OURS, f"{text}\n")}))

        assert isinstance(found, Proof)
        assert (found.kind, found.provider, found.token_type) == (UserProof.TOKEN, "workforce", "AccessToken")
        assert found.expires_at == tokens.after(600)
        assert found.digest not in text
        assert found.basis == known().basis(PROVING)

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            (tokens.access_token(sub="beth"), Code.ANOTHER_PERSON),
            (tokens.access_token(client_id="other"), Code.ISSUED_TO_ANOTHER),
            (tokens.access_token(exp=tokens.MOMENT - 60), Code.EXPIRED),
            (tokens.access_token(exp=tokens.MOMENT - 5), Code.EXPIRED),  # the leeway lets it pass, and nothing could be given for it
            (tokens.access_token(exp=tokens.MOMENT), Code.EXPIRED),
            (tokens.access_token(iss="https://evil.example.org"), Code.UNKNOWN_ISSUER),
            (tokens.exchanged({"sub": "other"}), Code.ACTOR_IS_ANOTHER),
            ("no token", Code.MALFORMED_TOKEN),
        ],
    )
    async def test_what_proves_nothing_is_said_by_its_code_and_takes_nothing(self, text: str, code: Code):
        server = ApiServer(**{"anna-token": (OURS, text)})

        found = await prove(server)

        assert isinstance(found, Unproven)
        assert (found.code, found.basis) == (code.value, known().basis(PROVING))
        assert server.leases == {}

    async def test_one_token_proves_one_request_however_often_it_is_tried(self):
        server = ApiServer(**{"anna-token": (OURS, tokens.access_token())})

        assert isinstance(await prove(server), Proof)
        assert isinstance(await prove(server), Proof)
        other = await prove(server, replace(ASKED, uid=Uid("3a0c6b1e-6a0e-4f0e-9a52-0c1d2e3f4a5b")))

        assert isinstance(other, Unproven)
        assert other.code == "TokenReplayed"

    async def test_without_an_id_the_token_as_a_whole_is_taken_and_both_ways_to_write_it_are_one(self):
        text = tokens.token(tokens.claims(without=("jti",)))
        server = ApiServer(**{"anna-token": (OURS, text)})
        await prove(server)

        assert isinstance(await prove(server, replace(ASKED, uid=Uid("3a0c6b1e-6a0e-4f0e-9a52-0c1d2e3f4a5b"))), Unproven)
        assert len(server.leases) == 1

    @pytest.mark.parametrize(
        ("kind", "text", "part"),
        [("Opaque", "secret", "is not of type"), ("kubernetes.io/tls", "secret", "is not of type"), (OURS, " \n", "no usable key token")],
    )
    async def test_nothing_but_a_token_of_our_own_type_is_read(self, kind: str, text: str, part: str):
        with pytest.raises(InvalidInput, match=part) as caught:
            await prove(ApiServer(**{"anna-token": (kind, text)}))

        assert caught.value.field == "spec.userTokenSecretRef"
        assert "secret" not in str(caught.value).replace("Secret", "")

    async def test_a_secret_that_is_not_there_yet_is_waited_for(self):
        with pytest.raises(InvalidInput, match="there is no Secret anna-token in namespace agents"):
            await prove(ApiServer())

    async def test_an_issuer_whose_keys_are_not_known_yet_is_no_reason_to_refuse(self):
        with pytest.raises(IdentityProviderUnavailable):
            await prove(ApiServer(**{"anna-token": (OURS, tokens.access_token())}), followed=False)

    async def test_where_nobody_can_say_whether_it_was_taken_nothing_is_proved(self):
        server = ApiServer(**{"anna-token": (OURS, tokens.access_token())})
        taken = TokenReplayStore(cast(KubeClient, server), "system", lambda: tokens.NOW)
        server.failure = ClusterUnavailable("no answer")

        with pytest.raises(ClusterUnavailable):
            await taken.take(ISSUER, "jti 1", REQUEST.uid, tokens.after(60))

    def test_whom_a_token_must_name(self):
        assert wanted(PROVING, "") == UserWanted(Party(ISSUER, "finbot"), frozenset({Party(ISSUER, "finbot"), Party(ISSUER, "canary")}))
        account = replace(PROVING, identity=ServiceAccountIdentity("finbot"))
        assert wanted(account, "https://cluster") == UserWanted(Party("https://cluster", "system:serviceaccount:agents:finbot"))


class TestTakenTokens:
    async def test_two_tokens_share_no_record_and_each_goes_when_its_token_is_over(self):
        server, clock = ApiServer(), [tokens.NOW]
        taken = TokenReplayStore(cast(KubeClient, server), "system", lambda: clock[0])
        names = [("https://a", "bc"), ("https://ab", "c"), ("https://a", "bd")]
        for number, (issuer, token_id) in enumerate(names):
            assert await taken.take(issuer, token_id, REQUEST.uid, tokens.after(60 * number))
        await taken._cluster.create(
            ResourcePath("", "leases"), {"metadata": {"name": "rolevend-operator"}, "spec": {"acquireTime": None}}, ""
        )
        assert len(server.leases) == 4

        clock[0] = tokens.after(300)
        assert await taken.collect() == 1
        clock[0] = tokens.after(421)
        assert await taken.collect() == 2

        assert set(server.leases) == {"rolevend-operator"}

    async def test_a_record_that_does_not_say_when_it_ends_stays(self):
        server = ApiServer()
        taken = TokenReplayStore(cast(KubeClient, server), "system", lambda: tokens.NOW)
        await server.create(ResourcePath("", "leases"), {"metadata": {"name": f"{PREFIX}1"}, "spec": {"holderIdentity": "x"}}, "")

        assert await taken.collect() == 0


class TestAgents:
    @pytest.mark.parametrize(
        ("mine", "theirs", "clash"),
        [
            ({"clientIDs": ["a"]}, {"clientIDs": ["b", "a"]}, True),
            ({"clientIDs": ["a"]}, {"clientIDs": ["b"], "subject": "a"}, True),
            ({"clientIDs": ["a"], "subject": "s"}, {"clientIDs": ["s"]}, True),
            ({"clientIDs": ["a"]}, {"clientIDs": ["b"]}, False),
            ({"clientIDs": ["a"]}, {"clientIDs": ["a"], "issuer": "https://other"}, False),
        ],
    )
    def test_what_a_token_can_name_is_one_agents(self, mine: dict[str, Any], theirs: dict[str, Any], clash: bool):
        def agent(name: str, age: int, client: dict[str, Any]) -> AgentObject:
            identity = {"type": "OIDCClient", "oidcClient": {"issuer": ISSUER, **client}}
            found: AgentObject = made(AgentObject, name, "agents", age, handle=name.upper(), identity=identity, tools=None)
            return found

        built = paint(replace(OBJECTS, agents=[agent("young", 0, theirs), agent("old", 9, mine)]))

        assert said(built, "old", "Accepted") == ("True", "Valid")
        assert said(built, "young", "Accepted") == (("False", "Conflict") if clash else ("True", "Valid"))

    def test_an_object_becomes_what_the_verdict_asks_for(self):
        identity = {"type": "ServiceAccount", "serviceAccount": {"name": "finbot"}}
        agent = made(
            AgentObject, "finbot", "agents", identity=identity, tools=None, onBehalfOf={"assertion": "TokenRequired"}, handle="FINBOT"
        )

        found = paint(replace(OBJECTS, agents=[agent])).snapshot
        (registered_agent,) = found.agents.values()

        assert (registered_agent.may_assert, registered_agent.identity) == (False, ServiceAccountIdentity("finbot"))
        assert found.platforms[WAREHOUSE].agents[0].may_prove
        assert found.platforms[WAREHOUSE].agents[0].may_assert
