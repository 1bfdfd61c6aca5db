"""Deploy canaries and remove them, whatever the checks do."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rolevend.platforms.attestation.canaries import AttestEnvironment
from rolevend.platforms.attestation.checks import while_wanted
from rolevend.platforms.attestation.tables import Profiles
from rolevend.platforms.protocol import Credential

_log = logging.getLogger(__name__)
CanariesT_co = TypeVar("CanariesT_co", covariant=True)


class CanaryDeployment(Protocol[CanariesT_co]):
    """The steps of a deployment that differ from platform to platform."""

    @property
    def environment(self) -> AttestEnvironment[Credential]: ...

    def begin(self) -> None:
        """Wait for another attestation of this cluster, or end it where the environment is `alone`, and remove what it left."""
        ...

    def create_tables(self, token: str) -> None:
        """Create the schema and its tables, with rows that contain the token."""
        ...

    def profiles(self) -> Profiles:
        """The profiles over these tables. Nothing is built yet."""
        ...

    def canaries(self, token: str, profiles: Profiles) -> CanariesT_co:
        """Nothing is vended yet."""
        ...

    def remove(self) -> None:
        """Remove all canaries of this cluster, those of a crashed attestation included. Raises the first error."""
        ...


@contextmanager
def deployed(deployment: CanaryDeployment[CanariesT_co]) -> Iterator[CanariesT_co]:
    """Create schema, tables and profiles, one attestation of a cluster at a time. Roles are vended when a check first needs them.

    Removes the remains of an earlier attestation first, and at the end everything. If the removal fails, the next attestation repeats it;
    the error is raised only if there is no other one.
    """
    environment = deployment.environment
    deployment.begin()
    try:
        token = environment.randomness(8).hex()
        deployment.create_tables(token)
        profiles = deployment.profiles()
        for profile in while_wanted(profiles, environment.wanted):
            environment.platform.ensure(profile)
        yield deployment.canaries(token, profiles)
    except BaseException:
        _remove_if_possible(deployment)
        raise
    deployment.remove()


def _remove_if_possible(deployment: CanaryDeployment[object]) -> None:
    """The next attestation begins with the same removal, and reports what prevents it."""
    try:
        deployment.remove()
    except Exception:
        _log.warning("canaries are left on the platform: the next attestation removes them", exc_info=True)
