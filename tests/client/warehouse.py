"""A real PostgreSQL under TLS with rolevend's driver, behind the contract of the API: Anna reads the EU, Bob the US, Eve nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rolevend.catalog import Table
from rolevend.plan import Lease
from rolevend.platforms.protocol import DropRequest, EndReason
from rolevend.policy.mask import Nullify
from rolevend.policytools.embedded.database import PostgresServer
from rolevend_client import AsyncRolevend, Rolevend
from tests.client.answers import TABLE
from tests.client.speaking import Document, SpeakingServer
from tests.conformance.bench import PostgresBench, installed, own, profile, shape, vended

REGIONS = {"anna": "EU", "bob": "US"}


@dataclass
class Warehouse:
    bench: PostgresBench
    people: Table
    authority: str
    leases: dict[str, Lease] = field(default_factory=dict)
    api: SpeakingServer = field(init=False)
    believes: Callable[[str], str] = str
    """Whom a token proves: by default it is the person's name."""

    def __post_init__(self) -> None:
        self.profile = profile(shape(self.people, own(self.people, "region", "regions"), masks={"ssn": Nullify()}))
        self.api = SpeakingServer(self.vend, self.drop, self.close)

    def client(self, **settings: Any) -> Rolevend:
        return Rolevend(self.api.url, token=lambda: "agents-own", **settings)

    def async_client(self) -> AsyncRolevend:
        return AsyncRolevend(self.api.url, token=lambda: "agents-own")

    def exists(self, role: str) -> bool:
        return self.bench.exists(role)

    def revoke(self, role_id: str) -> None:
        """End the role as the operator does; the API knows it before the database."""
        self.api.asked.append(f"DELETE {role_id}")
        self.drop(role_id)

    def close(self, role_id: str) -> None:
        """Begin to end the role, as its drop does: it reads nothing more, and its sessions live on."""
        self.api.asked.append(f"DELETE {role_id}")
        lease = self.leases[role_id]
        closed = f"rolevend.close('{lease.role}', '{lease.cluster}', '{lease.uid}', 'Revoked')"
        assert self.bench.value(f"SELECT {closed} IS NOT NULL")

    def drop(self, role_id: str) -> None:
        lease = self.leases[role_id]
        (answer,) = self.bench.platform.drop([DropRequest(lease.role, lease.uid, EndReason.RELEASED)])
        assert answer.error is None

    def vend(self, body: Document) -> tuple[int, Document]:
        person = self.believes(body["userToken"])
        if person == "expired":
            return _problem(401, "TokenExpired", "the user's token has expired; get a new one")
        if person == "used":
            return _problem(403, "TokenReplayed", "it was taken for another request; get a new one", field="userToken")
        if person not in REGIONS:
            return _problem(403, "NoPolicy", f"nothing is granted to {person}", missing="table governed.people")
        lease, credential = vended(self.bench.platform, self.profile, seconds=300, regions=[REGIONS[person]])
        self.leases[lease.uid] = lease
        address = self.bench.address
        login = {
            "username": credential.role,
            "password": credential.password.reveal(),
            "host": address.host,
            "port": address.port,
            "dbname": address.database,
            "schema": credential.schema,
            "sslmode": "verify-full",
            "caCertificates": self.authority,
        }
        return 201, {
            "id": lease.uid,
            "roleName": lease.role,
            "state": "Live",
            "expirationTimestamp": lease.expires_at.isoformat(),
            "agent": {"namespace": "agents", "name": "assistant"},
            "user": {"issuer": "https://idp.example.org", "subject": person, "handle": "USER", "proof": "Token"},
            "purpose": body.get("purpose"),
            "platforms": [{"name": "warehouse", "type": "PostgreSQL", "tableCount": 1, "credential": login}],
            "explanation": {"tables": [self._explained(person)], "tablesLeftOut": 0, "functions": []},
        }

    def _explained(self, person: str) -> Document:
        kinds = {"id": "integer", "region": "text", "email": "text"}
        columns: list[Document] = [{"name": name, "type": kind, "shown": "Clear"} for name, kind in kinds.items()]
        columns[1] |= {"comment": "Where they live", "values": list(REGIONS.values())}
        return {
            **TABLE,
            "schema": self.people.id.schema,
            "table": "people",
            "view": "people",
            "comment": "Everybody who is insured",
            "rowFilters": ["region IN (user_attr('regions'))"],
            "rows": f"region in ({REGIONS[person]})",
            "columns": [*columns, {"name": "ssn", "type": "text", "shown": "Masked", "mask": "Nullify", "maskMeaning": "NULL"}],
            "primaryKey": ["id"],
        }


def _problem(status: int, code: str, detail: str, **members: str) -> tuple[int, Document]:
    return status, {"status": status, "code": code, "title": code, "detail": detail, **members}


@contextmanager
def open_warehouse() -> Iterator[Warehouse]:
    with PostgresServer(17, fsync=False) as server:
        assert server.authority is not None
        superuser = server.superuser
        where = superuser.host, superuser.port, superuser.user, superuser.password
        with installed(*where, "client", 17, tls=superuser.tls) as bench:
            made = Warehouse(bench, bench.people(), server.authority.certificate.decode())
            with made.api:
                yield made


@contextmanager
def no_role_left(warehouse: Warehouse) -> Iterator[Warehouse]:
    """Forget what was asked before. In the end no role is left."""
    warehouse.api.asked.clear()
    warehouse.api.bodies.clear()
    warehouse.api.made.clear()
    yield warehouse
    assert {lease.role for lease in warehouse.leases.values() if warehouse.exists(lease.role)} == set()
    assert warehouse.api.live == set()


def sessions(warehouse: Warehouse) -> int:
    """Of vended roles."""
    return int(warehouse.bench.value(r"SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'IMMUTA\_VENDED\_%'"))
