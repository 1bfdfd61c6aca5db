"""`rolevend demo --dev`: leaves everything up, and says what to try. What it prints works as it is printed."""

import shlex
import shutil
import sys
from pathlib import Path

from rolevend.demo.checks import ANNA
from rolevend.demo.installation import checkout
from rolevend.demo.stage import AGENTS, EXAMPLE, Stage
from rolevend.demo.telling import Teller

_POLL_SECONDS = 3600.0


def wait(stage: Stage, tell: Teller) -> int:
    """Return only if a part ends by itself, with an error; Ctrl-C ends it well."""
    tell.say()
    tell.title("Everything is up. In another terminal:")
    tell.say()
    for line in commands(stage):
        tell.say(line)
    tell.say()
    tell.title("Ctrl-C here ends all of it.")
    try:
        while not stage.operator.process.wait(_POLL_SECONDS):
            pass
    except KeyboardInterrupt:
        tell.say()
        return 0
    stage.operator.process.check()
    return 1


def commands(stage: Stage) -> list[str]:
    secret = f"kubectl get secret {ANNA.name} -n {AGENTS} -o go-template='{{{{.data.uri | base64decode}}}}'"
    return [
        f"cd {shlex.quote(str(checkout()))}",
        f"export KUBECONFIG={shlex.quote(str(stage.admin.kubeconfig))} PATH={shlex.quote(stage.cluster.binaries.search_path)}:$PATH",
        "",
        f"kubectl apply -f {EXAMPLE}",
        f"kubectl wait --for=condition=Ready -n {AGENTS} vendedrole --all",
        f"kubectl get vr -n {AGENTS}",
        login(f"$({secret})", "SELECT full_name, ssn, birth_date, country FROM people LIMIT 3"),
    ]


def login(uri: str, question: str) -> str:
    """A line that asks `question` with whatever can: psql where it is installed, else the driver that is here anyway."""
    if shutil.which("psql"):
        return f'psql "{uri}" -c {shlex.quote(question)}'
    program = "import psycopg, sys; print(*psycopg.connect(sys.argv[1]).execute(sys.argv[2]).fetchall(), sep='\\n')"
    python = Path(sys.executable)
    shown = python.relative_to(checkout()) if python.is_relative_to(checkout()) else python
    return f'{shlex.quote(str(shown))} -c "{program}" "{uri}" {shlex.quote(question)}'
