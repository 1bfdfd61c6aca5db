"""Ask platforms what their roles run now. I/O.

The console asks by a login that can do nothing else, which a DataPlatform names for it. A platform that does not answer holds up no page,
and no question to another one.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rolevend.errors import ClusterUnavailable, RolevendError
from rolevend.kinds import DataPlatform, parse, values
from rolevend.kube.certificate_authorities import authority
from rolevend.kube.client import KubeClient, NotFound, path_of
from rolevend.kube.platform_logins import login
from rolevend.platforms.postgres import PostgresLogin
from rolevend.platforms.postgres.observing import RoleSession, sessions_of

_SECONDS: Final = 5.0
_THREADS: Final = 2
"""Questions to one platform at a time; others wait. The login has ten connections, for all replicas."""
_LOGIN: Final = "spec.credentials.observerSecretRef"
_AUTHORITY: Final = "spec.postgres.tls.caSecretRef"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlatformAnswer:
    platform: str
    sessions: Sequence[RoleSession] = ()
    reason: str | None = None
    """Why there is no answer, for people."""


class _Untold(Exception):
    """The platform cannot be asked; the text says why."""


class PlatformObserver:
    def __init__(self, cluster: KubeClient, namespace: str, now: Callable[[], datetime]) -> None:
        """`namespace` has the Secrets."""
        self._cluster = cluster
        self._namespace = namespace
        self._now = now
        self._threads: dict[str, ThreadPoolExecutor] = {}

    async def ask(self, platform: str, roles: Sequence[str], characters: int) -> PlatformAnswer:
        """Return the sessions of these roles, with so many characters of each statement. Raises ClusterUnavailable."""
        try:
            async with asyncio.timeout(_SECONDS):
                return PlatformAnswer(platform, await self._ask(platform, roles, characters))
        except _Untold as untold:
            return PlatformAnswer(platform, reason=str(untold))
        except TimeoutError:
            _log.warning("platform %s does not say what runs within %s s", platform, _SECONDS)
        except ClusterUnavailable:
            raise
        except RolevendError as error:
            _log.warning("platform %s does not say what runs: %s", platform, error)
        return PlatformAnswer(platform, reason="It does not answer now, or the console may not ask it. The console's log has the reason.")

    async def _ask(self, name: str, roles: Sequence[str], characters: int) -> list[RoleSession]:
        try:
            platform = parse(DataPlatform, await self._cluster.get(path_of(DataPlatform), name), unknown="ignore")
        except NotFound as error:
            raise _Untold("There is no such platform any more.") from error
        if platform.spec.postgres is None:
            raise _Untold("Snowflake shows running statements itself, in its query history.")
        ref, trusted = platform.spec.credentials.observer_secret_ref, platform.spec.postgres.tls.ca_secret_ref
        if ref is None:
            raise _Untold("It has no login for the console to look with: its administrator can add one.")
        known = await login(self._cluster, self._namespace, ref.name, _LOGIN)
        certificates = None
        if trusted is not None:
            found = await authority(self._cluster, self._namespace, trusted.name, trusted.key, _AUTHORITY, self._now())
            certificates = found.certificates
        address, observer = values.address(platform, certificates), PostgresLogin(known.username, known.password)
        threads = self._threads.setdefault(name, ThreadPoolExecutor(_THREADS, f"observe-{name}"))
        return await asyncio.get_running_loop().run_in_executor(threads, sessions_of, address, observer, roles, characters)
