"""What a new picture means for roles that are there: narrower ends them, not knowing does not, and who waited is taken up again."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

from rolevend.errors import ClusterUnavailable
from rolevend.model import Attributes
from rolevend.reconcile.lifecycle import Lifecycle
from rolevend.reconcile.review import Review
from rolevend.reconcile.roles import Standing
from rolevend.reconcile.status import verdict_of
from tests.support.registered import MINE, NOW, REQUEST, WAREHOUSE, directory, granted, shapes


@dataclass
class Acts:
    """A lifecycle that only notes what it is asked for."""

    roles: list[Standing]
    failing: bool = False
    revoked: list[str] = field(default_factory=list)
    reconsidered: list[str] = field(default_factory=list)

    async def revoke(self, standing: Standing, by: str, message: str) -> None:
        self.revoked.append(message)
        if self.failing:
            raise ClusterUnavailable("no answer")

    async def reconsider(self, standing: Standing, why: str) -> None:
        self.reconsidered.append(why)


def waiting(verdict: tuple[str, str] = ("", "")) -> Standing:
    return Standing(REQUEST, ready=False, ending_since=None, role=None, profile="", attributes=Attributes(), verdict=verdict)


def live(*, after_restart: bool = False) -> Standing:
    held = granted()
    return Standing(
        REQUEST,
        ready=True,
        ending_since=None,
        role=held.lease.role,
        profile=held.profile.name,
        attributes=held.lease.attributes,
        verdict=verdict_of(held),
        granted=None if after_restart else held,
    )


async def reviewed(standing: Standing, *, failing: bool = False, **changes: Any) -> Acts:
    acts = Acts([standing], failing)
    await Review(cast(Lifecycle, acts), lambda: directory(**changes)).review()
    return acts


async def test_a_role_whose_grants_stand_is_left_alone_also_after_a_restart():
    for standing in (live(), live(after_restart=True)):
        acts = await reviewed(standing)

        assert (acts.revoked, acts.reconsidered) == ([], [])


async def test_a_role_whose_grant_is_gone_is_revoked_with_the_reason():
    for standing in (live(), live(after_restart=True)):
        (why,) = (await reviewed(standing, shapes={WAREHOUSE: shapes()})).revoked

        assert why == "no policy covers the user; no policy is in force here"


async def test_a_role_that_would_be_made_otherwise_now_is_revoked():
    narrower = {"shapes": {WAREHOUSE: shapes(replace(MINE, row_filter=None))}}

    assert (await reviewed(live(), **narrower)).revoked
    assert (await reviewed(live(after_restart=True), **narrower)).revoked


async def test_not_knowing_ends_nothing():
    for change in ({"pending": "starting"}, {"shapes": {}}, {"platforms": {}}):
        assert not (await reviewed(live(), **change)).revoked


async def test_what_is_ending_already_is_not_ended_again():
    assert not (await reviewed(replace(live(), ending_since=NOW), agents={})).revoked


async def test_a_request_is_taken_up_again_when_its_verdict_changes_and_only_then():
    assert (await reviewed(waiting(("False", "no policy covers the user")))).reconsidered
    unchanged = verdict_of(directory(agents={}).verdict(REQUEST))
    assert not (await reviewed(waiting(unchanged), agents={})).reconsidered


async def test_a_revocation_that_fails_keeps_no_other_from_happening():
    acts = Acts([live(), live()], failing=True)

    await Review(cast(Lifecycle, acts), lambda: directory(agents={})).review()

    assert len(acts.revoked) == 2
