"""Let an approver read rows of one table as themself: one role, for one look. I/O.

Neither the console nor the operator may read the rows. The person logs in once more, at the client that is the Agent of these roles; the
token proves one role, which the API vends by the person's own policies, and which is released before the page is sent.

The rows are the person's first ones, and not those that the user of the request would read: these would tell attributes of that user.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rolevend.api.schemas import ColumnShown, Credential, TableShown, VendedRoleShown
from rolevend.console.login import ConsoleClient, ConsoleLogins
from rolevend.console.own_roles import ApiAway, ApiRefused, OwnRoles
from rolevend.console.person import Person
from rolevend.console.row_table import CHARACTERS, COLUMNS, Texts
from rolevend.console.turns import Turns
from rolevend.errors import IdentityProviderUnavailable, InvalidInput, RolevendError
from rolevend.identity.login_client import SCOPE
from rolevend.identity.refusal import TokenRefused
from rolevend.kinds import DataPlatform, parse
from rolevend.kinds.vended_role import TableName
from rolevend.kube.client import KubeClient, NotFound, path_of
from rolevend.platforms.postgres import PostgresLogin
from rolevend.platforms.postgres.example_rows import ReadableTable, first_rows
from rolevend.platforms.protocol import Address, Secret, Tls, TlsMode
from rolevend.settings import PREFIX, ConsoleSettings

CALLBACK: Final = "/rows/callback"
ROWS: Final = 5
"""The most of one look."""
_SECONDS: Final = 8.0
"""For the connection and the rows."""
_AT_ONCE: Final = 4
"""Looks in this process, of as many people: each has a connection to a database, and takes some megabytes."""
_LONGEST_TASK: Final = 128

_log = logging.getLogger(__name__)


class NoRows(Exception):
    """No rows can be shown. The text says why, and the way out, for people."""


@dataclass(frozen=True, slots=True)
class LookSettings:
    """The API, and the client that is the Agent."""

    client: ConsoleClient
    roles: OwnRoles
    own_wishes: Mapping[str, str]
    """Parameters of the client's request for its own token."""

    @classmethod
    def of(cls, settings: ConsoleSettings, login: ConsoleClient) -> "LookSettings | None":
        """Return None if rows are not shown. Raises InvalidInput, which names the setting. `login` is the client of the console's login."""
        if not settings.console_rows_api_url:
            return None
        name, client_id, secret_file = (
            f"{PREFIX}CONSOLE_ROWS_CLIENT",
            settings.console_rows_client_id,
            settings.console_rows_client_secret_file,
        )
        if not client_id or client_id == login.client_id:
            raise InvalidInput(f"{name}_ID", "must be set, to another client than the console's: its tokens prove roles")
        if secret_file is None:
            raise InvalidInput(f"{name}_SECRET_FILE", "must be set: the client proves itself to the API by a token of its own")
        scope, audience = settings.console_rows_scope, settings.console_rows_audience
        more = {"audience": audience} if audience else {}
        wishes = {"scope": f"{SCOPE} {scope}" if scope else SCOPE, **more}
        client = ConsoleClient(login.provider, login.url, client_id, secret_file, CALLBACK, wishes, f"{name}_SECRET_FILE")
        roles = OwnRoles(settings.console_rows_api_url, settings.console_rows_api_ca_file)
        return cls(client, roles, {**({"scope": scope} if scope else {}), **more})


@dataclass(frozen=True, slots=True)
class Look:
    role: str
    """The name of the role in the database."""
    agent: str
    columns: Sequence[ColumnShown]
    rows: Sequence[Texts]


