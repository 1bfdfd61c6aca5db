"""A receipt says what a role was given and how it ended; nobody without the key makes one, alters one or joins two that are strangers."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner
from hypothesis import given as for_all
from hypothesis import strategies as st
from joserfc.jwk import OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from rolevend.audit.chain import Chain
from rolevend.audit.event_files import verify as verify_chain
from rolevend.audit.events import AuditEvent, DroppedEvent, GrantedEvent
from rolevend.audit.evidence import access_summary
from rolevend.audit.receipt import FIRST, HALVES, Receipts, digest_of, payload_of
from rolevend.audit.receipt_files import VerifiedReceipts, public_key_set, read_public_keys, read_signing_key, verify
from rolevend.audit.role_events import dropped, granted, orphan_dropped
from rolevend.cli import cli
from rolevend.decision.outcome import Granted, Request
from rolevend.errors import InvalidInput, PlatformBusy, Rejected
from rolevend.identity.key_set import KeySet, parse
from rolevend.identity.refusal import TokenRefused
from rolevend.identity.signature import TYPE, SigningKey, checked
from rolevend.kinds import API_VERSION, VendedRole
from rolevend.kinds import parse as parse_object
from rolevend.kube.client import KubeClient
from rolevend.model import Task, Uid
from rolevend.platforms.protocol import EndReason
from rolevend.roles.audit_recorder import AuditMemory, AuditRecorder
from rolevend.roles.decision import RoleDecision
from rolevend.roles.door import Door
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.store import RoleRecord
from rolevend.roles.vender import Vender
from rolevend.telemetry.metrics import Metrics
from tests.support import registered, tokens
from tests.support.approvals import NoApprovals
from tests.support.events import Free, Trail, a_snapshot, end
from tests.support.registered import NOW, REQUEST, WAREHOUSE

SOURCE = "/rolevend/clusters/c"
KEY, OTHER_KEY = SigningKey.new(), SigningKey.new()
RECEIPTS = Receipts(SOURCE, KEY.sign)
ASKED = replace(REQUEST, task=Task("chat-4711", f"sha256:{'a' * 64}"), request_id="call-1")


def known(*keys: SigningKey) -> KeySet:
    return parse(public_key_set(keys or (KEY,)).encode())


def beginning(asked: Request = ASKED, receipts: Receipts = RECEIPTS) -> GrantedEvent:
    found = a_snapshot()
    verdict = found.decide(asked)
    assert isinstance(verdict, Granted)
    return receipts.on(granted(asked, verdict, found, access_summary(verdict.tables), NOW))


def ending(
    first: str | None, asked: Request = ASKED, receipts: Receipts = RECEIPTS, reason: EndReason = EndReason.RELEASED
) -> DroppedEvent:
    return receipts.on(dropped(asked, end(reason, role=role_of(asked)), NOW), first)


def role_of(asked: Request) -> str:
    verdict = a_snapshot().decide(asked)
    assert isinstance(verdict, Granted)
    return verdict.lease.role


def receipt(event: GrantedEvent | DroppedEvent) -> str:
    assert event.receipt is not None
    return event.receipt


def both(asked: Request = ASKED, receipts: Receipts = RECEIPTS) -> tuple[GrantedEvent, DroppedEvent]:
    first = beginning(asked, receipts)
    return first, ending(digest_of(receipt(first)), asked, receipts)


def line(event: AuditEvent) -> dict[str, Any]:
    """As it stands in a file."""
    return dict(json.loads(Chain(SOURCE, "c1").append(event)))


@dataclass
class File:
    path: Path

    def of(self, *lines: dict[str, Any] | str, keys: KeySet | None = None) -> VerifiedReceipts:
        """What is found in a file of these events and receipts."""
        self.path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in lines))
        return verify([str(self.path)], keys or known())


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "audit.ndjson")


def problems(found: VerifiedReceipts) -> list[str]:
    return [each.partition("ndjson:")[2] for each in found.problems]


def test_both_halves_of_a_role_are_found_as_they_were_signed_and_say_what_their_events_say(file: File):
    found = file.of(*map(line, both()))

    assert (found.problems, found.notes) == ([], [])
    (whole,) = found.receipts
    assert whole.beginning is not None
    assert whole.end is not None
    assert (
        whole.beginning.said.items()
        >= {
            "role": role_of(ASKED),
            "agent": "agents/finbot",
            "userSubject": "anna",
            "userProof": "Asserted",
            "platform": "warehouse",
            "taskId": "chat-4711",
            "intentDigest": f"sha256:{'a' * 64}",
            "requestId": "call-1",
            "policyDigest": a_snapshot().sources[WAREHOUSE].policy_digest,
            "catalogDigest": "sha256:catalog",
            "tableCount": 2,
            "tables": ["claims.payments", "claims.people"],
            "expiresAt": "2026-11-24T12:15:00.000Z",
        }.items()
    )
    assert whole.end.said.items() >= {"ended": "Released", "sessionsEnded": 3, "dropSeconds": 0.25, FIRST: whole.beginning.digest}.items()


def test_receipts_alone_are_checked_without_their_events(file: File):
    found = file.of(*map(receipt, both()))

    assert found.problems == []
    assert len(found.receipts) == 1


def test_the_chain_of_events_holds_with_receipts_in_them(tmp_path: Path):
    chain = Chain(SOURCE, "c1")
    path = tmp_path / "audit.ndjson"
    path.write_bytes(b"".join(map(chain.append, both())))

    assert verify_chain([str(path)]).problems == []


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Of everything in it that is no object and no list."""
    match value:
        case dict():
            return [each for name, part in value.items() for each in paths(part, (*path, name))]
        case list():
            return [each for place, part in enumerate(value) for each in paths(part, (*path, place))] or [path]
        case _:
            return [path]


