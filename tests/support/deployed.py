"""A folder of policies as somebody keeps it in git: an object of every kind that decides, on the table `people`."""

from tests.support.site import AGENTS, DOMAIN, WAREHOUSE, Body
from tests.support.tenancy import Tenant

READ = "SELECT person_id, full_name, ssn, country FROM people ORDER BY person_id"
SHOWN = [(1, "***er", None, "DE"), (2, "***er", None, "AT"), (3, "***es", None, None)]
"""What Anna is shown: rows of her countries by one policy, names of the United States by the other, and nothing that a guardrail closes."""

_PEOPLE = {"matchNames": [{"schema": "claims", "name": "people"}]}


def folder(tenant: Tenant) -> list[Body]:
    """Each as short as it may be: the rest is what the API server fills in."""
    everyone = {"matchAttributes": [{"key": "tenant", "operator": "In", "values": [tenant.name]}]}

    def tagged(key: str) -> Body:
        return {"matchTags": [{"key": key, "operator": "In", "values": [tenant.name]}]}

    def policy(kind: str, name: str, spec: Body) -> Body:
        namespace = "" if kind == "Guardrail" else DOMAIN
        return tenant.described(kind, {"platformRefs": [{"name": WAREHOUSE}], **spec}, f"{tenant.name}-{name}", namespace)

    tags = {
        "tables": [{"schema": "claims", "name": "people", "tags": [{"key": "tenant", "value": tenant.name}]}],
        "columns": [{"schema": "claims", "table": "people", "column": "ssn", "tags": [{"key": "secret", "value": tenant.name}]}],
    }
    own = {
        "users": everyone,
        "tables": tagged("tenant"),
        "columns": {"matchNames": ["*"]},
        "rowFilter": "country IN (user_attr('countries'))",
        "masks": [{"name": "ids", "type": "Hash", "columns": tagged("secret")}],
    }
    names = {
        "users": everyone,
        "tables": _PEOPLE,
        "columns": {"matchNames": ["person_id", "full_name"]},
        "rowFilter": "country = 'US'",
        "masks": [],
    }
    floors = [
        {"name": "names", "columns": {"matchNames": ["full_name"]}, "type": "Partial", "partial": {"keepLast": 2}},
        {"name": "ids", "columns": {"matchNames": ["ssn"]}, "type": "Nullify"},
    ]
    return [
        policy("TagBinding", "tags", tags),
        policy("AccessPolicy", "own", own),
        policy("AccessPolicy", "names", names),
        policy("Guardrail", "floors", {"users": everyone, "tables": _PEOPLE, "maskFloors": floors}),
        tenant.described("UserAttributes", tenant.person_spec(), f"anna.{tenant.name}"),
        tenant.described("Agent", tenant.agent_spec(), namespace=AGENTS),
    ]
