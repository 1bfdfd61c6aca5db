"""Objects of every kind: valid ones to start from, and every way we know to spoil one, with the field that the refusal must name."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Body = dict[str, Any]

ADMINISTRATOR: Final = "system:serviceaccount:default:administrator"
"""The account of `installed.Cluster`: an AccessDecision names its creator."""

_PLATFORM = [{"name": "warehouse"}]
_USER = {"issuer": "https://idp.example.org", "subject": "anna"}
_TAGGED = {"matchTags": [{"key": "pii", "operator": "In", "values": ["id"]}]}

_GRANT = {
    "platformRefs": _PLATFORM,
    "tables": {"matchNames": [{"schema": "claims", "name": "*"}]},
    "columns": {"matchNames": ["*"]},
    "rows": "All",
    "masks": [],
}
_COMBINATIONS = (("Agent", "spec.combination"), ("DataPlatform", "spec.agents[0].widestCombination"))

_AGENTS = {"matchAttributes": [{"key": "trust", "operator": "In", "values": ["high"]}]}
_ADDED_MASKS = [{"name": "ssn", "columns": {"matchNames": ["ssn"]}, "type": "Partial", "partial": {"keepLast": 4}}]

_SPECS: Final[Mapping[str, Body]] = {
    "AccessDecision": {
        "requestRef": {"namespace": "agents", "name": "ask", "uid": "6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c"},
        "offerRef": {"name": "ssn-clear"},
        "by": ADMINISTRATOR,
        "verdict": "Approve",
        "digest": f"sha256:{'0' * 64}",
        "expirationSeconds": 600,
        "tables": [{"schema": "claims", "table": "people"}],
        "masks": _ADDED_MASKS,
        "comment": "Only the open case.\nAsk again tomorrow.",
    },
    "AccessPolicy": {
        "platformRefs": _PLATFORM,
        "users": {
            "matchAttributes": [{"key": "job", "operator": "In", "values": ["analyst"]}],
            "matchConditions": [{"name": "known", "expression": "user.subject != ''"}, {"name": "brief", "expression": "agent.name != ''"}],
        },
        "suspend": False,
        "grantsTo": "Users",
        "agents": {
            "matchAttributes": [{"key": "trust", "operator": "In", "values": ["high"]}],
            "matchConditions": [{"name": "ours", "expression": "agent.namespace != ''"}],
        },
        "tables": {
            "matchTags": [
                {"key": "domain", "operator": "In", "values": ["claims"]},
                {"key": "region", "operator": "NotIn", "valuesFromUserAttribute": "regions"},
                {"key": "retired", "operator": "DoesNotExist"},
            ],
            "matchNames": [{"schema": "claims", "name": "*"}],
        },
        "columns": {"matchNames": ["*"]},
        "rowFilter": "country IN (user_attr('countries'))",
        "masks": [
            {"name": "ids", "columns": _TAGGED, "type": "Hash"},
            {"name": "names", "columns": {"matchNames": ["full_name"]}, "type": "Partial", "partial": {"keepLast": 2}},
            {"name": "births", "columns": {"matchNames": ["birth_*"]}, "type": "DateTrunc", "dateTrunc": {"unit": "Year"}},
            {"name": "notes", "columns": {"matchNames": ["note"]}, "type": "Constant", "constant": {"value": "(withheld)"}},
            {"name": "rest", "columns": {"matchNames": ["iban"]}, "type": "Nullify"},
        ],
    },
    "AccessRequest": {
        "agentRef": {"name": "finbot"},
        "user": _USER,
        "userTokenSecretRef": {"name": "anna-token", "key": "token"},
        "platformRef": {"name": "warehouse"},
        "offerRef": {"namespace": "domain-claims", "name": "ssn-clear"},
        "tables": [{"schema": "claims", "table": "people"}],
        "columns": ["ssn", "full_name"],
        "expirationSeconds": 600,
        "purpose": "fraud-review",
        "justification": {"text": "The caller disputes a claim."},
        "ticket": "FR-12",
        "task": {"id": "chat-4711", "intentDigest": f"sha256:{'0' * 64}"},
        "delivery": "Secret",
    },
    "Agent": {
        "handle": "FINBOT",
        "identity": {
            "type": "OIDCClient",
            "oidcClient": {"issuer": "https://idp.example.org", "clientIDs": ["finbot", "finbot-canary"], "subject": "finbot"},
        },
        "onBehalfOf": {
            "assertion": "Trusted",
            "users": {"matchAttributes": [{"key": "department", "operator": "In", "values": ["claims"]}]},
        },
        "combination": "UserCeiling",
        "suspend": False,
        "limits": {"maxExpirationSeconds": 1800, "idleReleaseSeconds": 300, "maxTransactionSeconds": 120},
        "tools": [
            {
                "platformRef": {"name": "warehouse"},
                "postgres": {"functions": [{"schema": "tools", "name": "risk_score"}], "schemas": ["finbot"]},
            }
        ],
    },
    "DataPlatform": {
        "postgres": {"host": "db.example.org", "port": 5432, "database": "claims", "scramIterations": 4096, "ledger": "Disabled"},
        "allowUnattested": False,
        "suspend": False,
        "tableNames": "Short",
        "credentials": {
            "programmerSecretRef": {"name": "programmer"},
            "vendorSecretRef": {"name": "vendor"},
            "observerSecretRef": {"name": "observer"},
        },
        "domains": [{"namespace": "domain-claims", "schemas": ["claims"]}, {"namespace": "domain-hr", "schemas": ["hr"]}],
        "agents": [
            {
                "namespaceSelector": {"matchLabels": {"team": "claims"}},
                "agentNames": ["finbot"],
                "assertions": ["Trusted", "TokenRequired"],
                "attributes": [{"key": "trust", "values": ["high"]}],
                "purposes": ["fraud-review", "reporting"],
                "maxExpirationSeconds": 3600,
                "widestCombination": "UserCeiling",
                "roleLimits": {
                    "maxConnections": 4,
                    "maxTransactionSeconds": 120,
                    "maxIdleInTransactionSeconds": 30,
                    "maxTempFileMebibytes": 256,
                    "idleReleaseSeconds": 900,
                },
                "tools": {"postgres": {"functions": [{"schema": "tools", "name": "risk_*"}], "schemas": ["finbot"]}},
            },
        ],
    },
    "Guardrail": {
        "platformRefs": _PLATFORM,
        "users": {"matchAttributes": [{"key": "employment", "operator": "In", "values": ["contractor"]}]},
        "tables": {"matchNames": [{"schema": "claims", "name": "*"}]},
        "deny": {"type": "Columns", "columns": {"matchNames": ["iban"]}},
        "rowRestriction": "country IN (user_attr('countries'))",
        "maskFloors": [{"name": "ids", "columns": _TAGGED, "type": "Hash"}],
    },
    "IdentityProvider": {
        "issuer": "https://idp.example.org",
        "keys": {"discovery": "OpenIDConnect", "caSecretRef": {"name": "idp-ca", "key": "ca.crt"}},
        "audiences": ["https://rolevend.example.org"],
        "algorithms": ["RS256", "EdDSA"],
        "accepts": ["AccessToken", "Exchanged", "IdToken"],
        "maxTokenSeconds": 3600,
        "claims": {
            "subject": {"path": ["oid"]},
            "client": {"path": ["cid"]},
            "handle": {"path": ["employee"]},
            "attributes": [
                {"key": "department", "path": ["org", "department"]},
                {"key": "groups", "expression": "claims.groups.filter(one, one.startsWith('data-'))"},
            ],
        },
        "kubernetesUsername": {"attribute": "email", "prefix": "oidc:"},
        "login": {
            "url": "https://access.example.org",
            "clientID": "rolevend-page",
            "clientSecretRef": {"name": "idp-login", "key": "client-secret"},
        },
        "scim": {
            "tokenSecretRef": {"name": "idp-scim", "key": "scim-token"},
            "clients": [{"clientID": "pusher"}],
            "attributes": [{"key": "department", "attribute": "department"}, {"key": "mail", "attribute": "emails", "type": "work"}],
            "groups": {"key": "groups"},
            "subject": "userName",
        },
        "signals": {"audience": "https://rolevend.example.org/ssf/v1/events", "userIssuer": "https://login.example.org"},
    },
    "TagBinding": {
        "platformRefs": _PLATFORM,
        "tables": [{"schema": "claims", "name": "*", "tags": [{"key": "domain", "value": "claims"}]}],
        "columns": [{"schema": "claims", "table": "people", "column": "ssn", "tags": [{"key": "pii", "value": "id"}]}],
    },
    "UserAttributes": {
        "user": _USER,
        "handle": "ANNA",
        "attributes": [{"key": "countries", "values": ["DE", "AT"]}, {"key": "job", "values": ["analyst"]}],
        "suspend": False,
        "notBefore": "2001-01-01T00:00:00Z",
    },
    "VendedRole": {
        "agentRef": {"name": "finbot"},
        "user": _USER,
        "userTokenSecretRef": {"name": "anna-token", "key": "token"},
        "delivery": "Secret",
        "platformRefs": _PLATFORM,
        "allowPartial": False,
        "purpose": "fraud-review",
        "resources": [{"schema": "claims", "table": "people"}],
        "expirationSeconds": 900,
        "task": {"id": "chat-4711", "intentDigest": f"sha256:{'0' * 64}"},
    },
}

ON_REQUEST: Final[Body] = {
    "display": "SSNs of open claims in clear, for fraud review",
    "discoverable": False,
    "maxExpirationSeconds": 1800,
    "claimSeconds": 3600,
    "pendingSeconds": 7200,
    "uses": 2,
    "asks": {"purposes": ["fraud-review"], "justification": "User", "ticket": {"pattern": "^FR-[0-9]+$"}},
    "proof": {"maxAuthAgeSeconds": 900, "acr": ["mfa"]},
    "automatic": [
        {
            "name": "small",
            "matchConditions": [{"name": "office", "expression": "'fraud' in user.attributes.department"}],
            "maxExpirationSeconds": 600,
            "limits": {"perUserPerDay": 3, "perAgentPerHour": 20, "liveAtOnce": 5},
            "precedent": {"approvedByPeople": 2, "withinDays": 30},
        }
    ],
    "approval": {"required": 1, "approverMustHold": True},
    "notify": ["oncall", "claims-channel"],
}
"""What makes of an AccessPolicy an offer, with every optional field set."""

KINDS: Final = tuple(_SPECS)
CLUSTER_KINDS: Final = frozenset({"DataPlatform", "Guardrail", "IdentityProvider", "UserAttributes"})


class _Missing:
    def __repr__(self) -> str:
        return "missing"


MISSING: Final = _Missing()
"""In place of a value: the member is not there."""


def valid(kind: str, name: str = "sample", namespace: str = "agents") -> Body:
    """A new object that is right in every way, with every optional field set."""
    place = {} if kind in CLUSTER_KINDS else {"namespace": namespace}
    return {
        "apiVersion": "rolevend.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **place},
        "spec": copy.deepcopy(_SPECS[kind]),
    }


def changed(body: Body, path: str, value: Any) -> Body:
    """A copy in which the member at `path`, such as `spec.masks[0].type`, is `value`."""
    copied = copy.deepcopy(body)
    *way, last = _steps(path)
    target: Any = copied
    for step in way:
        target = target[step]
    if value is MISSING:
        del target[last]
    else:
        target[last] = value
    return copied


EVERY_ROW: Final = (("spec.rowFilter", MISSING), ("spec.rows", "All"))
"""What makes of an AccessPolicy one that grants every row."""


def offer(name: str = "ssn-clear", namespace: str = "domain-claims") -> Body:
    """A valid AccessPolicy that is an offer."""
    return changed(valid("AccessPolicy", name, namespace), "spec.onRequest", copy.deepcopy(ON_REQUEST))


def every_row(policy: Body) -> Body:
    for path, value in EVERY_ROW:
        policy = changed(policy, path, value)
    return policy


NO_POSTGRES = (("spec.postgres", MISSING), ("spec.credentials.observerSecretRef", MISSING))
"""The changes that a DataPlatform of another kind begins with."""


def on_snowflake(spelled: Body, tools: Body | Any = MISSING) -> Body:
    """The valid DataPlatform as one of Snowflake: `spelled` is its account, and `tools` are what its agents may have."""
    account = valid("DataPlatform")
    for path, value in (*NO_POSTGRES, ("spec.snowflake", spelled), ("spec.agents[0].tools", tools)):
        account = changed(account, path, value)
    return account


def _own_user() -> Body:
    labels = {"team": "claims", "kubernetes.io/metadata.name": "agents"}
    account = on_snowflake({"account": "myorg-account1", "database": "SALES", "warehouse": "AGENTS_WH", "principal": "AgentUser"})
    terms = {**account["spec"]["agents"][0], "namespaceSelector": {"matchLabels": labels}, "agentUser": "FINBOT_SVC"}
    return changed(account, "spec.agents", [terms])


def _steps(path: str) -> list[str | int]:
    return [int(step) if step.isdigit() else step for step in path.replace("[", ".").replace("]", "").split(".")]


@dataclass(frozen=True)
class Spoiled:
    """A valid object of `kind` with `value` at `path`; a refusal must name `field`."""

    kind: str
    path: str
    value: Any
    field: str = ""

    @property
    def named(self) -> str:
        return self.field or self.path

    @property
    def body(self) -> Body:
        return changed(valid(self.kind), self.path, self.value)

    def __str__(self) -> str:
        return f"{self.kind}-{self.path}-{ascii(self.value)[:30]}"


OWN_USER: Final = _own_user()
"""A valid DataPlatform that names the user which an agent has already."""

HOSTILE: Final = ("\x00", "a\x00b", "a\nb", "\u202egnp.exe", "a\u2066b", "a\u200bb", "", " ", " a", "a ", "x" * 10_000)
"""What no key or value may be."""

NO_ORIGINS: Final = (
    "http://access.example.org",
    "https://access.example.org/page",
    "https://access.example.org?a=b",
    "https://mallory@access.example.org",
    "javascript:alert(1)",
    "https://",
    "http://127.0.0.1.example.org",
)
"""What is no address of a server for browsers."""

NOT_A_NAME: Final = ("'; DROP ROLE x; --", 'a"b', "a;b", "A", "ä", "🙂", "a/b", "../a", "-a", *HOSTILE)
"""What the name of an object may not be."""

SPOILED: Final = (
    # Names of other objects
    *(Spoiled("VendedRole", "spec.agentRef.name", text) for text in NOT_A_NAME),
    *(Spoiled("VendedRole", "spec.platformRefs[0].name", text) for text in ("a;b", "x" * 254)),
    *(Spoiled("DataPlatform", "spec.credentials.vendorSecretRef.name", text) for text in ("a b", "")),
    *(Spoiled("DataPlatform", "spec.domains[0].namespace", text) for text in ("a.b", "x" * 64)),
    # People, attributes, tags
    *(Spoiled("VendedRole", "spec.user.subject", text) for text in HOSTILE),
    *(Spoiled("VendedRole", "spec.user.issuer", text) for text in HOSTILE),
    *(Spoiled("UserAttributes", "spec.attributes[0].key", text) for text in HOSTILE),
    *(Spoiled("UserAttributes", "spec.attributes[0].values[1]", text) for text in HOSTILE),
    *(Spoiled("TagBinding", "spec.columns[0].tags[0].value", text) for text in HOSTILE),
    *(Spoiled("AccessPolicy", "spec.users.matchAttributes[0].values[0]", text) for text in HOSTILE),
    # Handles
    *(Spoiled("Agent", "spec.handle", text) for text in ("finbot", "FIN-BOT", "X" * 11, "ÄGENT", "A_B", *HOSTILE)),
    *(Spoiled("UserAttributes", "spec.handle", text) for text in ("anna", "X" * 12, "A'B", *HOSTILE)),
    # Names in a database: anything printable, but no longer than the database takes
    *(
        Spoiled("TagBinding", "spec.columns[0].table", text)
        for text in ("\x00", "a\nb", "\u202egnp", "", "x" * 64, "ä" * 32, "🙂" * 16, "x" * 10_000)
    ),
    Spoiled("DataPlatform", "spec.postgres.database", "ä" * 32),
    # Numbers
    *(Spoiled("VendedRole", "spec.expirationSeconds", number) for number in (4, 86401, -1, 2**70, 900.5, "900", True, [900])),
    *(Spoiled("Agent", "spec.limits.maxExpirationSeconds", number) for number in (0, 86401)),
    *(Spoiled("Agent", "spec.limits.idleReleaseSeconds", number) for number in (59, 86401)),
    *(Spoiled("Agent", "spec.limits.maxTransactionSeconds", number) for number in (4, 86401, "60")),
    *(Spoiled("DataPlatform", "spec.agents[0].roleLimits.maxConnections", number) for number in (0, 65, "8")),
    *(Spoiled("DataPlatform", "spec.agents[0].roleLimits.maxTransactionSeconds", number) for number in (4, 86401)),
    *(Spoiled("DataPlatform", "spec.agents[0].roleLimits.maxIdleInTransactionSeconds", number) for number in (4, 86401)),
    *(Spoiled("DataPlatform", "spec.agents[0].roleLimits.maxTempFileMebibytes", number) for number in (0, 524289)),
    *(Spoiled("DataPlatform", "spec.agents[0].roleLimits.idleReleaseSeconds", number) for number in (59, 86401)),
    *(Spoiled("DataPlatform", "spec.postgres.port", number) for number in (0, 65536, "5432")),
    *(Spoiled("DataPlatform", "spec.postgres.ledger", value) for value in ("on", "", True, 1)),
    *(Spoiled("DataPlatform", "spec.postgres.scramIterations", number) for number in (0, 100_001, "4096")),
    *(Spoiled("AccessPolicy", "spec.masks[1].partial.keepLast", number) for number in (0, 65)),
    # What must be there
    *(Spoiled("VendedRole", f"spec.{name}", MISSING) for name in ("agentRef", "user", "platformRefs")),
    Spoiled("VendedRole", "spec", MISSING),
    Spoiled("VendedRole", "spec.user.subject", MISSING),
    *(Spoiled("AccessPolicy", f"spec.{name}", MISSING) for name in ("platformRefs", "users", "tables", "columns", "rowFilter", "masks")),
    Spoiled("AccessPolicy", "spec.rows", "All", "spec.rowFilter"),
    *(
        Spoiled("AccessPolicy", "spec", {**_SPECS["AccessPolicy"], "rowFilter": None, "rows": rows}, "spec.rows")
        for rows in ("all", "*", "", True)
    ),
    Spoiled("AccessPolicy", "spec.users", {}),
    Spoiled("AccessPolicy", "spec.users.matchAttributes", []),
    Spoiled("AccessPolicy", "spec.users.matchConditions", []),
    Spoiled("AccessPolicy", "spec.users.matchConditions[1].name", "known", "spec.users.matchConditions"),
    *(Spoiled("AccessPolicy", "spec.users.matchConditions[0].expression", text) for text in ("", "true\x00", "x" * 1025)),
    Spoiled("AccessPolicy", "spec.agents", {}),
    Spoiled("AccessPolicy", "spec.grantsTo", "Agents", "spec.users"),
    Spoiled("AccessPolicy", "spec", {"grantsTo": "Agents", **_GRANT}, "spec.agents"),
    Spoiled("Agent", "spec.onBehalfOf.users", {}, "spec.onBehalfOf.users.matchAttributes"),
    *(Spoiled("VendedRole", "spec.purpose", text) for text in ("Fraud", "a b", "", "x" * 64)),
    *(Spoiled("VendedRole", "spec.task.id", text) for text in ("x" * 129, MISSING, *HOSTILE)),
    *(Spoiled("VendedRole", "spec.task.intentDigest", text) for text in ("0" * 64, f"sha256:{'A' * 64}", f"sha256:{'0' * 63}", "")),
    Spoiled("VendedRole", "spec.resources", []),
    Spoiled("VendedRole", "spec.resources[0].table", MISSING),
    Spoiled("VendedRole", "spec.resources", [{"schema": "a", "table": "b"}, {"schema": "a", "table": "b"}], "spec.resources"),
    *(Spoiled("VendedRole", "spec.resources[0].schema", text) for text in ("\x00", "", "ä" * 32)),
    Spoiled("DataPlatform", "spec.agents[0].agentNames", []),
    Spoiled("DataPlatform", "spec.agents[0].purposes[1]", "fraud-review", "spec.agents[0].purposes"),
    Spoiled("DataPlatform", "spec.agents[0].attributes[0].values", []),
    Spoiled("Agent", "spec.tools[0].platformRef", MISSING),
    Spoiled("Agent", "spec.tools[0].postgres", MISSING, "spec.tools[0]"),
    Spoiled("Agent", "spec.tools[0].postgres", {}, "spec.tools[0].postgres"),
    Spoiled("Agent", "spec.tools[0].postgres.functions", []),
    Spoiled("Agent", "spec.tools[0].postgres.schemas", ["finbot", "finbot"], "spec.tools[0].postgres.schemas"),
    *(Spoiled("Agent", "spec.tools[0].postgres.functions[0].name", text) for text in ("\x00", "", "x" * 64)),
    Spoiled("DataPlatform", "spec.agents[0].tools", {}, "spec.agents[0].tools"),
    Spoiled("DataPlatform", "spec.agents[0].tools", {"snowflake": {"warehouses": ["WH"]}}, "spec.agents"),
    Spoiled("DataPlatform", "spec.agents[0].agentUser", "FINBOT_SVC", "spec.agents"),
    Spoiled("DataPlatform", "spec.agents[0].agentUser", "immuta_vended_x"),
    Spoiled("DataPlatform", "spec.agents[0].agentUser", "ROLEVEND_PROGRAMMER"),
    Spoiled("DataPlatform", "spec.agents[0].agentUser", "a\nb"),
    *(
        Spoiled("DataPlatform", "spec", changed(OWN_USER, f"spec.{path}", value)["spec"], field)
        for path, value, field in (
            ("snowflake.principal", "EphemeralUser", "spec.agents"),
            ("agents[0].agentNames", ["finbot", "other"], "spec.agents[0].agentUser"),
            ("agents[0].namespaceSelector.matchLabels", {"team": "claims"}, "spec.agents[0].agentUser"),
            ("agents", OWN_USER["spec"]["agents"] * 2, "spec.agents"),
        )
    ),
    *(
        Spoiled("Agent", "spec.tools[0]", {"platformRef": {"name": "account"}, "snowflake": asked}, f"spec.tools[0].snowflake{field}")
        for asked, field in (
            ({}, ""),
            ({"warehouses": []}, ".warehouses"),
            ({"warehouses": ["WH", "WH"]}, ".warehouses"),
            ({"semanticViews": [{"name": "CLAIMS"}]}, ".semanticViews[0].schema"),
            ({"semanticViews": [{"schema": "SEM", "name": "a\x00b"}]}, ".semanticViews[0].name"),
            ({"procedures": [{"schema": "SEM", "name": "P", "arguments": "NUMBER); DROP ROLE X"}]}, ".procedures[0].arguments"),
            ({"procedures": [{"schema": "SEM", "name": "P", "arguments": "number"}]}, ".procedures[0].arguments"),
            ({"procedures": [{"schema": "SEM", "name": "P"}]}, ".procedures[0].arguments"),
            ({"searchServices": [{"schema": "", "name": "S"}]}, ".searchServices[0].schema"),
            ({"databaseRoles": ["SNOWFLAKE.GOVERNANCE_VIEWER"]}, ".databaseRoles[0]"),
            ({"databaseRoles": ["SALES.READER"]}, ".databaseRoles[0]"),
        )
    ),
    Spoiled("DataPlatform", "spec.agents[0].tools.postgres.functions[0].schema", MISSING),
    Spoiled("AccessPolicy", "spec.tables", {}),
    Spoiled("AccessPolicy", "spec.columns", {}),
    Spoiled("AccessPolicy", "spec.columns.matchNames", []),
    Spoiled("AccessPolicy", "spec.masks[0].columns", {}),
    # Selectors of nothing
    Spoiled("AccessPolicy", "spec.tables.matchNames", []),
    Spoiled("AccessPolicy", "spec.tables.matchTags", []),
    Spoiled("AccessPolicy", "spec.tables.matchTags[0].values", []),
    Spoiled("AccessPolicy", "spec.columns", {"matchTags": []}, "spec.columns.matchTags"),
    Spoiled("AccessPolicy", "spec.users.matchAttributes[0].values", []),
    Spoiled("AccessPolicy", "spec.masks[0].columns.matchTags", []),
    Spoiled("Guardrail", "spec.deny.columns", {}),
    Spoiled("Guardrail", "spec.maskFloors", []),
    Spoiled("Guardrail", "spec.maskFloors[0].columns", {}),
    Spoiled("TagBinding", "spec.tables", []),
    # A megabyte
    Spoiled("AccessPolicy", "spec.rowFilter", "x" * 1_000_000),
    Spoiled("Guardrail", "spec.rowRestriction", "(" * 1_000_000),
    Spoiled("AccessPolicy", "spec.columns.matchNames", [f"column_{number}" for number in range(80_000)]),
    Spoiled("UserAttributes", "spec.attributes[0].values", ["v" * 1_000_000], "spec.attributes[0].values[0]"),
    *(Spoiled("Agent", f"spec.{name}", MISSING) for name in ("handle", "onBehalfOf")),
    Spoiled("Agent", "spec.onBehalfOf.assertion", MISSING),
    Spoiled("TagBinding", "spec", {"platformRefs": _PLATFORM}),
    Spoiled("TagBinding", "spec.tables[0].tags", []),
    *(Spoiled("Guardrail", f"spec.{name}", MISSING) for name in ("platformRefs", "tables")),
    Spoiled("Guardrail", "spec", {"platformRefs": _PLATFORM, "tables": {"matchNames": [{"schema": "claims", "name": "*"}]}}),
    Spoiled("Guardrail", "spec.users", {}, "spec.users.matchAttributes"),
    Spoiled("Guardrail", "spec.tables", {}),
    Spoiled("DataPlatform", "spec.credentials", MISSING),
    Spoiled("DataPlatform", "spec.postgres", MISSING, "spec"),
    Spoiled("DataPlatform", "spec.agents[0].assertions", []),
    Spoiled("DataPlatform", "spec.agents[0].namespaceSelector.matchLabels", {}),
    # Words that mean nothing
    Spoiled("Agent", "spec.onBehalfOf.assertion", "TokenWanted"),
    Spoiled("DataPlatform", "spec.agents[0].assertions[1]", "TokenWanted"),
    *(Spoiled(kind, path, "Widest") for kind, path in _COMBINATIONS),
    *(Spoiled(kind, "spec.suspend", "perhaps") for kind in ("AccessPolicy", "Agent", "DataPlatform", "UserAttributes")),
    *(Spoiled("UserAttributes", "spec.notBefore", text) for text in ("yesterday", "2026-11-29", "2026-11-29T10:00:00")),
    Spoiled("AccessPolicy", "spec.grantsTo", "Everybody"),
    Spoiled("AccessPolicy", "spec.masks[0].type", "Scramble"),
    Spoiled("AccessPolicy", "spec.masks[2].dateTrunc.unit", "Day"),
    Spoiled("AccessPolicy", "spec.users.matchAttributes[0].operator", "Gt"),
    # Values where the operator asks for none, and none where it asks for some
    Spoiled("AccessPolicy", "spec.users.matchAttributes[0].operator", "Exists", "spec.users.matchAttributes[0].values"),
    Spoiled("AccessPolicy", "spec.users.matchAttributes[0].values", MISSING),
    Spoiled("AccessPolicy", "spec.users.matchAttributes[0].valuesFromUserAttribute", "job"),
    Spoiled("AccessPolicy", "spec.tables.matchTags[0].operator", "DoesNotExist", "spec.tables.matchTags[0].values"),
    Spoiled("AccessPolicy", "spec.tables.matchTags[0].valuesFromUserAttribute", "regions", "spec.tables.matchTags[0].values"),
    Spoiled("AccessPolicy", "spec.tables.matchTags[1].values", ["eu"]),
    Spoiled("AccessPolicy", "spec.tables.matchTags[1].valuesFromUserAttribute", MISSING, "spec.tables.matchTags[1].values"),
    Spoiled("AccessPolicy", "spec.masks[0].columns.matchTags[0].valuesFromUserAttribute", "regions"),
    # Unions
    Spoiled("AccessPolicy", "spec.masks[0].partial", {"keepLast": 2}),
    Spoiled("AccessPolicy", "spec.masks[1].partial", MISSING),
    Spoiled("AccessPolicy", "spec.masks[1].constant", {"value": "x"}),
    Spoiled("AccessPolicy", "spec.masks[2].dateTrunc", MISSING),
    Spoiled("AccessPolicy", "spec.masks[3].constant", MISSING),
    Spoiled("AccessPolicy", "spec.masks[4].dateTrunc", {"unit": "Year"}),
    Spoiled("AccessPolicy", "spec.masks[0].type", "Round", "spec.masks[0].round"),
    Spoiled("AccessPolicy", "spec.masks[0].type", "Regex", "spec.masks[0].regex"),
    Spoiled("AccessPolicy", "spec.masks[0].regex", {"pattern": "x", "replacement": "y"}),
    *(
        Spoiled(
            "AccessPolicy",
            "spec.masks[0]",
            {"name": "ids", "columns": _TAGGED, "type": "Round", "round": {"step": step}},
            "spec.masks[0].round.step",
        )
        for step in ("0", "0.000", "-1", "1e3", "01", ".5", "1.", "", "1" * 16, 100)
    ),
    Spoiled("Guardrail", "spec.deny.columns", MISSING),
    Spoiled("Guardrail", "spec.deny.type", "Tables", "spec.deny.columns"),
    # Lists
    Spoiled("VendedRole", "spec.platformRefs", []),
    Spoiled("VendedRole", "spec.platformRefs", [{"name": f"platform-{number}"} for number in range(9)]),
    Spoiled("VendedRole", "spec.platformRefs", [{"name": "warehouse"}, {"name": "warehouse"}]),
    Spoiled("AccessPolicy", "spec.platformRefs", [{"name": "warehouse"}, {"name": "warehouse"}]),
    Spoiled("AccessPolicy", "spec.masks[1].name", "ids", "spec.masks"),
    Spoiled("AccessPolicy", "spec.columns.matchNames", ["a", "a"]),
    Spoiled("UserAttributes", "spec.attributes[1].key", "countries", "spec.attributes"),
    Spoiled("UserAttributes", "spec.attributes[0].values", []),
    Spoiled("UserAttributes", "spec.attributes[0].values", [str(number) for number in range(257)]),
    Spoiled("DataPlatform", "spec.domains[1].namespace", "domain-claims", "spec.domains"),
    Spoiled("IdentityProvider", "spec.claims.attributes[1].key", "department", "spec.claims.attributes"),
    Spoiled("IdentityProvider", "spec.scim.attributes[1].key", "department", "spec.scim.attributes"),
    Spoiled("IdentityProvider", "spec.scim.attributes[0].type", "work"),
    Spoiled("IdentityProvider", "spec.scim.attributes[0].attribute", "password"),
    Spoiled("IdentityProvider", "spec.scim.groups.key", "department", "spec.scim.groups"),
    Spoiled("IdentityProvider", "spec.scim.tokenSecretRef.key", "username"),
    Spoiled("IdentityProvider", "spec.scim.clients", []),
    Spoiled("IdentityProvider", "spec.scim", {"subject": "externalId"}),
    Spoiled("IdentityProvider", "spec.scim.subject", "id"),
    Spoiled("IdentityProvider", "spec.signals", {}, "spec.signals.audience"),
    *(Spoiled("IdentityProvider", "spec.signals.audience", text) for text in HOSTILE),
    *(Spoiled("IdentityProvider", "spec.signals.userIssuer", text) for text in HOSTILE),
    *(Spoiled("IdentityProvider", f"spec.{name}", []) for name in ("audiences", "algorithms", "accepts")),
    # Identity providers
    *(Spoiled("IdentityProvider", f"spec.{name}", MISSING) for name in ("issuer", "keys", "audiences")),
    *(Spoiled("IdentityProvider", "spec.issuer", text) for text in HOSTILE),
    *(Spoiled("IdentityProvider", "spec.audiences[0]", text) for text in HOSTILE),
    *(Spoiled("IdentityProvider", "spec.keys", {"url": text}, "spec.keys.url") for text in HOSTILE),
    *(Spoiled("IdentityProvider", f"spec.login.{name}", text) for name in ("url", "clientID") for text in HOSTILE),
    *(Spoiled("IdentityProvider", "spec.login.url", text) for text in NO_ORIGINS),
    *(Spoiled("IdentityProvider", f"spec.login.{name}", MISSING) for name in ("url", "clientID")),
    Spoiled("IdentityProvider", "spec.keys", {"url": "https://idp.example.org/keys"}, "spec.login"),
    *(Spoiled("IdentityProvider", "spec.login.clientSecretRef.key", key) for key in ("password", "key", "xclient-secret")),
    *(Spoiled("IdentityProvider", "spec.claims.subject.path[0]", text) for text in HOSTILE),
    Spoiled("IdentityProvider", "spec.keys", {}),
    Spoiled("IdentityProvider", "spec.keys.inline", '{"keys": []}', "spec.keys"),
    Spoiled("IdentityProvider", "spec.keys.discovery", MISSING, "spec.keys"),
    Spoiled("IdentityProvider", "spec.keys", {"inline": "{}", "caSecretRef": {"name": "idp-ca"}}, "spec.keys.caSecretRef"),
    Spoiled("IdentityProvider", "spec.keys", {"discovery": "WebFinger"}, "spec.keys.discovery"),
    Spoiled("IdentityProvider", "spec.keys", {"discovery": "Kubernetes"}, "spec.accepts"),
    Spoiled("IdentityProvider", "spec.keys", {"discovery": "Kubernetes", "caSecretRef": {"name": "idp-ca"}}, "spec.keys.caSecretRef"),
    *(Spoiled("IdentityProvider", "spec.algorithms[1]", text) for text in ("HS256", "none", "NoNe", "")),
    Spoiled("IdentityProvider", "spec.accepts[0]", "RefreshToken"),
    Spoiled("IdentityProvider", "spec.accepts[0]", "ServiceAccount", "spec.accepts"),
    Spoiled("IdentityProvider", "spec.accepts[0]", "UntypedAccessToken", "spec.accepts"),
    Spoiled("IdentityProvider", "spec.claims.client", {"path": []}, "spec.claims.client"),
    *(Spoiled("IdentityProvider", "spec.maxTokenSeconds", number) for number in (59, 604_801, "3600")),
    Spoiled("IdentityProvider", "spec.claims.subject.path", []),
    *(Spoiled("IdentityProvider", "spec.kubernetesUsername.attribute", value) for value in (MISSING, "")),
    Spoiled("IdentityProvider", "spec.kubernetesUsername.prefix", "oidc:\n"),
    Spoiled("IdentityProvider", "spec.claims.handle", {}),
    Spoiled("IdentityProvider", "spec.claims.handle.expression", "claims.x", "spec.claims.handle"),
    Spoiled("IdentityProvider", "spec.claims.attributes[0].path", MISSING, "spec.claims.attributes[0]"),
    Spoiled("IdentityProvider", "spec.claims.attributes[1].expression", "x" * 1025),
    # Who an agent is, and the proof of a user
    Spoiled("Agent", "spec", {"handle": "FINBOT", "onBehalfOf": {"assertion": "TokenRequired"}}, "spec.identity"),
    Spoiled("Agent", "spec.identity.type", "Certificate"),
    Spoiled("Agent", "spec.identity.type", "ServiceAccount", "spec.identity"),
    Spoiled("Agent", "spec.identity.oidcClient", MISSING),
    Spoiled("Agent", "spec.identity.serviceAccount", {"name": "finbot"}),
    Spoiled("Agent", "spec.identity", {"type": "ServiceAccount", "serviceAccount": {"name": "A B"}}, "spec.identity.serviceAccount.name"),
    Spoiled("Agent", "spec.identity.oidcClient.clientIDs", []),
    Spoiled("Agent", "spec.identity.oidcClient.clientIDs", ["a", "a"]),
    *(Spoiled("Agent", "spec.identity.oidcClient.clientIDs[0]", text) for text in HOSTILE),
    *(
        Spoiled("Agent", f"spec.identity.oidcClient.{place}", "system:serviceaccount:agents:other", "spec.identity.oidcClient")
        for place in ("clientIDs[1]", "subject")
    ),
    *(Spoiled("VendedRole", "spec.userTokenSecretRef.name", text) for text in ("a/b", "../a", "")),
    *(Spoiled("VendedRole", "spec.userTokenSecretRef.key", text) for text in ("a/b", "")),
    Spoiled("VendedRole", "spec.userTokenSecretRef.namespace", "kube-system"),
    # Offers
    *(
        Spoiled("AccessPolicy", "spec.onRequest", changed(ON_REQUEST, path, value), f"spec.onRequest.{field or path}")
        for path, value, field in (
            *((name, MISSING, "") for name in ("display", "maxExpirationSeconds")),
            *(("display", text, "") for text in ("x" * 201, *HOSTILE)),
            *(("maxExpirationSeconds", number, "") for number in (4, 86401, "600")),
            *((name, number, "") for name in ("claimSeconds", "pendingSeconds") for number in (4, 604_801)),
            *(("uses", number, "") for number in (0, 65)),
            ("discoverable", "maybe", ""),
            ("notify", [], ""),
            ("notify", [f"receiver-{number}" for number in range(9)], ""),
            ("notify[0]", "https://receiver.example.org", ""),
            ("asks.purposes", [], ""),
            ("asks.purposes[0]", "Fraud", ""),
            ("asks.justification", "Model", ""),
            ("asks.ticket", {}, "asks.ticket.pattern"),
            ("asks.ticket.pattern", "", ""),
            ("proof", {}, "proof"),
            ("proof.acr", [], ""),
            ("proof.maxAuthAgeSeconds", 0, ""),
            ("automatic", [], ""),
            ("automatic", ON_REQUEST["automatic"] * 2, ""),
            ("automatic[0].limits", MISSING, ""),
            ("automatic[0].limits", {}, ""),
            ("automatic[0].limits.perUserPerDay", 0, ""),
            ("automatic[0].matchConditions", [], ""),
            ("automatic[0].maxExpirationSeconds", 1801, "automatic"),
            ("automatic[0].precedent.withinDays", 367, ""),
            ("automatic[0].precedent.approvedByPeople", MISSING, ""),
            *(("approval.required", number, "") for number in (-1, 6)),
        )
    ),
    *(
        Spoiled("AccessPolicy", "spec.onRequest", {**changed(ON_REQUEST, "automatic", MISSING), "approval": approval}, field)
        for approval, field in (({"required": 0}, "spec.onRequest.automatic"), ({"requires": 1}, "spec.onRequest.approval"))
    ),
    Spoiled("AccessPolicy", "spec", {"grantsTo": "Agents", "agents": _AGENTS, "onRequest": ON_REQUEST, **_GRANT}, "spec.onRequest"),
    # Requests for an offer
    *(Spoiled("AccessRequest", f"spec.{name}", MISSING) for name in ("agentRef", "user", "platformRef", "offerRef")),
    *(Spoiled("AccessRequest", f"spec.offerRef.{name}", MISSING) for name in ("namespace", "name")),
    *(Spoiled("AccessRequest", "spec.offerRef.name", text) for text in NOT_A_NAME),
    *(Spoiled("AccessRequest", "spec.ticket", text) for text in ("x" * 129, *HOSTILE)),
    *(Spoiled("AccessRequest", "spec.purpose", text) for text in ("Fraud", "")),
    *(
        Spoiled("AccessRequest", "spec.justification.text", text)
        for text in ("", "a\x00b", "\u202egnp.exe", "a\u2066b", "x" * 501, "x" * 1_000_000, MISSING)
    ),
    Spoiled("AccessRequest", "spec.tables", []),
    Spoiled("AccessRequest", "spec.tables", [{"schema": "a", "table": "b"}, {"schema": "a", "table": "b"}]),
    Spoiled("AccessRequest", "spec.columns", []),
    Spoiled("AccessRequest", "spec.columns", ["a", "a"]),
    Spoiled("AccessRequest", "spec.columns[0]", "ä" * 32),
    *(Spoiled("AccessRequest", "spec.expirationSeconds", number) for number in (4, 86401)),
    Spoiled("AccessRequest", "spec.delivery", "Response", "spec.userTokenSecretRef"),
    Spoiled("AccessRequest", "spec.masks", _ADDED_MASKS),
    # Votes
    *(Spoiled("AccessDecision", f"spec.{name}", MISSING) for name in ("requestRef", "offerRef", "by", "verdict", "digest")),
    *(Spoiled("AccessDecision", f"spec.requestRef.{name}", MISSING) for name in ("namespace", "name", "uid")),
    *(Spoiled("AccessDecision", "spec.requestRef.uid", text) for text in ("", "a b", "x" * 65, "../a")),
    *(Spoiled("AccessDecision", "spec.by", text) for text in HOSTILE),
    *(Spoiled("AccessDecision", "spec.digest", text) for text in ("0" * 64, f"sha256:{'A' * 64}", "")),
    *(Spoiled("AccessDecision", "spec.comment", text) for text in ("", "a\x00b", "x" * 501)),
    Spoiled("AccessDecision", "spec.verdict", "Abstain"),
    Spoiled("AccessDecision", "spec.verdict", "Deny"),
    Spoiled("AccessDecision", "spec.offerRef.namespace", "domain-hr"),
    Spoiled("AccessDecision", "spec.tables", []),
    Spoiled("AccessDecision", "spec.masks", []),
    Spoiled("AccessDecision", "spec.masks[0].partial", MISSING),
    Spoiled("AccessDecision", "spec.expirationSeconds", 4),
    # Roles that use an approval
    *(Spoiled("VendedRole", "spec.approvalRef", value) for value in ({"name": "A"}, {"name": "a/b"}, {})),
    *(
        Spoiled("VendedRole", "spec", {**_SPECS["VendedRole"], "approvalRef": {"name": "ask"}, **others}, "spec.approvalRef")
        for others in ({"allowPartial": True}, {"platformRefs": [{"name": "warehouse"}, {"name": "lake"}]})
    ),
    # Between fields
    Spoiled("DataPlatform", "spec.credentials.vendorSecretRef.name", "programmer", "spec.credentials.vendorSecretRef"),
    *(
        Spoiled("DataPlatform", "spec.credentials.observerSecretRef.name", name, "spec.credentials.observerSecretRef")
        for name in ("programmer", "vendor")
    ),
    Spoiled("DataPlatform", "spec.postgres.host", "one,two"),
    Spoiled("DataPlatform", "spec.postgres.host", "/var/run/postgresql"),
    Spoiled(
        "DataPlatform",
        "spec",
        on_snowflake({"account": "myorg-account1", "database": "SALES", "warehouse": "W"})["spec"]
        | {"credentials": valid("DataPlatform")["spec"]["credentials"]},
        "spec.credentials",
    ),
    # Texts
    *(Spoiled("AccessPolicy", "spec.rowFilter", text) for text in ("", "a = 1\x00", "a = '\u202e'", "x" * 2049)),
    *(Spoiled("AccessPolicy", "spec.masks[3].constant.value", text) for text in ("\x00", "\u202e", "x" * 257)),
    Spoiled("Guardrail", "spec.rowRestriction", ""),
    # Members that nobody knows
    Spoiled("VendedRole", "spec.reason", "reporting"),
    Spoiled("AccessPolicy", "spec.masks[0].typ", "Hash"),
    Spoiled("DataPlatform", "spec.agents[0].roleLimits.workMem", 1),
    # Other shapes
    Spoiled("VendedRole", "spec", []),
    Spoiled("VendedRole", "spec.user", "anna"),
    Spoiled("AccessPolicy", "spec.masks", {}),
    Spoiled("UserAttributes", "spec.attributes[0].values", "DE"),
)
