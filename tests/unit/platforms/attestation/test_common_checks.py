"""Checks of every platform: a request that the platform did not decide proves nothing, and is no leak."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from rolevend.errors import Conflict, PlatformUnavailable
from rolevend.model import RoleName, Uid
from rolevend.platforms.attestation import common_checks
from rolevend.platforms.attestation.common_checks import AnyCanaries, Test
from rolevend.platforms.protocol import DropResult

ROLE = RoleName("IMMUTA_VENDED_CANARY_LEAVER_A")
LEAVER = SimpleNamespace(lease=SimpleNamespace(role=ROLE, uid=Uid("a")))


def canaries(error: Exception) -> AnyCanaries:
    """Each vend and each drop ends with this error."""
    dropped = DropResult(ROLE, error)
    platform = SimpleNamespace(drop=lambda _: [dropped])
    found: Any = SimpleNamespace(
        environment=SimpleNamespace(platform=platform),
        bob=LEAVER,
        released=SimpleNamespace(canary=LEAVER, dropped=dropped),
        vend_error=lambda _: error,
    )
    return cast(AnyCanaries, found)


REFUSED = (common_checks.vend_after_release, common_checks.drop_with_another_uid)


@pytest.mark.parametrize("test", [common_checks.released_role_is_gone, *REFUSED])
def test_what_the_platform_did_not_decide_is_no_result(test: Test):
    with pytest.raises(PlatformUnavailable, match="restarts"):
        test(canaries(PlatformUnavailable("restarts")))


@pytest.mark.parametrize("test", REFUSED)
def test_a_conflict_keeps_the_promise(test: Test):
    assert test(canaries(Conflict("another vend"))) == ""
