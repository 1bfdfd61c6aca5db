"""Convert the state of a role to the response of a call. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, assert_never

from rolevend.api.access.missing import OfferFinder
from rolevend.api.access.offer_schemas import AnswerPart, OfferShown
from rolevend.api.problems import RETRY_SECONDS, Problem
from rolevend.api.schemas import (
    AgentShown,
    ColumnShown,
    Credential,
    Decision,
    Explanation,
    JoinShown,
    KeyPairCredential,
    LeftOut,
    Links,
    PlatformShown,
    TableShown,
    UsablePlatform,
    UsablePlatforms,
    UserShown,
    VendedRoleShown,
)
from rolevend.api.vend_service import SkippedPlatform, VendAnswer
from rolevend.audit.evidence import tables_of
from rolevend.catalog import TableId
from rolevend.decision.admission import Agent, PlatformAdmission
from rolevend.decision.description import ProfileCatalog, TableDescription, describe, visible_rows
from rolevend.decision.proof import UserProof
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.tools import PlatformType
from rolevend.kinds import VendedRole
from rolevend.kinds.text import timestamp_text
from rolevend.kube.credentials import connection_uri
from rolevend.model import Attributes, ObjectName, PlatformName, ProfileName
from rolevend.plan import Profile, TableShape
from rolevend.platforms import protocol
from rolevend.roles.decision import PlatformGrant, RoleDecision
from rolevend.roles.state import is_ready
from rolevend.roles.status import build_progress

MAX_TABLES: Final = 100
"""Maximum tables in one answer."""
_MAX_EXPLANATIONS: Final = 64
_MAX_NOTES: Final = 64 * 1024
"""Characters of all comments on columns, allowed values and joins in one answer: owners choose how many there are."""


def vended(answer: VendAnswer) -> bytes:
    """Return the only answer that holds the credentials, as JSON."""
    request, proof = answer.request, answer.grants[0].granted.proof
    role = VendedRoleShown(
        id=request.name.name,
        role_name=answer.grants[0].granted.lease.role,
        state="Live",
        expiration_timestamp=timestamp_text(request.expires_at),
        agent=AgentShown(namespace=request.agent.namespace, name=request.agent.name),
        user=UserShown(
            issuer=request.user.issuer,
            subject=request.user.subject,
            handle=answer.grants[0].granted.user_handle,
            proof=(proof.kind if proof else UserProof.ASSERTED).value,
        ),
        purpose=request.purpose,
        platforms=tuple(_platform(each, answer.credentials[each.platform]) for each in answer.grants),
        left_out=tuple(map(_left_out, answer.skipped)) or None,
        links=_links(request.name.name),
    )
    return _explained(role, answer.grants, answer.offers)


def shown(role: VendedRole, platforms: Mapping[PlatformName, PlatformAdmission]) -> VendedRoleShown:
    """Return an object without its credential, which is not stored. `platforms` are the existing ones."""
    status, user = role.status, role.status.user
    ending = role.metadata.deletion_timestamp is not None or status.ended is not None
    state: Literal["Pending", "Live", "Ending"] = "Ending" if ending else "Live" if is_ready(role) else "Pending"
    counts = {each.name: each.table_count for each in status.platforms}
    return VendedRoleShown(
        id=role.name,
        role_name=status.role_name,
        state=state,
        progress=build_progress(role) if state == "Pending" else None,
        expiration_timestamp=timestamp_text(status.expiration_timestamp) if status.expiration_timestamp else None,
        agent=AgentShown(namespace=role.namespace, name=role.spec.agent_ref.name),
        user=UserShown(
            issuer=role.spec.user.issuer,
            subject=role.spec.user.subject,
            handle=user.handle if user else None,
            proof=user.proof if user else None,
        ),
        purpose=role.spec.purpose,
        platforms=tuple(
            PlatformShown(name=each.name, type=_type(platforms.get(PlatformName(each.name))), table_count=counts.get(each.name))
            for each in role.spec.platform_refs
        ),
        links=_links(role.name),
    )


def _type(terms: PlatformAdmission | None) -> PlatformType | None:
    return None if terms is None else terms.type


def platforms(agent: Agent, snapshot: Snapshot) -> UsablePlatforms:
    """Return the platforms that admit the agent. Raises Problem if they are not known yet."""
    names = snapshot.platforms_of(agent.name)
    if names is None:
        raise Problem(503, "Starting", "the platforms of this agent were not read yet", retry_after=RETRY_SECONDS)
    return UsablePlatforms(items=tuple(UsablePlatform(name=name, type=snapshot.platforms[name].type) for name in names))


def decision(whole: RoleDecision, finder: OfferFinder) -> bytes:
    """Return the answer to a call that decides, as JSON."""
    if whole.blocking_decision is None:
        left_out = [SkippedPlatform.by(request, decision, finder) for request, decision in whole.skipped]
        return _explained(
            Decision(granted=True, left_out=tuple(map(_left_out, left_out)) or None), whole.grants, finder.beside(whole.grants)
        )
    refusal, hint = SkippedPlatform.by(*whole.blocking_decision, finder), finder.access_request(*whole.blocking_decision)
    return as_json(Decision(granted=False, reason=refusal.reason, message=refusal.message, missing=refusal.missing, access_request=hint))


def as_json(answer: AnswerPart) -> bytes:
    """Return the JSON of an answer, without members that are None."""
    return answer.model_dump_json(by_alias=True, exclude_none=True).encode()


def _explained(answer: VendedRoleShown | Decision, grants: Sequence[PlatformGrant], offers: Sequence[OfferShown]) -> bytes:
    """Return the JSON of an answer with the explanation of its grants, which is most of it and the same for each role of a profile."""
    explained = explanation(grants)
    if offers:  # of one user, and so in no cache
        explained = explained.removesuffix(b"}") + b',"offers":[' + b",".join(map(as_json, offers)) + b"]}"
    return as_json(answer).removesuffix(b"}") + b',"explanation":' + explained + b"}"


def explanation(grants: Sequence[PlatformGrant]) -> bytes:
    """Return the explanation of the grants of one role, as JSON. Cached."""
    given = tuple(_Given.by(each, several=len(grants) > 1) for each in grants)
    return _explanation(given, tuple(each.granted.lease.attributes for each in grants))


@dataclass(frozen=True, slots=True)
class _Given:
    """The part of a grant that an explanation shows. The name of a profile stands for its content."""

    platform: PlatformName | None
    """None if the role is on no other platform."""
    name: ProfileName
    resources: tuple[TableId, ...] | None
    policies: tuple[tuple[ObjectName, ...], ...]
    """For each of the first `MAX_TABLES` tables the policies that grant it."""
    stricter: tuple[tuple[str, ...], ...]
    """For each of these tables the restrictions that are stricter for tools."""
    catalog: ProfileCatalog
    attributes: Attributes
    """The user's, as far as masks depend on them."""
    profile: Profile = field(compare=False, repr=False)
    tables: tuple[TableShape, ...] = field(compare=False, repr=False)

    @classmethod
    def by(cls, grant: PlatformGrant, *, several: bool) -> "_Given":
        granted, tables = grant.granted, grant.granted.tables
        names = [shape.table for shape in tables[:MAX_TABLES]]
        return cls(
            platform=grant.platform if several else None,
            name=granted.profile.name,
            resources=granted.lease.resources,
            policies=tuple(granted.granted_by.get(each, ()) for each in names),
            stricter=tuple(granted.behind.get(each, ()) for each in names),
            catalog=granted.catalog,
            attributes=granted.lease.attributes.only(granted.catalog.mask_keys),
            profile=granted.profile,
            tables=tables,
        )

    def shown(self) -> list[TableShown]:
        """Return the tables without their visible rows in words."""
        described = describe(self.tables, self.catalog, self.attributes)
        places = zip(self.tables, self.policies, self.stricter, described, strict=False)
        return [_shown(self.platform, *each) for each in places]


