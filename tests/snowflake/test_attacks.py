"""Attacks on a governed account, by using roles, on the stand-in as it is meant. It is a model of Snowflake, and not Snowflake."""

import pytest

from tests.support.snowflake.attacks import ATTACKS
from tests.support.snowflake.traits import TRAITS
from tests.support.snowflake.world import Named, world


@pytest.mark.parametrize("named", ATTACKS, ids=lambda named: named.name)
def test_an_attack_gets_nothing(named: Named):
    with world() as attacked:
        assert not named.attack(attacked)


@pytest.mark.parametrize("named", TRAITS, ids=lambda named: named.name)
def test_what_an_attacker_finds_on_snowflake_is_there(named: Named):
    with world() as attacked:
        assert not named.attack(attacked)
