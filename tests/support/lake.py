"""An account of the stand-in that is a DataPlatform of the site, with tools of agents in it: a model of Snowflake, and not Snowflake."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml

from rolevend.catalog import ToolId
from rolevend.kinds import API_VERSION
from rolevend.platforms.protocol import Secret
from testbed.installation import NAMESPACE
from tests.conformance.snowflake_bench import DATABASE, WAREHOUSE, SnowflakeBench, SnowflakeSession, installed
from tests.support.installed import Body
from tests.support.site import DOMAIN, Site
from tests.support.snowflake import Account, StandIn
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import eventually

SCHEMA: Final = "GOVERNED"
PATIENCE: Final = 300.0
"""Seconds. An attestation has time to end, on a machine that others use, too."""
OWN: Final = f"{DATABASE}.{SCHEMA}.THEIRS"
"""Somebody else's masking policy."""
TAKEN: Final = (
    f"CREATE TABLE {DATABASE}.{SCHEMA}.TAKEN (ID NUMBER, SSN VARCHAR)",
    f"CREATE MASKING POLICY {OWN} AS (V VARCHAR) RETURNS VARCHAR -> '***'",
    f"ALTER TABLE {DATABASE}.{SCHEMA}.TAKEN MODIFY COLUMN SSN SET MASKING POLICY {OWN}",
)
"""A table that it is on."""


def described(name: str, snowflake: StandIn, tools: Body | None = None) -> Body:
    """A DataPlatform, which lets agents of the site have these tools."""
    account = {
        "account": snowflake.account.name,
        "host": "127.0.0.1",
        "port": snowflake.port,
        "protocol": "HTTP",
        "principal": "EphemeralUser",
    }
    terms = {
        "namespaceSelector": {"matchLabels": {"team": "claims"}},
        "assertions": ["Trusted", "TokenRequired"],
        "maxExpirationSeconds": 3600,
    }
    spec = {
        "snowflake": {**account, "database": DATABASE, "warehouse": WAREHOUSE},
        "credentials": {"programmerSecretRef": {"name": f"{name}-programmer"}, "vendorSecretRef": {"name": f"{name}-vendor"}},
        "domains": [{"namespace": DOMAIN, "schemas": [SCHEMA]}],
        "agents": [{**terms, **({"tools": {"snowflake": tools}} if tools else {})}],
        "allowUnattested": True,
    }
    return {"apiVersion": API_VERSION, "kind": "DataPlatform", "metadata": {"name": name}, "spec": spec}


class Lake:
    """One that is registered."""

    def __init__(self, site: Site, bench: SnowflakeBench, body: Body) -> None:
        self.site = site
        self.bench = bench
        self.body = body
        self.name: str = body["metadata"]["name"]
        self.run = bench.run

    @property
    def status(self) -> Body:
        return dict(self.site.cluster.read(self.body).body["status"])

    @contextmanager
    def changed(self, **spec: object) -> Iterator[None]:
        """With these members of its spec, and Ready again with the old ones afterwards."""
        self.site.patch(self.body, dict(spec))
        try:
            yield
        finally:
            self.site.patch(self.body, {member: self.body["spec"][member] for member in spec})
            self.site.wait_for_platform(self.name)

    def grant(self, tenant: Tenant, table: str, *, schema: str = SCHEMA, name: str = "", **spec: object) -> Body:
        """To people of the tenant: every row and column, unless something is added. In force when this returns."""
        wanted = {"tables": {"matchNames": [{"schema": schema, "name": table}]}, "masks": [], **spec}
        rows = {} if "rowFilter" in spec else {"rowFilter": None, "rows": "All"}
        spelled = tenant.policy_spec(platform=self.name, **wanted, **rows)
        asked = {member: said for member, said in spelled.items() if said is not None}
        policy = tenant.make("AccessPolicy", asked, name or f"{tenant.name}-{table.lower()}", DOMAIN)
        self.site.told(policy, "Ready", "True")
        return policy

    def asking(self, **tools: object) -> list[Body]:
        """For `spec.tools` of an Agent."""
        return [{"platformRef": {"name": self.name}, "snowflake": tools}]

    def log_in(self, asked: Asked) -> SnowflakeSession:
        """As the role's own user."""
        login = asked.login()
        return self.bench.session(login["username"], Secret(login["private_key"]), role=login["role"])

    def manifest(self, path: Path) -> Path:
        path.write_text(yaml.safe_dump(self.body))
        return path


@contextmanager
def registered(
    site: Site, name: str, account: Account, before: Sequence[str] = (), tools: Sequence[ToolId] = (), most: Body | None = None
) -> Iterator[Lake]:
    """An account in which an administrator ran `before`, with the script for `tools` run in it. Agents may have `most` of them."""
    with StandIn(account) as snowflake, installed(snowflake, before, tools) as bench:
        for part, login in (("vendor", bench.vendor), ("programmer", bench.programmer)):
            site.put_secret(NAMESPACE, f"{name}-{part}", username=login.user, private_key=login.private_key.reveal())
        body = described(name, snowflake, most)
        site.apply(body)
        try:
            yield Lake(site, bench, body)
        finally:
            site.remove(body)
            eventually(lambda: site.cluster.read(body).status == 404)
