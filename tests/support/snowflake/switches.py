"""Each check of the stand-in can be broken on purpose: a test that does not notice it proves nothing."""

from dataclasses import dataclass


@dataclass(slots=True)
class Switches:
    """All on: the model as it is meant. `tests/snowflake/test_switches.py` breaks them one by one."""

    signatures: bool = True
    """A login's JWT is signed by the user's key."""
    token_life: bool = True
    """A login's JWT has not expired."""
    disabled_users: bool = True
    """A disabled user is locked out, and what it runs is aborted."""
    privileges: bool = True
    """Statements need their privileges."""
    ownership: bool = True
    """Only the owner, or whoever holds its role, may alter and drop."""
    role_membership: bool = True
    """USE ROLE needs the role."""
    secondary_roles: bool = True
    """Secondary roles count."""
    fresh_secondary_roles: bool = True
    """ALL is looked up again for every statement."""
    marker_through_hierarchy: bool = True
    """IS_ROLE_IN_SESSION looks down the hierarchy of all roles that are active."""
    public_for_all: bool = True
    """PUBLIC is inherited by everybody."""
    row_policies: bool = True
    """Row access policies filter."""
    masks: bool = True
    """Masking policies mask."""
    policies_bind_admins: bool = True
    """Policies bind ACCOUNTADMIN and the owner of the table, too."""
    apply_privilege: bool = True
    """A table's policy may be set or dropped only with APPLY."""
    owners_rights: bool = True
    """The body of a policy reads with the rights of its owner."""
    manage_grants: bool = True
    """Only the owner, a grant option or MANAGE GRANTS may grant."""
    transfer_at_drop: bool = True
    """What a dropped role owned goes to the role that drops it."""
    invoker: bool = True
    """INVOKER_ROLE is the owner of the view that reads."""
    days_to_expiry: bool = True
    """A user whose days are over is locked out."""
    session_policies: bool = True
    """A session policy with ALLOWED_SECONDARY_ROLES = () turns them off."""
    masks_on_writes: bool = True
    """CREATE TABLE AS and INSERT … SELECT read through the policies."""
    temporary_is_private: bool = True
    """A temporary table is seen by its session alone."""
