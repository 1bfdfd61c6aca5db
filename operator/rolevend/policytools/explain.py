"""`rolevend explain`: the reasons why an agent has or lacks access for a user, from objects and a catalog."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rolevend.audit.access_diff import LOOKUP
from rolevend.audit.evidence import TableAccess, mask_shown, tables_of
from rolevend.catalog import FunctionId, ToolId
from rolevend.decision.description import TableDescription, describe, visible_rows
from rolevend.decision.offers import AvailableOffer, available_offers
from rolevend.decision.outcome import Granted, Pending
from rolevend.decision.proof import Proof
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.tools import beyond
from rolevend.errors import InvalidInput
from rolevend.kinds import Agent, values
from rolevend.plan import TableShape, withheld
from rolevend.policy.explanation import ColumnGranted, Explanation, PolicyExplained, explain
from rolevend.policy.mask import Clear
from rolevend.policy.request_context import Combination, GrantTarget, RequestContext
from rolevend.policy.vocabulary import closest
from rolevend.policytools.decisions import ANY_AGENT, Requester, decide, opened, unknown_agent, unlabelled, without_labels
from rolevend.policytools.folder import Catalogs, Folder
from rolevend.policytools.offer_text import access_json, access_lines, offer_json, offer_lines
from rolevend.snapshot.builder import SnapshotBuild


@dataclass(frozen=True, slots=True)
class ExplainedObjects:
    """All objects that decisions depend on, and what is known of the VendedRole to explain, if there is one."""

    folder: Folder
    namespace: str
    """The namespace that was named, or that of the context."""
    requests: tuple[Requester, ...] = ()
    """The requests of the VendedRole, one per platform."""
    condition: str = ""
    """Its Ready condition."""


@dataclass(frozen=True, slots=True)
class ToolWithheld:
    """A tool that the agent has for other users or requests, but not for this one."""

    tool: ToolId
    why: str
    """Completes a sentence that begins with the tool."""


@dataclass(frozen=True, slots=True)
class Explained:
    who: Requester
    refusal: str
    """The reason for no access that is not a policy's; empty otherwise."""
    explanation: Explanation
    together: tuple[TableAccess, ...]
    """The combined access to tables that several policies, or a policy and a guardrail, concern."""
    condition: str
    """The Ready condition of the VendedRole that is explained, or empty."""
    functions: tuple[FunctionId, ...] = ()
    """Functions that the role can call."""
    tools: tuple[ToolId, ...] = ()
    """Other tools that the role would have."""
    tools_withheld: tuple[ToolWithheld, ...] = ()
    tools_missing: str = ""
    """The agent's condition on tools that it requests and does not have, on any platform; or empty."""
    notes: tuple[str, ...] = ()
    """Missing inputs that could change the answer."""
    sources: tuple[tuple[str, str], ...] = ()
    """Attributes of the user from a token, with their claims. Others are from UserAttributes."""
    stricter: tuple[str, ...] = ()
    """One sentence for each table that tools see less of than the role itself."""
    offers: tuple[AvailableOffer, ...] = ()
    """The offers that the agent may ask for, smallest exposure first."""
    tables: tuple[tuple[TableShape, TableDescription], ...] = ()
    """The tables that the role reads, without values of the user."""
    asking: RequestContext = field(default_factory=RequestContext)
    """The agent and the request, as conditions of policies see them."""


def explained(folder: Folder, who: Requester, catalogs: Catalogs, condition: str | None = None) -> Explained:
    """Explain one request. With `condition`, of a VendedRole, admission counts; otherwise every agent counts as admitted, and may state any
    purpose. Raises InvalidInput if the agent, the platform or its catalog is missing."""
    return explained_in(folder.build(catalogs), who, condition)