@lru_cache(_MAX_EXPLANATIONS)
def _explanation(given: tuple[_Given, ...], attributes: tuple[Attributes, ...]) -> bytes:
    """Return the explanation for a user with these attributes, on each platform."""
    of_all, tables = _shared(given)
    rows = [visible_rows(shape, values) for grant, values in zip(given, attributes, strict=True) for shape in grant.tables[:MAX_TABLES]]
    shown = (table if not words else _with_rows(table, words) for table, words in zip(tables, rows, strict=False))
    return b'{"tables":[' + b",".join(shown) + b"]," + of_all.removeprefix(b"{")


def _with_rows(table: bytes, words: str) -> bytes:
    return table.removesuffix(b"}") + b',"rows":' + json.dumps(words).encode() + b"}"


@lru_cache(_MAX_EXPLANATIONS)
def _shared(given: tuple[_Given, ...]) -> tuple[bytes, tuple[bytes, ...]]:
    """Return the part of the explanation that is the same for each user of the profiles: all but the tables, and each table."""
    functions = dict.fromkeys(str(each) for grant in given for each in (*grant.profile.functions, *grant.profile.tools))
    left_out = max(0, sum(len(each.tables) for each in given) - MAX_TABLES)
    tables = [each for grant in given for each in grant.shown()][:MAX_TABLES]
    tables = list(_within_notes(tables))
    explained = Explanation(tables_left_out=left_out, functions=tuple(functions)).model_dump_json(
        by_alias=True, exclude_none=True, exclude={"tables"}
    )
    return explained.encode(), tuple(map(as_json, tables))


