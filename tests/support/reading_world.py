"""Objects and a catalog in which people read one table in different ways: at once, for a purpose, for a short time, through some agents,
by a token, and by asking."""

from pathlib import Path
from typing import Any

from rolevend.decision.snapshot import Snapshot
from rolevend.kinds import API_VERSION
from rolevend.kinds.catalog_file import catalog_text
from rolevend.policytools.cluster import ClusterObjects
from rolevend.policytools.folder import CLUSTER, Folder
from tests.support.as_code import WAREHOUSE, write
from tests.support.manifests import Body
from tests.support.policies import catalog, column, table

ISSUER, FOREIGN = "https://idp.example.org", "https://elsewhere.example.org"
CATALOG = catalog(
    table("claims.people", column("full_name"), column("ssn"), column("country")), table("claims.claims", column("country"), column("note"))
)
PEOPLE = [{"schema": "claims", "name": "people"}]


def _object(kind: str, name: str, spec: Body, namespace: str = "") -> Body:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "spec": spec,
    }


def agent(name: str, namespace: str = "agents", **spec: Any) -> Body:
    return _object("Agent", name, {"handle": name.upper(), "onBehalfOf": {"assertion": "Trusted"}, **spec}, namespace)


def person(name: str, issuer: str = ISSUER, **attributes: list[str]) -> Body:
    held = [{"key": key, "values": values} for key, values in {"employment": ["staff"], **attributes}.items()]
    return _object("UserAttributes", name, {"user": {"issuer": issuer, "subject": name}, "handle": name.upper(), "attributes": held})


def policy(name: str, job: str = "", *, conditions: tuple[str, ...] = (), **spec: Any) -> Body:
    users: Body = {"matchAttributes": [{"key": "job", "operator": "In", "values": [job]}]} if job else {}
    if conditions:
        users["matchConditions"] = [{"name": f"c{number}", "expression": each} for number, each in enumerate(conditions)]
    usual = {"platformRefs": [{"name": WAREHOUSE}], "tables": {"matchNames": PEOPLE}, "columns": {"matchNames": ["*"]}, "masks": []}
    rows = {} if "rowFilter" in spec else {"rows": "All"}
    return _object("AccessPolicy", name, {**usual, **({"users": users} if users else {}), **rows, **spec}, "domain-claims")


def mask(column_name: str, kind: str, **parameters: Any) -> Body:
    return {"name": f"{column_name.replace('_', '-')}-{kind.lower()}", "columns": {"matchNames": [column_name]}, "type": kind, **parameters}


def objects() -> list[Body]:
    entry = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "agents"}},
        "assertions": ["Trusted", "TokenRequired"],
        "purposes": ["fraud-review", "reporting"],
        "attributes": [{"key": "trust", "values": ["high"]}],
        "widestCombination": "Union",
        "maxExpirationSeconds": 3600,
    }
    platform = {
        "postgres": {"host": "db.example.org", "database": "claims"},
        "credentials": {"programmerSecretRef": {"name": "p"}, "vendorSecretRef": {"name": "v"}},
        "domains": [{"namespace": "domain-claims", "schemas": ["claims"]}],
        "agents": [entry],
    }
    provider = {
        "issuer": ISSUER,
        "keys": {"discovery": "OpenIDConnect"},
        "audiences": ["https://rolevend.example.org"],
        "claims": {
            "attributes": [
                {"key": "job", "path": ["job"]},
                {"key": "countries", "path": ["countries"]},
                {"key": "employment", "path": ["employment"]},
            ]
        },
    }
    client = {"type": "OIDCClient", "oidcClient": {"issuer": ISSUER, "clientIDs": ["chatbot"]}}
    return [
        _object("DataPlatform", WAREHOUSE, platform),
        _object("IdentityProvider", "workforce", provider),
        agent("finbot", limits={"maxExpirationSeconds": 600}),
        agent("ratebot"),
        agent("chatbot", identity=client, onBehalfOf={"assertion": "TokenRequired"}),
        agent("stray", "elsewhere"),
        agent("idle", suspend=True),
        person("anna", job=["analyst"], countries=["DE"]),
        person("bob", job=["analyst"]),
        person("carl", job=["analyst"], countries=["AT"], employment=["contractor"]),
        person("mia", job=["manager"]),
        person("zed", FOREIGN, job=["manager"]),
        person("nina", job=["nobody"]),
        policy("analysts", "analyst", rowFilter="country IN (user_attr('countries'))", masks=[mask("ssn", "Hash")]),
        policy("managers", "manager", masks=[mask("ssn", "Partial", partial={"keepLast": 4})]),
        policy("brief", "manager", conditions=("request.purpose == 'fraud-review'", "request.expirationSeconds <= 600")),
        policy(
            "rates",
            grantsTo="Agents",
            agents={"matchConditions": [{"name": "one", "expression": "agent.name == 'ratebot'"}]},
            columns={"matchNames": ["country"]},
        ),
        policy(
            "ssn-clear",
            "analyst",
            onRequest={"display": "SSNs", "maxExpirationSeconds": 600, "asks": {"purposes": ["fraud-review"]}},
        ),
        _object(
            "Guardrail",
            "contractors",
            {
                "platformRefs": [{"name": WAREHOUSE}],
                "users": {"matchAttributes": [{"key": "employment", "operator": "In", "values": ["contractor"]}]},
                "tables": {"matchNames": PEOPLE},
                "deny": {"type": "Columns", "columns": {"matchNames": ["ssn"]}},
            },
        ),
    ]


def cluster_objects(folder: Path, *more: Body) -> ClusterObjects:
    return ClusterObjects(Folder.sound([write(folder, "objects/all.yaml", *objects(), *more)]), CLUSTER)


def snapshot_of(held: ClusterObjects) -> Snapshot:
    return held.folder.build({WAREHOUSE: CATALOG}, held.cluster).snapshot


def write_catalog(folder: Path) -> Path:
    return write(folder, "catalog.yaml", catalog_text(WAREHOUSE, CATALOG, "yaml"))
