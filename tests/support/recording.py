"""A site whose warehouse is the ledger, so that databases record the roles of the API."""

from collections.abc import Iterator
from contextlib import contextmanager

from rolevend.kinds.shared import RECORD
from tests.support.calling import Caller
from tests.support.ledger import become
from tests.support.site import AGENTS, Body, Site
from tests.support.waiting import eventually


@contextmanager
def recording(site: Site) -> Iterator[None]:
    """The warehouse is the ledger within."""
    for mode in ("Joining", "Enabled"):
        become(site, mode)
    yield
    for mode in ("Joining", "Disabled"):
        become(site, mode)


def first_recorded(caller: Caller) -> Body:
    """A recorded role. The first roles may be objects, because the operator builds their profile."""

    def recorded() -> Body | None:
        role = caller.vended()
        rows = caller.proven.site.warehouse.ask(f"SELECT record IS NOT NULL FROM rolevend.lease WHERE role = '{role['roleName']}'")
        if rows == [(True,)]:
            return role
        caller.release(role)
        return None

    return dict(eventually(recorded))


def shown(caller: Caller) -> list[Body]:
    """The VendedRoles that show recorded roles of the agent."""
    listed = caller.proven.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles?labelSelector={RECORD}")
    return [each for each in listed.body["items"] if each["spec"]["agentRef"]["name"] == caller.proven.tenant.name]