def explained_in(built: SnapshotBuild, who: Requester, condition: str | None = None) -> Explained:
    """As `explained`, in a snapshot that is built already."""
    snapshot, missing = built.snapshot, _tools_missing(built, who)
    notes = tuple(_notes(snapshot, who))
    if condition is None:
        if who.agent not in (ANY_AGENT, *snapshot.agents):
            raise InvalidInput("--agent", f"{unknown_agent(who.agent, snapshot)} (--namespace says in which namespace it is)")
        snapshot = opened(snapshot, purposes=[who.purpose])
    if who.platform not in snapshot.platforms:
        raise InvalidInput("", f"no DataPlatform is named {who.platform}{closest(who.platform, snapshot.platforms)}")
    shapes = snapshot.shapes.get(who.platform)
    if shapes is None:
        raise InvalidInput("--catalog", f"what DataPlatform {who.platform} holds is not known: rolevend platform catalog writes it")
    person = snapshot.person(who.request)
    asking = snapshot.asking(who.request)
    explanation = explain(person.attributes, shapes.index, asking)
    sources = tuple(sorted(person.sources.items()))
    offers = available_offers(snapshot, who.request, role_exists=True)
    found = decide(snapshot, who)
    if not isinstance(found, Granted):
        refusal = found.message if explanation.denial is None or isinstance(found, Pending) else ""
        narrowed = _narrowed(explanation, who)
        unread = Explained(who, refusal, narrowed, (), condition or "", tools_missing=missing, notes=notes, sources=sources, offers=offers)
        return replace(unread, asking=asking)
    return Explained(
        who,
        "",
        _narrowed(explanation, who),
        tuple(_together(found, explanation)),
        condition or "",
        found.profile.functions,
        tuple(tool.id for tool in found.profile.tools),
        tuple(_withheld(snapshot, who, found)),
        missing,
        notes,
        sources,
        found.stricter,
        offers,
        tuple(zip(found.tables, describe(found.tables, found.catalog, None), strict=True)),
        asking,
    )


def all_explained(objects: ExplainedObjects, catalogs: Catalogs) -> tuple[Explained, ...]:
    """Explain each platform of the VendedRole. Raises InvalidInput with all platforms whose catalog is missing."""
    unknown = [who.platform for who in objects.requests if who.platform not in catalogs]
    if len(objects.requests) > 1 and unknown:
        raise InvalidInput(
            "--catalog",
            f"what DataPlatform {', '.join(unknown)} holds is not known: rolevend platform catalog writes it; give one for each",
        )
    return tuple(explained(objects.folder, who, catalogs, objects.condition) for who in objects.requests)


def _notes(snapshot: Snapshot, who: Requester) -> Iterator[str]:
    if who.user not in snapshot.people and not isinstance(who.proof, Proof):
        near = closest(str(who.user), map(str, snapshot.people))
        yield f"no accepted UserAttributes names {who.user}, so nothing is known of them{near}"
    yield from without_labels(unlabelled(snapshot, [who.agent]))


def _tools_missing(built: SnapshotBuild, who: Requester) -> str:
    agents = (each for each in built.evaluations if isinstance(each.resource, Agent) and values.object_name(each.resource) == who.agent)
    messages = (finding.message for each in agents for finding in each.findings if finding.type == "Ready" and finding.status != "True")
    return next((message for message in messages if message.startswith("spec.tools: ")), "")


def _withheld(snapshot: Snapshot, who: Requester, found: Granted) -> Iterator[ToolWithheld]:
    shapes = {shape.table: shape for shape in found.profile.tables}
    for tool in snapshot.tools(who.request):
        if why := withheld(tool, shapes) or beyond(tool, who.resources):
            yield ToolWithheld(tool.id, why)


def _narrowed(explanation: Explanation, who: Requester) -> Explanation:
    """Keep only the requested tables."""
    if who.resources is None:
        return explanation
    asked = frozenset(who.resources)
    policies = (replace(policy, granted=tuple(each for each in policy.granted if each.table in asked)) for policy in explanation.policies)
    guardrails = (replace(each, takes=tuple(taken for taken in each.takes if taken.table in asked)) for each in explanation.guardrails)
    clashes = tuple(each for each in explanation.clashes if each.table in asked)
    return replace(explanation, policies=tuple(policies), guardrails=tuple(guardrails), clashes=clashes)


