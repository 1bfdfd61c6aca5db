"""What the stand-in can be told, parsed. What is not here it refuses loudly (`refusals.Unknown`)."""

from dataclasses import dataclass, field

from tests.support.snowflake.reader import Name, Value


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    nullable: bool = True
    default: str | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A row access policy `on` columns."""

    policy: Name
    on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Masking:
    """A masking policy of `column`; `using` names its arguments, the column first."""

    column: str
    policy: Name
    using: tuple[str, ...] = ()
    force: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    """`body` is the text of a policy, view, task or procedure, as it was written; `columns` are those of a table, or the arguments."""

    kind: str
    name: Name
    replace: bool = False
    if_not_exists: bool = False
    settings: dict[str, Value] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    returns: str = ""
    body: str = ""
    secure: bool = False
    temporary: bool = False
    like: Name | None = None
    clone: Name | None = None
    row_policy: Attachment | None = None
    masks: tuple[Masking, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    kind: str
    name: Name
    if_exists: bool


@dataclass(frozen=True, slots=True)
class Set:
    """``SET KEY = value …``"""

    settings: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Unset:
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rename:
    to: Name


@dataclass(frozen=True, slots=True)
class SetBody:
    body: str


@dataclass(frozen=True, slots=True)
class SetTag:
    """`column` is None for the object itself; `value` is None to unset."""

    column: str | None
    tag: Name
    value: str | None


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """A session, authentication or network policy of a user or the account; `policy` is None to unset."""

    kind: str
    policy: Name | None
    force: bool = False


@dataclass(frozen=True, slots=True)
class AddRowPolicy:
    attachment: Attachment


@dataclass(frozen=True, slots=True)
class DropRowPolicy:
    """`policy` is None for all."""

    policy: Name | None


@dataclass(frozen=True, slots=True)
class SetMask:
    masking: Masking


@dataclass(frozen=True, slots=True)
class UnsetMask:
    column: str


@dataclass(frozen=True, slots=True)
class AddColumn:
    column: Column


@dataclass(frozen=True, slots=True)
class DropColumn:
    column: str


@dataclass(frozen=True, slots=True)
class State:
    """RESUME or SUSPEND; or ABORT, of all that a user runs."""

    state: str


Action = (
    Set
    | Unset
    | Rename
    | SetBody
    | SetTag
    | SetPolicy
    | AddRowPolicy
    | DropRowPolicy
    | SetMask
    | UnsetMask
    | AddColumn
    | DropColumn
    | State
)


@dataclass(frozen=True, slots=True)
class Alter:
    """`kind` may be ACCOUNT, with an empty name."""

    kind: str
    name: Name
    if_exists: bool
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class AlterSession:
    settings: dict[str, Value]
    unset: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grantee:
    """`kind` is ROLE, DATABASE ROLE or USER."""

    kind: str
    name: Name


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """GRANT ROLE and REVOKE ROLE. `kind` is ROLE or DATABASE ROLE."""

    revoke: bool
    kind: str
    role: Name
    grantee: Grantee


@dataclass(frozen=True, slots=True)
class PrivilegeGrant:
    """On one object, or, if `every`, on all of `kind` in the schema or database `name`, whose kind is `every`."""

    revoke: bool
    privileges: tuple[str, ...]
    kind: str
    name: Name
    grantee: Grantee
    every: str = ""
    grant_option: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class OwnershipGrant:
    kind: str
    name: Name
    grantee: Grantee
    current_grants: str = ""
    """COPY, REVOKE, or nothing."""


@dataclass(frozen=True, slots=True)
class ShowGrants:
    """`direction` is TO, OF or ON."""

    direction: str
    kind: str
    name: Name


@dataclass(frozen=True, slots=True)
class Show:
    kind: str
    like: str | None = None
    scope: str = ""
    within: Name = ()
    starts_with: str | None = None
    limit: int | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Describe:
    kind: str
    name: Name


@dataclass(frozen=True, slots=True)
class Use:
    """`kind` is ROLE, WAREHOUSE, DATABASE, SCHEMA, or SECONDARY ROLES with ALL, NONE or names."""

    kind: str
    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """BEGIN, COMMIT or ROLLBACK."""

    verb: str


@dataclass(frozen=True, slots=True)
class ExecuteTask:
    name: Name


@dataclass(frozen=True, slots=True)
class Call:
    name: Name
    arguments: str


@dataclass(frozen=True, slots=True)
class Script:
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """SELECT, INSERT, UPDATE, DELETE, MERGE, TRUNCATE, and CREATE TABLE … AS: sqlglot reads it."""

    text: str


Statement = (
    Create
    | Drop
    | Alter
    | AlterSession
    | RoleGrant
    | PrivilegeGrant
    | OwnershipGrant
    | ShowGrants
    | Show
    | Describe
    | Use
    | Transaction
    | ExecuteTask
    | Call
    | Script
    | Query
)
