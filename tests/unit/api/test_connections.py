"""The limits of connections, as far as no server is needed: who makes room, and that both servers have the same limits."""

from pathlib import Path
from typing import Any

import pytest

from rolevend.api import connections as of_the_api
from rolevend.api.connections import Crowd
from rolevend_client.mcp import connections as of_the_mcp_server


class Fake:
    """A connection that only waits, or is answered."""

    def __init__(self, crowd: Crowd, *, waits: bool) -> None:
        self._crowd = crowd
        self.waits_for_client = waits
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True
        self._crowd.discard(self)  # type: ignore[arg-type]


def crowd_of(*waiting: bool, clock: Any = lambda: 0.0) -> tuple[Crowd, list[Fake]]:
    crowd = Crowd(len(waiting), clock)
    fakes = [Fake(crowd, waits=each) for each in waiting]
    for each in fakes:
        crowd.add(each)  # type: ignore[arg-type]
    return crowd, fakes


def test_both_servers_have_the_same_limits_word_by_word():
    first, second = (Path(str(each.__file__)).read_text() for each in (of_the_api, of_the_mcp_server))

    assert first == second


def test_the_oldest_that_waits_for_its_client_makes_room():
    crowd, fakes = crowd_of(False, True, True)

    assert crowd.make_room()

    assert [each.aborted for each in fakes] == [False, True, False]


def test_a_call_that_is_answered_makes_no_room():
    crowd, fakes = crowd_of(False, False)

    assert not crowd.make_room()

    assert not any(each.aborted for each in fakes)


def test_one_that_has_shown_its_token_is_no_part_of_the_crowd():
    crowd, (first, second) = crowd_of(True, True)

    crowd.discard(first)  # type: ignore[arg-type]

    assert crowd.make_room()
    assert not second.aborted


def test_a_flood_is_logged_once_a_minute_with_how_many_were_dropped(caplog: pytest.LogCaptureFixture):
    seconds = [0.0]
    crowd, _ = crowd_of(False, clock=lambda: seconds[0])

    for now in (0.0, 1.0, 2.0, 61.0):
        seconds[0] = now
        crowd.make_room()

    assert [each.getMessage() for each in caplog.records] == [
        "more than 1 connections show no valid token: 1 were dropped",
        "more than 1 connections show no valid token: 3 were dropped",
    ]
