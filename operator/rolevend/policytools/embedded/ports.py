"""Free TCP ports on 127.0.0.1 that stay free while their server is down."""

import atexit
import random
import socket
from contextlib import ExitStack
from pathlib import Path

from rolevend.policytools.embedded.errors import Unusable

HOST = "127.0.0.1"

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST_UNPRIVILEGED = 10_000
_ATTEMPTS = 1_000


def free_ports(count: int) -> tuple[int, ...]:
    """Return `count` different free ports. Raises Unusable if there are too few.

    Excludes ports for outgoing connections (so no ``bind`` to port 0): while a fault test has a server stopped, any
    connection can take such a port, even a client's own attempt to reach the server. Neither this process nor another one gets a port twice
    while this process lives: its server may not listen yet.
    """
    below = int(_EPHEMERAL.read_text().split()[0])
    if below <= _FIRST_UNPRIVILEGED + count:
        below = 32_768
    chance = random.SystemRandom()
    with ExitStack() as held:
        ports: list[int] = []
        for _ in range(_ATTEMPTS):
            port = chance.randrange(_FIRST_UNPRIVILEGED, below)
            candidate = held.enter_context(socket.socket())
            try:
                candidate.bind((HOST, port))
                reserve_port(port)
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return tuple(ports)
    raise Unusable(f"there are no {count} free ports on {HOST} between {_FIRST_UNPRIVILEGED} and {below}")


def reserve_port(port: int) -> None:
    """Reserve the port for this process, until it ends. Raises OSError if a process has it, also this one.

    The mark is a socket of Linux's abstract namespace: the kernel removes it with the process.
    """
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind(f"\0rolevend-port-{port}")
    except OSError:
        mark.close()
        raise
    atexit.register(mark.close)
