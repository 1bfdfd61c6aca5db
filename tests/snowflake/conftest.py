"""A fresh account for each test, and sessions of it over the real connector."""

from collections.abc import Iterator

import pytest

from tests.support.rsa_keys import few_keys
from tests.support.snowflake import StandIn
from tests.support.snowflake.using import Sessions


@pytest.fixture(scope="package", autouse=True)
def _few_keys() -> Iterator[None]:
    with few_keys():
        yield


@pytest.fixture
def snowflake() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture
def sessions(snowflake: StandIn) -> Iterator[Sessions]:
    with Sessions(snowflake) as sessions:
        yield sessions
