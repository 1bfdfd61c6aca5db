"""`rolevend explain` on a real cluster: why a role shows what it shows, and why there is none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support import commanding
from tests.support.deployed import READ, SHOWN, folder
from tests.support.proving import Proven
from tests.support.site import AGENTS, ANNEX, WAREHOUSE, Site
from tests.support.tenancy import Asked, Tenant


def rolevend(site: Site, *words: str) -> "subprocess.CompletedProcess[str]":
    return commanding.rolevend(site.control_plane.environment(), *words)


def written(site: Site, platform: str, path: Path) -> Path:
    """What a platform holds, as a person writes it."""
    dsn = site.database(platform).administrator.dsn
    done = rolevend(site, "platform", "catalog", "-f", str(site.manifest(platform)), "--dsn", dsn, "-o", str(path))
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def catalog(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(site, WAREHOUSE, tmp_path_factory.mktemp("explain") / "catalog.yaml")


def explained(asked: Asked, catalog: Path) -> list[str]:
    done = rolevend(asked.site, "explain", asked.name, "--namespace", asked.namespace, "--catalog", str(catalog))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_role_is_explained_by_its_policies_its_guardrail_and_what_comes_of_them_together(tenant: Tenant, catalog: Path):
    for body in folder(tenant):
        tenant.site.told(tenant.deploy(body), "Ready", "True")
    asked = tenant.ask().ready()
    assert asked.rows(READ) == SHOWN
    filters = ("\"country\" = 'US'", "\"country\" IN (user_attr('countries'))")

    lines = explained(asked, catalog)

    assert lines[0] == f"VendedRole {AGENTS}/{asked.name}: Live: the role can log in; its credential is in Secret {asked.name}"
    assert lines[1].endswith(f"through {AGENTS}/{tenant.name} on {WAREHOUSE}: 1 table")
    for name in ("own", "names"):
        assert f"AccessPolicy domain-claims/{tenant.name}-{name} covers the user" in lines
    assert f"  grants claims.people [tenant={tenant.name}] where {filters[1]}" in lines
    assert f"    ssn [secret={tenant.name}]: Hash" in lines, "so says the policy"
    guardrail = lines.index(f"Guardrail {tenant.name}-floors concerns the user")
    assert lines[guardrail + 1 : guardrail + 3] == ["  claims.people.full_name: at least Partial", "  claims.people.ssn: at least Nullify"]
    assert lines[lines.index("Together on claims.people") + 1 :] == [
        f"  rows where ({filters[0]}) or ({filters[1]})",
        "  person_id",
        "  full_name: Partial(2)",
        "  ssn: Nullify",
        f"  birth_date: Clear where ({filters[1]}) else Nullify",
        f"  country: Clear where ({filters[1]}) else Nullify",
    ]


def test_a_denied_request_is_explained_by_its_smallest_step(tenant: Tenant, catalog: Path):
    tenant.agent()
    tenant.person(countries=["DE"], tenant=["another"])
    tenant.site.told(tenant.policy(), "Ready", "True")
    asked = tenant.ask()
    why = asked.refused("NoPolicy", granted="False")

    lines = explained(asked, catalog)

    assert lines[0] == f"VendedRole {AGENTS}/{asked.name}: NoPolicy: {why}"
    assert "nothing (NoPolicy)" in lines[1]
    assert lines[2] == f"smallest step: policy domain-claims/{tenant.name} asks for tenant In ({tenant.name})"
    assert f"  tenant In ({tenant.name}): not met" in lines


@pytest.mark.long
@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"purpose": "curiosity"}, "NotPermitted"),
        ({"resources": [{"schema": "claims", "table": "payments"}]}, "ResourceNotGranted"),
    ],
    ids=["a purpose that nobody may say", "a table that is not granted"],
)
def test_what_was_asked_for_is_explained_and_not_what_could_have_been(tenant: Tenant, catalog: Path, wanted: dict, reason: str):
    tenant.ready_to_ask()
    asked = tenant.ask(wanted=wanted)
    why = asked.refused(reason, granted="False")

    lines = explained(asked, catalog)

    assert lines[0].endswith(f"{reason}: {why}")
    assert lines[1].endswith(f": nothing. {why}")
    assert not [line for line in lines if "payments" in line and "grants" in line]


def test_a_role_that_is_narrowed_is_explained_for_its_tables_alone(tenant: Tenant, catalog: Path):
    tenant.agent()
    tenant.person()
    tenant.site.told(tenant.policy("", "people", "claims", masks=[]), "Ready", "True")
    asked = tenant.ask(wanted={"resources": [{"schema": "claims", "table": "claims"}]}).ready()

    lines = explained(asked, catalog)

    assert lines[1].endswith(": 1 table")
    assert [line.split()[1] for line in lines if line.startswith("  grants")] == ["claims.claims"]


def test_anybody_is_explained_before_they_ask_and_for_programs_as_json(tenant: Tenant, catalog: Path):
    tenant.ready_to_ask()
    words = ("--user", f"anna.{tenant.name}", "--agent", tenant.name, "--namespace", AGENTS, "--catalog", str(catalog), "-o", "json")

    done = rolevend(tenant.site, "explain", *words)

    told = json.loads(done.stdout)
    assert (told["granted"], told["vendedRole"], told["agent"]) == (True, "", f"{AGENTS}/{tenant.name}")
    assert [each["table"] for policy in told["policies"] for each in policy["grants"]] == ["claims.people"]


def test_without_a_namespace_it_is_that_of_the_context(site: Site, catalog: Path, tmp_path: Path):
    config = yaml.safe_load(Path(site.control_plane.environment()["KUBECONFIG"]).read_text())
    config["contexts"][0]["context"]["namespace"] = AGENTS
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))

    done = rolevend(site, "explain", "absent", "--catalog", str(catalog), "--kubeconfig", str(kubeconfig))

    assert done.returncode != 0
    assert f"/namespaces/{AGENTS}/vendedroles/absent" in done.stderr


@pytest.mark.long
def test_what_cannot_be_explained_is_told_in_one_line(site: Site, catalog: Path):
    absent = rolevend(site, "explain", "absent", "--namespace", AGENTS, "--catalog", str(catalog))
    nobody = rolevend(site, "explain", "--user", "nobody", "--catalog", str(catalog))

    assert absent.returncode != 0
    assert "absent" in absent.stderr
    assert len(absent.stderr.splitlines()) == 1, absent.stderr
    assert "0 known users have the subject nobody: name the --issuer" in nobody.stderr


def test_who_may_not_read_the_policies_is_told_so(site: Site, catalog: Path):
    kubeconfig = site.control_plane.service_account_kubeconfig(AGENTS, "default")

    done = rolevend(site, "explain", "absent", "--namespace", AGENTS, "--catalog", str(catalog), "--kubeconfig", str(kubeconfig))

    assert done.returncode != 0
    assert "forbidden" in done.stderr.lower()
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.long
def test_a_role_on_two_platforms_is_explained_on_both(tenant: Tenant, catalog: Path, tmp_path: Path):
    tenant.agent()
    tenant.person()
    tenant.site.told(tenant.policy(masks=[]), "Ready", "True")
    tenant.site.told(tenant.policy(f"{tenant.name}-annex", "claims", platform=ANNEX, masks=[]), "Ready", "True")
    asked = tenant.ask(wanted={"platformRefs": [{"name": WAREHOUSE}, {"name": ANNEX}]}).ready()
    words = ("explain", asked.name, "--namespace", asked.namespace, "--catalog", str(catalog))

    one_missing = rolevend(tenant.site, *words)
    annex = written(tenant.site, ANNEX, tmp_path / "annex.yaml")
    text, document = (rolevend(tenant.site, *words, "--catalog", str(annex), *more).stdout for more in ((), ("-o", "json")))

    assert one_missing.returncode != 0
    assert f"what DataPlatform {ANNEX} holds is not known" in one_missing.stderr
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("VendedRole ")] == lines[:1]
    assert [line.partition(" on ")[2] for line in lines if f"through {AGENTS}/{tenant.name}" in line] == [
        f"{WAREHOUSE}: 1 table",
        f"{ANNEX}: 1 table",
    ]
    told = [
        [(each["platform"], grant["table"]) for policy in each["policies"] for grant in policy["grants"]] for each in json.loads(document)
    ]
    assert told == [[(WAREHOUSE, "claims.people")], [(ANNEX, "claims.claims")]]


def test_a_role_of_a_proven_user_is_explained_by_what_the_token_said_and_where(tenant: Tenant, catalog: Path):
    proven = Proven(tenant).ready_to_ask()
    asked = proven.ask(proven.token()).ready()

    lines = explained(asked, catalog)

    assert lines[1] == f"anna ({proven.issuer}) through {AGENTS}/{tenant.name} on {WAREHOUSE}: 1 table"
    assert "user attribute tenant: from the token, claim tenant" in lines
    assert "user attribute countries: from the token, expression claims.groups.filter(one, one.size() == 2)" in lines
    assert f"AccessPolicy domain-claims/{tenant.name} covers the user" in lines


@pytest.mark.long
def test_a_shell_completes_the_names_of_the_cluster(tenant: Tenant):
    asked = tenant.ready_to_ask().ask().ready()
    for words, offered in (
        (f"explain -n {AGENTS} {asked.name[:-1]}", asked.name),
        (f"explain -n {AGENTS} --agent {tenant.name[:-1]}", tenant.name),
        (f"revoke --agent {AGENTS}/{tenant.name[:-1]}", f"{AGENTS}/{tenant.name}"),
        ("platform attest ware", WAREHOUSE),
        (f"who {asked.role[:-1]}", asked.role),
    ):
        words = f"rolevend {words}"
        environment = {"_ROLEVEND_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        command = [sys.executable, "-c", "import sys; sys.argv = ['rolevend']; from rolevend.cli import main; main()"]
        done = subprocess.run(
            command, env=tenant.site.control_plane.environment() | environment, capture_output=True, text=True, check=False
        )
        assert f"plain,{offered}" in done.stdout.splitlines(), done.stdout + done.stderr
