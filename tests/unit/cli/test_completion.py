"""A shell completes the names of objects, and no name that the shell would run."""

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread, Timer
from typing import Any, ClassVar

import pytest
import yaml
from click.testing import CliRunner, Result

from rolevend.cli import cli
from tests.support.manifests import changed, valid
from tests.support.waiting import DEADLINE, eventually

EXAMPLE = str(Path(__file__).parents[3] / "examples" / "02-policy-as-code")


def answered(words: str, shell: str = "bash") -> Result:
    begun = words.rpartition(" ")[2]
    number = str(words.count(" ")) if shell != "fish" else begun
    environment = {"_ROLEVEND_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": number, "KUBECONFIG": "/nowhere"}
    return CliRunner().invoke(cli, [], prog_name="rolevend", env=environment, complete_var="_ROLEVEND_COMPLETE")


def completed(shell: str, words: str) -> list[str]:
    """Return what a shell is offered for the last of these words."""
    answer = answered(words, shell)
    lines = answer.stdout.splitlines()
    return lines[1::3] if shell == "zsh" else [line.removeprefix("plain,") for line in lines if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (f"explain --files {EXAMPLE} -n agents --agent f", ["finbot"]),
        (f"explain --files {EXAMPLE} -n elsewhere --agent f", []),
        (f"explain --files {EXAMPLE} --agent f", []),
        (f"explain --files {EXAMPLE} --user a", ["anna"]),
        (f"explain --files {EXAMPLE} --issuer h", ["https://idp.example.org"]),
        (f"access t --could --files {EXAMPLE} --agent a", ["agents/finbot"]),
        (f"access t --could --files {EXAMPLE} --platform w", ["warehouse"]),
        ("revoke --agent a", []),
        ("platform attest w", []),
        ("who I", []),
    ],
)
def test_names_are_those_of_the_files_and_without_a_cluster_there_are_none(shell: str, words: str, offered: list[str]):
    assert completed(shell, f"rolevend {words}") == offered


HOSTILE = [
    "ana$(id)",
    "ana`id`",
    "ana;id",
    "ana|id",
    "ana*",
    "ana b",
    "ana'",
    'ana"',
    "ana\\",
    "ana&",
    "ana>x",
    "ana,b",
    "ana~",
    "ana#",
    "ána",
    "ana{1,2}",
]


def test_a_name_that_a_shell_would_run_split_or_expand_is_not_offered(tmp_path: Path):
    people = [
        changed(changed(valid("UserAttributes"), "metadata.name", f"user-{number}"), "spec.user.subject", subject)
        for number, subject in enumerate([*HOSTILE, "-ana", "~ana", "anna", "ana@example.org"])
    ]
    (tmp_path / "people.yaml").write_text(yaml.safe_dump_all(people))

    assert completed("bash", f"rolevend explain --files {tmp_path} --user ") == ["ana@example.org", "anna"]


@pytest.mark.parametrize("written", ["~/policies", "$HOME/policies", "${HOME}/policies"])
def test_a_folder_is_found_as_the_shell_would_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str):
    (tmp_path / "policies").symlink_to(EXAMPLE)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert completed("bash", f"rolevend explain --files {written} --user a") == ["anna"]


KUBECONFIG: dict[str, Any] = {
    "current-context": "here",
    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "me", "user": {}}],
}
PLUGIN = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh"}


def with_plugin(script: str) -> dict[str, Any]:
    return KUBECONFIG | {"users": [{"name": "me", "user": {"exec": PLUGIN | {"args": ["-c", script]}}}]}


def with_server(address: object) -> dict[str, Any]:
    return KUBECONFIG | {"clusters": [{"name": "here", "cluster": {"server": address}}]}


EMPTY_CREDENTIAL = json.dumps({"apiVersion": PLUGIN["apiVersion"], "kind": "ExecCredential", "status": {}})


@pytest.mark.parametrize(
    "kubeconfig",
    [
        KUBECONFIG | {"contexts": 7},
        with_server(7),
        with_server("http://[::1"),
        with_plugin("echo who are you >&2; exit 1"),
        with_plugin(f"echo '{EMPTY_CREDENTIAL}'"),
        with_plugin("echo not JSON"),
        KUBECONFIG | {"users": [{"name": "me", "user": {"exec": PLUGIN | {"command": "/no/such/plugin"}}}]},
    ],
)
def test_a_broken_kubeconfig_offers_nothing_and_prints_nothing_into_the_line(tmp_path: Path, kubeconfig: dict[str, Any]):
    (tmp_path / "config").write_text(json.dumps(kubeconfig))

    answer = answered(f"rolevend explain --kubeconfig {tmp_path}/config --user a")

    assert (answer.exit_code, answer.stdout.strip(), answer.stderr) == (0, "", "")


