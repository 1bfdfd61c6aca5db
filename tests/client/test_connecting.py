"""How a role logs in: parameters and urls that say the same, whatever a password holds, and certificates in a file of their own."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import make_url

from rolevend_client import Misconfigured, Rolevend, Unexpected
from tests.client.answers import PASSWORD, USER_TOKEN, Api, vended

CERTIFICATES = "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n".replace("…", "AAAA")
AWKWARD = {
    "username": "IMMUTA_VENDED_A_B_C",
    "password": "p@ss:w/rd?#[]%20 +&='\"\\ü",
    "dbname": "claims & people/2026",
    "host": "2001:db8::1",
    "port": 6432,
    "caCertificates": CERTIFICATES,
}


def test_parameters_are_those_of_libpq():
    with Api(vended()).client().vend(USER_TOKEN, platform="warehouse") as role:
        parameters = role.connection_parameters()
    assert parameters.pop("sslrootcert")
    assert parameters == {
        "host": "db.example.org",
        "port": 5432,
        "dbname": "claims",
        "user": "IMMUTA_VENDED_FINBOT_E10442_0HJ9X",
        "password": PASSWORD,
        "sslmode": "verify-full",
        "gssencmode": "disable",
    }


def test_a_role_names_the_schema_of_its_tables_and_an_earlier_api_names_none():
    with Api(vended()).client().vend(USER_TOKEN, platform="warehouse") as role:
        assert role.schema() == "rv_p_1"
    with Api(vended(credential={"schema": None})).client().vend(USER_TOKEN, platform="warehouse") as role:
        with pytest.raises(Unexpected, match="the API is of an earlier version"):
            role.schema()
        assert role.uri


def test_a_server_without_tls_is_asked_for_none():
    with Api(vended(credential={"sslmode": "disable"})).client().vend(USER_TOKEN, platform="warehouse") as role:
        parameters = role.connection_parameters()
    assert parameters["sslmode"] == "disable"
    assert {"sslrootcert", "gssencmode"}.isdisjoint(parameters)


@pytest.mark.parametrize("sslmode", ["prefer", "allow", "VERIFY-FULL", "", "verify-ca"])
def test_a_mode_that_may_leave_the_server_unverified_is_not_used(sslmode: str):
    """libpq would fall back to no TLS by `prefer`; and verify-ca needs an authority."""
    with Api(vended(credential={"sslmode": sslmode})).client().vend(USER_TOKEN, platform="warehouse") as role:
        for use in (role.connection_parameters, lambda: role.uri, role.sqlalchemy_url, role.connect):
            with pytest.raises(Unexpected, match="sslmode"):
                use()


def test_a_url_says_what_the_parameters_say_to_libpq_and_to_sqlalchemy():
    with Api(vended(credential=AWKWARD)).client().vend(USER_TOKEN, platform="warehouse") as role:
        parameters = role.connection_parameters()
        uri, url = role.uri, make_url(role.sqlalchemy_url())
        portable = role.portable_uri
    texts = {name: str(value) for name, value in parameters.items()}
    assert conninfo_to_dict(uri) == texts
    assert conninfo_to_dict(portable) == {name: value for name, value in texts.items() if name != "gssencmode"}
    assert (url.host, str(url.port), url.database, url.username, url.password) == tuple(
        texts[name] for name in ("host", "port", "dbname", "user", "password")
    )
    assert dict(url.query) == {name: texts[name] for name in ("sslmode", "gssencmode", "sslrootcert")}
    assert url.get_dialect().driver == "psycopg"


def test_certificates_are_in_a_file_that_nobody_else_reads_or_writes_until_the_role_ends():
    with Api(vended(credential=AWKWARD)).client().vend(USER_TOKEN, platform="warehouse") as role:
        file = Path(str(role.connection_parameters()["sslrootcert"]))
        assert str(file) == role.connection_parameters()["sslrootcert"]
        assert file.read_text() == CERTIFICATES
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.stat().st_uid == os.geteuid()
    assert not file.exists()


def test_where_no_disk_takes_them_they_are_in_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", "/proc/none")  # as where the whole disk is read-only
    with Api(vended(credential=AWKWARD)).client().vend(USER_TOKEN, platform="warehouse") as role:
        file = Path(str(role.connection_parameters()["sslrootcert"]))
        assert file.is_relative_to("/proc/self/fd")
        assert file.read_text() == CERTIFICATES
    assert not file.exists()


def test_without_a_driver_the_error_says_what_to_install():
    """In a process of its own, where psycopg cannot be imported; everything else of the role works there."""
    text = """
