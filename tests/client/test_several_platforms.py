"""A role on several platforms, and one on Snowflake: which login is meant, and that each leads where it should. What Snowflake is here is a
model of it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import snowflake.connector
from mcp import Client
from sqlalchemy.engine import make_url

from rolevend.platforms.snowflake.vend.keys import new_key
from rolevend_client import KeyPairCredential, LeftOut, Misconfigured, Unexpected, database_login
from rolevend_client.langchain import RolevendToolkit
from rolevend_client.run import Bounds, ForTheModel, Run
from tests.client.answers import CREDENTIAL, USER_TOKEN, Api, role
from tests.client.crm import Crm, open_crm
from tests.client.serving_mcp import ask, local
from tests.client.warehouse import Warehouse

BOTH = ("warehouse", "crm")
KEY = new_key().reveal()
ON_SNOWFLAKE = {
    "account": "myorg-account1",
    "user": CREDENTIAL["username"],
    "role": CREDENTIAL["username"],
    "privateKey": KEY,
    "host": "myorg-account1.snowflakecomputing.com",
    "port": 443,
    "database": "CRM",
    "warehouse": "AGENTS_WH",
}
WAREHOUSE = {"name": "warehouse", "type": "PostgreSQL", "tableCount": 1, "credential": CREDENTIAL}
CRM = {"name": "crm", "type": "Snowflake", "tableCount": 1, "credential": ON_SNOWFLAKE}
ANNEX = {**WAREHOUSE, "name": "annex", "credential": {**CREDENTIAL, "host": "annex.example.org"}}
AWAY = {"name": "crm", "reason": "PlatformUnavailable", "message": "it is away; ask again later"}
IDS = 'SELECT "id" FROM "people" ORDER BY "id"'
BOUNDS = Bounds(100, 10_000, 30)


def answer(*platforms: dict, **more: object) -> httpx.Response:
    return httpx.Response(201, json=role(platforms=list(platforms), **more))


@pytest.fixture(scope="module")
def whole_crm(whole_warehouse: Warehouse) -> Iterator[Crm]:
    with open_crm(whole_warehouse) as made:
        yield made


@pytest.fixture
def crm(whole_crm: Crm, warehouse: Warehouse) -> Iterator[Crm]:
    """No role is left after a test, on neither."""
    yield whole_crm
    assert not [lease.role for lease in whole_crm.leases.values() if whole_crm.exists(lease.role)]


def test_it_asks_for_all_of_them_and_says_whether_less_would_do():
    both, one = Api(answer(WAREHOUSE, CRM)), Api(answer(WAREHOUSE))
    with both.client().vend(USER_TOKEN, platform=BOTH), one.client().vend(USER_TOKEN, platform="warehouse"):
        pass
    asking = Api(httpx.Response(200, json={"granted": True, "explanation": {}, "leftOut": [AWAY]}))
    decided = asking.client().decide(USER_TOKEN, platform=BOTH, allow_partial=True)
    bodies = [api.body() for api in (both, one, asking)]
    assert [(each["platforms"], each.get("allowPartial")) for each in bodies] == [
        (["warehouse", "crm"], None),
        (["warehouse"], None),
        (["warehouse", "crm"], True),
    ]
    assert [each.platform for each in decided.left_out] == ["crm"]
    with pytest.raises(TypeError, match="platform"), both.client().vend(USER_TOKEN, platform=()):
        pass


def test_of_one_platform_of_each_kind_no_login_has_to_be_named():
    with Api(answer(WAREHOUSE, CRM)).client().vend(USER_TOKEN, platform=BOTH) as both:
        assert both.name == CREDENTIAL["username"]
        assert both.connection_parameters() == both.connection_parameters("warehouse")
        assert both.snowflake_parameters() == both.snowflake_parameters("crm")
        assert "warehouse, crm" in repr(both)


def test_the_parameters_of_snowflake_are_those_of_its_connector_and_hold_no_password():
    with Api(answer(CRM)).client().vend(USER_TOKEN, platform="crm") as vended:
        parameters = vended.snowflake_parameters()
        assert KEY not in repr(vended.platform)
        assert vended.name == CREDENTIAL["username"]
    assert parameters == {
        "account": "myorg-account1",
        "host": "myorg-account1.snowflakecomputing.com",
        "port": 443,
        "protocol": "https",
        "user": CREDENTIAL["username"],
        "private_key": KEY,
        "authenticator": "SNOWFLAKE_JWT",
        "role": CREDENTIAL["username"],
        "secondary_roles": "NONE",
        "warehouse": "AGENTS_WH",
        "enable_server_session_keep_alive_auto_detection": False,
    }


@pytest.mark.parametrize(
    ("platforms", "asked", "said"),
    [
        ((WAREHOUSE, ANNEX), None, "cannot tell which platform is meant: name one of warehouse, annex"),
        ((WAREHOUSE,), "annex", "cannot log in on annex in this way: the role is on warehouse (PostgreSQL)"),
        ((CRM,), None, "the role is on crm (Snowflake); connect() is for PostgreSQL, and connect_snowflake() for Snowflake"),
        ((WAREHOUSE, CRM), "crm", "cannot log in on crm in this way: the role is on warehouse (PostgreSQL), crm (Snowflake)"),
    ],
)
def test_a_login_that_is_not_there_or_not_the_only_one_is_refused(platforms: tuple[dict, ...], asked: str | None, said: str):
    with Api(answer(*platforms)).client().vend(USER_TOKEN, platform=BOTH) as vended, pytest.raises(Misconfigured) as raised:
        vended.connect(asked)
    assert said in str(raised.value)


def test_what_was_left_out_is_said_and_why():
    with Api(answer(WAREHOUSE, leftOut=[AWAY])).client().vend(USER_TOKEN, platform=BOTH, allow_partial=True) as vended:
        assert vended.left_out == (LeftOut("crm", AWAY["reason"], AWAY["message"]),)
        with pytest.raises(Misconfigured, match=r"left out there \(PlatformUnavailable\): it is away"):
            vended.snowflake_parameters("crm")
        with pytest.raises(ForTheModel, match=r"There is no role on crm \(PlatformUnavailable\): it is away"):
            Run(vended).query("SELECT 1", BOUNDS, "crm")


def test_a_url_for_sqlalchemy_holds_no_key_and_the_arguments_beside_it_do():
    with Api(answer(WAREHOUSE, CRM)).client().vend(USER_TOKEN, platform=BOTH) as both:
        login = both.platforms[1].credential
        assert isinstance(login, KeyPairCredential)
        url = make_url(database_login.snowflake_url(login))
        assert both.sqlalchemy_arguments("crm") == both.snowflake_parameters()
        assert both.sqlalchemy_arguments("warehouse") == {}
        assert make_url(both.sqlalchemy_url(platform="warehouse")).host == CREDENTIAL["host"]
    assert (url.drivername, url.username, url.host, url.password) == ("snowflake", login.user, login.account, None)
    assert dict(url.query) == {"role": login.role, "warehouse": login.warehouse}


def test_a_way_in_the_clear_to_another_machine_is_refused():
    login = {**CRM, "credential": {**ON_SNOWFLAKE, "protocol": "http"}}
    with Api(answer(login)).client().vend(USER_TOKEN, platform="crm") as vended, pytest.raises(Unexpected, match="others could read rows"):
        vended.snowflake_parameters()


def test_without_a_driver_or_a_dialect_the_error_says_what_to_install():
    program = f"""