def _together(found: Granted, explanation: Explanation) -> Iterator[TableAccess]:
    """Yield the combined access to tables that more than one policy, or a guardrail, concerns."""
    grants = Counter(table.table for policy in explanation.policies for table in policy.granted)
    guarded = {taken.table for guardrail in explanation.guardrails for taken in guardrail.takes}
    yield from tables_of(shape for shape in found.tables if grants[shape.table] > 1 or shape.table in guarded)


COMBINES = {
    Combination.UNION: "the agent reads what the user is granted, and what it is granted itself",
    Combination.USER_CEILING: "what the agent is granted itself adds nothing to what the user is granted",
    Combination.INTERSECTION: "the agent reads only what both the user and it itself are granted",
}


def as_text(found: Sequence[Explained]) -> str:
    """Return text, with a VendedRole's condition once, above its platforms, and each note once, below the first that it is about."""
    conditions = [each for each in dict.fromkeys(each.condition for each in found) if each]
    told: set[str] = set()
    parts = []
    for each in found:
        parts.append("\n".join(_lines(replace(each, notes=tuple(note for note in each.notes if note not in told)))))
        told.update(each.notes)
    return "\n".join([*conditions, *parts])


def _lines(found: Explained) -> Iterator[str]:
    explanation, who = found.explanation, found.who
    purpose = f" for {who.purpose}" if who.purpose else ""
    about = f"{who.user} through {str(who.agent).removeprefix('/')} on {who.platform}{purpose}"
    denial = explanation.denial
    if found.refusal:
        yield f"{about}: nothing. {found.refusal}"
    elif denial is not None:
        yield f"{about}: nothing ({denial.reason}). {denial.message}"
    else:
        tables = {table.table for policy in explanation.policies for table in policy.granted}
        yield f"{about}: {len(tables)} {'table' if len(tables) == 1 else 'tables'}"
    yield from (f"user attribute {key}: from the token, {source}" for key, source in found.sources)
    yield from (f"note: {each}" for each in found.notes)
    if explanation.missing and denial is not None:
        yield f"smallest step: {explanation.missing}"
    if any(policy.grants_to is GrantTarget.AGENTS for policy in explanation.policies):
        yield f"combination {explanation.combination.value}: {COMBINES[explanation.combination]}"
    for policy in explanation.policies:
        yield from _policy(policy)
    yield from (f"tool: function {each}" for each in found.functions)
    yield from (f"tool: {each}" for each in found.tools)
    yield from (f"tool withheld: {each.tool} {each.why}" for each in found.tools_withheld)
    yield from (f"for tools: {each}" for each in found.stricter)
    if found.tools_missing:
        yield f"tools that Agent {str(who.agent).removeprefix('/')} does not have: {found.tools_missing}"
    for guardrail in explanation.guardrails:
        yield f"Guardrail {guardrail.guardrail} concerns the user"
        yield from (f"  {taken.sentence}" for taken in guardrail.takes)
    yield from (each.sentence for each in explanation.clashes)
    for given in found.together:
        yield f"Together on {given.table}"
        yield from access_lines(given)
    yield from (f"queries find {shape.table} as {shape.view}" for shape, _ in found.tables if shape.view != shape.table.name)
    for shape, described in found.tables:
        yield from (f"comment on {name}: {text}" for name, text in _comments(shape, described))
    if found.offers:
        yield "by asking, the smallest exposure first"
    for offer in found.offers:
        yield from offer_lines(offer)


def _comments(shape: TableShape, described: TableDescription) -> Iterator[tuple[str, str]]:
    if described.comment:
        yield str(shape.table), described.comment
    yield from ((f"{shape.table}.{each.name}", each.comment) for each in described.columns.values() if each.comment)