def _within_notes(tables: Sequence[TableShown]) -> Iterator[TableShown]:
    """Yield the tables, without comments on columns, allowed values and joins of those after which all of these are too long."""
    left = _MAX_NOTES
    for table in tables:
        left -= sum(len(each.comment or "") + sum(map(len, each.values)) for each in table.columns)
        left -= sum(len(name) for each in table.joins for name in (*each.columns, each.schema_name, each.table, *each.references))
        if left >= 0:
            yield table
        else:
            columns = tuple(each.model_copy(update={"comment": None, "values": ()}) for each in table.columns)
            yield table.model_copy(update={"columns": columns, "joins": ()})


def _shown(
    platform: PlatformName | None,
    shape: TableShape,
    policies: tuple[ObjectName, ...],
    stricter: tuple[str, ...],
    described: TableDescription,
) -> TableShown:
    (summary,) = tables_of([shape])

    def column(name: str, mask: str | None) -> ColumnShown:
        about = described.columns[name]
        return ColumnShown(
            name=name,
            type=about.type,
            comment=about.comment or None,
            shown="Clear" if mask is None else "Masked",
            mask=mask,
            mask_meaning=about.mask or None,
            values=about.values,
        )

    return TableShown(
        platform=platform,
        schema_name=shape.table.schema,
        table=shape.table.name,
        view=shape.view,
        comment=described.comment or None,
        row_filters=summary.rows,
        restrictions=summary.restrictions,
        columns=(*(column(each, None) for each in summary.clear), *(column(each.name, each.shows) for each in summary.masked)),
        primary_key=described.key,
        joins=tuple(
            JoinShown(columns=each.columns, schema_name=each.table.schema, table=each.table.name, references=each.references)
            for each in described.joins
        ),
        policies=tuple(map(str, policies)),
        stricter_for_tools=stricter,
    )


def _left_out(absent: SkippedPlatform) -> LeftOut:
    return LeftOut(name=absent.platform, reason=absent.reason, message=absent.message, missing=absent.missing)


def _platform(vend: PlatformGrant, credential: protocol.Credential) -> PlatformShown:
    count = len(vend.granted.tables)
    match credential:
        case protocol.PasswordCredential():
            return PlatformShown(name=vend.platform, type="PostgreSQL", table_count=count, credential=_password(credential))
        case protocol.KeyPairCredential():
            return PlatformShown(name=vend.platform, type="Snowflake", table_count=count, credential=_key_pair(credential))
        case _:
            assert_never(credential)


def _password(credential: protocol.PasswordCredential) -> Credential:
    address = credential.address
    return Credential(
        username=credential.role,
        password=credential.password.reveal(),
        host=address.host,
        port=address.port,
        dbname=address.database,
        schema_name=credential.schema,
        sslmode=address.tls.mode.value,
        ca_certificates=address.tls.authority,
        uri=connection_uri(credential, None),
    )


def _key_pair(credential: protocol.KeyPairCredential) -> KeyPairCredential:
    account = credential.account
    return KeyPairCredential(
        account=account.identifier,
        user=credential.user,
        role=credential.role,
        private_key=None if credential.private_key is None else credential.private_key.reveal(),
        host=account.host,
        port=account.port,
        database=account.database,
        warehouse=account.warehouse,
        protocol=None if account.encrypted else "http",
    )


def _links(name: str) -> Links:
    return Links(self_link=f"/v1/vended-roles/{name}")