import sys
sys.modules["snowflake.connector"] = None
import httpx
from rolevend_client import Misconfigured
from tests.client.answers import Api
with Api(httpx.Response(201, content={json.dumps(role(platforms=[CRM]))!r})).client().vend("a.b.c", platform="crm") as role:
    for attempt in (role.connect_snowflake, role.sqlalchemy_url):
        try:
            attempt()
        except Misconfigured as error:
            print(error)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "cannot connect: snowflake-connector-python is not installed; it comes with the extra snowflake of rolevend-client",
        "cannot make a url for SQLAlchemy: it knows Snowflake by snowflake-sqlalchemy alone, which is not installed; install that, "
        "or use connect_snowflake()",
    ]


def test_a_block_reads_what_is_granted_and_nothing_is_left_of_it(crm: Crm):
    with crm.client().vend("anna", platform="crm") as vended:
        connection = vended.connect_snowflake()
        assert connection.cursor().execute(IDS).fetchall() == [(0,), (1,)]
        assert connection.cursor().execute('SELECT CURRENT_ROLE(), "ssn" FROM "people"').fetchall() == [(vended.name, None)] * 2
        parameters = vended.snowflake_parameters()
    assert connection.is_closed()
    assert not crm.exists(vended.name)
    with pytest.raises(snowflake.connector.errors.Error):
        snowflake.connector.connect(**parameters, login_timeout=5)


