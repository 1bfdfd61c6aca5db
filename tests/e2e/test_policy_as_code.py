"""What a pull request needs of a real database: the catalog that policies are judged by, as the operator sees it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rolevend.app.platform import install, plan
from rolevend.platforms.base import InstallMode
from tests.support.governed import DATABASE, OWNER, Governed
from tests.support.manifests import changed, valid


@pytest.fixture(scope="module", params=list(InstallMode))
def governed(request: pytest.FixtureRequest) -> Iterator[Governed]:
    with Governed(request.param) as database:
        yield database


@pytest.fixture
def manifest(governed: Governed, tmp_path: Path) -> Path:
    path = tmp_path / "platform.yaml"
    address = {"host": governed.superuser.host, "port": governed.superuser.port, "database": DATABASE}
    path.write_text(yaml.safe_dump(changed(valid("DataPlatform", "warehouse"), "spec.postgres", address)))
    return path


def catalog(manifest: Path, dsn: str, target: Path) -> str:
    """As a person writes it."""
    command = [sys.executable, "-m", "rolevend", "platform", "catalog", "-f", str(manifest), "--dsn", dsn, "-o", str(target)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return target.read_text()


def test_the_catalog_is_what_the_operator_sees_before_and_after_rolevend_is_installed(governed: Governed, manifest: Path, tmp_path: Path):
    view = "CREATE VIEW claims.seen AS SELECT 1 AS one"
    governed.ask(f"SET ROLE {OWNER}; COMMENT ON COLUMN claims.people.ssn IS 'rolevend: pii=id'; {view}; CREATE SCHEMA hr")
    dsn = governed.administrator.dsn

    before = catalog(manifest, dsn, tmp_path / "before.yaml")
    install(manifest, dsn, plan(manifest, dsn).digest, "rolevend-system")
    after = json.loads(catalog(manifest, dsn, tmp_path / "after.json"))

    assert after["platform"] == "warehouse"
    tables = {table["name"]: table for table in after["tables"]}
    assert set(tables) == {"claims", "payments", "people", "reserves", "seen"}
    assert tables["seen"]["obstacle"] == "is a view: grant the tables beneath it"
    assert tables["people"]["columns"][2] == {"name": "ssn", "type": "text", "family": "text", "tags": [{"key": "pii", "value": "id"}]}
    assert "obstacle" not in tables["people"]
    assert governed.mode is InstallMode.MANAGED or yaml.safe_load(before) == after


def test_a_login_that_may_not_become_the_operators_sees_its_own_obstacles(governed: Governed, manifest: Path, tmp_path: Path):
    governed.ask("CREATE ROLE passer_by LOGIN PASSWORD 'x'; GRANT CONNECT ON DATABASE claims TO passer_by")
    found = yaml.safe_load(catalog(manifest, governed.superuser.as_user("passer_by", "x").dsn, tmp_path / "seen.yaml"))

    assert any("for whom passer_by may not act" in table.get("obstacle", "") for table in found["tables"])
