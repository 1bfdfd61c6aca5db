"""From what is known of a role to what a caller is shown of it. Pure."""

from typing import Final, assert_never

from rolevend.api.schemas import (
    AgentShown,
    ColumnShown,
    Credential,
    Decision,
    Explanation,
    KeyPairCredential,
    Links,
    PlatformShown,
    TableShown,
    UserShown,
    VendedRoleShown,
)
from rolevend.kube.secrets import connection_uri
from rolevend.platforms import base
from rolevend.requests.roles import is_ready
from rolevend.resources import VendedRole
from rolevend.resources.text import timestamp_text
from rolevend.vending.evidence import TableGiven, tables_of
from rolevend.vending.proof import UserProof
from rolevend.vending.verdict import Denied, Granted, Request, Undecided

MOST_TABLES: Final = 100
"""In one answer."""


def vended(request: Request, verdict: Granted, credential: base.Credential) -> VendedRoleShown:
    """The one answer that holds the credential."""
    proof = verdict.proof.kind if verdict.proof else UserProof.ASSERTED
    return VendedRoleShown(
        id=request.name.name,
        role_name=verdict.lease.role,
        state="Live",
        expiration_timestamp=timestamp_text(request.expires_at),
        agent=AgentShown(namespace=request.agent.namespace, name=request.agent.name),
        user=UserShown(issuer=request.user.issuer, subject=request.user.subject, handle=verdict.user_handle, proof=proof.value),
        purpose=request.purpose,
        platforms=(_platform(request, verdict, credential),),
        explanation=explanation(verdict),
        links=_links(request.name.name),
    )


def shown(role: VendedRole) -> VendedRoleShown:
    """Of an object, without its credential, which nobody knows any more."""
    status, user = role.status, role.status.user
    ending = role.metadata.deletion_timestamp is not None or status.ended is not None
    counts = {each.name: each.table_count for each in status.platforms}
    return VendedRoleShown(
        id=role.name,
        role_name=status.role_name,
        state="Ending" if ending else "Live" if is_ready(role) else "Pending",
        expiration_timestamp=timestamp_text(status.expiration_timestamp) if status.expiration_timestamp else None,
        agent=AgentShown(namespace=role.namespace, name=role.spec.agent_ref.name),
        user=UserShown(
            issuer=role.spec.user.issuer,
            subject=role.spec.user.subject,
            handle=user.handle if user else None,
            proof=user.proof if user else None,
        ),
        purpose=role.spec.purpose,
        platforms=tuple(PlatformShown(name=each.name, table_count=counts.get(each.name)) for each in role.spec.platform_refs),
        links=_links(role.name),
    )


def decision(verdict: Granted | Denied | Undecided) -> Decision:
    if isinstance(verdict, Granted):
        return Decision(granted=True, explanation=explanation(verdict))
    missing = verdict.missing if isinstance(verdict, Denied) else ""
    return Decision(granted=False, reason=verdict.reason, message=verdict.message, missing=missing or None)


def explanation(verdict: Granted) -> Explanation:
    shapes = verdict.tables[:MOST_TABLES]
    policies = [tuple(map(str, verdict.granted_by.get(shape.table, ()))) for shape in shapes]
    given = zip(shapes, tables_of(shapes), policies, strict=True)
    return Explanation(
        tables=tuple(_table(shape.table.schema, shape.table.name, told, by) for shape, told, by in given),
        tables_left_out=len(verdict.tables) - len(shapes),
        functions=tuple(map(str, verdict.profile.functions)),
    )


def _table(schema: str, name: str, given: TableGiven, policies: tuple[str, ...]) -> TableShown:
    clear = [ColumnShown(name=each, shown="Clear") for each in given.clear]
    masked = [ColumnShown(name=each.name, shown="Masked", mask=each.shows) for each in given.masked]
    return TableShown(
        schema_name=schema,
        table=name,
        row_filters=given.rows,
        restrictions=given.restrictions,
        columns=(*clear, *masked),
        policies=policies,
    )


def _platform(request: Request, verdict: Granted, credential: base.Credential) -> PlatformShown:
    count = len(verdict.tables)
    match credential:
        case base.PasswordCredential():
            return PlatformShown(name=request.platform, table_count=count, credential=_password(credential))
        case base.KeyPairCredential():
            return PlatformShown(name=request.platform, type="Snowflake", table_count=count, credential=_key_pair(credential))
        case _:
            assert_never(credential)


def _password(credential: base.PasswordCredential) -> Credential:
    address = credential.address
    return Credential(
        username=credential.role,
        password=credential.password.reveal(),
        host=address.host,
        port=address.port,
        dbname=address.database,
        sslmode=address.tls.mode.value,
        ca_certificates=address.tls.authority,
        uri=connection_uri(credential, None),
    )


def _key_pair(credential: base.KeyPairCredential) -> KeyPairCredential:
    account = credential.account
    return KeyPairCredential(
        account=account.identifier,
        user=credential.user,
        role=credential.role,
        private_key=credential.private_key.reveal(),
        host=account.host,
        port=account.port,
        database=account.database,
        warehouse=account.warehouse,
    )


def _links(name: str) -> Links:
    return Links(self_link=f"/v1/vended-roles/{name}")