def altered(event: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    made = copy.deepcopy(event)
    *way, last = path
    at: Any = made
    for step in way:
        at = at[step]
    match at[last]:
        case str(text):
            at[last] = text[:-1] + ("x" if text[-1:] != "x" else "y")
        case [*things]:
            at[last] = [*things, "x"]
        case number:
            at[last] = number + 1
    return made


SIGNED_LINES = {event.type: {**line(event)} for event in both()}
EVERY_PLACE = [
    (kind, path)
    for kind, event in SIGNED_LINES.items()
    for path in paths(event)
    if path[0] in ("id", "source", "type", "subject", "time", "data")
]


@pytest.mark.parametrize(
    ("kind", "path"), EVERY_PLACE, ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else str(value)
)
def test_no_member_of_an_event_is_altered_without_its_receipt_telling(file: File, kind: str, path: tuple[str | int, ...]):
    lines = {**SIGNED_LINES, kind: altered(SIGNED_LINES[kind], path)}

    found = file.of(*lines.values())

    assert found.problems


@pytest.mark.parametrize("kind", HALVES)
def test_no_member_is_added_or_taken_away(file: File, kind: str):
    added, taken = copy.deepcopy(SIGNED_LINES), copy.deepcopy(SIGNED_LINES)
    added[kind]["data"]["endedBy"] = "somebody else"
    del taken[kind]["data"]["profile" if kind == HALVES[0] else "endedAt"]

    for lines in (added, taken):
        assert any("is not what was signed" in each for each in file.of(*lines.values()).problems)


def test_two_members_of_one_name_are_refused(file: File):
    twice = json.dumps(line(beginning())).replace('"data": {', '"data": {"role": "IMMUTA_VENDED_X", ')

    assert problems(file.of(twice)) == ["1: a name stands twice in this event: two readers could read two events"]


@pytest.mark.parametrize("half", [0, 1])
@for_all(choice=st.randoms(use_true_random=False))
def test_no_character_of_a_receipt_is_another_one(half: int, choice: Any):
    text = receipt(both()[half])
    place = choice.randrange(len(text))
    other = choice.choice([each for each in "ABCDEFGHabcdefgh0123456789-_." if each != text[place]])

    with pytest.raises(Rejected):
        checked(text[:place] + other + text[place + 1 :], known())


def test_another_key_is_not_believed_and_is_said_not_to_be_there(file: File):
    found = file.of(*map(line, both()), keys=known(OTHER_KEY))

    assert problems(found) == [
        "1: this receipt is signed with a key that was not given",
        "2: this receipt is signed with a key that was not given",
    ]


def test_a_key_that_passes_for_the_one_it_is_not_is_not_believed(file: File):
    forger = SigningKey.new()
    forger.id = KEY.id  # type: ignore[misc]

    found = file.of(line(beginning(receipts=Receipts(SOURCE, forger.sign))))

    assert "altered or forged" in found.problems[0]


def test_a_key_that_was_another_one_once_still_checks_what_it_signed(tmp_path: Path, file: File):
    new, old = tmp_path / "new.json", tmp_path / "old.json"
    new.write_text(public_key_set([OTHER_KEY]))
    old.write_text(public_key_set([KEY]))

    assert file.of(*map(line, both()), keys=read_public_keys([str(new), str(old)])).problems == []


def signed(header: dict[str, Any], payload: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    text = f"{tokens.written(header)}.{tokens.written(payload)}"
    return f"{text}.{tokens.encode(sign(text.encode()))}"


HEADER = {"alg": "EdDSA", "kid": KEY.id, "typ": TYPE}
PAYLOAD = payload_of(line(beginning()))


@pytest.mark.parametrize(
    "header",
    [
        *({**HEADER, "alg": name} for name in ("none", "NoNe", "", "HS256", "RS256", "Ed25519", "eddsa")),
        *({**HEADER, "typ": name} for name in ("JWT", "at+jwt", "")),
        {"alg": "EdDSA", "kid": KEY.id},
        {"alg": "EdDSA", "typ": TYPE},
        {**HEADER, "kid": "another"},
        {**HEADER, "jwk": KEY.public},
        {**HEADER, "jku": "https://example.org/keys"},
        {**HEADER, "crit": ["b64"], "b64": False},
    ],
    ids=lambda header: json.dumps({name: value for name, value in header.items() if value not in (KEY.id, KEY.public)}),  # new each time
)
def test_a_header_that_says_anything_else_is_refused_also_over_a_right_signature(header: dict[str, Any]):
    private = OKPKey.import_key(KEY.private_text.encode())
    text = signed(header, PAYLOAD, lambda raw: JWSRegistry.algorithms["EdDSA"].sign(raw, private))

    with pytest.raises(Rejected):
        checked(text, known())


def test_no_signature_at_all_is_refused():
    with pytest.raises(Rejected):
        checked(signed({**HEADER, "alg": "none"}, PAYLOAD, lambda _: b""), known())
    with pytest.raises(Rejected):
        checked(signed(HEADER, PAYLOAD, lambda _: b""), known())


def test_a_secret_made_of_the_public_key_signs_nothing():
    import hmac

    public = json.dumps(KEY.public).encode()

    with pytest.raises(Rejected):
        checked(signed({**HEADER, "alg": "HS256"}, PAYLOAD, lambda raw: hmac.digest(public, raw, "sha256")), known())


def test_a_receipt_is_taken_for_no_token_and_a_token_for_no_receipt():
    with pytest.raises(TokenRefused):
        tokens.checked(receipt(beginning()))
    with pytest.raises(Rejected, match="no receipt"):
        checked(tokens.access_token(by="ed25519", algorithm="EdDSA"), parse(tokens.KEYS))


class TestHalves:
    def test_that_are_swapped_are_not_what_their_events_say(self, file: File):
        first, last = map(line, both())
        first["data"]["receipt"], last["data"]["receipt"] = last["data"]["receipt"], first["data"]["receipt"]

        assert [each.partition(":")[0] for each in problems(file.of(first, last))] == ["1", "2"]

    def test_of_two_roles_are_no_pair(self, file: File):
        other = replace(ASKED, uid=Uid("00000000-0000-4000-8000-000000000002"))
        first, (theirs, _) = beginning(), both(other)
        stranger = ending(digest_of(receipt(theirs)))

        (problem,) = problems(file.of(line(first), line(theirs), line(stranger)))

        assert problem.startswith("3: it ends another role than the beginning that it names")
        assert "role, requestUid differ" in problem

    def test_of_another_cluster_are_no_pair(self, file: File):
        first = beginning()
        elsewhere = ending(digest_of(receipt(first)), receipts=Receipts("/rolevend/clusters/d", KEY.sign))

        (problem,) = problems(file.of(receipt(first), receipt(elsewhere)))

        assert "source differ" in problem

    def test_of_two_processes_of_one_cluster_are_one_receipt(self, file: File):
        first = beginning(receipts=Receipts(f"{SOURCE}/api", KEY.sign))

        found = file.of(line(ending(digest_of(receipt(first)))), receipt(first))

        assert found.problems == []
        assert len(found.receipts) == 1

    def test_a_beginning_without_an_end_is_told_as_that(self, file: File):
        found = file.of(line(beginning()))

        assert found.problems == []
        assert [(each.beginning is not None, each.end) for each in found.receipts] == [(True, None)]

    def test_an_end_whose_beginning_is_missing_is_named(self, file: File):
        _, last = both()

        assert problems(file.of(line(last))) == [
            "1: the first half, which it names, is not here: give the file that it is in, too, or it was taken away"
        ]

    def test_an_end_that_lost_its_receipt_is_named(self, file: File):
        first, last = map(line, both())
        del last["data"]["receipt"]

        (problem,) = problems(file.of(first, last))

        assert problem.startswith("2: the end of the role that began at ")

    def test_an_orphans_end_names_no_beginning_and_is_laid_beside_that_of_its_role(self, file: File):
        first = beginning()
        last = RECEIPTS.on(orphan_dropped(ASKED.uid, WAREHOUSE, end(EndReason.ORPHANED, role=role_of(ASKED)), NOW))

        found = file.of(line(first), line(last))

        assert found.problems == []
        assert found.notes[0].endswith("is of the same role")
        assert [each.beginning and each.end and each.end.said["ended"] for each in found.receipts] == ["Orphaned"]

    def test_an_end_whose_beginning_was_told_without_a_key_is_told_as_that(self, file: File):
        plain = line(beginning())
        del plain["data"]["receipt"]

        found = file.of(plain, line(ending(None)))

        assert found.problems == []
        assert found.notes[0].endswith("names no first half, and none is here: the operator that ended the role knew of none")
        assert [(each.beginning, each.end is not None) for each in found.receipts] == [(None, True)]

    def test_a_beginning_that_was_told_again_has_one_end(self, file: File):
        again = RECEIPTS.on(replace(beginning(), time=NOW.replace(second=9)))

        found = file.of(line(beginning()), line(again), line(ending(digest_of(receipt(again)))), line(beginning()))

        assert found.problems == []
        assert len(found.receipts) == 1


def test_a_file_without_any_receipt_says_so(file: File):
    assert "there is no receipt" in file.of({"message": "a line of a log"}).problems[0]


def test_events_from_before_there_was_a_key_are_counted(file: File):
    plain = line(beginning(replace(ASKED, uid=Uid("00000000-0000-4000-8000-000000000002"))))
    del plain["data"]["receipt"]

    found = file.of(plain, *map(line, both()))

    assert found.problems == []
    assert found.notes == ["1 events that could have a receipt have none: there was no key, or it was taken away"]


def test_an_event_that_could_never_have_been_signed_is_named_and_breaks_nothing(file: File):
    broken = line(beginning())
    broken["data"]["tables"] = [7]

    assert problems(file.of(broken, '{"data": ')) == ["1: the event is none that could have been signed"]


class TestTheKey:
    @pytest.mark.parametrize("form", ["pem", "jwk"])
    def test_is_read_as_pem_or_jwk_and_has_one_name(self, tmp_path: Path, form: str):
        jwk = OKPKey.import_key(KEY.private_text.encode()).as_dict(private=True)
        file = tmp_path / "key"
        file.write_text(KEY.private_text if form == "pem" else json.dumps({**jwk, "x": OTHER_KEY.public["x"]}))

        assert read_signing_key(file).public == KEY.public, "the public half is the private one's own"

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"nonsense",
            b"{}",
            json.dumps(KEY.public).encode(),
            OKPKey.import_key(KEY.private_text.encode()).as_pem(private=False),
            OKPKey.generate_key("X25519").as_pem(private=True),
            RSAKey.generate_key(2048).as_pem(private=True),
            OKPKey.import_key(KEY.private_text.encode()).as_pem(private=True, password="p"),
        ],
        ids=range(8),
    )
    def test_is_nothing_else_and_the_refusal_shows_nothing_of_it(self, tmp_path: Path, text: bytes):
        file = tmp_path / "key"
        file.write_bytes(text)

        with pytest.raises(InvalidInput, match="is no private Ed25519 key") as refused:
            read_signing_key(file)
        assert len(str(refused.value)) < 200 + len(str(file))

    def test_that_is_not_there_is_named(self, tmp_path: Path):
        with pytest.raises(InvalidInput, match="the key of receipts cannot be read"):
            read_signing_key(tmp_path / "none")

    def test_is_in_no_set_of_public_keys_and_in_no_text_of_itself(self):
        secret = OKPKey.import_key(KEY.private_text.encode()).as_dict(private=True)["d"]

        assert str(secret) not in public_key_set([KEY]) + repr(KEY) + str(KEY)


