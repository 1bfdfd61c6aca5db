"""A DataPlatform on Snowflake says what is wrong with its account and who mends it, and heals by itself. On the stand-in for Snowflake."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rolevend.demo.parts.installation import NAMESPACE
from rolevend.platforms.snowflake.keys import new_key, public_key
from rolevend.resources import API_VERSION
from tests.conformance.snowflake_bench import DATABASE, WAREHOUSE, SnowflakeBench, installed
from tests.support.installed import Body
from tests.support.site import DOMAIN, Site
from tests.support.snowflake import Account, StandIn
from tests.support.waiting import eventually


def described(name: str, snowflake: StandIn) -> Body:
    account = {"account": snowflake.account.name, "host": "127.0.0.1", "port": snowflake.port, "protocol": "HTTP"}
    spec = {
        "snowflake": {**account, "database": DATABASE, "warehouse": WAREHOUSE},
        "credentials": {"programmerSecretRef": {"name": f"{name}-programmer"}, "vendorSecretRef": {"name": f"{name}-vendor"}},
        "domains": [{"namespace": DOMAIN, "schemas": ["GOVERNED"]}],
        "allowUnattested": True,
    }
    return {"apiVersion": API_VERSION, "kind": "DataPlatform", "metadata": {"name": name}, "spec": spec}


@contextmanager
def registered(site: Site, name: str, account: Account) -> Iterator[SnowflakeBench]:
    with StandIn(account) as snowflake, installed(snowflake) as bench:
        for part, login in (("vendor", bench.vendor), ("programmer", bench.programmer)):
            site.put_secret(NAMESPACE, f"{name}-{part}", username=login.user, private_key=login.private_key.reveal())
        body = described(name, snowflake)
        site.apply(body)
        try:
            yield bench
        finally:
            site.remove(body)
            eventually(lambda: site.cluster.read(body).status == 404)


@pytest.fixture(scope="module")
def lake(site: Site) -> Iterator[SnowflakeBench]:
    with registered(site, "lake", Account()) as bench:
        bench.run(f"CREATE TABLE {DATABASE}.GOVERNED.ORDERS (ID NUMBER)")
        site.wait_for_platform("lake")
        yield bench


def log_everybody_out(lake: SnowflakeBench) -> None:
    """Of the operator: its next request is a login."""
    for session in list(lake.snowflake.account.sessions.values()):
        session.closed = session.closed or session.user.startswith("ROLEVEND_")


def status(site: Site, name: str) -> Body:
    return dict(site.cluster.read({"kind": "DataPlatform", "metadata": {"name": name}}).body["status"])


def test_it_says_what_public_has(site: Site, lake: SnowflakeBench):
    assert status(site, "lake").get("limitations", []) == []
    lake.run(f"GRANT USAGE ON WAREHOUSE {WAREHOUSE} TO ROLE PUBLIC")
    try:
        wanted = f"every vended role has what PUBLIC has: USAGE on WAREHOUSE {WAREHOUSE}"
        eventually(lambda: status(site, "lake").get("limitations") == [wanted])
    finally:
        lake.run(f"REVOKE USAGE ON WAREHOUSE {WAREHOUSE} FROM ROLE PUBLIC")
    eventually(lambda: status(site, "lake").get("limitations", []) == [])


def test_a_network_policy_that_keeps_us_out_is_named(site: Site, lake: SnowflakeBench):
    lake.snowflake.account.lets_nobody_in = True
    log_everybody_out(lake)
    try:
        message = site.wait_for_platform("lake", "False", "PlatformUnavailable")
    finally:
        lake.snowflake.account.lets_nobody_in = False
    assert "its network policy must let the operator in" in message
    site.wait_for_platform("lake")


def test_a_key_that_was_replaced_is_named_and_the_new_secret_heals_it(site: Site, lake: SnowflakeBench):
    user, key = lake.vendor.user, new_key()
    lake.run(f"ALTER USER \"{user}\" SET RSA_PUBLIC_KEY = '{public_key(key)}'")
    log_everybody_out(lake)

    message = site.wait_for_platform("lake", "False", "PlatformUnavailable")

    assert "the private key of the Secret must belong to the RSA_PUBLIC_KEY of the user" in message
    site.put_secret(NAMESPACE, "lake-vendor", username=user, private_key=key.reveal())
    site.wait_for_platform("lake")


def test_a_warehouse_that_the_logins_may_not_use_is_named_by_its_field(site: Site, lake: SnowflakeBench):
    """It is needed when there is something new to read."""
    lake.run(f"REVOKE USAGE ON WAREHOUSE {WAREHOUSE} FROM ROLE RV_PROGRAMMER")
    lake.run(f"CREATE TABLE {DATABASE}.GOVERNED.INVOICES (ID NUMBER)")
    try:
        message = site.wait_for_platform("lake", "False", "PlatformUnavailable")
    finally:
        lake.run(f"GRANT USAGE ON WAREHOUSE {WAREHOUSE} TO ROLE RV_PROGRAMMER")
    assert "spec.snowflake.warehouse must name a warehouse that RV_VENDOR and RV_PROGRAMMER may use" in message
    site.wait_for_platform("lake")
    eventually(lambda: status(site, "lake")["tableCount"] == 2)


def test_standard_edition_is_told_before_anything_is_built(site: Site):
    with registered(site, "standard", Account(edition="STANDARD")):
        message = site.wait_for_platform("standard", "False", "PlatformUnavailable")
    assert "need Enterprise Edition: nothing can be governed in this account" in message
