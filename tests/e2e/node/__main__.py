"""The node by hand: ``python -m tests.e2e.node up`` until Ctrl-C, ``clean`` after one that was killed, ``forget`` to free its disk."""

import shlex
import signal
import sys
from collections.abc import Sequence

from rolevend.policytools.embedded.errors import BenchError
from rolevend.policytools.embedded.progress import progress_for
from testbed.installation import checkout
from tests.e2e.node.node import Node


def main(arguments: Sequence[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell lets what it runs in the background ignore them
        signal.signal(number, signal.default_int_handler)
    try:
        match arguments:
            case ["up", *ports]:
                _up([int(port) for port in ports])
            case ["clean"]:
                Node(progress_for()).clean()
            case ["forget"]:
                Node(progress_for()).forget()
            case _:
                print("usage: python -m tests.e2e.node up [PORT of the machine that pods may reach …] | clean | forget", file=sys.stderr)
                return 2
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _up(ports: Sequence[int]) -> None:
    with Node(progress_for(), exposed=ports) as node:
        node.provide("registry.example.org/rolevend:0.2.0", checkout())
        print(f"export KUBECONFIG={shlex.quote(str(node.kubeconfig))} PATH={node.binaries.search_path}:$PATH")
        print(f"Pods reach {', '.join(f'{node.host}:{port}' for port in ports) or 'no port of this machine'}. Ctrl-C ends the node.")
        signal.pause()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
