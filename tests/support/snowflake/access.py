"""Who may do what, at one statement: the roles that are active now, and the privileges that they bring."""

from functools import cached_property

from tests.support.snowflake import refusals
from tests.support.snowflake.catalog import ACCOUNTADMIN, PUBLIC, Catalog, Member, Thing, depth, family
from tests.support.snowflake.reader import Name, shown
from tests.support.snowflake.sessions import Session
from tests.support.snowflake.switches import Switches


class Access:
    """For one statement of `session`: made anew for each, since roles come and go in sessions that are open."""

    def __init__(self, catalog: Catalog, session: Session, switches: Switches) -> None:
        self._catalog = catalog
        self._session = session
        self._switches = switches
        self.user = Member("USER", session.user)
        granted = set(catalog.roles_of(self.user))
        self.available = granted | {Member("ROLE", PUBLIC)}
        primary = Member("ROLE", session.role) if session.role else None
        if primary and catalog.find("ROLE", (primary.name,)) is None:
            primary = None
        if primary and switches.role_membership and primary not in catalog.below(iter(self.available)):
            primary = None
        self.primary = primary
        self.secondary = self._secondary(granted)
        self.of_primary = self._below({primary} if primary else set())
        self.active = self._below(self.secondary | ({primary} if primary else set()))

    def _below(self, roles: set[Member]) -> set[Member]:
        reached = self._catalog.below(iter(roles))
        return reached if self._switches.public_for_all or Member("ROLE", PUBLIC) in roles else reached - {Member("ROLE", PUBLIC)}

    def _secondary(self, granted: set[Member]) -> set[Member]:
        if not self._switches.secondary_roles or self._session.secondary == "NONE":
            return set()
        allowed = self._allowed_secondary()
        if self._session.secondary == "ALL":
            chosen = granted
            if not self._switches.fresh_secondary_roles:
                chosen = granted & {Member("ROLE", name) for name in self._session.parameters.get("ROLES_AT_LOGIN", ())}
        else:
            chosen = granted & {Member("ROLE", name) for name in self._session.secondary}
        return {role for role in chosen if role.kind == "ROLE" and (allowed is None or role.name in allowed)}

    def _allowed_secondary(self) -> tuple[str, ...] | None:
        """What a session policy allows; None for all. A user's policy replaces the account's."""
        if not self._switches.session_policies:
            return None
        user = self._catalog.find("USER", (self._session.user,))
        for holder in (user, self._catalog.account):
            if holder and (name := holder.policies.get("SESSION POLICY")):
                policy = self._catalog.find("SESSION POLICY", name)
                allowed = policy.settings.get("ALLOWED_SECONDARY_ROLES") if policy else None
                if policy and "BLOCKED_SECONDARY_ROLES" in policy.settings:
                    raise refusals.Unknown("BLOCKED_SECONDARY_ROLES")
                return None if allowed is None or allowed == ("ALL",) else tuple(allowed)
        return None

    @property
    def role(self) -> str | None:
        return self.primary.name if self.primary else None

    @property
    def all_secondary(self) -> bool:
        return self._session.secondary == "ALL" and self._allowed_secondary() is None

    def in_session(self, role: str) -> bool:
        """IS_ROLE_IN_SESSION"""
        roles = self.active if self._switches.marker_through_hierarchy else {self.primary}
        return Member("ROLE", role) in roles

    def whole(self, kind: str, name: Name) -> Name:
        """With the session's database and schema, where the name leaves them out."""
        wanted = depth(kind)
        if len(name) == wanted:
            return name
        before = (self._session.database, self._session.schema)[: wanted - 1][: wanted - len(name)]
        if len(name) > wanted or None in before:
            raise refusals.Refusal(
                "090105",
                "22000",
                "Cannot perform operation. This session does not have a current database. Call 'USE DATABASE', or use a qualified name.",
            )
        return (*(part for part in before if part is not None), *name)

    # What the active roles bring

    def owns(self, thing: Thing, *, members: set[Member] | None = None) -> bool:
        return Member("ROLE", thing.owner) in (self.active if members is None else members) or not self._switches.ownership

    def holds(self, privilege: str, thing: Thing, *, members: set[Member] | None = None, option: bool = False) -> bool:
        """Through ownership, a grant, or ALL."""
        if not self._switches.privileges:
            return True
        roles = self.active if members is None else members
        holders = roles | ({self.user} if self.all_secondary and members is None else set())
        if Member("ROLE", thing.owner) in roles:
            return True
        for one in (privilege, "ALL"):
            for member in holders:
                granted = self._catalog.privileges.get(member, {}).get((one, thing.kind, thing.name))
                if granted and (granted.option or not option):
                    return True
        return False

    def on_account(self, privilege: str, *, members: set[Member] | None = None) -> bool:
        held = (privilege, "ACCOUNT", ())
        roles = self.active if members is None else members
        return any(held in self._catalog.privileges.get(member, {}) for member in roles) or not self._switches.privileges

    def sees(self, thing: Thing) -> bool:
        """Owns it or has any privilege on it; ACCOUNTADMIN and whoever may manage grants see everything."""
        if thing.kind in ("ROLE", "USER"):
            return True
        if self.on_account("MANAGE GRANTS") or self.owns(thing) or not self._switches.privileges:
            return True
        return (family(thing.kind), thing.name) in self._known

    @cached_property
    def _known(self) -> set[tuple[str, Name]]:
        """What the active roles have any privilege on."""
        holders = self.active | ({self.user} if self.all_secondary else set())
        return {(family(kind), name) for member in holders for _, kind, name in self._catalog.privileges.get(member, {})}

    # Finding, or refusing

    def find(self, kind: str, name: Name) -> Thing | None:
        """What the active roles may know of."""
        whole = self.whole(kind, name)
        thing = self._catalog.find(kind, whole, self._session.id)
        if thing is None or not self.sees(thing):
            return None
        return thing if thing.session is not None or self.reaches(whole) else None

    def reaches(self, name: Name, *, members: set[Member] | None = None) -> bool:
        """USAGE on the database and schema of `name`."""
        for length, kind in ((1, "DATABASE"), (2, "SCHEMA")):
            if len(name) > length:
                above = self._catalog.find(kind, name[:length])
                if above is None or not (self.holds("USAGE", above, members=members) or self.on_account("MANAGE GRANTS")):
                    return False
        return True

    def get(self, kind: str, name: Name) -> Thing:
        thing = self.find(kind, name)
        if thing is None:
            raise refusals.missing(kind, shown(self.whole(kind, name)))
        return thing

    def owned(self, kind: str, name: Name) -> Thing:
        """What the active roles may alter and drop."""
        thing = self.get(kind, name)
        if not self.owns(thing):
            raise refusals.insufficient(thing.kind, shown(thing.name[-1:]))
        return thing

    def require(self, privilege: str, thing: Thing) -> None:
        if not self.holds(privilege, thing):
            raise refusals.insufficient(thing.kind, shown(thing.name[-1:]))

    def require_create(self, kind: str, name: Name) -> None:
        """CREATE is authorised by the primary role alone."""
        members = self.of_primary
        privilege = f"CREATE {kind}"
        if depth(kind) == 1:
            if not self.on_account(privilege, members=members):
                raise refusals.insufficient("ACCOUNT", self._session.parameters.get("ACCOUNT_NAME", "ACCOUNT"))
            return
        above_kind = "DATABASE" if depth(kind) == 2 else "SCHEMA"
        above = self.get(above_kind, name[:-1])
        if not self.holds(privilege, above, members=members):
            raise refusals.insufficient(above_kind, shown(above.name[-1:]))

    def may_grant(self, privilege: str, thing: Thing) -> bool:
        return (
            not self._switches.manage_grants
            or self.on_account("MANAGE GRANTS")
            or self.owns(thing)
            or self.holds(privilege, thing, option=True)
        )

    @property
    def admin(self) -> bool:
        return Member("ROLE", ACCOUNTADMIN) in self.active
