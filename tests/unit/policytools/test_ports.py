"""A port is given once, to this process and to others, while this process lives."""

import subprocess
import sys

import pytest

from rolevend.policytools.embedded.ports import free_ports, reserve_port

_RESERVE = "import sys; from rolevend.policytools.embedded.ports import reserve_port; reserve_port(int(sys.argv[1]))"


def reserved_elsewhere(port: int) -> str:
    """Return the error of another process that reserves the port."""
    command = [sys.executable, "-c", _RESERVE, str(port)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_a_port_that_is_given_is_given_to_nobody_else():
    (given,) = free_ports(1)

    with pytest.raises(OSError, match="Address already in use"):
        reserve_port(given)
    assert "Address already in use" in reserved_elsewhere(given)


def test_a_process_that_ends_gives_its_ports_back():
    ask = "from rolevend.policytools.embedded.ports import free_ports; print(free_ports(1)[0])"
    port = int(subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout)

    assert reserved_elsewhere(port) == ""
