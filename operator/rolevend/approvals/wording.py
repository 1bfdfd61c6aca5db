"""Parts of texts that approvers read. Names and words of agents are quoted, so that they pass for nothing else. Pure."""

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rolevend.access_requests.text import MAXIMUM_CHARACTERS, Speaker, quoted
from rolevend.kinds import AccessRequest
from rolevend.kinds.access_request import Approval, Confirmation, StatedJustification
from rolevend.kinds.vended_role import ProvenUser, TableName

_PLAIN: Final = re.compile(r"[\w*][\w*$-]*")
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class CommandFlags:
    """The options that a printed command needs to find the same objects."""

    context: str | None = None

    def rolevend(self, command: str, request: AccessRequest) -> str:
        words = ["rolevend", command, request.name, "--namespace", request.namespace]
        return shlex.join([*words, *(["--context", self.context] if self.context else [])])

    def revoke(self, namespace: str, decision: str) -> str:
        """Return the command that withdraws a vote."""
        context = ["--context", self.context] if self.context else []
        return shlex.join(["kubectl", *context, "--namespace", namespace, "delete", "accessdecisions.rolevend.dev", decision])


def span(seconds: float) -> str:
    """Return a time exactly: `10m`, `1h30m`. `--for` reads the same."""
    left = max(0, int(seconds))
    words: list[str] = []
    for unit, size in _UNITS:
        if left >= size:
            words.append(f"{left // size}{unit}")
            left %= size
    return "".join(words) or "0s"


def about(seconds: float) -> str:
    """Return a time in its largest unit and the next one: an age, or the time that is left."""
    whole = max(0, int(seconds))
    sizes = [size for _, size in _UNITS if size <= whole]
    return span(whole - whole % (sizes[:2] or [1])[-1])


def moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def name(text: str) -> str:
    """Return a name in a database, or of an agent's choice: as it is, or quoted and with invisible characters escaped."""
    if _PLAIN.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def table(each: TableName) -> str:
    return f"{name(each.schema_name)}.{name(each.table)}"


def approvers(approval: Approval) -> str:
    """Return the people who approved, or the rule."""
    return f"rule {approval.rule}" if approval.rule is not None else ", ".join(each.by for each in approval.approvers)


def names(texts: Iterable[str]) -> str:
    return ", ".join(map(name, texts))


def justification(stated: StatedJustification | None, longest: int = MAXIMUM_CHARACTERS) -> str:
    """Return the words of the agent, quoted."""
    return "" if stated is None else quoted(stated.text, Speaker.AGENT, longest)


def confirmation(found: Confirmation) -> str:
    """Return the answer of the user, with their words quoted."""
    said = "" if found.text is None else f"; {quoted(found.text, Speaker.USER)}"
    return f"{'confirmed' if found.verdict == 'Confirm' else 'refused'} by the user at {moment(found.at)}{said}"


def proven(request: AccessRequest) -> ProvenUser | None:
    """Return the user as the operator recorded them, or as the API proved them."""
    return request.status.user or request.spec.proven


def proof(request: AccessRequest) -> str:
    user = proven(request)
    if user is None:
        return "not checked yet"
    provider = f" of {user.token.provider}" if user.token is not None else ""
    match user.proof:
        case "Token":
            return f"proven by a token{provider}"
        case "Exchanged":
            return f"proven by an exchanged token{provider}, which names the agent"
        case _:
            return "named by the agent, without a token"


def age(request: AccessRequest, now: datetime) -> timedelta:
    created = request.metadata.creation_timestamp
    return timedelta(0) if created is None else max(timedelta(0), now - created)
