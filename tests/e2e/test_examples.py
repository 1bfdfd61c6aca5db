"""The examples, applied for real: their pages are typed as they stand, and each role that they promise is read through.

No pod runs here, so what builds the image and waits for pods is left out; `make e2e` has it. The database has an authority of its own,
so what the pages say of one is done.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import sql
from psycopg.rows import dict_row

from demo.seed import Seed, generate, load
from rolevend.kinds import API_VERSION
from rolevend.policytools.embedded.connection import Connection
from rolevend.policytools.embedded.database import PostgresServer
from rolevend.policytools.embedded.postgres_programs import postgres_programs
from testbed.binaries import Binaries
from testbed.controlplane import ControlPlane
from testbed.installation import NAMESPACE, Installation, OperatorProcess, authority_secret, with_address
from tests.e2e.command import DEADLINE, ROOT
from tests.support.pages import Typed, steps
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

Type = Callable[[str], tuple[int, str]]
"""Types a command: its exit status, and what a person sees of it."""


@contextmanager
def shell(folder: Path, environment: dict[str, str]) -> Iterator[Type]:
    """One shell for all commands. It is killed at the deadline, whatever it waits for."""
    with subprocess.Popen(
        ["bash"], cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as bash:
        assert bash.stdin is not None
        assert bash.stdout is not None
        source, shown = bash.stdin, bash.stdout
        clock = Timer(DEADLINE, bash.kill)
        clock.start()

        def type_(command: str) -> tuple[int, str]:
            source.write(f"{{\n{command}\n}} </dev/null\nprintf '\\n@@@%s\\n' $?\n")
            source.flush()
            said = ""
            for line in shown:
                if line.startswith("@@@"):
                    return int(line[3:]), said
                said += line
            raise AssertionError(f"$ {command}\n{said}\nthere was no end of it")

        try:
            yield type_
        finally:
            clock.cancel()
            bash.kill()


class Reader:
    """Who types a page in a checkout, with an empty cluster, and a database with the tables of the example."""

    def __init__(self, cluster: ControlPlane, database: Connection, folder: Path) -> None:
        self.cluster = cluster
        self.database = database
        self._installation = Installation(cluster, folder / "installation")
        self._operator: OperatorProcess | None = None
        self._checkout = folder / "checkout"
        for name in ("charts", "examples"):
            shutil.copytree(ROOT / name, self._checkout / name)
        for manifest in (self._checkout / "examples").rglob("*.yaml"):
            if "kind: DataPlatform" in manifest.read_text():  # "put your host there first"
                manifest.write_text(with_address(manifest, database))
        assert database.authority is not None
        self._authority = folder / "ca.crt"
        self._authority.write_text(database.authority)
        cluster.kubectl("create", "namespace", NAMESPACE)
        authority = f"--from-file=ca.crt={self._authority}"
        cluster.kubectl("create", "secret", "generic", authority_secret("warehouse"), "--namespace", NAMESPACE, authority)

    def example(self, name: str) -> Path:
        return self._checkout / "examples" / name

    def close(self) -> None:
        if self._operator is not None:
            self._operator.kill()

    def start_operator(self) -> None:
        self._operator = self._installation.operator()
        self._operator.wait_until_ready()

    def install(self, manifest: Path, *agent_namespaces: str) -> None:
        """What the pages of other examples say."""
        self._installation.chart(agent_namespaces)
        self._installation.platform(manifest, self.database)
        self.start_operator()

    def type_page(self, name: str) -> Iterator[tuple[str, int, str]]:
        """Each command of the page, its exit status, and what is said."""
        digest = "DIGEST"
        with shell(self._checkout, self._environment()) as type_:
            for step in steps(self.example(name) / "README.md"):
                assert isinstance(step, Typed)
                command = step.command.replace("DIGEST", digest)
                if command.startswith(("docker build ", "python3 -m venv ", "pip install '.", "export ROLEVEND_ADMIN_DSN=")):
                    continue
                if command.startswith("helm "):
                    command = command.replace(" --wait ", " ")
                command = re.sub(r'psql "\$\((.*)\)"', r'psql "$(\1 | sed "s|sslrootcert=.*|sslrootcert=$CA|")"', command)
                status, said = self._soon(type_, command) if command.startswith("kubectl apply ") else type_(command)
                if found := re.search(r"--accept (\S+)", said):
                    digest = found[1]
                if command.startswith("helm "):
                    self.start_operator()
                yield step.command, status, said

    def roles(self) -> list[str]:
        with psycopg.connect(self.database.dsn) as connection:
            rows = connection.execute("SELECT rolname::text FROM pg_roles WHERE rolname ~ '^IMMUTA_VENDED_(?!CANARY)'").fetchall()
        return [name for (name,) in rows]

    def read(self, secret: str, namespace: str, table: sql.Identifier) -> list[dict[str, Any]]:
        """All of a table with the login in this Secret."""
        uri = self.cluster.kubectl("get", "secret", secret, "--namespace", namespace, "-o", "go-template={{.data.uri | base64decode}}")
        with psycopg.connect(uri, sslrootcert=self._authority, row_factory=dict_row) as connection:
            return connection.execute(sql.SQL("SELECT * FROM {}").format(table)).fetchall()

    def _soon(self, type_: Type, command: str) -> tuple[int, str]:
        """The API server takes up definitions and admission policies a moment after they were made."""

        def done() -> tuple[int, str]:
            status, said = type_(command)
            assert status == 0, f"$ {command}\n{said}"
            return status, said

        return eventually(done)

    def _environment(self) -> dict[str, str]:
        programs = (self.cluster.binaries.search_path, str(Path(sys.executable).parent), str(postgres_programs(17, None, self._checkout)))
        return {
            **os.environ,
            **self.cluster.environment(),
            "PATH": os.pathsep.join((*programs, os.environ["PATH"])),
            "HOME": str(self._checkout),
            "CA": str(self._authority),
            "ROLEVEND_ADMIN_DSN": self.database.dsn,
        }


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(17, fsync=False) as running:
        yield running


@contextmanager
def reading(binaries: Binaries, database: Connection, folder: Path) -> Iterator[Reader]:
    with ControlPlane(binaries=binaries) as cluster:
        reader = Reader(cluster, database, folder)
        try:
            yield reader
        finally:
            reader.close()


@pytest.fixture
def reader(binaries: Binaries, tmp_path: Path) -> Iterator[tuple[Reader, Seed]]:
    """With the tables of the demo, in which the first two examples read."""
    seed = generate(1000)
    with PostgresServer(17, fsync=False) as server, reading(binaries, load(server.superuser, seed), tmp_path) as reader:
        yield reader, seed


def counted(seed: Seed, *countries: str) -> dict[str, int]:
    found = [claim.country for claim in seed.claims]
    return {country: found.count(country) for country in countries}


def table_of(said: str) -> dict[str, int]:
    """Of what psql shows: the first column, and the number in the second."""
    return {country: int(number) for country, number in re.findall(r"^ +(\w+) +\| +(\d+)", said, re.MULTILINE)}


def test_the_page_of_the_shortest_example_does_what_it_says(reader: tuple[Reader, Seed]) -> None:
    who, seed = reader
    answers = []
    for command, status, said in who.type_page("00-minimal"):
        assert status == 0, f"$ {command}\n{said}"
        if command.startswith("psql "):
            answers.append(table_of(said))
            assert len(who.roles()) == 1

    assert answers == [counted(seed, "AT", "DE")]
    assert who.roles() == []


def test_the_page_of_the_first_role_does_what_it_says(reader: tuple[Reader, Seed]) -> None:
    who, seed = reader
    answers, failed = [], []
    for command, status, said in who.type_page("01-first-role"):
        if command.startswith("psql "):
            answers.append(said)
        if status != 0:
            failed.append((command, said))

    anna, bob, payments, review = answers
    assert table_of(anna) == counted(seed, "AT", "DE")
    assert re.findall(r"\| +([A-Z]{2})$", bob, re.MULTILINE) == ["US"] * 3
    assert {
        country: name.startswith("***") for name, country in re.findall(r"^ +\d+ \| +(\S[^|]*?) +\|.*\| (\w\w) *$", review, re.MULTILINE)
    } == {
        "AT": True,
        "CH": False,
        "DE": False,
    }
    refused = [
        ("psql", 'relation "payments" does not exist'),
        ("kubectl create", "cannot create resource"),
        ("kubectl patch", "spec is immutable"),
    ]
    assert len(failed) == len(refused), failed
    for (command, said), (typed, why) in zip(failed, refused, strict=True):
        assert command.startswith(typed)
        assert why in said
    assert failed[0][1] == payments
    assert who.roles() == []


def tables_of(catalog: Path) -> list[str]:
    """The statements that make the tables of a catalog."""
    held = yaml.safe_load(catalog.read_text())["tables"]
    columns = {f"{table['schema']}.{table['name']}": [f"{each['name']} {each['type']}" for each in table["columns"]] for table in held}
    return ["CREATE SCHEMA claims", *(f"CREATE TABLE {name} ({', '.join(of_table)})" for name, of_table in columns.items())]


def test_what_agents_are_granted_themselves_is_what_their_roles_read(binaries: Binaries, server: PostgresServer, tmp_path: Path) -> None:
    of_checkout = ROOT / "examples" / "03-granted-to-agents"
    statements, cases = (
        tables_of(of_checkout / "catalog" / "warehouse.yaml"),
        yaml.safe_load((of_checkout / "cases" / "combinations.yaml").read_text()),
    )
    with psycopg.connect(server.superuser.dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE app_owner NOLOGIN")
        connection.execute("CREATE DATABASE claims OWNER app_owner")
    database = server.superuser.to_database("claims")
    with psycopg.connect(database.dsn) as connection:
        connection.execute("SET ROLE app_owner; " + "; ".join(statements))
        for table in cases["tables"]:
            for row in table["rows"]:
                names = sql.SQL(", ").join(map(sql.Identifier, row))
                insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})")
                target = sql.Identifier(table["schema"], table["name"])
                connection.execute(insert.format(target, names, sql.SQL(", ").join(map(sql.Literal, row.values()))))
    with reading(binaries, database, tmp_path) as who:
        example = who.example("03-granted-to-agents")
        for namespace in ("agents", "domain-claims"):
            who.cluster.kubectl("create", "namespace", namespace)
        who.install(example / "platform.yaml", "agents")
        for file in sorted(example.glob("*.yaml")):
            who.cluster.kubectl("apply", "--filename", str(file))
        who.cluster.kubectl("wait", "--for=condition=Ready", "--timeout=300s", "dataplatform/warehouse")
        who.cluster.kubectl("wait", "--for=condition=Ready", "--timeout=300s", "--namespace", "domain-claims", "accesspolicy", "--all")
        seen = {}
        standing = [case for case in cases["cases"] if "approved" not in case]
        for agent in dict.fromkeys(case["agent"]["name"] for case in standing):
            vend(who, agent, cases["cases"][0]["user"])
        for case in standing:
            agent, table = case["agent"]["name"], case["table"]
            try:
                seen[case["name"]] = who.read(agent, "agents", sql.Identifier(table))
            except psycopg.errors.UndefinedTable:
                seen[case["name"]] = None

    assert len(seen) == len(standing)
    for case in standing:
        rows = seen[case["name"]]
        assert (rows is None) == case.get("refused", False), case["name"]
        if rows is not None:
            assert sorted(map(told, rows)) == sorted(map(told, case["sees"])), case["name"]


def vend(who: Reader, agent: str, user: dict[str, str]) -> None:
    role = {
        "apiVersion": API_VERSION,
        "kind": "VendedRole",
        "metadata": {"name": agent, "namespace": "agents"},
        "spec": {"agentRef": {"name": agent}, "user": user, "platformRefs": [{"name": "warehouse"}]},
    }

    def made() -> bool:
        try:
            who.cluster.kubectl("apply", "--filename", "-", standard_input=yaml.safe_dump(role))
        except subprocess.CalledProcessError as error:
            raise AssertionError(error.stderr) from error
        return True

    eventually(made)
    who.cluster.kubectl("wait", "--for=condition=Ready", "--timeout=300s", "--namespace", "agents", f"vendedrole/{agent}")


def told(row: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((name, str(value)) for name, value in row.items())