class TestTheRecord:
    async def test_says_the_digest_of_the_receipt_that_is_written_also_when_the_step_runs_again(self):
        trail, found = Trail(), a_snapshot()
        record, memory = AuditRecorder(trail, Free(), lambda: NOW, RECEIPTS), AuditMemory()
        verdict = found.decide(ASKED)
        assert isinstance(verdict, Granted)

        told = [await record.granted(ASKED, verdict, found, memory) for _ in range(2)]

        (event,) = trail.events
        assert told == [digest_of(receipt(event))] * 2

    async def test_names_in_an_end_the_beginning_that_its_object_remembers(self):
        trail = Trail()
        record = AuditRecorder(trail, Free(), lambda: NOW, RECEIPTS)

        await record.dropped(ASKED, replace(end(), receipt_digest=f"sha256:{'b' * 64}"), AuditMemory())

        (event,) = trail.events
        assert checked(receipt(event), known()).payload[FIRST] == f"sha256:{'b' * 64}"

    async def test_has_none_without_a_key(self):
        trail, found = Trail(), registered.a_snapshot()
        record = AuditRecorder(trail, Free(), lambda: NOW)
        verdict = found.decide(REQUEST)
        assert isinstance(verdict, Granted)

        assert await record.granted(REQUEST, verdict, found, AuditMemory()) is None
        await record.dropped(REQUEST, end(), AuditMemory())

        assert not any("receipt" in event.data for event in trail.events)