class Answers(BaseHTTPRequestHandler):
    """Of an API server, by the name of the context."""

    said: ClassVar[dict[str, bytes]] = {
        "/portal": b"<html>please log in</html>",
        "/odd": b'{"items": [{"spec": 7}], "metadata": {"resourceVersion": "1"}}',
        "/endless": b'{"items": [], "metadata": {"continue": "more", "resourceVersion": "1"}}',
    }

    def do_GET(self) -> None:
        body = next(body for path, body in self.said.items() if self.path.startswith(path))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


class AnswersServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Print nothing: a client that gave up closes its connection in the middle of an answer."""


@pytest.mark.parametrize("answer", Answers.said)
def test_no_answer_of_a_server_keeps_the_shell_or_is_shown(tmp_path: Path, answer: str):
    with AnswersServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "config").write_text(json.dumps(with_server(f"http://127.0.0.1:{server.server_port}{answer}")))

        said = answered(f"rolevend explain --kubeconfig {tmp_path}/config --user a")
        server.shutdown()

    assert (said.exit_code, said.stdout.strip(), said.stderr) == (0, "", "")


@pytest.mark.long
@pytest.mark.parametrize("command", ["explain --user a", "approve a"])
def test_a_plugin_that_waits_gets_no_key_and_is_ended(tmp_path: Path, command: str):
    """It would ask for a password, and read what the person types next."""
    (tmp_path / "config").write_text(json.dumps(with_plugin(f"cat > {tmp_path}/typed; echo $$ > {tmp_path}/pid; exec sleep 3600")))
    words = f"rolevend {command.split()[0]} --kubeconfig {tmp_path}/config {command.split(' ', 1)[1]}"

    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['rolevend']; from rolevend.cli import main; main()"],
        env=os.environ | {"_ROLEVEND_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))},
        input="a key",
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
    assert (tmp_path / "typed").read_text() == ""
    eventually(lambda: not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists())


def typed_in_bash(folder: Path, *lines: str) -> list[str]:
    """Return the lines that a person gets who presses these keys in bash. `rolevend` prints its words there."""
    shim = folder / "bin" / "rolevend"
    shim.parent.mkdir()
    shim.write_text(
        f"#!{sys.executable}\nimport os, sys\nsys.argv[0] = 'rolevend'\n"
        "if '_ROLEVEND_COMPLETE' not in os.environ:\n    print('line:', *sys.argv[1:], ':end')\n    sys.exit()\n"
        "from rolevend.cli import main\nmain()\n"
    )
    shim.chmod(0o755)
    start = folder / "start"
    start.write_text('PS1=\nbind "set bell-style none"\neval "$(_ROLEVEND_COMPLETE=bash_source rolevend)"\n')
    ours, theirs = pty.openpty()
    environment = os.environ | {"PATH": f"{shim.parent}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(folder)}
    with (
        os.fdopen(ours, "r+b", buffering=0) as terminal,
        subprocess.Popen(["bash", "--rcfile", start, "-i"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as bash,
    ):
        os.close(theirs)
        clock = Timer(DEADLINE, bash.kill)
        clock.start()
        terminal.write("".join(f"{line}\n" for line in (*lines, "exit")).encode())
        said = b""
        with suppress(OSError):  # the end of the terminal
            while some := terminal.read(4096):
                said += some
        clock.cancel()
    return re.findall(r"^line: (.*) :end", said.decode(), re.MULTILINE)


@pytest.mark.long
def test_bash_completes_names_with_the_characters_at_which_it_breaks_words(tmp_path: Path):
    issuer = "https://idp.example.org"
    people = [
        changed(changed(valid("UserAttributes"), "metadata.name", f"user-{number}"), "spec.user", {"issuer": issuer, "subject": subject})
        for number, subject in enumerate(["anna@example.org", "anna@other.example", "bob"])
    ]
    (tmp_path / "people.yaml").write_text(yaml.safe_dump_all(people))
    lines = {
        "--user anna@o\t": "--user anna@other.example",
        "--user=anna@o\t": "--user=anna@other.example",
        "--user 'anna@o\t": "--user anna@other.example",
        "--issuer https:\t": f"--issuer {issuer}",
        f"--issuer {issuer} --user b\t": f"--issuer {issuer} --user bob",
    }

    typed = typed_in_bash(tmp_path, *(f"rolevend explain --files={tmp_path} {keys}" for keys in lines))

    assert typed == [f"explain --files={tmp_path} {line}" for line in lines.values()]


def test_a_line_that_bash_completes_runs_nothing(tmp_path: Path):
    made = tmp_path / "made"
    people = [
        changed(changed(valid("UserAttributes"), "metadata.name", f"user-{number}"), "spec.user.subject", subject)
        for number, subject in enumerate([f"a$(touch${{IFS}}{made})", "anna"])
    ]
    (tmp_path / "people.yaml").write_text(yaml.safe_dump_all(people))

    assert typed_in_bash(tmp_path, f"rolevend explain --files {tmp_path} --user a\t") == [f"explain --files {tmp_path} --user anna"]
    assert not made.exists()