def _policy(policy: PolicyExplained) -> Iterator[str]:
    if policy.own:
        yield f"{policy.policy} has tables of its own"
    elif policy.grants_to is GrantTarget.USERS:
        yield f"AccessPolicy {policy.policy} {'covers' if policy.covers else 'does not cover'} the user"
    else:
        yield f"AccessPolicy {policy.policy} {'grants' if policy.covers else 'does not grant'} to the agent itself"
    yield from (f"  {each.requirement}: {'met' if each.met else 'not met'}" for each in policy.asked)
    yield from (f"  withheld ({each.reason}): {each.message}" for each in policy.withheld)
    other = "the agent itself" if policy.grants_to is GrantTarget.USERS else "the user"
    yield from (f"  grants {table}, which {other} is not granted" for table in policy.alone)
    for table in policy.granted:
        tags = "".join(f" [{tag.key}={tag.value}]" for tag in table.tags)
        yield f"  grants {table.table}{tags} where {table.rows}"
        plain = [column.name for column in table.columns if column.mask == Clear() and not column.tags]
        if plain:
            yield f"    {', '.join(plain)}"
        yield from (f"    {_column(column)}" for column in table.columns if column.name not in plain)
        lookups = [column.name for column in table.columns if column.lookup]
        if lookups:
            yield f"    {LOOKUP}: {', '.join(lookups)} (lookupColumns of a TagBinding)"


def _column(column: ColumnGranted) -> str:
    tags = "".join(f" [{tag.key}={tag.value}]" for tag in column.tags)
    return f"{column.name}{tags}" if column.mask == Clear() else f"{column.name}{tags}: {mask_shown(column.mask)}"


def as_json(found: Sequence[Explained]) -> dict[str, Any] | list[dict[str, Any]]:
    """Return an object; for a VendedRole on several platforms a list of such objects."""
    objects = [_json(each) for each in found]
    return objects[0] if len(objects) == 1 else objects


def _json(found: Explained) -> dict[str, Any]:
    explanation, who = found.explanation, found.who
    denial = explanation.denial
    return {
        "issuer": who.user.issuer,
        "subject": who.user.subject,
        "agent": str(who.agent).removeprefix("/"),
        "platform": who.platform,
        "purpose": who.purpose,
        "vendedRole": found.condition,
        "granted": not found.refusal and denial is None,
        "reason": denial.reason if denial else "",
        "message": found.refusal or (denial.message if denial else ""),
        "missing": explanation.missing,
        "fromToken": dict(found.sources),
        "combination": explanation.combination.value,
        "policies": [_policy_json(each) for each in explanation.policies],
        "functions": [str(each) for each in (*found.functions, *found.tools)],
        "toolsWithheld": [{"tool": str(each.tool), "why": each.why} for each in found.tools_withheld],
        "stricterForTools": list(found.stricter),
        "toolsMissing": found.tools_missing,
        "guardrails": [{"guardrail": each.guardrail, "takes": [taken.sentence for taken in each.takes]} for each in explanation.guardrails],
        "clashes": [each.sentence for each in explanation.clashes],
        "together": [access_json(each) for each in found.together],
        "tables": [_table_json(*each) for each in found.tables],
        "byAsking": [offer_json(each) for each in found.offers],
        "notes": list(found.notes),
    }


def _table_json(shape: TableShape, described: TableDescription) -> dict[str, Any]:
    return {
        "table": str(shape.table),
        "view": shape.view,
        "comment": described.comment,
        "rows": visible_rows(shape, None),
        "primaryKey": list(described.key),
        "joins": [
            {"columns": list(each.columns), "table": str(each.table), "references": list(each.references)} for each in described.joins
        ],
        "columns": [
            {"name": each.name, "type": each.type, "comment": each.comment, "mask": each.mask, "values": list(each.values)}
            for each in described.columns.values()
        ],
    }


def _policy_json(policy: PolicyExplained) -> dict[str, Any]:
    return {
        "policy": str(policy.policy),
        "grantsTo": policy.grants_to.value,
        "covers": policy.covers,
        "asked": [{"requirement": each.requirement, "met": each.met} for each in policy.asked],
        "alone": [str(table) for table in policy.alone],
        "withheld": [{"reason": each.reason, "message": each.message} for each in policy.withheld],
        "grants": [
            {
                "table": str(table.table),
                "tags": [f"{tag.key}={tag.value}" for tag in table.tags],
                "rows": table.rows,
                "columns": [
                    {
                        "name": column.name,
                        "shows": mask_shown(column.mask),
                        "tags": [f"{tag.key}={tag.value}" for tag in column.tags],
                        "lookup": column.lookup,
                    }
                    for column in table.columns
                ],
            }
            for table in policy.granted
        ],
    }