class TestTheCommand:
    def run(self, *arguments: str) -> tuple[int, str]:
        answer = CliRunner().invoke(cli, ("receipt", *arguments), catch_exceptions=False)
        return answer.exit_code, answer.output

    def test_makes_a_key_shows_its_public_half_and_checks_what_was_signed_with_it(self, tmp_path: Path, file: File):
        private, public = tmp_path / "receipt.key", tmp_path / "receipt.jwks"
        private.write_text(self.run("new-key")[1])
        public.write_text(self.run("keys", "--key", str(private))[1])
        made = Receipts(SOURCE, read_signing_key(private).sign)
        file.of(*map(line, both(receipts=made)))

        status, output = self.run("verify", str(file.path), "--keys", str(public))

        assert status == 0
        assert "1 receipts, all of them as they were signed" in output
        for told in (
            role_of(ASKED),
            "anna (https://idp.example.org)",
            "Asserted",
            "chat-4711",
            "claims.payments, claims.people",
            "Released",
        ):
            assert told in output
        status, output = self.run("verify", str(file.path), "--keys", str(public), "-o", "json")
        assert (status, json.loads(output)["receipts"][0]["end"]["said"]["ended"]) == (0, "Released")

    def test_fails_with_another_key_and_tells_a_missing_half(self, tmp_path: Path, file: File):
        keys = {name: tmp_path / name for name in ("right", "wrong")}
        for (_, path), key in zip(keys.items(), (KEY, OTHER_KEY), strict=True):
            path.write_text(public_key_set([key]))
        file.of(receipt(beginning()))

        status, output = self.run("verify", str(file.path), "--keys", str(keys["right"]))
        assert (status, "no end is here" in output) == (0, True)
        status, output = self.run("verify", str(file.path), "--keys", str(keys["wrong"]))
        assert (status, "PROBLEM" in output) == (1, True)
        assert self.run("verify", str(file.path))[0] == 2, "without keys nothing can be checked"
        with pytest.raises(InvalidInput, match="private"):
            self.run("verify", str(file.path), "--keys", str(self.private_set(tmp_path)))

    def private_set(self, folder: Path) -> Path:
        """Somebody handed out the wrong half."""
        path = folder / "private.jwks"
        path.write_text(json.dumps({"keys": [OKPKey.import_key(KEY.private_text.encode()).as_dict(private=True)]}))
        return path

    def test_shows_no_text_that_steers_a_terminal(self, tmp_path: Path, file: File):
        public = tmp_path / "keys"
        public.write_text(public_key_set([KEY]))
        hostile = replace(ASKED, request_id="a\x1b[2Jb\u202ec")
        file.of(receipt(beginning(hostile)))

        _, output = self.run("verify", str(file.path), "--keys", str(public))

        assert "\x1b" not in output
        assert "\u202e" not in output
        assert "a\\u001b[2Jb\\u202ec" in output


