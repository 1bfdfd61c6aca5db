"""dbt: it compiles and shows models over the role's views; it cannot write, so `dbt run` is refused."""

import tempfile
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from dbt.cli.main import dbtRunner
from role import READ, SCHEMA, URI, answer, refusals

uri = urlsplit(URI)
login = {
    "type": "postgres",
    "host": uri.hostname,
    "port": uri.port,
    "user": uri.username,
    "password": unquote(uri.password),
    "dbname": uri.path.strip("/"),
    "schema": SCHEMA,
    "threads": 4,
    **{name: value for name, (value,) in parse_qs(uri.query).items()},
}
FILES = {
    "dbt_project.yml": {"name": "reading", "profile": "warehouse", "model-paths": ["models"]},
    "profiles.yml": {"warehouse": {"target": "role", "outputs": {"role": login}}},
    "models/sources.yml": {"sources": [{"name": "warehouse", "schema": SCHEMA, "tables": [{"name": "people"}]}]},
}
project = Path(tempfile.mkdtemp())
(project / "models").mkdir()
for name, content in FILES.items():
    (project / name).write_text(yaml.safe_dump(content))
SOURCE = "{{ source('warehouse', 'people') }}"
(project / "models/regions.sql").write_text(f"SELECT * FROM ({READ.replace('people', SOURCE)}) AS read")
dbt = dbtRunner()


def run(*arguments):
    result = dbt.invoke(
        [*arguments, "--project-dir", str(project), "--profiles-dir", str(project), "--quiet", "--no-send-anonymous-usage-stats"]
    )
    if result.exception is not None:
        raise result.exception
    return result.result


def table(shown):
    return [list(row.values()) for row in shown.results[0].agate_table.rows]


shown = run("show", "--select", "regions")
sources = run("list", "--resource-type", "source")
built = run("run", "--select", "regions")
answer(
    tables=[name.rpartition(".")[2] for name in sources],
    rows=[[int(number), region, ssn] for number, region, ssn in table(shown)],
    refusals=refusals(lambda query: table(run("show", "--inline", query))),
    more={"run": built.results[0].message},
)
