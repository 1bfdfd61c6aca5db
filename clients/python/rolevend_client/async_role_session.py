"""A session of one person: queries under at most one role at a time, which is vended when it is needed, and again after its end."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from datetime import UTC, datetime
from typing import Any, Self

from rolevend_client.active_roles import unwinding
from rolevend_client.async_role import AsyncRole
from rolevend_client.errors import Denied, Refused, RoleEnded, RolevendError
from rolevend_client.rows import Rows
from rolevend_client.values import User, UserToken
from rolevend_client.waiting import AsyncLock, AsyncUserTokens, async_token_of, async_uncancellable

MOST_EARLY_ENDS = 3
"""So many roles in a row may end before their expiry; after the next one the session is over."""
_TAKE_ANOTHER = frozenset({"TokenReplayed", "TokenExpired", "TokenTooOld"})
"""Codes of refusals that another token of the same person can change."""
_log = logging.getLogger("rolevend_client")


class AsyncRoleSession:
    """Tasks of one event loop may share an AsyncRoleSession, and threads a RoleSession. The end of its block releases the role.

    The session is over after a denial, after MOST_EARLY_ENDS roles that did not live until their expiry, or after a token of another
    person: each later call raises the same error. Begin another session if the person is to try again.
    """

    def __init__(self, vend: Callable[[UserToken], AbstractAsyncContextManager[AsyncRole]], user_tokens: AsyncUserTokens) -> None:
        """`user_tokens` is called for each role. A token alone is enough for one role."""
        self._vend = vend
        self._user_tokens = user_tokens
        self._lock = AsyncLock()
        self._role: AsyncRole | None = None
        self._user: User | None = None
        self._early_ends = 0
        self._over: RolevendError | None = None
        self._of_role = AsyncExitStack()
        self._of_block = AsyncExitStack()

    async def role(self) -> AsyncRole:
        """Return the role of now. Vends one if there is none, or the last one is known to have ended."""
        async with self._lock:
            if self._over is not None:
                raise self._over.with_traceback(None)
            if self._role is not None and self._role.ended is None:
                return self._role
            self._judge(await self._leave())
            self._role = await self._vended()
            return self._role

    async def query(self, statement: str, parameters: Any = None, **options: Any) -> Rows:
        """Run one statement as `role.query` does. If the role ends meanwhile, run it once more under the next one. Raises `RoleEnded` if it
        may have run."""
        try:
            return await (await self.role()).query(statement, parameters, **options)
        except RoleEnded as ended:
            if ended.may_have_run:
                raise
            return await (await self.role()).query(statement, parameters, **options)

    async def dataframe(self, statement: str, parameters: Any = None, **options: Any) -> Any:
        """Return a data frame as `role.dataframe` does. If the role ends meanwhile, run the statement once more under the next one.
        Raises `RoleEnded` if it may have run."""
        try:
            return await (await self.role()).dataframe(statement, parameters, **options)
        except RoleEnded as ended:
            if ended.may_have_run:
                raise
            return await (await self.role()).dataframe(statement, parameters, **options)

    async def stream(self, statement: str, parameters: Any = None, **options: Any) -> AsyncIterator[tuple[Any, ...]]:
        """Yield rows as `role.stream` does. Raises `RoleEnded` if the role ends after the first row."""
        for may_repeat in (True, False):
            try:
                rows: Any = (await self.role()).stream(statement, parameters, **options)
                async with aclosing(rows):
                    async for row in rows:
                        may_repeat = False  # the rows of two roles must not be mixed
                        yield row
            except RoleEnded:
                if may_repeat:
                    continue
                raise
            return

    async def release(self) -> bool:
        """Release the role, if there is one, and return True. The next query vends another one."""
        async with self._lock:
            had_one = self._role is not None
            await self._leave()
            return had_one

    async def __aenter__(self) -> Self:
        self._of_block.enter_context(unwinding.held())  # here, because only the main thread can
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._finish()
        finally:
            await self._of_block.aclose()

    @async_uncancellable
    async def _finish(self) -> None:
        async with self._lock:
            self._over = self._over or RoleEnded("Released", datetime.now(UTC))
            await self._leave()

    async def _leave(self) -> RoleEnded | None:
        """Release the role. Returns its end if it was one already."""
        role, self._role = self._role, None
        ended = None if role is None else role.known_end()
        await self._of_role.aclose()
        return ended

    def _judge(self, ended: RoleEnded | None) -> None:
        """Raise `RoleEnded` after too many ends before the expiry."""
        if ended is None or ended.reason == "Released":
            return
        _log.info("a session needs another role: %s", ended)
        self._early_ends = 0 if ended.reason == "Expired" else self._early_ends + 1
        if self._early_ends > MOST_EARLY_ENDS:
            self._over = ended
            raise ended

    async def _vended(self) -> AsyncRole:
        """Vend with the next token. One that was used or has expired is replaced once, if the source has another one."""
        token = await async_token_of(self._user_tokens)
        try:
            return await self._entered(token)
        except (Denied, Refused) as error:
            another = await async_token_of(self._user_tokens) if error.code in _TAKE_ANOTHER else token
            if another == token:
                self._end_if_denied(error)
                raise
        try:
            return await self._entered(another)
        except Denied as error:
            self._end_if_denied(error)
            raise

    async def _entered(self, token: UserToken) -> AsyncRole:
        async with AsyncExitStack() as stack:
            role = await stack.enter_async_context(self._vend(token))
            user = role.vended.user
            if self._user is not None and (user.issuer, user.subject) != (self._user.issuer, self._user.subject):
                self._over = Refused("the session is over: its source returned the token of another person")
                raise self._over
            self._user, self._of_role = user, stack.pop_all()
        return role

    def _end_if_denied(self, error: RolevendError) -> None:
        if isinstance(error, Denied) and error.code not in _TAKE_ANOTHER:
            self._over = error
