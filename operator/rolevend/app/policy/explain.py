"""`rolevend explain`: why an agent gets what it gets for a user, or what is missing, from objects and a catalog."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rolevend.app.policy.folder import Catalogs, Folder
from rolevend.app.policy.verdicts import Who, opened, verdict
from rolevend.errors import InvalidInput
from rolevend.model import Attributes
from rolevend.policy.combination import Combination, Side
from rolevend.policy.explanation import ColumnGranted, Explanation, PolicyExplained, explain
from rolevend.policy.mask import Clear
from rolevend.vending.evidence import mask_shown
from rolevend.vending.verdict import Denied, Undecided


@dataclass(frozen=True, slots=True)
class Explained:
    who: Who
    refusal: str
    """Why nothing would be given, whatever policies say; empty otherwise."""
    explanation: Explanation


def explained(folder: Folder, who: Who, catalogs: Catalogs) -> Explained:
    """InvalidInput where a catalog is missing, or an object that the answer depends on cannot be read."""
    directory = opened(folder.picture(catalogs).directory, agents=[who.agent], purposes=[who.purpose])
    shapes = directory.shapes.get(who.platform)
    if shapes is None:
        raise InvalidInput("--catalog", f"what DataPlatform {who.platform} holds is not known: rolevend platform catalog writes it")
    person = directory.people.get(who.user)
    found = verdict(directory, who)
    refusal = found.message if isinstance(found, Undecided) or (isinstance(found, Denied) and found.reason == "UserNotCovered") else ""
    return Explained(who, refusal, explain(person.attributes if person else Attributes(), shapes.index, directory.asking(who.request)))


_COMBINES = {
    Combination.UNION: "the agent reads what the user is granted, and what it is granted itself",
    Combination.USER_CEILING: "what the agent is granted itself adds nothing to what the user is granted",
    Combination.INTERSECTION: "the agent reads only what both the user and it itself are granted",
}


def as_text(found: Explained) -> str:
    return "\n".join(_lines(found))


def _lines(found: Explained) -> Iterator[str]:
    explanation, who = found.explanation, found.who
    about = f"{who.user} through {str(who.agent).removeprefix('/')} on {who.platform}"
    denial = explanation.denial
    if found.refusal:
        yield f"{about}: nothing. {found.refusal}"
    elif denial is not None:
        yield f"{about}: nothing ({denial.reason}). {denial.message}"
    else:
        tables = {table.table for policy in explanation.policies for table in policy.granted}
        yield f"{about}: {len(tables)} {'table' if len(tables) == 1 else 'tables'}"
    if explanation.missing and denial is not None:
        yield f"smallest step: {explanation.missing}"
    if any(policy.grants_to is Side.AGENTS for policy in explanation.policies):
        yield f"combination {explanation.combination.value}: {_COMBINES[explanation.combination]}"
    for policy in explanation.policies:
        yield from _policy(policy)
    for guardrail in explanation.guardrails:
        yield f"Guardrail {guardrail.guardrail} concerns the user"
        yield from (f"  {each}" for each in guardrail.takes)


def _policy(policy: PolicyExplained) -> Iterator[str]:
    if policy.grants_to is Side.USERS:
        yield f"AccessPolicy {policy.policy} {'covers' if policy.covers else 'does not cover'} the user"
    else:
        yield f"AccessPolicy {policy.policy} {'grants' if policy.covers else 'does not grant'} to the agent itself"
    yield from (f"  {each.requirement}: {'met' if each.met else 'not met'}" for each in policy.asked)
    yield from (f"  withheld ({each.reason}): {each.message}" for each in policy.withheld)
    for table in policy.granted:
        tags = "".join(f" [{tag.key}={tag.value}]" for tag in table.tags)
        yield f"  grants {table.table}{tags} where {table.rows}"
        yield from (f"    {_column(column)}" for column in table.columns)


def _column(column: ColumnGranted) -> str:
    tags = "".join(f" [{tag.key}={tag.value}]" for tag in column.tags)
    return f"{column.name}{tags}" if column.mask == Clear() else f"{column.name}{tags}: {mask_shown(column.mask)}"


def as_json(found: Explained) -> str:
    explanation, who = found.explanation, found.who
    denial = explanation.denial
    told: dict[str, Any] = {
        "issuer": who.user.issuer,
        "subject": who.user.subject,
        "agent": str(who.agent).removeprefix("/"),
        "platform": who.platform,
        "granted": not found.refusal and denial is None,
        "reason": denial.reason if denial else "",
        "message": found.refusal or (denial.message if denial else ""),
        "missing": explanation.missing,
        "combination": explanation.combination.value,
        "policies": [_policy_json(each) for each in explanation.policies],
        "guardrails": [{"guardrail": each.guardrail, "takes": list(each.takes)} for each in explanation.guardrails],
    }
    return json.dumps(told, indent=2)


def _policy_json(policy: PolicyExplained) -> dict[str, Any]:
    return {
        "policy": str(policy.policy),
        "grantsTo": policy.grants_to.value,
        "covers": policy.covers,
        "asked": [{"requirement": each.requirement, "met": each.met} for each in policy.asked],
        "withheld": [{"reason": each.reason, "message": each.message} for each in policy.withheld],
        "grants": [
            {
                "table": str(table.table),
                "tags": [f"{tag.key}={tag.value}" for tag in table.tags],
                "rows": table.rows,
                "columns": [
                    {"name": column.name, "shows": mask_shown(column.mask), "tags": [f"{tag.key}={tag.value}" for tag in column.tags]}
                    for column in table.columns
                ],
            }
            for table in policy.granted
        ],
    }
