"""Run `python -m demo --dev`: keep everything running, and print commands to try. They work as printed."""

import fcntl
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from demo.checks import ANNA, BOB
from demo.crm import ON_BOTH
from demo.stage import AGENTS, EXAMPLE, OVER_HTTP, OWNER, SCIM, SECURITY, Stage
from demo.telling import Teller
from rolevend.policytools.embedded.errors import Unusable
from rolevend.policytools.embedded.postgres_programs import postgres_programs
from testbed.installation import checkout

_POLL_SECONDS = 1.0
ENVIRONMENT_FILE = "dev.env"
_ENDED = "the demo that wrote this file is no longer up: run make dev again"
"""In the checkout, while the stack is up."""
AFTER_AN_INCIDENT = (
    "# after an incident: who reads ssn now, who could, who ran what; end it",
    "rolevend access claims.people.ssn",
    "rolevend access claims.people.ssn --could",
    'rolevend ledger "$LOG" --audit "$AUDIT" --agent agents/finbot',
    'rolevend receipt verify "$AUDIT"/*.ndjson --keys "$RECEIPT_KEYS"',
    "rolevend revoke --agent agents/finbot --dry-run",
    "# the users that an identity provider pushed by SCIM, which are none yet:",
    rf'curl --silent --write-out "\n" "$ROLEVEND_URL/scim/v2/Users" --header "Authorization: Bearer $(cat "$TOKENS/{SCIM}")"',
)
_QUESTION = "SELECT full_name, ssn, birth_date, country FROM people LIMIT 3"


def wait(stage: Stage, tell: Teller) -> int:
    """Wait for Ctrl-C. Raises `PartFailed` if a part ends by itself."""
    stage.hand_out_tokens()
    console = stage.open_console()
    with _environment_file(stage):
        return _wait(stage, tell, console)


def _wait(stage: Stage, tell: Teller, console: str) -> int:
    tell.say()
    tell.say(
        f"The console for people: {console}. Log in as {OWNER}, who answers requests, or as {SECURITY}, who ends roles and reads trails."
    )
    tell.say(
        f"{SECURITY} also sees the statements that a live role runs now, and in its trail those that it ran. The page Health says that no"
        " replica is ready, and no Deployment has a pod that runs: the parts run here as processes."
    )
    tell.say(f"The identity provider is a local one with a certificate of its own: open {stage.provider.issuer} first, and accept it.")
    tell.say("The second platform, crm, is a model of Snowflake, and not Snowflake.")
    tell.title("Everything is up. Type make shell in another terminal, or in a shell of your own:")
    tell.say()
    for line in (*commands(), "", *AFTER_AN_INCIDENT, "", *further(stage)):
        tell.verbatim(line)
    tell.say()
    tell.title("Ctrl-C here ends all of it.")
    tell.rest()
    try:
        while True:
            stage.check()
            stage.hand_out_tokens()
            stage.operator.process.wait(_POLL_SECONDS)
    except KeyboardInterrupt:
        tell.say()
        return 0


def commands() -> list[str]:
    """Return commands for any shell, which may all be pasted at once. A person's token is accepted once and renewed after a moment, so the
    two programs use two people.
    """
    secret = f"kubectl get secret {ANNA.name} -n {AGENTS} -o go-template='{{{{.data.uri | base64decode}}}}'"
    uri = f'{secret} | sed "s|sslrootcert=.*|sslrootcert=$CA|"'
    return [
        f"cd {shlex.quote(str(checkout()))}",
        f". ./{ENVIRONMENT_FILE}",
        "",
        f"kubectl apply -f {EXAMPLE}",
        f"kubectl wait --for=condition=Ready -n {AGENTS} vendedrole --all",
        f"kubectl get vr -n {AGENTS}",
        f'psql "$({uri})" -c {shlex.quote(_QUESTION)}',
        f'"$PYTHON" {OVER_HTTP.parent / "ask.py"} {ANNA.subject}',
        f'"$PYTHON" {ON_BOTH / "ask.py"} {BOB.subject}',
    ]


@contextmanager
def only_one() -> Iterator[None]:
    """Lock the checkout, whose `dev.env` is of one demo, until the end or the death of this process. Raises Unusable if another has it."""
    root = os.open(checkout(), os.O_RDONLY)
    try:
        try:
            fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            way_out = "use it with make shell, or end it with Ctrl-C; another clone has its own"
            raise Unusable(f"make dev runs in this checkout already: {way_out}") from error
        yield
    finally:
        os.close(root)


@contextmanager
def _environment_file(stage: Stage) -> Iterator[None]:
    """Write the environment of the commands for `make shell` and for `.`, readable for nobody else; remove it in the end. A file that a
    killed demo left sets nothing and says why."""
    file = checkout() / ENVIRONMENT_FILE
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as written:
        written.write(f"kill -0 {os.getpid()} 2>/dev/null || {{ echo '{_ENDED}' >&2; return 1; }}\n")
        written.writelines(f"export {name}={value}\n" for name, value in _environment_of(stage).items())
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _environment_of(stage: Stage) -> dict[str, str]:
    """Return the environment of the commands, in shell syntax."""
    quoted = {
        "KUBECONFIG": stage.admin.kubeconfig,
        "OLGA": stage.cluster.person_kubeconfig(OWNER, stage.scratch, namespace=AGENTS),
        "CA": authority_file(stage),
        "ROLEVEND_URL": stage.api.url,
        "TOKENS": stage.tokens,
        "AUDIT": stage.evidence.audit,
        "RECEIPT_KEYS": stage.evidence.receipt_keys,
        "LOG": stage.evidence.logs,
        "PYTHON": sys.executable,
    }
    return {**{name: shlex.quote(str(value)) for name, value in quoted.items()}, "PATH": search_path(stage)}


def further(stage: Stage) -> list[str]:
    """Return further commands."""
    return [
        "# what the tables really hold:",
        f"psql {shlex.quote(superuser_uri(stage))}",
        "# what the operator does:",
        f"tail -f {shlex.quote(str(stage.operator.log))}",
        "# be the agent, not the administrator:",
        f"export KUBECONFIG={shlex.quote(str(stage.agent.kubeconfig))}",
    ]


def search_path(stage: Stage) -> str:
    """Return a PATH with the cluster's kubectl first; rolevend and psql last."""
    psql = postgres_programs(17, None, stage.scratch)
    return os.pathsep.join((shlex.quote(stage.cluster.binaries.search_path), "$PATH", *map(shlex.quote, (_environment(), str(psql)))))


def superuser_uri(stage: Stage) -> str:
    connection = stage.superuser
    where = f"{connection.host}:{connection.port}/{connection.database}"
    return f"postgresql://{connection.user}:{connection.password}@{where}?{urlencode(connection.options, safe='/')}"


def authority_file(stage: Stage) -> str:
    """Return the file with the database's certificate authority. In a pod that mounts the credential its path is in the `uri`."""
    return dict(stage.superuser.options)["sslrootcert"]


def _environment() -> str:
    """Return the folder of this Python environment's commands."""
    return str(Path(sys.executable).parent)
