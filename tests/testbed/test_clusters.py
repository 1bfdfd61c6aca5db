"""Which cluster `make e2e` takes, and what it says where there is none."""

import os
from pathlib import Path

import pytest

from rolevend.policytools.embedded.errors import Unusable
from rolevend.policytools.embedded.progress import Silence
from tests.e2e.node.clusters import HOST, IMAGE, KUBECONFIG, MCP_IMAGE, PORTS, Kind, Named, choose, ports_for


def put(folder: Path, *programs: str) -> None:
    for name in programs:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


def test_a_cluster_that_is_named_comes_first(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.touch()
    images = {IMAGE: "mirror.example.org/vendor:0.2.0", MCP_IMAGE: "mirror.example.org/people/mcp:0.2.0"}
    named = {KUBECONFIG: str(kubeconfig), **images, HOST: "10.0.0.1"}

    chosen = choose(Silence(), [5432], named)

    assert isinstance(chosen, Named)
    assert chosen.provide("registry.example.org/rolevend:0.2.0", tmp_path) == images[IMAGE]
    assert chosen.provide("registry.example.org/rolevend-mcp:0.2.0", tmp_path, "clients/python/Dockerfile") == images[MCP_IMAGE]
    with pytest.raises(Unusable, match=r"MCP_IMAGE is .*: push it with the tag 0.3.0, which the chart asks for"):
        chosen.provide("registry.example.org/rolevend-mcp:0.3.0", tmp_path)


def test_a_cluster_that_is_named_needs_images_and_a_way_to_us() -> None:
    with pytest.raises(Unusable, match=f"{IMAGE} and {MCP_IMAGE} and {HOST} must say"):
        choose(Silence(), [5432], {KUBECONFIG: "/nowhere"})


def test_the_current_context_is_never_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Unusable, match=f"name one in {KUBECONFIG}"):
        choose(Silence(), [5432], {"KUBECONFIG": str(tmp_path)})


def test_kind_is_taken_where_docker_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "docker", "kind")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert isinstance(choose(Silence(), [5432], {}), Kind)


@pytest.mark.parametrize(("programs", "said"), [((), "a Docker that answers, with kind, or root on Debian"), (("docker",), "kind (https")])
def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: tuple[str, ...], said: str) -> None:
    put(tmp_path, *programs)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(Unusable) as raised:
        choose(Silence(), [5432], {})

    assert said in str(raised.value)


def test_ports_are_those_that_are_named_else_free_ones() -> None:
    assert ports_for(2, {PORTS: "5432, 8443"}) == (5432, 8443)
    assert len(set(ports_for(2, {}))) == 2


@pytest.mark.parametrize("named", ["5432", "5432,5432", "5432,8443,1", "5432,5432,8443", "5432,https", "5432,65536", "0,5432", ","])
def test_other_ports_than_that_are_refused(named: str) -> None:
    with pytest.raises(Unusable, match=f"{PORTS} is {named}: name 2 different ports"):
        ports_for(2, {PORTS: named})
