"""What people do to certificates, Secrets and disks: each is named with its way out, nothing is lost, and all heals by itself."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from rolevend.policytools.embedded.certificates import CertificateAuthority
from testbed.installation import NAMESPACE
from tests.support.full_disk import full_disk
from tests.support.installed import Body
from tests.support.site import ANNEX, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

HERE, ELSEWHERE = ("127.0.0.1",), ("db.example.org",)


@pytest.fixture
def annex(site: Site) -> Iterator[Body]:
    """The platform for faults, with its own certificate and authority before and after the test."""
    site.wait_for_platform(ANNEX)
    trusted = site.annex.server.directory / "ca.crt"
    before = trusted.read_text()
    yield {"kind": "DataPlatform", "metadata": {"name": ANNEX}}
    trusted.write_text(before)
    assert site.annex.server.authority is not None
    site.annex.server.certify(site.annex.server.authority.issue("postgres", hosts=HERE))
    site.annex.server.restart()
    if site.text_of(site.secret(NAMESPACE, "annex-ca")).get("ca.crt") != before:
        site.wait_for_platform(ANNEX, "False")  # or what is Ready now would be taken for what is Ready then
        site.put_secret(NAMESPACE, "annex-ca", **{"ca.crt": before})
    site.wait_for_platform(ANNEX)


def test_a_certificate_of_another_host_is_named_and_vends_and_drops_wait_for_the_right_one(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    staying, leaving = tenant.ask(platform=ANNEX).ready(), tenant.ask(platform=ANNEX).ready()
    authority = site.annex.server.authority
    assert authority is not None
    site.annex.server.certify(authority.issue("postgres", hosts=ELSEWHERE))
    site.annex.server.restart()

    message = site.wait_for_platform(ANNEX, "False", "UntrustedServer")

    assert 'does not match host name "127.0.0.1"' in message
    assert "spec.postgres.host" in message
    leaving.delete()
    waiting = tenant.ask(platform=ANNEX)
    eventually(lambda: "UntrustedServer" in leaving.refused("Dropping"))
    waiting.refused("UntrustedServer")
    assert staying.is_ready(), "a certificate is no reason to end a role"
    site.annex.server.certify(authority.issue("postgres", hosts=HERE))
    site.annex.server.restart()
    site.wait_for_platform(ANNEX)
    leaving.gone()
    waiting.ready()
    eventually(lambda: site.annex.roles() == {staying.role, waiting.role})


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"tls.crt": "x"}, f"there is no usable key ca.crt of Secret {NAMESPACE}/annex-ca, which has the keys: tls.crt"),
        ({"ca.crt": "x"}, f"key ca.crt of Secret {NAMESPACE}/annex-ca holds no certificates in PEM"),
        (
            {"ca.crt": CertificateAuthority("old", datetime(2020, 1, 1, tzinfo=UTC), timedelta(days=1)).certificate.decode()},
            f"the authority in key ca.crt of Secret {NAMESPACE}/annex-ca expired at 2020-01-02 00:00 UTC",
        ),
    ],
)
def test_an_authority_that_cannot_be_used_is_named_and_who_is_connected_stays_so(
    site: Site, annex: Body, tenant: Tenant, keys: dict[str, str], said: str
):
    tenant.ready_to_ask(ANNEX)
    own = site.text_of(site.secret(NAMESPACE, "annex-ca"))
    site.put_secret(NAMESPACE, "annex-ca", **keys)

    # A moment before there was no Secret at all, which is told, too.
    eventually(lambda: f"spec.postgres.tls.caSecretRef: {said}" in site.wait_for_platform(ANNEX, "False", "InvalidInput"))
    tenant.ask(platform=ANNEX).ready().delete()
    site.put_secret(NAMESPACE, "annex-ca", **own)
    site.wait_for_platform(ANNEX)


def test_an_authority_that_is_changed_reaches_the_operator_and_the_credentials_of_the_next_roles(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    live = tenant.ask(platform=ANNEX).ready()
    following = CertificateAuthority("following", datetime.now(UTC), timedelta(days=1))
    site.annex.server.certify(following.issue("postgres", hosts=HERE))
    (site.annex.server.directory / "ca.crt").write_bytes(following.certificate)
    site.annex.server.restart()

    message = site.wait_for_platform(ANNEX, "False", "UntrustedServer")

    assert "certificate verify failed" in message
    assert "spec.postgres.tls.caSecretRef" in message
    site.put_secret(NAMESPACE, "annex-ca", **{"ca.crt": following.certificate.decode()})
    site.wait_for_platform(ANNEX)
    asked = tenant.ask(platform=ANNEX).ready()
    assert asked.login()["ca.crt"] == following.certificate.decode()
    assert asked.rows("SELECT count(*) FROM people") == [(2,)]
    assert live.is_ready()


def test_a_server_that_was_restored_from_a_backup_keeps_no_role_that_was_ended_since(site: Site, annex: Body, tenant: Tenant):
    """And a role that was vended since is gone with the disk: its object must not say that it lives."""
    tenant.ready_to_ask(ANNEX)
    server = site.annex.server
    staying, ended = tenant.ask(platform=ANNEX).ready(), tenant.ask(platform=ANNEX).ready()
    data, backup = str(server.directory / "data"), str(server.directory / "backup")
    server.stop()
    subprocess.run(["cp", "-a", data, backup], check=True)
    server.start()
    ended.delete()
    ended.gone()
    lost = tenant.ask(platform=ANNEX).ready()

    server.stop()
    subprocess.run(["rm", "-r", data], check=True)
    subprocess.run(["mv", backup, data], check=True)
    server.start()

    site.wait_for_platform(ANNEX)
    lost.gone()
    eventually(lambda: site.annex.roles() == {staying.role})
    assert site.annex.ended(ended.role) == "Orphaned"
    assert staying.rows("SELECT count(*) FROM people") == [(2,)]
    tenant.ask(platform=ANNEX).ready()


def test_a_disk_that_is_full_is_named_ends_go_on_and_what_waited_is_vended_when_there_is_room(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    leaving = tenant.ask(platform=ANNEX).ready()
    with full_disk(site.annex):
        waiting = tenant.ask(platform=ANNEX)

        assert "No space left on device (53100)" in waiting.refused("PlatformFull")
        leaving.delete()
        leaving.gone()
        assert site.annex.ended(leaving.role) == "Released"
    assert waiting.ready().rows("SELECT count(*) FROM people") == [(2,)]


def test_an_object_with_as_many_annotations_as_there_may_be_is_vended_and_ends_like_any_other(tenant: Tenant):
    tenant.ready_to_ask()
    with pytest.raises(AssertionError, match="annotations: Too long: may not be more than 262144 bytes"):
        tenant.ask(annotations={"notes": "x" * 1024 * 1024})

    asked = tenant.ask(annotations={"notes": "x" * 250_000}).ready()

    assert asked.rows("SELECT count(*) FROM people") == [(2,)]
    asked.delete()
    asked.gone()
    assert not asked.has_role()


def test_a_policy_and_a_namespace_with_as_many_annotations_do_not_deafen_the_operator(site: Site, tenant: Tenant):
    tenant.ready_to_ask()
    notes = {"metadata": {"annotations": {"notes": "x" * 250_000}}}
    policy = tenant.described("AccessPolicy", {}, namespace="domain-claims")
    assert site.cluster.patch(policy, notes).ok
    namespace = "/api/v1/namespaces/domain-claims"
    merge = "application/merge-patch+json"
    assert site.cluster.call("PATCH", namespace, notes, content_type=merge).ok

    tenant.person("bob", countries=["US"])

    eventually(lambda: tenant.ask("bob").ready().rows("SELECT count(*) FROM people") == [(1,)])
    eventually(site.is_healthy)
    assert site.cluster.call("PATCH", namespace, {"metadata": {"annotations": {"notes": None}}}, content_type=merge).ok
