"""Vend a role for a person who looks at rows, at the HTTP API, as any other agent does. I/O."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from pydantic import ValidationError

from rolevend.api.schemas import ProblemShown, VendedRoleShown
from rolevend.errors import InvalidInput
from rolevend.identity.key_fetching import trust
from rolevend.kinds.vended_role import TableName
from rolevend.settings import PREFIX

SECONDS: Final = 30
"""The lifetime of a role, if it is not released before."""
_ROLES: Final = "/v1/vended-roles"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=20)
_RELEASE: Final = aiohttp.ClientTimeout(total=10)
_LONGEST: Final = 4 * 1024 * 1024
"""Bytes of an answer."""

_log = logging.getLogger(__name__)


class ApiRefused(Exception):
    """The API vends no role. The text is its reason, for people."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class ApiAway(Exception):
    """The API does not answer, or cannot be trusted."""


class OwnRoles:
    def __init__(self, url: str, authority: Path | None) -> None:
        """`authority` is the file of the only authority that is trusted for the API; None: those of the system."""
        self._url = f"{url}{_ROLES}"
        self._authority = authority

    @asynccontextmanager
    async def vended(self, agent_token: str, user_token: str, platform: str, table: TableName, task: str) -> AsyncIterator[VendedRoleShown]:
        """Yield a role of the user for this one table. It ends with the block, or after SECONDS. Raises ApiRefused and ApiAway."""
        asked = {
            "userToken": user_token,
            "platforms": [platform],
            "resources": [{"schema": table.schema_name, "table": table.table}],
            "expirationSeconds": SECONDS,
            "task": {"id": task},
        }
        status, name, answer = await self._call("POST", self._url, agent_token, _TIMEOUT, asked)
        if status != 201:
            raise ApiRefused(status, _reason(answer))
        try:
            yield _role(answer)
        finally:
            await asyncio.shield(self._release(agent_token, name.rpartition("/")[2]))

    async def _release(self, agent_token: str, name: str) -> None:
        try:
            status, _, answer = await self._call("DELETE", f"{self._url}/{name}", agent_token, _RELEASE)
        except ApiAway as error:
            _log.warning("cannot release a role, which ends by itself: %s", error, extra={"role": name})
            return
        if status not in (202, 204, 404):
            _log.warning("cannot release a role, which ends by itself: %s", _reason(answer), extra={"role": name})

    async def _call(
        self, method: str, url: str, agent_token: str, timeout: aiohttp.ClientTimeout, body: dict[str, Any] | None = None
    ) -> tuple[int, str, bytes]:
        """Return the status, the header Location, and the body."""
        headers = {"Authorization": f"Bearer {agent_token}", "Accept": "application/json"}
        try:
            connector = aiohttp.TCPConnector(ssl=self._trust())
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session,
                session.request(method, url, json=body, allow_redirects=False) as response,
            ):
                content = bytearray()
                async for chunk in response.content.iter_chunked(64 * 1024):
                    content += chunk
                    if len(content) > _LONGEST:
                        raise ApiAway("its answer is too long")
                return response.status, response.headers.get("Location", ""), bytes(content)
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError, InvalidInput) as error:
            raise ApiAway(str(error) or type(error).__name__) from error

    def _trust(self) -> Any:
        """Read the authority, which may have changed."""
        if self._authority is None:
            return True
        try:
            return trust(self._authority.read_text())
        except (OSError, UnicodeError) as error:
            raise InvalidInput(f"{PREFIX}CONSOLE_ROWS_API_CA_FILE", f"{self._authority} cannot be read: {error}") from error


def _role(answer: bytes) -> VendedRoleShown:
    try:
        return VendedRoleShown.model_validate_json(answer)
    except ValidationError:  # its text may hold the password
        raise ApiAway("its answer cannot be read") from None


def _reason(answer: bytes) -> str:
    try:
        return ProblemShown.model_validate_json(answer).detail
    except ValidationError:
        return "its answer cannot be read"
