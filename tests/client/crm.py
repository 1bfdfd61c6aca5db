"""The stand-in for Snowflake with rolevend's driver, behind the contract of the API, alone or beside the warehouse: Anna reads the EU, Bob
the US. It is a model, and not Snowflake."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rolevend.catalog import Table
from rolevend.plan import Lease
from rolevend.platforms.protocol import DropRequest, EndReason, KeyPairCredential
from rolevend.policy.mask import Nullify
from rolevend_client import AsyncRolevend, Rolevend
from tests.client.speaking import Document, SpeakingServer
from tests.client.warehouse import REGIONS, Warehouse
from tests.conformance.bench import own, profile, shape, vended
from tests.conformance.snowflake_bench import SnowflakeBench, installed
from tests.support.snowflake import StandIn


@dataclass
class Crm:
    bench: SnowflakeBench
    people: Table
    warehouse: Warehouse
    """For those that ask for both."""
    leases: dict[str, Lease] = field(default_factory=dict)
    api: SpeakingServer = field(init=False)

    def __post_init__(self) -> None:
        self.profile = profile(shape(self.people, own(self.people, "region", "regions"), masks={"ssn": Nullify()}))
        self.api = SpeakingServer(self.vend, self.drop)

    def client(self) -> Rolevend:
        return Rolevend(self.api.url, token=lambda: "agents-own")

    def async_client(self) -> AsyncRolevend:
        return AsyncRolevend(self.api.url, token=lambda: "agents-own")

    def exists(self, role: str) -> bool:
        return self.bench.exists(role)

    def drop(self, role_id: str) -> None:
        lease = self.leases[role_id]
        (answer,) = self.bench.platform.drop([DropRequest(lease.role, lease.uid, EndReason.RELEASED)])
        assert answer.error is None
        if role_id in self.warehouse.leases:
            self.warehouse.drop(role_id)

    def vend(self, body: Document) -> tuple[int, Document]:
        """On `crm`, and on `warehouse` where that is asked for, too. Unlike the API it gives each a name of its own."""
        person = self.warehouse.believes(body["userToken"])
        status, document = self.warehouse.vend(body)
        if status != 201:
            return status, document
        lease, credential = vended(self.bench.platform, self.profile, seconds=300, regions=[REGIONS[person]])
        assert isinstance(credential, KeyPairCredential)
        account = credential.account
        login = {
            "account": account.identifier,
            "user": credential.user,
            "role": credential.role,
            "privateKey": credential.private_key.reveal(),
            "host": account.host,
            "port": account.port,
            "database": account.database,
            "warehouse": account.warehouse,
            "protocol": "http",
        }
        self.leases[document["id"]] = lease
        crm = {"name": "crm", "type": "Snowflake", "tableCount": 1, "credential": login}
        (there,) = document["explanation"]["tables"]
        if "warehouse" in body["platforms"]:
            document["platforms"].append(crm)
            document["explanation"]["tables"] = [{**there, "platform": each} for each in ("warehouse", "crm")]
        else:
            self.warehouse.drop(document["id"])
            document["platforms"] = [crm]
        return 201, document


@contextmanager
def open_crm(warehouse: Warehouse) -> Iterator[Crm]:
    with StandIn() as snowflake, installed(snowflake) as bench:
        made = Crm(bench, bench.people(), warehouse)
        with made.api:
            yield made