import sys
sys.modules["psycopg"] = None
from rolevend_client import Misconfigured
from tests.client.answers import Api, vended
with Api(vended()).client().vend("a.b.c", platform="warehouse") as role:
    assert role.uri and role.sqlalchemy_url()
    try:
        role.connect()
    except Misconfigured as error:
        print(error)
"""
    answer = subprocess.run(
        [sys.executable, "-c", text],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == "cannot connect: psycopg is not installed; it comes with the extra postgres of rolevend-client\n"


def test_the_package_needs_httpx_and_what_that_brings_alone():
    text = """
import sys
before = set(sys.modules)
import httpx
theirs = set(sys.modules)
import rolevend_client
ours = {name.partition(".")[0] for name in set(sys.modules) - theirs}
print(sorted(ours - set(sys.stdlib_module_names)))
"""
    client = Path(__file__).parents[2] / "clients" / "python"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(client), *sys.path])}
    answer = subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout == "['rolevend_client']\n"


def test_a_connection_error_is_the_drivers_own():
    with Api(vended(credential={"host": "127.0.0.1", "port": 1})).client().vend(USER_TOKEN, platform="warehouse") as role:
        with pytest.raises(psycopg.OperationalError) as raised:
            role.connect(connect_timeout=5)
        assert PASSWORD not in str(raised.value)


def test_the_environment_says_where_the_api_is_and_who_the_agent_is(tmp_path: Path):
    token = tmp_path / "token"
    environment = {"ROLEVEND_URL": "https://rolevend.example.org", "ROLEVEND_TOKEN_FILE": str(token)}
    client = Rolevend.from_environment(environment)
    with pytest.raises(Misconfigured, match="ROLEVEND_TOKEN_FILE"):
        client.list()
    token.write_text("rotated\n")
    assert client.settings.authorization() == {"Authorization": "Bearer rotated"}
    token.write_text("again")
    assert client.settings.authorization() == {"Authorization": "Bearer again"}

    with pytest.raises(Misconfigured, match="ROLEVEND_URL"):
        Rolevend.from_environment({})
    for certificates in (tmp_path / "none", token):
        with pytest.raises(Misconfigured, match="cannot read the certificates"):
            Rolevend.from_environment({**environment, "ROLEVEND_CA_FILE": str(certificates)}).list()


@pytest.mark.parametrize(
    "url",
    ["", "rolevend", "ftp://x", "http://rolevend.example.org", "http://10.0.0.1", "https://a:b@x", "https://x?token=1", "https://[::1"],
)
def test_a_url_that_would_show_tokens_or_is_none_is_refused(url: str):
    with pytest.raises(Misconfigured, match="url"):
        Rolevend(url, token=lambda: "token")


def test_tokens_travel_in_the_clear_on_this_machine_alone_or_where_somebody_says_so():
    for here in ("http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"):
        Rolevend(here, token=lambda: "token")
    Rolevend("http://rolevend.mesh.example.org", token=lambda: "token", in_the_clear=True)


def test_a_prefix_of_the_url_is_kept():
    api = Api(httpx.Response(200, json={"items": []}))
    client = Rolevend("https://gateway.example.org/rolevend/", token=lambda: "token", transport=httpx.MockTransport(api))
    client.list()
    assert str(api.asked[0].url) == "https://gateway.example.org/rolevend/v1/vended-roles"