def test_one_role_reads_the_same_persons_rows_on_both(crm: Crm):
    with crm.client().vend("bob", platform=BOTH) as both:
        people = both.connect().execute("SELECT id FROM people ORDER BY id").fetchall()
        customers = both.connect_snowflake().cursor().execute(IDS).fetchall()
    assert people == customers == [(2,), (3,)]


async def test_the_other_colour_reads_the_same(crm: Crm):
    async with crm.async_client().vend("anna", platform=BOTH) as both:
        connection = await both.connect_snowflake()
        cursor = connection.cursor()
        await cursor.execute(IDS)
        assert await cursor.fetchall() == [(0,), (1,)]
        people = await both.connect()
        assert await (await people.execute("SELECT id FROM people ORDER BY id")).fetchall() == [(0,), (1,)]


def test_tools_ask_the_platform_that_is_named_and_are_told_how(crm: Crm):
    with crm.client().vend("anna", platform=BOTH) as both:
        run = Run(both)
        assert run.query(IDS, BOUNDS, "crm") == "id\n0\n1\n(2 rows)"
        assert run.query("SELECT id FROM people ORDER BY id", BOUNDS, "warehouse") == "id\n0\n1\n(2 rows)"
        for wanted, said in ((None, "Name the platform to ask: one of warehouse, crm"), ("lake", "no platform lake here; name one of")):
            with pytest.raises(ForTheModel, match=said):
                run.query(IDS, BOUNDS, wanted)
        with pytest.raises(ForTheModel, match=r"\(002003\): .*list_tables shows those that it reads"):
            run.query("SELECT * FROM APP.GOVERNED.PEOPLE", BOUNDS, "crm")
        with pytest.raises(ForTheModel, match="refused"):
            run.query("CREATE TABLE APP.GOVERNED.T (A INTEGER)", BOUNDS, "crm")
        assert run.query("SELECT 1 AS one, NULL AS two", BOUNDS, "crm") == "ONE,TWO\n1,NULL\n(1 row)"
        assert run.query(IDS, Bounds(1, 10_000), "crm").endswith(
            "(more rows were left out after 1: ask for an aggregate, or with a narrower condition)"
        )
        run.end()
        with pytest.raises(ForTheModel, match="this run is over"):
            run.query(IDS, BOUNDS, "crm")


def test_a_run_whose_role_has_ended_is_told_so(crm: Crm):
    with crm.client().vend("anna", platform="crm") as vended:
        run = Run(vended)
        run.query(IDS, BOUNDS)
        crm.drop(vended.id)
        for _ in range(2):
            with pytest.raises(ForTheModel, match="refused"):
                run.query(IDS, BOUNDS)
        run.end()


def test_a_graphs_tools_take_several_platforms(crm: Crm):
    toolkit = RolevendToolkit(client=crm.client(), platform=BOTH, allow_partial=True)
    (query, *_) = toolkit.get_tools()
    assert list(query.args) == ["statement", "platform"]


@pytest.mark.usefixtures("patient_clients")
async def test_a_session_of_the_mcp_server_asks_both(crm: Crm, tmp_path: Path):
    token = tmp_path / "persons-token"
    token.write_text("e30.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlLm9yZyIsInN1YiI6ImFubmEifQ.c2ln")
    crm.warehouse.believes = lambda _: "anna"
    try:
        server = local(crm.api.url, tmp_path, token, PLATFORM="warehouse, crm")
        async with Client(server, mode="legacy") as client:
            tables = (await ask(client, "list_tables")).text
            assert [line for line in tables.splitlines() if line.startswith("on ")] == [
                "on platform warehouse (PostgreSQL):",
                "on platform crm (Snowflake):",
            ]
            there, here = [await ask(client, "query", statement=IDS, platform=each) for each in BOTH]
            assert there.text == here.text == "id\n0\n1\n(2 rows)"
            nowhere = await ask(client, "query", statement=IDS, platform="lake")
            assert (nowhere.failed, "no platform lake here; name one of warehouse, crm" in nowhere.text) == (True, True)
            assert crm.api.bodies[-1]["platforms"] == ["warehouse", "crm"]
    finally:
        crm.warehouse.believes = str


def test_a_credential_of_snowflake_has_a_type_of_its_own():
    with Api(answer(CRM)).client().vend(USER_TOKEN, platform="crm") as vended:
        assert isinstance(vended.platform.credential, KeyPairCredential)