class Written:
    """An API server that remembers which statuses it was sent."""

    def __init__(self) -> None:
        self.statuses: list[Any] = []

    async def merge(self, resource: object, name: str, patch: Any, namespace: str, subresource: str) -> Any:
        self.statuses.append(patch["status"])
        return patch


async def begun_by_a_process(server: Written, trail: Trail, body: dict[str, Any]) -> None:
    """By a new one, which dies when everything is on record."""

    class Dies:
        async def provide(self, *_: object) -> None:
            raise PlatformBusy("killed")

    async def credential(*_: object) -> object:
        return object()

    found: Any = SimpleNamespace(snapshot=a_snapshot())
    executor = SimpleNamespace(is_built=lambda _: False, credential=credential)
    platform: Any = SimpleNamespace(get=lambda _: SimpleNamespace(executor=executor))
    recorder, nothing = AuditRecorder(trail, Free(), lambda: NOW, RECEIPTS), cast(Any, None)
    vender = Vender(found, platform, recorder, VendedRoleWriter(cast(KubeClient, server), lambda: NOW), Metrics(), nothing)
    decision = RoleDecision(((ASKED, found.snapshot.decide(ASKED)),))
    with pytest.raises(PlatformBusy):
        await vender.vend(parse_object(VendedRole, body), decision, found.snapshot, RoleRecord(), Door(nothing, Dies(), NoApprovals()))


async def test_what_was_begun_and_has_its_receipt_is_begun_again_without_a_word():
    """Of a role that is Ready it must not be said that it is being made."""
    server, trail = Written(), Trail()
    metadata = {"name": "ask", "namespace": "agents", "uid": ASKED.uid, "generation": 1, "creationTimestamp": "2026-11-24T12:00:00Z"}
    spec = {
        "agentRef": {"name": "finbot"},
        "user": {"issuer": ASKED.user.issuer, "subject": ASKED.user.subject},
        "platformRefs": [{"name": "warehouse"}],
    }
    body = {"apiVersion": API_VERSION, "kind": "VendedRole", "metadata": metadata, "spec": spec}

    await begun_by_a_process(server, trail, body)
    (status,) = server.statuses
    assert status["receiptDigest"] == digest_of(receipt(trail.events[0]))
    begun = {**body, "status": {"roleName": status["roleName"], "receiptDigest": status["receiptDigest"]}}
    await begun_by_a_process(server, trail, begun)

    assert len(server.statuses) == len({each.id for each in trail.events}) == 1
