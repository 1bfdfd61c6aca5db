"""Each check of the stand-in, broken on purpose, is noticed by an attack: a check that could be left out would prove nothing."""

from dataclasses import fields

import pytest

from tests.support.snowflake import attacks, traits
from tests.support.snowflake.switches import Switches
from tests.support.snowflake.world import Attack, world

_NOTICED_BY: dict[str, Attack] = {
    "signatures": attacks.a_token_that_somebody_else_signed,
    "token_life": attacks.a_token_of_an_hour_ago,
    "disabled_users": attacks.a_session_of_a_user_that_is_disabled,
    "days_to_expiry": attacks.a_user_after_its_days,
    "privileges": attacks.the_lease_table_read,
    "ownership": attacks.the_body_of_the_policy_changed,
    "role_membership": attacks.use_role_of_another_vend,
    "secondary_roles": traits.secondary_roles_count,
    "fresh_secondary_roles": traits.a_role_that_is_granted_counts_in_sessions_that_are_open,
    "marker_through_hierarchy": attacks.rows_and_masks_of_the_own_role,
    "public_for_all": traits.what_public_may_everybody_may,
    "row_policies": attacks.rows_and_masks_of_the_own_role,
    "masks": attacks.rows_and_masks_of_the_own_role,
    "policies_bind_admins": traits.policies_bind_administrators_and_owners,
    "apply_privilege": attacks.the_policy_dropped_from_the_table,
    "owners_rights": attacks.rows_and_masks_of_the_own_role,
    "manage_grants": attacks.a_role_granted_to_oneself,
    "transfer_at_drop": attacks.what_a_dropped_role_owned,
    "invoker": traits.a_view_reads_with_its_owners_rights_and_the_policy_sees_its_owner,
    "session_policies": attacks.a_session_policy_that_is_turned_around,
    "masks_on_writes": attacks.a_copy_of_the_table,
    "temporary_is_private": attacks.a_temporary_table_of_another_session,
}


def test_every_check_can_be_broken_and_is_looked_after():
    assert {field.name for field in fields(Switches)} == set(_NOTICED_BY)


@pytest.mark.thinned(4, "full")
@pytest.mark.parametrize(("broken", "attack"), _NOTICED_BY.items(), ids=_NOTICED_BY)
def test_a_broken_check_is_noticed(broken: str, attack: Attack):
    with world() as attacked:
        setattr(attacked.stand_in.account.switches, broken, False)
        assert attack(attacked)
