"""The kinds of the API group, and their presentation by the API server: names, scope and the columns of `kubectl get`."""

from dataclasses import dataclass
from typing import Literal

from rolevend.errors import InvalidInput
from rolevend.kinds.access_decision import AccessDecision
from rolevend.kinds.access_policy import AccessPolicy
from rolevend.kinds.access_request import AccessRequest
from rolevend.kinds.agent import Agent
from rolevend.kinds.data_platform import DataPlatform
from rolevend.kinds.guardrail import Guardrail
from rolevend.kinds.identity_provider import IdentityProvider
from rolevend.kinds.shared import Resource
from rolevend.kinds.tag_binding import TagBinding
from rolevend.kinds.user_attributes import UserAttributes
from rolevend.kinds.vended_role import VendedRole
from rolevend.policy.vocabulary import closest


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`."""

    name: str
    json_path: str
    description: str
    type: Literal["string", "integer", "boolean", "date"] = "string"
    priority: int = 0
    """Above 0: shown with `-o wide` only."""


@dataclass(frozen=True, slots=True)
class Kind:
    model: type[Resource]
    plural: str
    short_name: str
    """Begins with `rv`, or is `vr`: other short names are used on many clusters."""
    scope: Literal["Namespaced", "Cluster"]
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()
    """The fields of `kubectl get --field-selector`, besides name and namespace. From Kubernetes 1.31."""

    @property
    def name(self) -> str:
        return self.model.__name__


def _ready(member: str) -> str:
    return f'.status.conditions[?(@.type=="Ready")].{member}'


_READY = Column("Ready", _ready("status"), "Whether all is well.")
_REASON = Column("Reason", _ready("reason"), "Why, in one word.")
_MESSAGE = Column("Message", _ready("message"), "Why, in a sentence.", priority=1)
_AGE = Column("Age", ".metadata.creationTimestamp", "Time since it was created.", type="date")

KINDS = (
    Kind(
        AccessDecision,
        "accessdecisions",
        "rvad",
        "Namespaced",
        (
            Column("Verdict", ".spec.verdict", "The vote."),
            Column("Counted", ".status.counted", "Whether the vote counts.", type="boolean"),
            Column("By", ".spec.by", "The approver."),
            Column("Offer", ".spec.offerRef.name", "The offer."),
            Column("Request", ".spec.requestRef.name", "The request that the vote is on."),
            _AGE,
            Column("Request Namespace", ".spec.requestRef.namespace", "Its namespace.", priority=1),
            Column("Seconds", ".spec.expirationSeconds", "The longest life of the role.", type="integer", priority=1),
            Column("Message", ".status.message", "Why it counts or not.", priority=1),
        ),
    ),
    Kind(
        AccessPolicy,
        "accesspolicies",
        "rvap",
        "Namespaced",
        (
            _READY,
            _REASON,
            Column("Tables", ".status.matchedTables", "How many tables it grants now.", type="integer"),
            Column("Columns", ".status.matchedColumns", "How many of their columns it grants.", type="integer"),
            Column("Users", ".status.matchedUsers", "How many people it covers by their attributes.", type="integer"),
            _AGE,
            Column("Grants To", ".spec.grantsTo", "Users, or agents themselves.", priority=1),
            Column("Row Filter", ".spec.rowFilter", "Which rows it grants.", priority=1),
            Column("Offer", ".spec.onRequest.display", "For an offer: what it is for.", priority=1),
            _MESSAGE,
        ),
    ),
    Kind(
        AccessRequest,
        "accessrequests",
        "rvar",
        "Namespaced",
        (
            Column("State", ".status.state", "What became of it."),
            Column("Agent", ".spec.agentRef.name", "The agent."),
            Column("User", ".status.user.handle", "The user."),
            Column("Offer", ".spec.offerRef.name", "The offer."),
            Column("Seconds", ".spec.expirationSeconds", "The requested life of the role.", type="integer"),
            _AGE,
            Column("Message", ".status.message", "Why, in a sentence.", priority=1),
            Column("Platform", ".spec.platformRef.name", "Its platform.", priority=1),
            Column("Purpose", ".spec.purpose", "The stated purpose.", priority=1),
        ),
        ("spec.agentRef.name", "spec.user.subject", "spec.offerRef.namespace", "spec.offerRef.name", "status.state"),
    ),
    Kind(
        Agent,
        "agents",
        "rvag",
        "Namespaced",
        (
            _READY,
            _REASON,
            Column("Handle", ".spec.handle", "Its part of role names."),
            Column("Assertion", ".spec.onBehalfOf.assertion", "The proof of the user."),
            Column("Combination", ".spec.combination", "How its own grants count.", priority=1),
            Column("Max Seconds", ".spec.limits.maxExpirationSeconds", "The longest life of its roles.", type="integer", priority=1),
            _AGE,
            _MESSAGE,
        ),
    ),
    Kind(
        DataPlatform,
        "dataplatforms",
        "rvdp",
        "Cluster",
        (
            _READY,
            _REASON,
            Column("Host", ".spec.postgres.host", "The server's host."),
            Column("Account", ".spec.snowflake.account", "Which Snowflake account."),
            Column("Database", ".spec.postgres.database", "Which database."),
            Column("Version", ".status.serverVersion", "The version that the server reports."),
            Column("Attested", '.status.conditions[?(@.type=="Attested")].status', "Whether every promise was seen to hold there."),
            Column("Tables", ".status.tableCount", "How many tables can be governed.", type="integer"),
            _AGE,
            _MESSAGE,
        ),
    ),
    Kind(
        Guardrail,
        "guardrails",
        "rvgr",
        "Cluster",
        (
            _READY,
            _REASON,
            Column("Deny", ".spec.deny.type", "The denied items."),
            Column("Tables", ".status.matchedTables", "How many tables it restricts now.", type="integer"),
            Column("Columns", ".status.matchedColumns", "How many columns it denies or has a floor for.", type="integer"),
            Column("Users", ".status.matchedUsers", "How many people it concerns.", type="integer"),
            _AGE,
            Column("Row Restriction", ".spec.rowRestriction", "The rows that remain.", priority=1),
            _MESSAGE,
        ),
    ),
    Kind(
        IdentityProvider,
        "identityproviders",
        "rvip",
        "Cluster",
        (
            _READY,
            _REASON,
            Column("Issuer", ".spec.issuer", "The issuer of tokens."),
            Column("Accepts", ".spec.accepts", "Which types of tokens are taken."),
            Column("Keys", ".status.keyCount", "How many keys its tokens are checked with.", type="integer"),
            _AGE,
            _MESSAGE,
        ),
    ),
    Kind(
        TagBinding,
        "tagbindings",
        "rvtb",
        "Namespaced",
        (
            _READY,
            _REASON,
            Column("Tables", ".status.matchedTables", "How many tables it tags now.", type="integer"),
            Column("Columns", ".status.matchedColumns", "How many columns it tags now.", type="integer"),
            _AGE,
            _MESSAGE,
        ),
    ),
    Kind(
        UserAttributes,
        "userattributes",
        "rvua",
        "Cluster",
        (
            _READY,
            _REASON,
            Column("Subject", ".spec.user.subject", "The user."),
            Column("Handle", ".spec.handle", "Their part of role names."),
            Column("Issuer", ".spec.user.issuer", "The user's issuer.", priority=1),
            _AGE,
            _MESSAGE,
        ),
    ),
    Kind(
        VendedRole,
        "vendedroles",
        "vr",
        "Namespaced",
        (
            _READY,
            _REASON,
            Column("Agent", ".spec.agentRef.name", "The agent."),
            Column("User", ".status.user.handle", "The user."),
            Column("Role", ".status.roleName", "Its name in the database."),
            # A column of the type `date` shows a future time as <invalid>.
            Column("Expires", ".status.expirationTimestamp", "The expiry of the role."),
            _AGE,
            Column("Platform", ".spec.platformRefs[0].name", "Its platform.", priority=1),
            Column("Purpose", ".spec.purpose", "The stated purpose.", priority=1),
            Column("Proof", ".status.user.proof", "The proof of the user.", priority=1),
            Column("Tables", ".status.platforms[0].tables", "The tables that it reads there, at most 50.", priority=1),
            _MESSAGE,
        ),
        ("spec.agentRef.name", "spec.user.subject", "spec.purpose", "status.user.handle", "status.roleName"),
    ),
)


def kind_named(name: str) -> Kind:
    """Return the kind by its name in manifests."""
    for kind in KINDS:
        if kind.name == name:
            return kind
    names = [kind.name for kind in KINDS]
    raise InvalidInput("kind", f"must be one of {', '.join(names)}{closest(name, names)}")
