"""One role of a real PostgreSQL under TLS, with the login that its Secret would have."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from rolevend.kube.credentials import connection_uri
from rolevend.platforms.protocol import DropRequest, EndReason
from tests.client.warehouse import open_warehouse
from tests.clients_matrix.programs import Clients, installed
from tests.conformance.bench import vended


@dataclass(frozen=True)
class Reader:
    """A role that reads two of the people, without their ssn."""

    uri: str
    schema: str
    hidden: tuple[str, str]
    """A table that is not granted, and the base table of the one that is."""


@pytest.fixture(scope="package")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with open_warehouse() as warehouse:
        authority = tmp_path_factory.mktemp("secret") / "ca.crt"
        authority.write_text(warehouse.authority)
        people = warehouse.people.id
        salaries = warehouse.bench.table([("id", "integer")], [(1,)], name="salaries", schema=people.schema).id
        lease, credential = vended(warehouse.bench.platform, warehouse.profile, seconds=3600, regions=["EU"])
        yield Reader(connection_uri(credential, str(authority)), credential.schema, (str(salaries), str(people)))
        (answer,) = warehouse.bench.platform.drop([DropRequest(lease.role, lease.uid, EndReason.RELEASED)])
        assert answer.error is None


@pytest.fixture
def clients(reader: Reader) -> Clients:
    return Clients(installed(), {"ROLE_URI": reader.uri, "ROLE_SCHEMA": reader.schema, "ROLE_HIDDEN": " ".join(reader.hidden)})