class RowLooks:
    def __init__(self, logins: ConsoleLogins, settings: LookSettings, cluster: KubeClient, waiting_seconds: float = 20.0) -> None:
        """`logins` are those of the client in `settings`. A look waits for its turn for at most `waiting_seconds`."""
        self.logins = logins
        self._settings = settings
        self._cluster = cluster
        self._turns = Turns(_AT_ONCE, waiting_seconds)

    async def require_postgres(self, platform: str) -> None:
        """Raises NoRows, and ClusterUnavailable."""
        try:
            found = parse(DataPlatform, await self._cluster.get(path_of(DataPlatform), platform), unknown="ignore")
        except NotFound:
            raise NoRows("The platform of the request does not exist any more, so nobody can read rows there.") from None
        if found.spec.postgres is None:
            raise NoRows("Rows are shown for PostgreSQL only, and this platform is a Snowflake account. Query it as you do otherwise.")

    async def look(self, person: Person, user_token: str, platform: str, table: TableName, task: str) -> Look:
        """`user_token` is the person's. Raises NoRows, and ClusterUnavailable. No role is left."""
        try:
            async with self._turns.of(person) as waiting:
                waiting.reschedule(None)
                return await self._look(person, user_token, platform, table, task)
        except TimeoutError as error:
            raise NoRows("Other looks at rows, of you or of others, take long now, so yours was not begun. Try again later.") from error

    async def _look(self, person: Person, user_token: str, platform: str, table: TableName, task: str) -> Look:
        try:
            agent_token = await self.logins.own_token(self._settings.own_wishes)
        except (TokenRefused, InvalidInput, IdentityProviderUnavailable) as error:
            _log.warning("the client that reads rows gets no token of its own: %s", error)
            raise NoRows(
                "The identity provider gives the console's second client no token of its own, so no role is made. Tell your administrator."
            ) from error
        try:
            async with self._settings.roles.vended(agent_token, user_token, platform, table, task[:_LONGEST_TASK]) as role:
                _require_own(role, person)
                return await self._read(role, table)
        except ApiRefused as error:
            raise NoRows(_refusal(error)) from error
        except ApiAway as error:
            _log.warning("no role to read rows: the API: %s", error)
            raise NoRows("The API of rolevend does not answer now, so no role is made. Try again later.") from error

    async def _read(self, role: VendedRoleShown, table: TableName) -> Look:
        credential, found = role.platforms[0].credential if role.platforms else None, _table(role, table)
        if not isinstance(credential, Credential) or found is None or not found.columns:
            raise NoRows("You may read no column of this table yourself.")
        tls = Tls(TlsMode(credential.sslmode), credential.ca_certificates)
        address = Address(credential.host, credential.port, credential.dbname, tls)
        login = PostgresLogin(credential.username, Secret(credential.password))
        columns = [each.name for each in found.columns[:COLUMNS]]
        try:
            async with asyncio.timeout(_SECONDS):
                readable = ReadableTable(credential.schema_name, found.view, columns)
                rows = await first_rows(address, login, readable, ROWS, CHARACTERS + 1)
        except (TimeoutError, RolevendError) as error:
            reason = error if isinstance(error, RolevendError) else f"no answer within {_SECONDS:g} s"
            _log.warning("the rows of a look cannot be read: %s", reason, extra={"role": role.id})
            raise NoRows("The database gives the console no rows within seconds. Try again, or query it as you do otherwise.") from error
        return Look(credential.username, f"{role.agent.namespace}/{role.agent.name}", found.columns, rows)


def _require_own(role: VendedRoleShown, person: Person) -> None:
    """Raises NoRows if the role is another person's: the ID token names the person, and the API reads the access token."""
    if role.user.issuer != person.issuer or not person.is_user(role.user.subject):
        _log.warning("the access token of a login for rows names somebody else than its ID token", extra={"role": role.id})
        raise NoRows("The identity provider let rolevend make a role of somebody else, so nobody read rows. Tell your administrator.")


def _table(role: VendedRoleShown, table: TableName) -> TableShown | None:
    tables = () if role.explanation is None else role.explanation.tables
    return next((each for each in tables if (each.schema_name, each.table) == (table.schema_name, table.table)), None)


def _refusal(error: ApiRefused) -> str:
    reason = str(error).rstrip(".")
    if error.status in (403, 422):
        return (
            f"You get no role for this table here: {reason}. If the table is not granted to you, ask its owners; otherwise tell your"
            " administrator."
        )
    if error.status == 401:
        return f"rolevend does not accept the login for a role: {reason}. Tell your administrator."
    return f"No role can be made for you now: {reason}. Try again later."
